//! Names of files, and files that do not belong into a repository.
//!
//! Why: a file called after no concept collects everything; a blob stays in every clone for ever.

use super::File;
use crate::finding::Finding;

const BAGS: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "misc", "shared"];
const BLOB_BYTES_MAX: usize = 256 << 10;

pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let bag = file.path.split('/').find_map(|part| {
        let stem = part.split('.').next().unwrap_or_default();
        BAGS.contains(&stem).then_some(stem)
    });
    if let Some(bag) = bag {
        let advice = format!("`{bag}` names no concept: name it after what is in it");
        findings.push(Finding::new(&file.path, 1, "bag", advice));
    }
    let is_lock = file.path.ends_with(".lock") || file.path.ends_with("package-lock.json");
    if file.bytes > BLOB_BYTES_MAX && !is_lock {
        let advice = format!("{} bytes, at most {BLOB_BYTES_MAX}: make or load it", file.bytes);
        findings.push(Finding::new(&file.path, 1, "blob", advice));
    }
    findings
}
