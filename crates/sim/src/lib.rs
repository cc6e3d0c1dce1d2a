//! What the tests of the whole rest on: models, simulation, oracles. Never published.
//!
//! Invariant: nothing in the product depends on this crate. It may look into every other one.
#![forbid(unsafe_code)]
#![allow(
    clippy::large_futures,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants,
    reason = "a simulation: runs are single tasks, and numbers are small by their making"
)]

pub mod actors;
pub mod crash;
pub mod fixture;
pub mod power;
pub mod rot;
pub mod seeds;
