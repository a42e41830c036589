//! What is read from an ELF file: its symbols and what the dynamic section says. Enough for 64-bit
//! little-endian files, with no tool but this.

use crate::Outcome;
use std::path::Path;

/// A symbol of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name, without a version.
    pub name: String,
    /// Whether the file defines it.
    pub defined: bool,
    /// Whether other files see it.
    pub global: bool,
    /// Whether it may be missing.
    pub weak: bool,
}

/// A file's tables.
#[derive(Clone, Debug, Default)]
pub struct Elf {
    /// Symbols that the dynamic linker sees.
    pub dynamic: Vec<Symbol>,
    /// All symbols; empty in a stripped file.
    pub all: Vec<Symbol>,
    /// The SONAME.
    pub soname: Option<String>,
    /// Libraries that are loaded with this one.
    pub needed: Vec<String>,
    /// Functions that run when the file is loaded.
    pub constructors: usize,
}

const SYMBOL_TABLE: u64 = 2;
const DYNAMIC: u64 = 6;
const DYNAMIC_SYMBOLS: u64 = 11;
const CONSTRUCTORS: u64 = 14;
const NEEDED: u64 = 1;
const SONAME: u64 = 14;

struct Section<'a> {
    kind: u64,
    link: usize,
    bytes: &'a [u8],
}

impl Elf {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read or is no 64-bit little-endian ELF file.
    pub fn read(path: &Path) -> Outcome<Elf> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        parse(&bytes).ok_or(format!("{}: not a 64-bit ELF file", path.display()).into())
    }
}

fn parse(file: &[u8]) -> Option<Elf> {
    // Magic, 64 bits, little-endian.
    if file.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let headers = number(file, 0x28, 8)? as usize;
    let (size, count) = (number(file, 0x3a, 2)? as usize, number(file, 0x3c, 2)? as usize);
    let sections: Vec<Section<'_>> = (0..count)
        .map(|i| {
            let header = file.get(headers + i * size..)?;
            let kind = number(header, 4, 4)?;
            let (offset, length) =
                (number(header, 0x18, 8)? as usize, number(header, 0x20, 8)? as usize);
            // Sections without bytes in the file (type 8) have a length all the same.
            let bytes = if kind == 8 { &[] } else { file.get(offset..offset + length)? };
            Some(Section { kind, link: number(header, 0x28, 4)? as usize, bytes })
        })
        .collect::<Option<_>>()?;
    let mut elf = Elf::default();
    for section in &sections {
        let strings = sections.get(section.link)?.bytes;
        match section.kind {
            SYMBOL_TABLE => elf.all = symbols(section.bytes, strings)?,
            DYNAMIC_SYMBOLS => elf.dynamic = symbols(section.bytes, strings)?,
            CONSTRUCTORS => elf.constructors += section.bytes.len() / 8,
            DYNAMIC => {
                for entry in section.bytes.chunks_exact(16) {
                    let text = |entry| text(strings, number(entry, 8, 8)? as usize);
                    match number(entry, 0, 8)? {
                        NEEDED => elf.needed.push(text(entry)?),
                        SONAME => elf.soname = text(entry),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(elf)
}

fn symbols(table: &[u8], strings: &[u8]) -> Option<Vec<Symbol>> {
    // The first entry of a table is no symbol.
    table
        .chunks_exact(24)
        .skip(1)
        .map(|entry| {
            let binding = number(entry, 4, 1)? >> 4;
            Some(Symbol {
                name: text(strings, number(entry, 0, 4)? as usize)?,
                defined: number(entry, 6, 2)? != 0,
                global: binding != 0,
                weak: binding == 2,
            })
        })
        .collect()
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + size)?;
    Some(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

fn text(strings: &[u8], at: usize) -> Option<String> {
    let bytes = strings.get(at..)?.split(|&byte| byte == 0).next()?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}
