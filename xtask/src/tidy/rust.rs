//! Rules for Rust files: sizes, headers, words, and what only some crates may touch.
//!
//! Why the limits: the best code bases keep nine files of ten under 550 lines, and none keeps a
//! limit that no program checks.

use std::collections::BTreeMap;

use super::{File, text};
use crate::finding::Finding;
use crate::source::Source;

const FILE_LINES_MAX: usize = 700;
const TEST_FILE_LINES_MAX: usize = 1_500;
const FUNCTION_LINES_MAX: usize = 70;
const TEST_FUNCTION_LINES_MAX: usize = 120;
const PARAMETERS_MAX: usize = 6;
const CRATE_LINES_MAX: usize = 8_500;

/// Generated tables, which nobody reads from top to bottom.
const GENERATED: [&str; 0] = [];

/// Words that have one better word in this code base.
const WORDS: [(&str, &str); 4] =
    [("tenant", "namespace or project"), ("seqno", "lsn"), ("opstamp", "lsn"), ("oplog", "wal")];

/// One more, for the crates that know records: theirs is called metadata. Libraries that the other
/// crates use call other things so.
const PAYLOAD: (&str, &str) = ("payload", "metadata, body or bytes");
const KNOW_RECORDS: [&str; 7] = ["types", "search", "rows", "engine", "catalog", "api", "service"];
/// Names that HTTP and the object store chose.
const FOREIGN_NAMES: [&str; 3] = ["PayloadTooLarge", "PAYLOAD_TOO_LARGE", "PutPayload"];

/// Who may write `unsafe`, by the beginning of the path.
const UNSAFE: [&str; 2] = ["crates/kernels/", "crates/storage/src/mmap.rs"];
/// Who may use the file system, by the beginning of the path.
const FILES: [&str; 4] = ["crates/storage/", "crates/cli/", "crates/sim/", "xtask/"];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let Some(content) = file.rust() else { return Vec::new() };
    let source = Source::new(content);
    let mut findings = sizes(file, &source, content);
    findings.extend(header(file, content));
    findings.extend(words(file, &source));
    findings.extend(reach(file, &source));
    for (at, line) in source.comments.lines().enumerate() {
        findings.extend(text::reminder(&file.path, at + 1, line));
    }
    findings
}

/// Lines that are no tests.
fn production_lines(source: &Source, content: &str) -> usize {
    let tests: usize = source.test_modules().iter().map(ExactSizeIterator::len).sum();
    content.lines().count().saturating_sub(tests)
}

fn sizes(file: &File, source: &Source, content: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find =
        |line, rule, advice: String| findings.push(Finding::new(&file.path, line, rule, advice));
    let (lines, all) = (production_lines(source, content), content.lines().count());
    if !GENERATED.contains(&file.path.as_str()) {
        if !file.is_test && lines > FILE_LINES_MAX {
            find(1, "file", format!("{lines} lines, at most {FILE_LINES_MAX}: split by concept"));
        } else if all > TEST_FILE_LINES_MAX {
            find(
                1,
                "file",
                format!("{all} lines, at most {TEST_FILE_LINES_MAX}: split by behaviour"),
            );
        }
    }
    let tests = source.test_modules();
    for function in source.functions() {
        let is_test = file.is_test || tests.iter().any(|lines| lines.contains(&function.line));
        let max = if is_test { TEST_FUNCTION_LINES_MAX } else { FUNCTION_LINES_MAX };
        let (name, lines, line) = (&function.name, function.lines, function.line);
        if lines > max {
            let advice = format!("`{name}` has {lines} lines, at most {max}: split it into steps");
            find(line, "function", advice);
        }
        if function.parameters > PARAMETERS_MAX {
            let count = function.parameters;
            let advice = format!("`{name}` has {count}, at most {PARAMETERS_MAX}: pass a struct");
            find(line, "parameters", advice);
        }
    }
    findings
}

fn header(file: &File, content: &str) -> Option<Finding> {
    let wants = file.path.contains("/src/");
    let has = content.lines().find(|line| !line.trim().is_empty())?.starts_with("//!");
    let advice = "begin with `//!`: what it is, the invariant it keeps, why this design";
    (wants && !has).then(|| Finding::new(&file.path, 1, "header", advice))
}

fn words(file: &File, source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let knows_records = file
        .package()
        .and_then(|package| package.strip_prefix("crates/"))
        .is_some_and(|name| KNOW_RECORDS.contains(&name));
    let banned = || WORDS.into_iter().chain(knows_records.then_some(PAYLOAD));
    for (at, identifier) in source.words() {
        if FOREIGN_NAMES.contains(&identifier) {
            continue;
        }
        let parts = parts(identifier);
        for (word, instead) in banned() {
            if parts.iter().any(|part| part.strip_suffix('s').unwrap_or(part) == word) {
                let advice = format!("`{identifier}`: say {instead}");
                findings.push(Finding::new(&file.path, source.line(at), "word", advice));
            }
        }
    }
    findings
}

/// The words of an identifier, in lower case.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut before_was_lower = false;
    for letter in identifier.chars() {
        let begins = letter == '_' || (letter.is_uppercase() && before_was_lower);
        if begins {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut().filter(|_| letter != '_') {
            part.extend(letter.to_lowercase());
        }
        before_was_lower = letter.is_lowercase();
    }
    parts
}

/// What only some crates may touch.
fn reach(file: &File, source: &Source) -> Vec<Finding> {
    let among = |allowed: &[&str]| allowed.iter().any(|start| file.path.starts_with(start));
    let mut findings = Vec::new();
    if !among(&UNSAFE) {
        let uses = source.words().filter(|(_, word)| *word == "unsafe");
        findings.extend(uses.map(|(at, _)| {
            let advice = "only kernels and storage/src/mmap.rs may: find a safe way";
            Finding::new(&file.path, source.line(at), "unsafe", advice)
        }));
    }
    let tests = source.test_modules();
    // Neither is part of what is shipped.
    let is_aside = file.path.ends_with("/build.rs") || file.path.contains("/examples/");
    if !among(&FILES) && !file.is_test && !is_aside {
        for path in ["std::fs", "tokio::fs"] {
            let lines = source.code.match_indices(path).map(|(at, _)| source.line(at));
            let outside = lines.filter(|line| !tests.iter().any(|lines| lines.contains(line)));
            findings.extend(outside.map(|line| {
                let advice = format!("`{path}` belongs to the crate storage: ask it");
                Finding::new(&file.path, line, "files", advice)
            }));
        }
    }
    findings
}

/// Crates whose sources, without tests, have grown too long.
pub(super) fn check_crate_sizes(files: &[File]) -> Vec<Finding> {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_test && file.path.contains("/src/")) {
        if let (Some(package), Some(content)) = (file.package(), file.rust()) {
            *sizes.entry(package).or_default() += production_lines(&Source::new(content), content);
        }
    }
    let too_long = sizes.into_iter().filter(|(_, lines)| *lines > CRATE_LINES_MAX);
    let advice = |lines| format!("{lines} lines, at most {CRATE_LINES_MAX}: propose a split (ADR)");
    too_long
        .map(|(package, lines)| {
            Finding::new(&format!("{package}/Cargo.toml"), 1, "crate", advice(lines))
        })
        .collect()
}
