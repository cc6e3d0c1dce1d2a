//! A model of deletion, pins, reaper and collection, small enough to be explored exhaustively.
//!
//! Deletion is where a database with cheap clones loses data: an index, its backups and the indexes
//! made from them share files, and each may be deleted at any moment, in any order, with a crash
//! in between. The model keeps only what matters for that: which file and which segment exists,
//! and which manifest or catalog row refers to it. Everything that is one atomic write in the
//! product (one manifest update, one catalog transaction, one deletion of objects) is one step
//! here, and the checker tries every order of steps.
//!
//! * [`Set`], [`State`]: what is stored, and where a running operation stands.
//! * [`rules`]: the predicates that decide what may be deleted, as plain functions.
//! * [`Lifetimes`], [`Action`]: the steps, and the mutants that break one rule each.
//! * [`properties`]: what must hold in every state.
//!
//! Left out on purpose: the grace of the collection (here zero, so that only the rules protect
//! anything), the write of a segment before its commit (a file without a row is known to the process
//! that writes it; after a crash nobody will ever name it), and time, except that a compactor's pin
//! ends after its compaction, never during it.
//!
//! Invariant: it knows nothing of the product, whose steps are written down here a second time; what is
//! explored is the rules and not the code.
#![forbid(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants,
    reason = "a model: numbers are small by their making"
)]

pub mod properties;
pub mod rules;
mod set;
mod state;
mod steps;
#[cfg(test)]
mod tests;

pub use set::{GENERATIONS, MAX_BACKUPS, MAX_DATABASES, Set};
pub use state::{Collection, Database, Life, Manifest, Pins, Row, State, View};
pub use steps::{Action, Bounds, Lifetimes, Mutant};
