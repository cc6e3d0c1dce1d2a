//! Goal: each rule can fail, and does not fail where it must not. Method: for each rule the
//! smallest file that breaks it, beside the nearest one that does not.

use serde_json::json;

use super::{File, crates, names, rust, text};
use crate::finding::Finding;

const HEADER: &str = "//! What it is.\n";

fn rules(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.rule).collect()
}

fn rust_rules(path: &str, body: &str) -> Vec<&'static str> {
    rules(&rust::check(&File::new(path, &format!("{HEADER}{body}"))))
}

fn text_rules(path: &str, content: &str) -> Vec<&'static str> {
    rules(&text::check(&File::new(path, content), &|path| path == "docs/there.md"))
}

fn directions(package: &str, used: &str, kind: Option<&str>) -> usize {
    let metadata = json!({ "workspace_root": "/w", "packages": [{
        "name": package, "manifest_path": "/w/crates/x/Cargo.toml",
        "dependencies": [{ "name": used, "kind": kind }],
    }]});
    crates::check(&metadata).expect("well formed").len()
}

#[test]
fn a_finding_is_one_line_that_names_the_place() {
    let finding = Finding::new("a/b.rs", 7, "file", "split it");
    assert_eq!(finding.to_string(), "a/b.rs:7: file: split it");
}

#[test]
fn long_files_are_found_and_tests_may_be_longer() {
    let lines = "\n".repeat(700);
    assert_eq!(rust_rules("crates/a/src/b.rs", &lines), ["file"]);
    assert!(rust_rules("crates/a/src/b.rs", &lines[1..]).is_empty());
    assert!(rust_rules("crates/a/src/b/tests.rs", &lines).is_empty());
    assert_eq!(rust_rules("crates/a/tests/b.rs", &"\n".repeat(1_500)), ["file"]);
    let with_tests = format!("\n#[cfg(test)]\nmod tests {{\n{lines}}}\n");
    assert!(rust_rules("crates/a/src/b.rs", &with_tests).is_empty());
}

#[test]
fn a_file_that_only_tests_include_is_a_test() {
    let mut files = [
        File::new("crates/a/src/lib.rs", "#[cfg(test)]\nmod model;\n"),
        File::new("crates/a/src/b.rs", "#[cfg(test)]\nmod c;\n"),
        File::new("crates/a/src/model.rs", ""),
        File::new("crates/a/src/model/part.rs", ""),
        File::new("crates/a/src/models.rs", ""),
        File::new("crates/a/src/b/c.rs", ""),
        File::new("crates/a/src/c.rs", ""),
    ];
    super::mark_test_files(&mut files);
    let marked: Vec<bool> = files.iter().map(|file| file.is_test).collect();
    assert_eq!(marked, [false, false, true, true, false, true, false]);
}

#[test]
fn long_functions_are_found() {
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "\n".repeat(lines - 2));
    assert_eq!(rust_rules("crates/a/src/b.rs", &function(71)), ["function"]);
    assert!(rust_rules("crates/a/src/b.rs", &function(70)).is_empty());
    assert!(rust_rules("crates/a/tests/b.rs", &function(71)).is_empty());
    assert_eq!(rust_rules("crates/a/tests/b.rs", &function(121)), ["function"]);
}

#[test]
fn long_lists_of_parameters_are_found() {
    let seven = "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) {}";
    assert_eq!(rust_rules("crates/a/src/b.rs", seven), ["parameters"]);
    assert!(rust_rules("crates/a/src/b.rs", &seven.replace(", g: u8", "")).is_empty());
}

#[test]
fn a_source_without_header_is_found() {
    let check = |path: &str| rules(&rust::check(&File::new(path, "\nfn f() {}\n")));
    assert_eq!(check("crates/a/src/b.rs"), ["header"]);
    assert!(check("crates/a/build.rs").is_empty());
}

#[test]
fn banned_words_are_found_inside_identifiers() {
    for code in ["let payload_bytes = 1;", "struct TenantId;", "let last_seqno = 1;"] {
        assert_eq!(rust_rules("crates/engine/src/b.rs", code), ["word"], "{code}");
    }
    assert!(rust_rules("crates/storage/src/b.rs", "result.payload").is_empty());
    for code in ["ErrorKind::PayloadTooLarge", "// the payload", "let a = \"tenant\";"] {
        assert!(rust_rules("crates/engine/src/b.rs", code).is_empty(), "{code}");
    }
}

#[test]
fn unsafe_is_found_outside_its_two_places() {
    let code = "fn f() { unsafe {} }";
    assert_eq!(rust_rules("crates/engine/src/b.rs", code), ["unsafe"]);
    assert_eq!(rust_rules("crates/storage/src/b.rs", code), ["unsafe"]);
    assert!(rust_rules("crates/storage/src/mmap.rs", code).is_empty());
    assert!(rust_rules("crates/kernels/src/b.rs", code).is_empty());
    assert!(rust_rules("crates/engine/src/b.rs", "#![forbid(unsafe_code)]").is_empty());
}

#[test]
fn the_file_system_is_found_outside_its_places() {
    let code = "use std::fs::File;";
    assert_eq!(rust_rules("crates/engine/src/b.rs", code), ["files"]);
    assert_eq!(rust_rules("crates/server/src/b.rs", "tokio::fs::read(p)"), ["files"]);
    let may = ["crates/storage/src/b.rs", "crates/engine/tests/b.rs", "crates/api/build.rs"];
    for path in may.into_iter().chain(["crates/search/examples/b.rs"]) {
        assert!(rust_rules(path, code).is_empty(), "{path}");
    }
    let in_tests = format!("#[cfg(test)]\nmod tests {{\n    {code}\n}}\n");
    assert!(rust_rules("crates/engine/src/b.rs", &in_tests).is_empty());
}

#[test]
fn a_reminder_without_an_issue_is_found() {
    assert_eq!(rust_rules("crates/a/src/b.rs", "// TODO: later"), ["reminder"]);
    assert!(rust_rules("crates/a/src/b.rs", "// TODO(#12): later").is_empty());
    assert!(rust_rules("crates/a/src/b.rs", "let a = \"TODO\";").is_empty());
    assert_eq!(text_rules("scripts/a.py", "# FIXME later\n"), ["reminder"]);
}

#[test]
fn a_long_crate_is_found() {
    let file = |name: &str, lines: usize| {
        File::new(&format!("crates/a/src/{name}"), &"//! x\n".repeat(lines))
    };
    let just_right = [file("a.rs", 4_000), file("b.rs", 4_500), file("c/tests.rs", 1_000)];
    assert!(rust::check_crate_sizes(&just_right).is_empty());
    let found = rust::check_crate_sizes(&[file("a.rs", 4_000), file("b.rs", 4_501)]);
    assert_eq!(rules(&found), ["crate"]);
    assert_eq!(found[0].path, "crates/a/Cargo.toml");
}

#[test]
fn spaces_at_line_ends_and_tabs_are_found() {
    assert_eq!(text_rules("a.toml", "a = 1 \n"), ["space"]);
    assert_eq!(text_rules("a.rs", "\tlet a = 1;\n"), ["tab"]);
    assert!(text_rules("a.txt", "a\tb\n").is_empty());
}

#[test]
fn a_second_title_and_a_missing_one_are_found() {
    assert_eq!(text_rules("a.md", "# A\n\n# B\n"), ["title"]);
    assert_eq!(text_rules("a.md", "A\n"), ["title"]);
    assert!(text_rules("a.md", "# A\n\n```\n# no title\n```\n").is_empty());
}

#[test]
fn a_link_to_nothing_is_found() {
    assert_eq!(text_rules("docs/a.md", "# A\n[x](gone.md)\n"), ["link"]);
    assert_eq!(text_rules("docs/a.md", "# A\n[x](../../out.md)\n"), ["link"]);
    let fine = "# A\n[x](there.md#part) [y](/docs/there.md) [z](https://a.b/c) `[w](gone.md)`\n";
    assert!(text_rules("docs/a.md", fine).is_empty());
}

#[test]
fn banned_words_are_found_in_prose() {
    assert_eq!(text_rules("a.md", "# A\nThe tenants of it.\n"), ["word"]);
    assert!(text_rules("a.md", "# A\nThe `tenant` field.\n").is_empty());
}

#[test]
fn bags_and_blobs_are_found() {
    let check = |path: &str| rules(&names::check(&File::new(path, "")));
    assert_eq!(check("crates/a/src/utils.rs"), ["bag"]);
    assert_eq!(check("scripts/common/a.py"), ["bag"]);
    assert!(check("crates/a/src/utility_bill.rs").is_empty());
    let blob = |path: &str| rules(&names::check(&File { bytes: 300_000, ..File::new(path, "") }));
    assert_eq!(blob("a.bin"), ["blob"]);
    assert!(blob("Cargo.lock").is_empty());
}

#[test]
fn a_crate_must_not_use_one_above_it() {
    assert_eq!(directions("lodgepole-engine", "lodgepole-api", None), 1);
    assert_eq!(directions("lodgepole-types", "lodgepole-storage", Some("dev")), 1);
    assert_eq!(directions("lodgepole-service", "lodgepole-types", None), 0);
    assert_eq!(directions("lodgepole-sim", "lodgepole-kernels", None), 0);
    assert_eq!(directions("lodgepole-engine", "lodgepole-sim", Some("dev")), 0);
    assert_eq!(directions("lodgepole-engine", "lodgepole-sim", None), 1);
}

#[test]
fn a_crate_of_others_stays_in_its_place() {
    assert_eq!(directions("lodgepole-search", "tokio", None), 1);
    assert_eq!(directions("lodgepole-service", "axum", None), 1);
    assert_eq!(directions("lodgepole-engine", "slatedb", Some("dev")), 1);
    assert_eq!(directions("lodgepole-storage", "object_store", None), 0);
    assert_eq!(directions("lodgepole", "hyper", Some("dev")), 0);
    assert_eq!(directions("lodgepole-api", "serde", None), 0);
}

#[test]
fn a_new_crate_needs_its_row() {
    assert_eq!(directions("lodgepole-extra", "serde", None), 1);
}
