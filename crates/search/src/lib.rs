//! Search structures over bytes in memory: no I/O, no async, no `unsafe`.
//!
//! A query is prepared once ([`PreparedQuery`]), runs over any number of structures, on as many
//! threads as the caller likes, and collects into one [`TopK`] per thread; the collections are
//! merged at the end. What is found borrows from the structures, so nothing is copied for a
//! candidate that does not make it into the answer.
//!
//! The one structure so far is the flat one, [`FlatChunk`]: a run of rows searched exactly.
//!
//! *Invariant:* the answer depends only on the records visible at the query's Lsn. Neither the
//! order in which structures are searched, nor how the rows are spread over them, nor the number of
//! threads can change a score or break a tie differently.
#![forbid(unsafe_code)]

mod flat;
mod query;
mod topk;

pub use flat::{ChunkError, FlatChunk, FlatChunkBuilder, RowParts, Scope, SparseRef};
pub use query::PreparedQuery;
pub use topk::{Candidate, TopK};
