//! Distances, sign codes and 8-bit rows over slices, in the widest registers that the processor has.
//!
//! One set of functions per [`Tier`]; [`Kernels`] picks a set once, so no call asks the processor
//! again and no row loop branches on it. This is the only crate of the workspace with `unsafe`
//! (besides the memory map of `storage`), and inside it only the modules of one instruction set
//! and the calls into them are exempt from the crate-wide ban.
//!
//! # What is here
//!
//! - Distances of f32 rows: `dot`, `squared_l2` and their row forms.
//! - Rotated sign codes, for a first look at many rows: [`Rotation`], `pack_signs`, `code_table` and
//!   the scans; what their numbers mean stands at [`CodeTable`] and [`BlockTerms`].
//! - 8-bit rows, to order the candidates: `quantise_i8`, `dot_i8` and its row forms.
//! - `assign`: the nearest of many centroids for many vectors, to build inverted lists.
//!
//! # What may be relied on
//!
//! - A function gives the same bits for the same input on the same tier, whatever the alignment.
//! - The row forms give for each row the very bits that the single form gives, wherever the row
//!   stands. So a score from a scan equals the score of the row alone, and merging or splitting
//!   runs of rows never changes an answer.
//! - A distance of `n` terms runs through chains of at most `n / 16 + 8` roundings: the error
//!   against exact arithmetic is at most `(n / 16 + 8) * 2^-24 * sum(|term|)`.
//! - Rotated vectors, tables, codes, sums, estimates and everything of 8-bit rows are the same bits
//!   on every tier, so that what one machine wrote another one reads.
//!
//! Distances and assignments of two tiers agree within their bound, not bit by bit: they add in
//! different orders.
//!
//! # How to add a tier
//!
//! Write a module with a function `block` that sums one query against a few rows, and in it the
//! modules `codes`, `bytes` and `tile`; invoke the macros that `table` names, add the variant to [`Tier`] and its test of the processor to
//! [`Kernels::with_tier`]. The tests run every tier that the machine has.
#![deny(unsafe_code)]

#[macro_use]
mod table;
#[macro_use]
mod portable;
#[macro_use]
#[allow(unsafe_code, reason = "calls into functions that need processor features, once checked")]
mod assign;
#[macro_use]
#[allow(unsafe_code, reason = "calls into functions that need processor features, once checked")]
mod bytes;
#[macro_use]
#[allow(unsafe_code, reason = "calls into functions that need processor features, once checked")]
mod codes;

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
#[allow(unsafe_code, reason = "the instruction that asks for memory")]
mod prefetch;
mod rotation;
mod scalar;
mod tier;

pub use assign::Centroids;
pub use codes::{
    BLOCK_ROWS, BlockTerms, CodeTable, DIMENSION_STEP, Pick, block_bytes, code_block_bytes,
};
pub use dispatch::{Kernels, TIER_VARIABLE};
pub use prefetch::prefetch;
pub use rotation::Rotation;
pub use tier::Tier;

#[cfg(test)]
mod tests;
