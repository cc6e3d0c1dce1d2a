//! One shard: write path, read views, search in memory, checkpoint, clone, and the removal of what
//! nothing needs.
//!
//! The engine knows records, namespaces and indexes by id; it has never heard of HTTP or of
//! Pinecone's API. An [`Engine`] holds all shards of a process and opens them on demand. Invariants:
//!
//! - a write is answered after it is durable, and is searchable by then;
//! - a request is one batch: all of its records or none;
//! - reads show every answered write, and never what a crash could take back.
#![forbid(unsafe_code)]

mod aliases;
mod audit;
mod background;
mod change;
mod collect;
mod engine;
mod error;
mod filtered;
mod indexing;
mod matching;
mod namespaces;
mod options;
mod planner;
mod query;
mod reads;
mod reap;
mod record_scan;
mod retired;
mod search_pool;
mod search_state;
mod segment_load;
mod segments;
mod shard;
mod slots;
mod staging;
mod sweep;
mod tail_load;
mod tails;
mod upkeep;
mod versions;
mod writer;

pub use lodgepole_rows::RowError;

pub use aliases::{Alias, Resolved};
pub use audit::{AuditDepth, AuditFinding, AuditReport};
pub use change::Update;
pub use engine::{Checkpoint, Deletion, Engine, EngineStartError};
pub use error::{AliasError, EngineError, ReadError, StagingError, WriteError};
pub use filtered::{Counted, FilterPage, FilteredPage};
pub use matching::Matched;
pub use namespaces::{NamespaceInfo, NamespaceList, NamespacePage};
pub use options::{EngineOptions, IndexFrom};
pub use query::{Answer, Effort, Near, Query};
pub use reads::{Fetched, ListPage, Listed, NamespaceStats, Stats};
pub use reap::{Estate, Reaped, Unfinished};
pub use search_state::{SearchState, WarmUp};
pub use shard::ShardRef;
pub use staging::{Duplicate, StageBatch, StageState, Staged, StagedNamespace};

#[cfg(test)]
mod tests;
