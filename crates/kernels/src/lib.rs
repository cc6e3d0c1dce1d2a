//! Distances over slices of f32, in the widest registers that the processor has.
//!
//! One set of functions per [`Tier`]; [`Kernels`] picks a set once, so no call asks the processor
//! again and no row loop branches on it. This is the only crate of the workspace with `unsafe`
//! (besides the memory map of `storage`), and inside it only the modules of one instruction set
//! and the calls into them are exempt from the crate-wide ban.
//!
//! # What may be relied on
//!
//! - A function gives the same bits for the same input on the same tier, whatever the alignment.
//! - The row forms give for each row the very bits that the single form gives, wherever the row
//!   stands. So a score from a scan equals the score of the row alone, and merging or splitting
//!   runs of rows never changes an answer.
//! - The sum of `n` terms runs through chains of at most `n / 16 + 8` roundings: the error against
//!   exact arithmetic is at most `(n / 16 + 8) * 2^-24 * sum(|term|)`.
//!
//! Two tiers agree within that bound, not bit by bit: they add in different orders.
//!
//! # How to add a tier
//!
//! Write a module with a function `block` that sums one query against a few rows, invoke
//! `kernel_table!` in it, add the variant to [`Tier`] and its test of the processor to
//! [`Kernels::with_tier`]. The tests run every tier that the machine has.
#![deny(unsafe_code)]

#[macro_use]
mod table;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "loads from pointers into registers; each is justified where it is")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "loads from pointers into registers; each is justified where it is")]
mod avx512;
#[allow(unsafe_code, reason = "calls into functions that need processor features, once checked")]
mod dispatch;
// Tests of other processors compile it too, against plain-Rust stand-ins for the instructions.
#[cfg(any(target_arch = "aarch64", test))]
#[allow(unsafe_code, reason = "loads from pointers into registers; each is justified where it is")]
mod neon;
mod scalar;
mod tier;

pub use dispatch::Kernels;
pub use tier::Tier;

#[cfg(test)]
mod tests;
