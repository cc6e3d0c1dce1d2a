//! Goal: no row of a catalog can end a thread, and one that is read is written as itself. Method: the
//! rows that every version has written, keys and values mutated together.

#[path = "../../../types/src/fuzz.rs"]
mod inputs;

use self::inputs::fuzz;
use super::super::{Row, RowKey};

/// Rows as their tests have them: a key, a line's end, a value.
pub(super) fn check(rows: impl Iterator<Item = (String, String)>) {
    let corpus: Vec<Vec<u8>> =
        rows.map(|(key, value)| format!("{key}\n{value}").into_bytes()).collect();
    fuzz("catalog row", &corpus, |bytes| {
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let (key, value) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
        let known = RowKey::decode(key);
        if let Some(known) = &known {
            assert_eq!(known.encode(), key);
        }
        let Ok(row) = Row::decode(key, value) else { return false };
        assert_eq!(Some(row.key()), known);
        let again = Row::decode(key, &row.encode().unwrap()).unwrap();
        assert_eq!(again.encode().unwrap(), row.encode().unwrap());
        true
    });
}
