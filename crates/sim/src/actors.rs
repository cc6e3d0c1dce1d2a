//! Seeded runs of the whole service over a store that fails, with everybody at work at once.
//!
//! One seed draws everything: writers, readers, indexer, reaper with a grace of zero, managers who make
//! and delete indexes and backups and restore them, crashes, shutdowns, starts that fail, second
//! processes that take over; and over all of it the weather of the store: latency, errors before an
//! operation, errors after it took effect, a full disk. What callers were told is kept in annals that
//! outlive every process, and compared with what is there:
//!
//! * every record behaves as one register, over all crashes ([`linear`]);
//! * an index holds whole requests in the order of their Lsns, a backup exactly those up to its own;
//! * the audit finds nothing, counts are exact, the nearest few are the nearest;
//! * a store that works again takes writes again, and what was deleted leaves nothing behind.
//!
//! INVARIANT: one seed, one order of operations (docs/adr/0003-determinism.md), so a failure is reported
//! as a seed and comes back. WHY not only the sweeps of [`crate::crash`]: those meet every crash of one
//! known workload; these meet the combinations that nobody thought of.

mod annals;
mod callers;
mod checks;
mod figures;
mod keepers;
pub mod linear;
mod process;
mod replay;
mod run;
mod stage;
mod trace;
mod weather;

#[cfg(test)]
mod tests;

pub use figures::Figures;
pub use stage::Defect;
pub use trace::without_random_names;

use crate::crash::Violation;

/// What the run of a seed came to.
#[derive(Debug)]
pub struct Outcome {
    /// What was done, up to a violation if there was one.
    pub figures: Figures,
    /// The operations that reached the store, in order and without random names, as one number.
    pub trace: u64,
    /// What happened besides writes and reads, line by line.
    pub story: Vec<String>,
    /// The broken promise.
    pub violation: Option<Violation>,
}

/// Runs one seed, with a defect put in or without.
#[must_use]
pub fn run(seed: u64, defect: Option<Defect>) -> Outcome {
    let mut run = run::Run::new(seed, defect);
    let violation = run.go().err();
    let trace = trace::hash(&run.operations);
    Outcome { figures: run.figures(), trace, story: run.story(), violation }
}

/// The command that runs one seed again.
#[must_use]
pub fn replay_command(seed: u64) -> String {
    format!("cargo run -p lodgepole-sim --example actors -- --seeds {seed}..{}", seed + 1)
}
