//! The page docs/errors.md, made from the table of error kinds.
//!
//! Invariant: a kind without a sentence for the caller does not compile. Codes are not repeated
//! here; they come from `types::ErrorKind`.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use lodgepole_types::ErrorKind;

use crate::finding::Finding;

const PATH: &str = "docs/errors.md";

const HEAD: &str = "\
# Errors

Every failure is one of the kinds below, on REST and gRPC alike. The code is what a program should
look at; the message is for people and may change. Made by `cargo xtask docs-errors` from the table
in `crates/types/src/error_kind.rs`: change it there.

| Code | HTTP | gRPC | What the caller should do | Retry |
|---|---|---|---|---|
";

const TAIL: &str = "
A control-plane call answers `{\"error\": {\"code\": …, \"message\": …}, \"status\": …}`, a data-plane
call `{\"code\": <gRPC number>, \"message\": …, \"details\": []}`. What Lodgepole does not offer is
refused with a kind of the 400s and a message that says so, never with 501: clients repeat every
request that ends in the 500s.

An error about an alias of a namespace also has a reason for programs, in `details[0].reason` with
`details[0].metadata`; over gRPC it is a `google.rpc.ErrorInfo` in `grpc-status-details-bin`. The reasons
are listed in `crates/api/src/reasons.rs`.
";

/// What the caller should do, and whether the same request may be sent again.
fn advice(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::InvalidArgument => ("Fix the request; the message names the field.", "no"),
        ErrorKind::Unprocessable => {
            ("Fix the body: it is JSON, but not of the shape that the operation wants.", "no")
        }
        ErrorKind::Unauthenticated => ("Send a valid key in the header `Api-Key`.", "no"),
        ErrorKind::Forbidden => {
            ("Remove the deletion protection, or lower what is asked for.", "no")
        }
        ErrorKind::PermissionDenied => {
            ("Use a key whose role allows it; the message names the permission.", "no")
        }
        ErrorKind::NotFound => ("Check the name or the id.", "no"),
        ErrorKind::AlreadyExists => ("Use what exists, or choose another name.", "no"),
        ErrorKind::Conflict => ("Read it again, then send the changed request.", "after reading"),
        ErrorKind::FailedPrecondition => ("Wait, or change the state first.", "later"),
        ErrorKind::PayloadTooLarge => ("Send less at once.", "no"),
        ErrorKind::RateLimited => ("Wait as long as `Retry-After` says.", "after waiting"),
        ErrorKind::DeadlineExceeded => {
            ("Send it again with a longer limit; a write may have been done.", "yes")
        }
        ErrorKind::Unavailable => {
            ("Send it again with back-off; a write is done whole or not at all.", "yes")
        }
        ErrorKind::DataLoss => ("Stored data is damaged: make an index from a backup.", "no"),
        ErrorKind::Internal => ("Report it with the request id: it is a defect.", "perhaps"),
    }
}

/// The name of a gRPC status code.
fn grpc_name(code: i32) -> &'static str {
    const NAMES: [&str; 17] = [
        "Ok",
        "Cancelled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    usize::try_from(code).ok().and_then(|code| NAMES.get(code)).unwrap_or(&"Unknown")
}

/// The page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    for kind in ErrorKind::ALL {
        let (code, http, grpc) = kind.codes();
        let (action, retry) = advice(kind);
        let name = grpc_name(grpc);
        let _ = writeln!(page, "| `{code}` | {http} | {name} ({grpc}) | {action} | {retry} |");
    }
    page + TAIL
}

/// Writes the page.
#[expect(clippy::disallowed_methods, reason = "a page of the repository, not of the database")]
pub(crate) fn write(root: &Path) -> Result<()> {
    std::fs::create_dir_all(root.join("docs"))?;
    std::fs::write(root.join(PATH), page()).with_context(|| format!("cannot write {PATH}"))
}

/// Compares the page with what it should be.
pub(crate) fn check(root: &Path) -> Vec<Finding> {
    compare(&std::fs::read_to_string(root.join(PATH)).unwrap_or_default())
}

fn compare(found: &str) -> Vec<Finding> {
    let wanted = page();
    if found == wanted {
        return Vec::new();
    }
    let same = found.lines().zip(wanted.lines()).take_while(|(left, right)| left == right).count();
    vec![Finding::new(PATH, same + 1, "generated", "run `cargo xtask docs-errors` and commit it")]
}

#[cfg(test)]
mod tests {
    //! Goal: the page follows the table. Method: look at its rows, and change one.
    use super::*;

    #[test]
    fn every_kind_has_its_row() {
        let page = page();
        for kind in ErrorKind::ALL {
            let (code, http, grpc) = kind.codes();
            assert!(page.contains(&format!("| `{code}` | {http} | {} ({grpc})", grpc_name(grpc))));
        }
    }

    #[test]
    fn a_page_that_differs_is_found_at_its_line() {
        assert!(compare(&page()).is_empty());
        let changed = page().replace("| 404 |", "| 405 |");
        let line = page().lines().position(|line| line.contains("| 404 |")).expect("a row");
        assert_eq!(compare(&changed)[0].line, line + 1);
        assert_eq!(compare("")[0].line, 1);
    }
}
