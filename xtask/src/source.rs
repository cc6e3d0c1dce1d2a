//! Enough of a Rust lexer to tell code from comments and strings, and to find functions.
//!
//! Invariant: the code and the comments of a source are as long as the source, byte for byte, with
//! spaces in place of what is not theirs, so every position in them is a position in the source.
//! Not a parser: a syntax tree would cost a heavy dependency and add nothing to rules about sizes.

use std::ops::Range;

/// A source file, taken apart.
#[derive(Debug)]
pub(crate) struct Source {
    /// The text without comments and without the contents of strings.
    pub(crate) code: String,
    /// The comments alone.
    pub(crate) comments: String,
    starts: Vec<usize>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The line of `fn`, counted from 1.
    pub(crate) line: usize,
    /// From `fn` to the closing brace.
    pub(crate) lines: usize,
    /// `self` included.
    pub(crate) parameters: usize,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let blank = |keep: &dyn Fn(usize) -> bool| {
            let masked = bytes.iter().enumerate().map(|(at, &byte)| match byte {
                b'\n' => byte,
                _ if keep(at) => byte,
                _ => b' ',
            });
            String::from_utf8_lossy(&masked.collect::<Vec<_>>()).into_owned()
        };
        let kinds = classify(bytes);
        let starts = std::iter::once(0)
            .chain(
                bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1),
            )
            .collect();
        Self {
            code: blank(&|at| kinds[at] == Part::Code),
            comments: blank(&|at| kinds[at] == Part::Comment),
            starts,
        }
    }

    /// The line of a position, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// Every identifier and keyword with its position.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        words(&self.code)
    }

    /// Lines of the test modules inside the file, counted from 1.
    pub(crate) fn test_modules(&self) -> Vec<Range<usize>> {
        let bytes = self.code.as_bytes();
        let inside = self.test_declarations().filter(|(_, end, _)| bytes[*end] == b'{');
        inside.map(|(at, open, _)| self.line(at)..self.line(closing(bytes, open)) + 1).collect()
    }

    /// Names of the test modules that are files of their own.
    pub(crate) fn test_files(&self) -> Vec<&str> {
        let elsewhere = |end: usize| self.code.as_bytes()[end] == b';';
        self.test_declarations()
            .filter(|(_, end, _)| elsewhere(*end))
            .map(|(.., name)| name)
            .collect()
    }

    /// Every module for tests: where its mark is, where its body begins or its name ends, its name.
    fn test_declarations(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        self.code.match_indices("#[cfg(test)]").filter_map(|(at, mark)| {
            let start = at + mark.len();
            let end = start + self.code[start..].find(['{', ';'])?;
            let mut words = self.code[start..end].split_whitespace();
            words
                .find(|word| *word != "pub" && !word.starts_with("pub("))?
                .eq("mod")
                .then_some(())?;
            words.next().map(|name| (at, end, name))
        })
    }

    /// Every function that has a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let bytes = self.code.as_bytes();
        let mut words = self.words().peekable();
        let mut found = Vec::new();
        while let Some((at, word)) = words.next() {
            let Some((name_at, name)) = words.peek().copied().filter(|_| word == "fn") else {
                continue;
            };
            // `fn(u8) -> u8` is a type, not a function.
            if !self.code[at + 2..name_at].trim().is_empty() {
                continue;
            }
            let Some((parameters, after)) = parameters(bytes, name_at + name.len()) else {
                continue;
            };
            let Some(open) = body(bytes, after) else { continue };
            let line = self.line(at);
            let lines = self.line(closing(bytes, open)) - line + 1;
            found.push(Function { name: name.to_owned(), line, lines, parameters });
        }
        found
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Literal,
}

/// Says of every byte what it belongs to.
fn classify(bytes: &[u8]) -> Vec<Part> {
    let mut kinds = vec![Part::Code; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let (part, end) = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => (Part::Comment, line_end(bytes, at)),
            b'/' if bytes[at..].starts_with(b"/*") => (Part::Comment, block_end(bytes, at)),
            b'"' => (Part::Literal, string_end(bytes, at)),
            b'r' if !follows_word(bytes, at) => match raw_end(bytes, at) {
                Some(end) => (Part::Literal, end),
                None => (Part::Code, at + 1),
            },
            b'\'' => match character_end(bytes, at) {
                Some(end) => (Part::Literal, end),
                None => (Part::Code, at + 1),
            },
            _ => (Part::Code, at + 1),
        };
        kinds[at..end].fill(part);
        at = end;
    }
    kinds
}

/// Whether the byte before is part of a word other than the `b` or `c` of a literal.
fn follows_word(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|at| is_word(bytes[at])).unwrap_or(false);
    match at.checked_sub(1).map(|at| bytes[at]) {
        Some(b'b' | b'c') => before(2),
        _ => before(1),
    }
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |offset| at + offset)
}

fn block_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of `r"…"` or `r#"…"#`; none for a raw identifier or a word that begins with r.
fn raw_end(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = start + 1 + hashes;
    (bytes.get(open) == Some(&b'"')).then_some(())?;
    let close = [vec![b'"'], vec![b'#'; hashes]].concat();
    let body = &bytes[open + 1..];
    let length = body.windows(close.len()).position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| open + 1 + length + close.len()))
}

/// The end of a character literal; none for a lifetime.
fn character_end(bytes: &[u8], start: usize) -> Option<usize> {
    let first = *bytes.get(start + 1)?;
    if first == b'\\' {
        let quote = bytes[start + 3..].iter().position(|byte| *byte == b'\'')?;
        return Some(start + 3 + quote + 1);
    }
    let width = match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    };
    (bytes.get(start + 1 + width) == Some(&b'\'')).then_some(start + 2 + width)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Words of a text that begin with a letter or an underscore, with their positions.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let outside = |letter: char| !(letter.is_alphanumeric() || letter == '_');
    text.split(outside)
        .filter(|word| word.starts_with(|first: char| first.is_alphabetic() || first == '_'))
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// Skips generics, then counts the parameters; also the position after the list.
fn parameters(bytes: &[u8], after_name: usize) -> Option<(usize, usize)> {
    let open = skip_generics(bytes, after_name)?;
    let mut depth = 0_usize;
    let (mut count, mut pending) = (0, false);
    for at in open..bytes.len() {
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b'<' => depth += 1,
            b'>' if is_arrow(bytes, at) => {}
            b')' | b']' | b'}' | b'>' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some((count + usize::from(pending), at + 1));
                }
            }
            b',' if depth == 1 => {
                count += usize::from(pending);
                pending = false;
                continue;
            }
            byte if byte.is_ascii_whitespace() => continue,
            _ => {}
        }
        pending = pending || at > open;
    }
    None
}

fn is_arrow(bytes: &[u8], at: usize) -> bool {
    at > 0 && matches!(bytes[at - 1], b'-' | b'=')
}

/// The position of the parenthesis that opens the parameters.
fn skip_generics(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for at in from..bytes.len() {
        match bytes[at] {
            b'<' => depth += 1,
            b'>' if !is_arrow(bytes, at) => depth = depth.checked_sub(1)?,
            b'(' if depth == 0 => return Some(at),
            b';' | b'{' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The brace that opens the body; none for a declaration.
fn body(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The brace that closes the one at `open`.
fn closing(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    bytes.len().saturating_sub(1)
}

#[cfg(test)]
mod tests;
