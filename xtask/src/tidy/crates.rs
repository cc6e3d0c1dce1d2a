//! Which crate may use which: our own, and those of others.
//!
//! The table is read as a partial order: a crate may use the crates in its row, and whatever those
//! may use. So `service`, which may use `engine`, may use `types` too. A crate boundary exists to
//! forbid something; this is where that something is forbidden.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::finding::Finding;

/// Each crate with the crates that it may use directly.
const DIRECTIONS: [(&str, &[&str]); 17] = [
    ("lodgepole-types", &[]),
    ("lodgepole-kernels", &["lodgepole-types"]),
    ("lodgepole-container", &["lodgepole-types"]),
    ("lodgepole-search", &["lodgepole-container", "lodgepole-kernels", "lodgepole-types"]),
    ("lodgepole-storage", &["lodgepole-types"]),
    ("lodgepole-rows", &["lodgepole-types"]),
    (
        "lodgepole-engine",
        &["lodgepole-rows", "lodgepole-search", "lodgepole-storage", "lodgepole-types"],
    ),
    ("lodgepole-catalog", &["lodgepole-storage", "lodgepole-types"]),
    ("lodgepole-inference", &["lodgepole-kernels", "lodgepole-types"]),
    ("lodgepole-import", &["lodgepole-types"]),
    ("lodgepole-api", &["lodgepole-types"]),
    (
        "lodgepole-service",
        &[
            "lodgepole-api",
            "lodgepole-catalog",
            "lodgepole-engine",
            "lodgepole-inference",
            "lodgepole-import",
        ],
    ),
    ("lodgepole-server", &["lodgepole-service"]),
    ("lodgepole", &["lodgepole-server"]),
    ("lodgepole-lifetimes", &[]),
    ("lodgepole-sim", &["lodgepole"]),
    ("xtask", &["lodgepole-types", "lodgepole-api"]),
];

/// Crates of others that only some of ours may use.
struct Restriction {
    /// Names, or beginnings of names where they end in `*`.
    names: &'static [&'static str],
    allowed: fn(&str) -> bool,
    /// Whether tests may use them nevertheless.
    tests_may: bool,
    reason: &'static str,
}

const RESTRICTIONS: [Restriction; 3] = [
    Restriction {
        names: &["tokio", "tokio-*", "async-*", "futures*"],
        allowed: |package| {
            let pure = ["kernels", "container", "search", "rows", "import", "api", "types"];
            !pure.iter().any(|name| package == format!("lodgepole-{name}"))
        },
        tests_may: false,
        reason: "this crate does not wait: no async here",
    },
    Restriction {
        names: &["axum*", "tonic*", "hyper*", "http", "http-*", "tower*", "h2"],
        allowed: |package| package == "lodgepole-server",
        tests_may: true,
        reason: "only the crate server knows HTTP",
    },
    Restriction {
        names: &["slatedb*", "object_store*"],
        allowed: |package| matches!(package, "lodgepole-storage" | "lodgepole-sim"),
        tests_may: false,
        reason: "only the crate storage names them",
    },
];

/// Checks what `cargo metadata --no-deps` says.
pub(super) fn check(metadata: &Value) -> Result<Vec<Finding>> {
    let root = metadata["workspace_root"].as_str().context("no workspace root")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without name")?;
        let manifest = package["manifest_path"].as_str().context("a package without manifest")?;
        let path = manifest.strip_prefix(root).unwrap_or(manifest).trim_start_matches('/');
        let mut find = |rule, advice: String| findings.push(Finding::new(path, 1, rule, advice));
        if direct(name).is_none() {
            find("directions", format!("`{name}` is new: an ADR, then a row in tidy's table"));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().context("a dependency without name")?;
            let is_test = dependency["kind"].as_str() == Some("dev");
            if let Some(reason) = refusal(name, used, is_test) {
                find("directions", format!("`{name}` must not use `{used}`: {reason}"));
            }
        }
    }
    Ok(findings)
}

fn direct(package: &str) -> Option<&'static [&'static str]> {
    DIRECTIONS.iter().find(|(name, _)| *name == package).map(|(_, allowed)| *allowed)
}

/// Whether `package` may use `used`, directly or because something it may use may.
fn may_use(package: &str, used: &str) -> bool {
    let reaches = |next: &&str| *next == used || may_use(next, used);
    direct(package).unwrap_or_default().iter().any(reaches)
}

/// Why `package` must not use `used`; none when it may.
fn refusal(package: &str, used: &str, is_test: bool) -> Option<&'static str> {
    if direct(used).is_some() {
        // The simulation stands above everything, and tests below it may use its faults.
        let is_allowed = may_use(package, used) || (is_test && used == "lodgepole-sim");
        return (!is_allowed).then_some("it is not below it in the table of directions");
    }
    let is_named = |name: &str| match name.strip_suffix('*') {
        Some(start) => used.starts_with(start),
        None => used == name,
    };
    let applies = |restriction: &&Restriction| {
        restriction.names.iter().any(|name| is_named(name))
            && !(restriction.allowed)(package)
            && !(is_test && restriction.tests_may)
    };
    RESTRICTIONS.iter().find(applies).map(|restriction| restriction.reason)
}
