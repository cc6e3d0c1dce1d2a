//! Rules for every text file, and for Markdown: headings, links, words.
//!
//! Invariant: code in Markdown, fenced or inline, is not prose and is left alone.

use super::File;
use crate::finding::Finding;

/// Words that have one better word, and why nobody needs them here.
const WORDS: [(&str, &str); 4] =
    [("seqno", "Lsn"), ("opstamp", "Lsn"), ("oplog", "WAL"), ("tenant", "namespace or project")];

/// Checks one file. `exists` says whether a path from the root exists.
pub(super) fn check(file: &File, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let Some(text) = file.text.as_deref() else { return Vec::new() };
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t']) {
            findings.push(Finding::new(&file.path, at + 1, "space", "remove it at the line's end"));
        }
        if file.extension() == "rs" && line.contains('\t') {
            findings.push(Finding::new(&file.path, at + 1, "tab", "indent with spaces"));
        }
        if matches!(file.extension(), "py" | "sh" | "ts" | "mjs" | "toml") {
            findings.extend(reminder(&file.path, at + 1, line));
        }
    }
    if file.markdown().is_some() {
        findings.extend(markdown(file, text, exists));
    }
    findings
}

/// A note to do something later, which must name the issue where that is decided.
pub(super) fn reminder(path: &str, line: usize, text: &str) -> Option<Finding> {
    let is_mark = |word: &str| matches!(word, "TODO" | "FIXME" | "XXX");
    let mark = crate::source::words(text).find(|(_, word)| is_mark(word))?.1;
    let names_issue =
        text.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let advice = format!("{mark} without an issue: open one and write {mark}(#number)");
    (!names_issue).then(|| Finding::new(path, line, "reminder", advice))
}

fn markdown(file: &File, text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut fenced, mut titles) = (false, 0);
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        if line.starts_with("# ") {
            titles += 1;
            if titles > 1 {
                findings.push(Finding::new(&file.path, at + 1, "title", "one `#` heading a file"));
            }
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        for target in broken_links(&file.path, &prose, exists) {
            let advice = format!("`{target}` does not exist: correct the link");
            findings.push(Finding::new(&file.path, at + 1, "link", advice));
        }
        for (_, word) in crate::source::words(&prose) {
            let word = word.to_ascii_lowercase();
            let singular = word.strip_suffix('s').unwrap_or(&word);
            if let Some((_, instead)) = WORDS.iter().find(|(banned, _)| *banned == singular) {
                let advice = format!("`{word}` is not one of our words: write {instead}");
                findings.push(Finding::new(&file.path, at + 1, "word", advice));
            }
        }
    }
    if titles == 0 {
        findings.push(Finding::new(&file.path, 1, "title", "begin with a `#` heading"));
    }
    findings
}

/// Targets inside the repository that do not exist.
fn broken_links<'a>(path: &str, prose: &'a str, exists: &dyn Fn(&str) -> bool) -> Vec<&'a str> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let is_local = |target: &&str| !target.contains(':') && !target.starts_with('#');
    let is_broken = |target: &&str| {
        let file = target.split('#').next().unwrap_or_default();
        resolve(folder, file).is_none_or(|path| !exists(&path))
    };
    targets.filter(is_local).filter(is_broken).collect()
}

/// The path from the root; none when it leads out of the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let start = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
