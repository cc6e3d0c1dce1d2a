//! The long form of the power cuts on a modelled disk: some seeds over each of the scripted lives.
//!
//! `cargo run -p lodgepole-sim --example power -- FIRST END [THREADS]` runs the seeds from FIRST up to END, END
//! not included; a seed picks its life. Parts can be run one after the other and added up.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::process::ExitCode;
use std::time::Instant;

use lodgepole_sim::power::{Lives, cut_many};
use lodgepole_sim::seeds::Portion;
use lodgepole_storage::local::SyncMode;

const USAGE: &str = "usage: power FIRST END [THREADS]";

fn main() -> ExitCode {
    let Some(portion) = Portion::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    #[expect(clippy::disallowed_methods, reason = "it says how long it took")]
    let begun = Instant::now();
    let lives = match Lives::measure() {
        Ok(lives) => lives,
        Err(violation) => {
            eprintln!("a life without any cut fails: {violation}");
            return ExitCode::FAILURE;
        }
    };
    let cuts = cut_many(&lives, portion.seeds.clone(), SyncMode::Full, portion.threads);
    println!("{cuts}");
    for (seed, violation) in &cuts.violations {
        println!("seed {seed}: {violation}");
        println!("replay: cargo run -p lodgepole-sim --example power -- {seed} {}", seed + 1);
    }
    let failed = cuts.violations.len() as u64;
    println!("{}", portion.closing(begun.elapsed(), cuts.cuts, failed));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
