//! The long form of the corruption suite: the cases of some seeds, with a table of their ends.
//!
//! `cargo run -p lodgepole-sim --example rot -- FIRST END [THREADS]` runs the seeds from FIRST up to END,
//! END not included. Parts can be run one after the other and added up: no case depends on another.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::process::ExitCode;
use std::time::Instant;

use lodgepole_sim::rot::{Estate, run};
use lodgepole_sim::seeds::Portion;

const USAGE: &str = "usage: rot FIRST END [THREADS]";

fn main() -> ExitCode {
    let Some(portion) = Portion::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    #[expect(clippy::disallowed_methods, reason = "it says how long it took")]
    let begun = Instant::now();
    let estate = match Estate::make() {
        Ok(estate) => estate,
        Err(error) => {
            eprintln!("the estate could not be made: {error}");
            return ExitCode::FAILURE;
        }
    };
    let tally = run(&estate, portion.seeds.clone(), None, portion.threads);
    println!("{tally}");
    for (seed, ..) in &tally.failures {
        println!("replay: cargo run -p lodgepole-sim --example rot -- {seed} {}", seed + 1);
    }
    let (cases, failed) = (tally.cases(), tally.failed());
    println!("{}", portion.closing(begun.elapsed(), cases, failed));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
