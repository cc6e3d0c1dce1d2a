//! Rows of Parquet files as records.
//!
//! [`ParquetFile`] reads one file of a bulk import: it checks the columns against the kind of the
//! index, then yields the rows in batches, each row either a checked [`Record`] or the reason why
//! it is none. Bytes come from [`Ranges`], which the caller implements; the crate knows neither
//! disks nor buckets, and does not wait for anything else. Invariants:
//!
//! - a record that comes out satisfies every rule that an upserted one does;
//! - memory is bounded by the size of a batch, of the pages it touches, and of the read-ahead,
//!   never by the size of the file;
//! - a row has one number, counted from 0 through the file, however often reading starts anew.
//!
//! WHY the column readers of the crate `parquet` and not its Arrow layer: four known columns need
//! no general table, and Arrow would triple what is compiled.
//!
//! [`Record`]: lodgepole_types::Record
#![forbid(unsafe_code)]

mod columns;
mod error;
mod file;
mod ranges;
mod rows;
mod schema;

pub use error::{FileError, RowError};
pub use file::{Batch, ParquetFile};
pub use ranges::Ranges;
pub use schema::{Shape, SparseRule};

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
