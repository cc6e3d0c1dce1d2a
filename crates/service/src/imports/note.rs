//! What an import notes with its records: how far it has read.

use serde::{Deserialize, Serialize};

/// A place in a plan. Everything before it is staged or was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Note {
    /// Names the files, with their lengths and versions, that the place is among.
    pub(super) plan: u64,
    /// The file, by its number.
    pub(super) file: usize,
    /// The row of that file, by its number.
    pub(super) row: u64,
    /// Rows before it, over all files.
    pub(super) rows: u64,
}

impl Note {
    pub(super) fn encode(self) -> Vec<u8> {
        // Four numbers are always JSON.
        serde_json::to_vec(&self).unwrap_or_default()
    }

    /// Reads a note. The empty one is the start of `plan`; `None` for what we did not write.
    pub(super) fn decode(bytes: &[u8], plan: u64) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self { plan, ..Self::default() });
        }
        serde_json::from_slice(bytes).ok()
    }
}
