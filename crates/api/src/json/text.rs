//! Texts: finding their end, eight bytes at a time.

use std::borrow::Cow;

use super::Declined;

/// Reads the text whose opening quote stands at `begin`; gives it and where the rest begins.
#[inline]
pub(super) fn read(body: &str, begin: usize) -> Result<(Cow<'_, str>, usize), Declined> {
    let start = begin + 1;
    let end = find_special(body.as_bytes(), start).ok_or(Declined)?;
    match body.as_bytes().get(end) {
        Some(b'"') => {
            let text = body.get(start..end).ok_or(Declined)?;
            Ok((Cow::Borrowed(text), end + 1))
        }
        Some(b'\\') => read_escaped(body, begin, end),
        _ => Err(Declined),
    }
}

/// Reads a text with escapes, the first of them at `escape`.
///
/// WHY by serde_json: what `\u` may say is subtle, and this way it cannot differ.
#[cold]
fn read_escaped(
    body: &str,
    begin: usize,
    mut escape: usize,
) -> Result<(Cow<'_, str>, usize), Declined> {
    loop {
        let next = find_special(body.as_bytes(), escape + 2).ok_or(Declined)?;
        match body.as_bytes().get(next) {
            Some(b'\\') => escape = next,
            Some(b'"') => {
                let token = body.get(begin..=next).ok_or(Declined)?;
                let text: String = serde_json::from_str(token).map_err(|_| Declined)?;
                return Ok((Cow::Owned(text), next + 1));
            }
            _ => return Err(Declined),
        }
    }
}

/// Where the next quote, backslash or control character is.
#[inline]
fn find_special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..)?.first_chunk::<8>() {
        let marks = special(u64::from_le_bytes(*chunk));
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?.iter();
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    rest.clone().position(is_special).map(|place| at + place)
}

/// Marks special bytes in their highest bit. The lowest mark is right; above it a byte may be marked
/// wrongly, because a borrow has reached it.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let quote = below(word ^ (ONES * 0x22), 1);
    let backslash = below(word ^ (ONES * 0x5c), 1);
    (below(word, 0x20) | quote | backslash) & (ONES * 0x80)
}
