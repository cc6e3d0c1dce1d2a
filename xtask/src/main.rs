//! Tasks of the repository that need more than a shell line: `cargo xtask help` lists them.
//!
//! Invariant: a task leaves the tree as it is unless its name says that it writes, and its exit
//! code is 1 when it finds something. Few dependencies, so that it builds in seconds.

mod compatibility_page;
mod errors_page;
mod finding;
mod source;
mod tidy;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

const HELP: &str = "\
cargo xtask tidy                  check sizes, crate directions, names, headers, links
cargo xtask docs-errors           write docs/errors.md from the table of error kinds
cargo xtask docs-errors --check   fail when docs/errors.md is not what that would write
cargo xtask docs-compatibility    write docs/compatibility.md from the tables of the API
cargo xtask help                  print this list
";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the root")?;
    match arguments[..] {
        ["tidy"] => report(&tidy::run(root)?),
        ["docs-errors"] => errors_page::write(root).map(|()| ExitCode::SUCCESS),
        ["docs-compatibility"] => compatibility_page::write(root).map(|()| ExitCode::SUCCESS),
        ["docs-errors", "--check"] => report(&errors_page::check(root)),
        [] | ["help" | "--help" | "-h"] => print(HELP).map(|()| ExitCode::SUCCESS),
        _ => print(HELP).map(|()| ExitCode::from(2)),
    }
}

/// Prints one line for each finding; fails when there is one.
fn report(findings: &[finding::Finding]) -> Result<ExitCode> {
    let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    print(&lines)?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(text: &str) -> Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
