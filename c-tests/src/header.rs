//! The functions that `fewbit.h` declares.

use crate::{Outcome, root};

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Whether it is a pointer.
    pub pointer: bool,
    /// Whether it is a `size_t` passed by value.
    pub size: bool,
}

/// A declared function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its parameters, in order.
    pub parameters: Vec<Parameter>,
}

/// The header's text.
///
/// # Errors
/// If it cannot be read.
pub fn text() -> Outcome<String> {
    Ok(std::fs::read_to_string(root().join("include/fewbit.h"))?)
}

/// The header's text without comments, directives and the frame of `extern "C"`, on one line.
pub fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    let is_code = |line: &&str| !line.trim_start().starts_with('#');
    let code: String = code
        .lines()
        .filter(is_code)
        .filter(|line| !line.ends_with('\\'))
        .collect::<Vec<_>>()
        .join(" ");
    // Braces hold structures, whose members may be function pointers; those of `extern "C"` are
    // behind conditions and open on a line of their own.
    code.replace("extern \"C\" {", "")
}

/// Every function that the header's text declares.
pub fn functions(text: &str) -> Vec<Function> {
    code(text).split(';').filter_map(declaration).collect()
}

fn declaration(statement: &str) -> Option<Function> {
    if statement.contains(['{', '}']) || statement.contains("typedef") {
        return None;
    }
    let (head, parameters) = statement.split_once('(')?;
    let name = head.split([' ', '*']).next_back().filter(|name| name.starts_with("fewbit_"))?;
    let parameters = parameters.trim_end().strip_suffix(')')?;
    let parameters = parameters
        .split(',')
        .map(str::trim)
        .filter(|parameter| *parameter != "void")
        .filter_map(|parameter| {
            Some(Parameter {
                name: parameter.split([' ', '*']).next_back()?.to_string(),
                pointer: parameter.contains('*'),
                size: parameter.starts_with("size_t ") && !parameter.contains('*'),
            })
        })
        .collect();
    Some(Function { name: name.to_string(), parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found_and_nothing_else() {
        let text = "/* fewbit_not(void); */ #define X 1\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\
                    typedef void (*fewbit_task)(void *arg);\nstruct s { void (*run)(void *ctx); };\n\
                    uint32_t fewbit_a(void);\nconst char *fewbit_b(const struct s *x,\n  size_t n, size_t **m);\n";
        let found = functions(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].name.as_str(), found[0].parameters.len()), ("fewbit_a", 0));
        let kinds: Vec<_> =
            found[1].parameters.iter().map(|p| (p.name.as_str(), p.pointer, p.size)).collect();
        assert_eq!(kinds, [("x", true, false), ("n", false, true), ("m", true, false)]);
    }
}
