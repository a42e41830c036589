//! Reads `fewbit.h`: constants, types, structures with their layout, functions. The header is generated, so that its
//! form is known; anything else is an error.

use fewbit_c_tests::header;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

/// What a program is compiled against. Types are normalized: one space, no `struct`, no names of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A named constant.
    Constant { name: String, value: i64 },
    /// A structure that only the library knows.
    Handle { name: String },
    /// Another name for a type.
    Alias { name: String, of: String },
    /// A structure; its fields follow.
    Struct { name: String, size: usize },
    /// A field of a structure.
    Field { owner: String, name: String, offset: usize, size: usize, of: String },
    /// A function.
    Function { name: String, returns: String, takes: Vec<String> },
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Constant { name, value } => write!(f, "constant {name} {value}"),
            Item::Handle { name } => write!(f, "handle {name} opaque"),
            Item::Alias { name, of } => write!(f, "type {name} {of}"),
            Item::Struct { name, size } => write!(f, "struct {name} {size}"),
            Item::Field { owner, name, offset, of, .. } => {
                write!(f, "field {owner}.{name} {offset} {of}")
            }
            Item::Function { name, returns, takes } => {
                write!(f, "function {name} {returns}({})", takes.join(", "))
            }
        }
    }
}

type Parsed<T> = Result<T, Box<dyn Error>>;

/// Everything that the header's text declares, in its order, constants first. Versions are no part of the interface.
///
/// # Errors
/// If the text has a form that this reader does not know.
pub fn items(text: &str) -> Parsed<Vec<Item>> {
    let mut items = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some("#define"), Some(name), Some(value), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if !name.starts_with("FEWBIT_VERSION") {
            let value = value.parse().map_err(|_| format!("{line}: not an integer"))?;
            items.push(Item::Constant { name: name.to_string(), value });
        }
    }
    let mut sizes = Sizes::new();
    for statement in statements(&header::code(text)) {
        items.extend(declaration(&statement, &mut sizes).map_err(|e| format!("{statement}: {e}"))?);
    }
    Ok(items)
}

/// Cuts at semicolons outside of braces; what is behind the last one is none.
pub fn statements(code: &str) -> Vec<String> {
    let (mut statements, mut statement, mut depth) = (Vec::new(), String::new(), 0usize);
    for c in code.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == ';' && depth == 0 {
            statements.push(statement.split_whitespace().collect::<Vec<_>>().join(" "));
            statement.clear();
        } else {
            statement.push(c);
        }
    }
    statements
}

/// Size and alignment of the types that have been seen.
struct Sizes(BTreeMap<String, (usize, usize)>);

impl Sizes {
    /// Those of C where pointers have 64 bits.
    fn new() -> Sizes {
        let known = [("char", 1), ("float", 4), ("double", 8), ("size_t", 8)];
        let fixed = [8usize, 16, 32, 64].into_iter().flat_map(|bits| {
            ["int", "uint"].map(|kind| (format!("{kind}{bits}_t"), (bits / 8, bits / 8)))
        });
        let known = known.map(|(name, size)| (name.to_string(), (size, size)));
        Sizes(known.into_iter().chain(fixed).collect())
    }

    fn of(&self, name: &str) -> Parsed<(usize, usize)> {
        if name.ends_with('*') || name.contains("(*)") {
            return Ok((8, 8));
        }
        if let Some((element, count)) = name.split_once('[') {
            let count: usize = count.trim_end_matches(']').parse()?;
            let (size, align) = self.of(element)?;
            return Ok((size * count, align));
        }
        Ok(*self.0.get(name).ok_or_else(|| format!("the type {name} is not known"))?)
    }
}

fn declaration(statement: &str, sizes: &mut Sizes) -> Parsed<Vec<Item>> {
    let Some(defined) = statement.strip_prefix("typedef ") else {
        let (name, of) = declarator(statement)?;
        let (returns, takes) = of.split_once('(').ok_or("not a function")?;
        let takes = parts(takes.trim_end_matches(')')).map(String::from).collect();
        return Ok(vec![Item::Function { name, returns: returns.trim().to_string(), takes }]);
    };
    if let Some((head, body)) = defined.split_once('{') {
        let (body, name) = body.rsplit_once('}').ok_or("a brace is missing")?;
        let name = name.trim().to_string();
        if head.trim() != format!("struct {name}") {
            return Err("a structure of two names".into());
        }
        return structure(name, body, sizes);
    }
    if let Some((tag, name)) = defined.strip_prefix("struct ").and_then(|d| d.split_once(' ')) {
        if tag != name {
            return Err("a structure of two names".into());
        }
        return Ok(vec![Item::Handle { name: name.to_string() }]);
    }
    let (name, of) = declarator(defined)?;
    let size = sizes.of(&of)?;
    sizes.0.insert(name.clone(), size);
    Ok(vec![Item::Alias { name, of }])
}

fn structure(name: String, body: &str, sizes: &mut Sizes) -> Parsed<Vec<Item>> {
    let (mut end, mut largest, mut fields) = (0usize, 1, Vec::new());
    for field in body.split(';').map(str::trim).filter(|field| !field.is_empty()) {
        let (field, of) = declarator(field)?;
        let (size, align) = sizes.of(&of)?;
        let offset = end.next_multiple_of(align);
        fields.push(Item::Field { owner: name.clone(), name: field, offset, size, of });
        (end, largest) = (offset + size, largest.max(align));
    }
    let size = end.next_multiple_of(largest);
    sizes.0.insert(name.clone(), (size, largest));
    fields.insert(0, Item::Struct { name, size });
    Ok(fields)
}

/// Splits `const float *x`, `size_t dims[8]`, `void (*run)(void *ctx)` or `int32_t f(size_t n)` into name and type.
fn declarator(text: &str) -> Parsed<(String, String)> {
    let none = || format!("{text}: no declaration");
    if let Some((returns, rest)) = text.split_once("(*") {
        let (name, takes) = rest.split_once(')').ok_or_else(none)?;
        return Ok((name.to_string(), format!("{} (*){}", plain(returns), list(takes)?)));
    }
    if let Some((head, takes)) = text.split_once('(') {
        let (name, returns) = declarator(head)?;
        return Ok((name, format!("{returns} {}", list(&format!("({takes}"))?)));
    }
    let (text, count) = match text.find('[') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let at = text.rfind([' ', '*']).ok_or_else(none)?;
    let (of, name) = text.split_at(at + 1);
    Ok((name.to_string(), plain(of) + count))
}

/// The types of a list of parameters, with its parentheses.
fn list(text: &str) -> Parsed<String> {
    let inner = text.trim().strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let inner = inner.ok_or_else(|| format!("{text}: no list of parameters"))?;
    if inner == "void" {
        return Ok("()".to_string());
    }
    let types = parts(inner).map(|part| declarator(part).map(|(_, of)| of));
    Ok(format!("({})", types.collect::<Parsed<Vec<_>>>()?.join(", ")))
}

/// The items of a list. No parameter is a function pointer without a name of its own.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// One space between words, none before a star, and no `struct`: C++ does not write it either.
fn plain(of: &str) -> String {
    let words = of.split_whitespace().filter(|word| *word != "struct");
    words.collect::<Vec<_>>().join(" ").replace("* *", "**")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "/* typedef int x; */\n#define FEWBIT_VERSION 1\n#define FEWBIT_A -2\n#define FEWBIT_INIT { 0 }\n\
        typedef struct fewbit_h fewbit_h;\ntypedef int32_t fewbit_s;\n\
        typedef void (*fewbit_task)(void *arg, size_t index);\n\
        typedef struct fewbit_p {\n  float scale;\n  char text[3];\n} fewbit_p;\n\
        typedef struct fewbit_d {\n  fewbit_s a;\n  const void *b;\n  struct fewbit_p c[2];\n  size_t dims[8];\n\
        void (*run)(void *ctx, fewbit_task task);\n  int8_t e;\n} fewbit_d;\n\
        #ifdef __cplusplus\nextern \"C\" {\n#endif\n\
        const char *fewbit_f(void);\nfewbit_s fewbit_g(const struct fewbit_d *d,\n    size_t n, struct fewbit_h **h);\n\
        #define FEWBIT_TWO { 0, \\\n    1 }\n";

    #[test]
    fn every_form_is_read() {
        let items = items(TEXT).unwrap();
        let lines: Vec<String> = items.iter().map(Item::to_string).collect();
        assert_eq!(
            lines,
            [
                "constant FEWBIT_A -2",
                "handle fewbit_h opaque",
                "type fewbit_s int32_t",
                "type fewbit_task void (*)(void *, size_t)",
                "struct fewbit_p 8",
                "field fewbit_p.scale 0 float",
                "field fewbit_p.text 4 char[3]",
                "struct fewbit_d 112",
                "field fewbit_d.a 0 fewbit_s",
                "field fewbit_d.b 8 const void *",
                "field fewbit_d.c 16 fewbit_p[2]",
                "field fewbit_d.dims 32 size_t[8]",
                "field fewbit_d.run 96 void (*)(void *, fewbit_task)",
                "field fewbit_d.e 104 int8_t",
                "function fewbit_f const char *()",
                "function fewbit_g fewbit_s(const fewbit_d *, size_t, fewbit_h **)",
            ]
        );
    }

    #[test]
    fn what_it_does_not_know_is_an_error() {
        for text in [
            "#define FEWBIT_A x\n",
            "typedef struct fewbit_p { long a; } fewbit_p;",
            "typedef struct fewbit_p { int32_t a[N]; } fewbit_p;",
            "typedef enum fewbit_e { A } fewbit_e;",
            "extern int32_t fewbit_global;",
        ] {
            assert!(items(text).is_err(), "{text}");
        }
    }
}
