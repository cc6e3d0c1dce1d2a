//! The scenarios of `tests/scenarios`: conversations with the server, written down as data.
//!
//! Goal: every documented behaviour is a line of text that anybody can read, and holds on both
//! transports and in every version that the file names. Method: each file is played against a
//! server of its own, once a version and transport; requests of the data plane go over gRPC where
//! there is a method for them, and the reply is compared in its JSON form. The format is described
//! in `tests/scenarios/README.md`.

#![expect(
    clippy::unwrap_used,
    reason = "a test without a harness, so clippy does not see that it is one"
)]

mod grpc;
mod player;
mod repeat;
mod script;
mod values;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

use player::Transport;
use script::Script;

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit();
}

/// Where the scenarios are.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    folder.canonicalize().unwrap_or(folder)
}

fn trials() -> Vec<Trial> {
    let folder = folder();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "scenario"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no scenarios in {}", folder.display());
    files.iter().flat_map(|file| of_file(file)).collect()
}

/// One test for each version and transport; a file that cannot be read is one failing test.
fn of_file(file: &Path) -> Vec<Trial> {
    let topic = file.file_stem().unwrap().to_string_lossy().into_owned();
    let script = match Script::read(&std::fs::read_to_string(file).unwrap()) {
        Ok(script) => script,
        Err(problem) => return vec![Trial::test(topic, move || Err(Failed::from(problem)))],
    };
    let mut trials = Vec::new();
    for version in &script.versions {
        for transport in [Transport::Rest, Transport::Grpc] {
            if transport == Transport::Grpc && !script.has_grpc() {
                continue;
            }
            let (script, version) = (script.clone(), version.clone());
            let name = format!("{topic}::{}::{version}", transport.name());
            trials.push(Trial::test(name, move || {
                player::play(&script, &version, transport).map_err(Failed::from)
            }));
        }
    }
    trials
}
