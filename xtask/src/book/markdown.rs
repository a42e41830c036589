//! Reads Markdown as far as checks need it: fenced blocks, headings, links. The texts are the project's own, so their
//! form is known; a fence that does not end is an error.

use std::collections::BTreeMap;
use std::error::Error;

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The words behind the fence: the language, and perhaps a mark.
    pub words: Vec<String>,
    /// The line of its opening fence, from 1 on.
    pub line: usize,
    /// What is between the fences, without their indentation.
    pub text: String,
}

impl Block {
    /// The language, empty if there is none.
    pub fn language(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Whether it is of the language, with the mark.
    pub fn is(&self, language: &str, mark: &str) -> bool {
        self.words == [language, mark]
    }
}

/// A text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
    /// What links may name behind `#`.
    pub anchors: Vec<String>,
    /// Line and target of every link and picture.
    pub links: Vec<(usize, String)>,
}

/// Reads a text.
///
/// # Errors
/// If a block does not end.
pub fn read(text: &str) -> Result<Page, Box<dyn Error>> {
    let mut page = Page::default();
    let mut seen = BTreeMap::new();
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    while let Some((line, content)) = lines.next() {
        let inner = content.trim_start();
        let fence = inner.len() - inner.trim_start_matches('`').len();
        if fence >= 3 {
            let indent = content.len() - inner.len();
            let words = inner[fence..].split_whitespace().map(String::from).collect();
            let mut block = Block { words, line, text: String::new() };
            loop {
                let (_, content) =
                    lines.next().ok_or_else(|| format!("line {line}: the block does not end"))?;
                if content.trim() == &inner[..fence] {
                    break;
                }
                let blank = content.len() - content.trim_start().len();
                block.text.push_str(&content[blank.min(indent)..]);
                block.text.push('\n');
            }
            page.blocks.push(block);
            continue;
        }
        let level = content.len() - content.trim_start_matches('#').len();
        if (1..=6).contains(&level) && content[level..].starts_with(' ') {
            page.anchors.push(anchor(content[level..].trim(), &mut seen));
        }
        links(content, |target| page.links.push((line, target.to_string())));
    }
    Ok(page)
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str, seen: &mut BTreeMap<String, usize>) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    });
    let name: String = kept.flat_map(char::to_lowercase).collect();
    let count = seen.entry(name.clone()).or_insert(0);
    *count += 1;
    if *count == 1 { name } else { format!("{name}-{}", *count - 1) }
}

/// Gives the targets of a line's links, those in code left out.
fn links(line: &str, mut found: impl FnMut(&str)) {
    // Of pieces between backquotes every second one is code.
    let prose = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
    let mut rest = prose.as_str();
    while let Some((_, behind)) = rest.split_once("](") {
        let Some((target, after)) = behind.split_once(')') else { return };
        found(target);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_at_their_fences() {
        let text = "a\n```c\nint x;\n```\n- item\n  ```text output\n  1\n    2\n  ```\n````text\n```\n````\n";
        let page = read(text).unwrap();
        let blocks: Vec<_> = page.blocks.iter().map(|b| (b.words.join(" "), b.line)).collect();
        assert_eq!(
            blocks,
            [("c".into(), 2), ("text output".into(), 6), ("text".into(), 10)]
                as [(String, usize); 3]
        );
        assert_eq!(page.blocks[0].text, "int x;\n");
        assert_eq!(page.blocks[1].text, "1\n  2\n");
        assert_eq!(page.blocks[2].text, "```\n");
        assert!(page.blocks[1].is("text", "output"));
        assert!(read("```c\nint x;\n").is_err());
    }

    #[test]
    fn headings_and_links() {
        let text = "# A `B`, C\n## Two words\n## Two words\n[x](y.md#z) `[no](no)` ![p](q.svg)\n#no\n```sh\n# no [n](n)\n```\n";
        let page = read(text).unwrap();
        assert_eq!(page.anchors, ["a-b-c", "two-words", "two-words-1"]);
        let links = [(4, "y.md#z".to_string()), (4, "q.svg".to_string())];
        assert_eq!(page.links, links);
    }
}
