//! The rules that neither the compiler nor clippy checks.
//!
//! Invariant: a rule that is written down for contributors and can be checked by a program is
//! checked here, and each has a test that it can fail. A rule that gives false alarms is removed:
//! there is no way to silence one finding.

mod crates;
mod names;
mod rust;
mod text;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::finding::Finding;
use crate::source::Source;

/// A file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root, with `/`.
    path: String,
    bytes: usize,
    /// None when it is no text.
    text: Option<String>,
    /// Whether the whole file is made of tests or benchmarks.
    is_test: bool,
}

impl File {
    #[cfg(test)]
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            bytes: text.len(),
            text: Some(text.to_owned()),
            is_test: is_test_path(path),
        }
    }

    fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// The text of a Rust file, else none.
    fn rust(&self) -> Option<&str> {
        self.text.as_deref().filter(|_| self.extension() == "rs")
    }

    /// The text of a Markdown file, else none.
    fn markdown(&self) -> Option<&str> {
        self.text.as_deref().filter(|_| self.extension() == "md")
    }

    /// The files that its `#[cfg(test)] mod name;` lines name.
    fn test_files(&self) -> Vec<String> {
        let Some(content) = self.rust() else { return Vec::new() };
        let source = Source::new(content);
        let stem = self.path.trim_end_matches(".rs");
        let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        let base = if matches!(name, "lib" | "main" | "mod") { folder } else { stem };
        source.test_files().iter().map(|module| format!("{base}/{module}.rs")).collect()
    }

    /// The folder of its crate: `crates/engine`, `xtask`.
    fn package(&self) -> Option<&str> {
        let parts = if self.path.starts_with("crates/") { 2 } else { 1 };
        let (end, _) = self.path.match_indices('/').nth(parts - 1)?;
        Some(&self.path[..end])
    }
}

fn is_test_path(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests" || part == "benches")
}

/// Every finding, sorted by place.
pub(crate) fn run(root: &Path) -> Result<Vec<Finding>> {
    let mut files = files(root)?;
    mark_test_files(&mut files);
    let mut findings = Vec::new();
    for file in &files {
        findings.extend(names::check(file));
        findings.extend(text::check(file, &|path| root.join(path).exists()));
        findings.extend(rust::check(file));
    }
    findings.extend(rust::check_crate_sizes(&files));
    findings.extend(crate::errors_page::check(root));
    findings.extend(crate::compatibility_page::check(root));
    findings.extend(crates::check(&metadata(root)?)?);
    findings.sort();
    Ok(findings)
}

/// Marks the files that only tests include.
fn mark_test_files(files: &mut [File]) {
    let named: Vec<String> = files.iter().flat_map(File::test_files).collect();
    for file in files {
        let is_in = |root: &String| {
            let folder = root.trim_end_matches(".rs");
            file.path
                .strip_prefix(folder)
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        file.is_test |= named.iter().any(is_in);
    }
}

/// What git tracks, and what it would track.
fn files(root: &Path) -> Result<Vec<File>> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = output(Command::new("git").args(listing).current_dir(root))?;
    let paths = output.split('\0').filter(|path| root.join(path).is_file());
    let read = |path: &str| {
        let bytes =
            std::fs::read(root.join(path)).with_context(|| format!("cannot read {path}"))?;
        let length = bytes.len();
        let text = String::from_utf8(bytes).ok();
        Ok(File { path: path.to_owned(), bytes: length, text, is_test: is_test_path(path) })
    };
    paths.map(read).collect()
}

fn metadata(root: &Path) -> Result<serde_json::Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
    let text = output(Command::new(cargo).args(arguments).current_dir(root))?;
    serde_json::from_str(&text).context("cargo metadata is not JSON")
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let reason = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {reason}");
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests;
