//! What of an interface a later one breaks, by docs/abi.md.

use std::collections::BTreeMap;
use std::error::Error;

/// An interface's lines: `kind name` and what follows.
struct Interface<'a>(BTreeMap<(&'a str, &'a str), &'a str>);

impl<'a> Interface<'a> {
    fn read(text: &'a str) -> Result<Interface<'a>, Box<dyn Error>> {
        let lines = text.lines().skip(1).map(|line| {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some(kind), Some(name), Some(rest)) => Ok(((kind, name), rest)),
                _ => Err(format!("{line}: not a line of an interface").into()),
            }
        });
        lines.collect::<Result<_, Box<dyn Error>>>().map(Interface)
    }

    /// The size of a structure.
    fn size(&self, name: &str) -> Option<usize> {
        self.0.get(&("struct", name))?.parse().ok()
    }

    /// Whether callers say how much of a structure they know.
    fn grows(&self, name: &str) -> bool {
        self.0.get(&("field", format!("{name}.struct_size").as_str())) == Some(&"0 size_t")
    }
}

/// What a program that was built with `then` would not find in `now`: nothing, if it goes on running.
///
/// # Errors
/// If a text is no interface.
pub fn breaks(then: &str, now: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let (then, now) = (Interface::read(then)?, Interface::read(now)?);
    let mut breaks = Vec::new();
    for (&(kind, name), old) in &then.0 {
        match now.0.get(&(kind, name)) {
            None => breaks.push(format!("{kind} {name} is gone")),
            Some(new) if new == old => {}
            Some(_) if kind == "struct" && then.grows(name) && now.size(name) > then.size(name) => {
            }
            Some(new) => breaks.push(format!("{kind} {name} was {old} and is {new}")),
        }
    }
    for (&(kind, name), place) in now.0.iter().filter(|(item, _)| !then.0.contains_key(item)) {
        let Some((owner, _)) = name.split_once('.').filter(|_| kind == "field") else { continue };
        let Some(size) = then.size(owner) else { continue };
        let offset = place.split(' ').next().and_then(|offset| offset.parse::<usize>().ok());
        // Bytes within the old size are a field's, or padding, which callers do not set.
        if !then.grows(owner) || offset.is_none_or(|offset| offset < size) {
            breaks.push(format!("field {name} is new, within the old {owner}"));
        }
    }
    Ok(breaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "soname libfewbit.so.0\nconstant FEWBIT_A 1\nhandle fewbit_h opaque\nstruct fewbit_p 8\n\
                       field fewbit_p.scale 0 float\nfield fewbit_p.zero 4 int32_t\nstruct fewbit_d 16\n\
                       field fewbit_d.struct_size 0 size_t\nfield fewbit_d.dtype 8 int32_t\n\
                       function fewbit_f int32_t(size_t)\n";

    fn with(change: impl Fn(&str) -> String) -> Vec<String> {
        breaks(OLD, &change(OLD)).unwrap()
    }

    #[test]
    fn additions_are_no_breaks() {
        assert_eq!(with(str::to_string), Vec::<String>::new());
        let more = "constant FEWBIT_B 2\nfunction fewbit_g int32_t()\nstruct fewbit_n 4\nfield fewbit_n.a 0 float\n";
        assert_eq!(with(|old| format!("{old}{more}")), Vec::<String>::new());
        let grown = |old: &str| old.replace("fewbit_d 16", "fewbit_d 24");
        assert_eq!(with(|o| grown(o) + "field fewbit_d.more 16 size_t\n"), Vec::<String>::new());
    }

    #[test]
    fn everything_else_is_one() {
        for (from, to) in [
            ("constant FEWBIT_A 1\n", ""),
            ("constant FEWBIT_A 1", "constant FEWBIT_A 2"),
            ("handle fewbit_h opaque\n", ""),
            ("function fewbit_f int32_t(size_t)\n", ""),
            ("int32_t(size_t)", "int32_t(size_t, size_t)"),
            ("int32_t(size_t)", "int64_t(size_t)"),
            ("fewbit_p.scale 0 float", "fewbit_p.scale 0 double"),
            ("field fewbit_p.zero 4 int32_t\n", ""),
            ("struct fewbit_d 16", "struct fewbit_d 8"),
        ] {
            let found = with(|old| old.replace(from, to));
            assert_eq!(found.len(), 1, "{from} {to}: {found:?}");
        }
        // A structure without struct_size must not grow; one with it not inside.
        let found =
            with(|o| o.replace("fewbit_p 8", "fewbit_p 12") + "field fewbit_p.more 8 float\n");
        assert_eq!(found.len(), 2, "{found:?}");
        let found = with(|o| format!("{o}field fewbit_d.padding 12 int32_t\n"));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn other_texts_are_refused() {
        assert!(breaks(OLD, "soname x\nnonsense\n").is_err());
    }
}
