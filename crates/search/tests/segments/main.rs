//! Goal: what a user may rely on when searching segments, over the whole range that is allowed:
//! recall at every metric, dimension, selectivity and k, after changes, with queries from elsewhere;
//! exact filters, scores, sparse and hybrid queries; no wrong answer from damaged bytes.
//!
//! Method: only the public functions of the crate; rows from seeds with the traits of embeddings
//! (`made`); the truth is a plain loop over all rows (`judge`). Equal scores are equally good.
//! The suites print what they measured, also when they pass: `-- --nocapture`.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "made-up numbers are small"
)]

#[cfg(test)]
mod changes;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod effort;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod made;
#[cfg(test)]
mod recall;
#[cfg(test)]
mod sparse;
#[cfg(test)]
mod tiers;
