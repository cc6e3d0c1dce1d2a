//! Writes what this version stores to `tests/fixtures/data-<version>`, for later versions to open. Run it
//! once, at a release: `cargo run -p lodgepole-sim --example make_fixture`. It refuses to write over one.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::path::Path;
use std::process::ExitCode;

use lodgepole_sim::fixture;

fn main() -> ExitCode {
    let name = format!("data-{}", env!("CARGO_PKG_VERSION"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
    match fixture::make(&folder).and_then(|()| fixture::check(&folder)) {
        Ok(checked) => {
            println!("{}: {checked:?}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
