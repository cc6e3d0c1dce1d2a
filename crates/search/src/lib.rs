//! Search structures over bytes in memory: no I/O, no async, no `unsafe`.
//!
//! A query is prepared once ([`PreparedQuery`]), runs over any number of structures, on as many
//! threads as the caller likes, and collects into one [`TopK`] per thread; the collections are
//! merged at the end. What is found borrows from the structures, so nothing is copied for a
//! candidate that does not make it into the answer.
//!
//! There are two: the flat one, [`FlatChunk`], a run of rows searched exactly, for the rows written
//! last; and the [`Segment`], an immutable run of bytes with codes and indexes for all the others.
//!
//! *Invariant:* the answer depends only on the records visible at the query's Lsn. Neither the
//! order in which structures are searched, nor how the rows are spread over them, nor the number of
//! threads can change a score or break a tie differently.
#![forbid(unsafe_code)]

mod columns;
mod flat;
mod merge_choice;
mod postings;
mod query;
mod rowset;
mod segment;
mod topk;

pub use flat::{ChunkError, FlatChunk, FlatChunkBuilder, RowParts, Scope, SparseRef};
pub use merge_choice::{SegmentSize, merge_choice};
pub use query::PreparedQuery;
pub use rowset::RowSet;
pub use segment::{
    AlignedBytes, LiveSegment, RecallTarget, RowSource, SearchCounters, SearchOptions, Section,
    Segment, SegmentBytes, SegmentError, SegmentKind, SegmentShape, SegmentSummary, SourceRow,
    build_segment, count_matches, search_segments,
};
pub use topk::{Candidate, TopK};
