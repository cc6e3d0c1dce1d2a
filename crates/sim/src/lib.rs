//! What the tests of the whole rest on: models, simulation, oracles. Never published.
//!
//! Invariant: nothing in the product depends on this crate. It may look into every other one.
#![forbid(unsafe_code)]

pub mod actors;
pub mod crash;
pub mod model;
