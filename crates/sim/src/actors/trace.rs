//! The history of a run in a form that repeats.
//!
//! Which of two files gets which of two random names depends on tokio's own chance; which operations
//! there are and in what order does not (docs/adr/0003-determinism.md). So names go by the order of their
//! first appearance.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use lodgepole_storage::fault::Operation;

/// The operations with every random name replaced by the order of its first appearance.
#[must_use]
pub fn without_random_names(operations: &[Operation]) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut shown = |word: &str| -> String {
        let is_ulid = word.len() >= 26 && word.starts_with("01");
        let is_uuid = word.len() == 36 && word.matches('-').count() == 4;
        if !is_ulid && !is_uuid {
            return word.to_owned();
        }
        let next = seen.len();
        format!("#{}", seen.entry(word.to_owned()).or_insert(next))
    };
    operations
        .iter()
        .map(|operation| {
            let path: Vec<_> = operation.path.split('/').map(&mut shown).collect();
            format!("{} {}", operation.kind.name(), path.join("/"))
        })
        .collect()
}

/// The same as one number.
pub(super) fn hash(operations: &[Operation]) -> u64 {
    let mut hasher = DefaultHasher::new();
    without_random_names(operations).hash(&mut hasher);
    hasher.finish()
}
