//! Durable bytes: the record store, blobs, cache and checksums.
//!
//! The only crate that names SlateDB and `object_store`, and the only one that touches files. A
//! [`Storage`] is a place (a folder, a bucket, memory) that holds many [`Database`]s: ordered
//! key-value stores with atomic batches, read views, checkpoints and clones. All truth of Lodgepole
//! lives in them (docs/adr/0001-slatedb.md). Invariants:
//!
//! - what [`Commit::durable`] has confirmed survives a kill and a power cut;
//! - a [`Visibility::Durable`] read never shows what a crash could take back;
//! - a [`Blob`], a large object that is written once and read as memory, is whole or absent;
//! - a checkpoint holds everything confirmed before it was asked for, and nothing written after its
//!   answer.
#![deny(unsafe_code)]

mod batch;
mod blobs;
mod bounds;
mod clock;
mod compaction;
mod database;
mod error;
pub mod fault;
pub mod files;
mod lineage;
pub mod local;
mod log;
mod mmap;
mod options;
mod scan;
mod sealed;
mod source;
mod storage;
mod system;
mod view;

pub use batch::Batch;
pub use blobs::{Blob, BlobPath, BlobWriter};
pub use database::{CheckpointPin, Commit, Database};
pub use error::{OpenError, StorageError};
pub use lineage::{DatabasePath, Parent, Pin};
pub use mmap::Advice;
pub use object_store;
pub use options::StorageOptions;
pub use scan::{KeyValue, Scan};
pub use sealed::SealError;
pub use source::{Source, SourceError, SourceFile, SourceOptions, SourceReader, Sources};
pub use storage::Storage;
pub use system::{OsRng, ShiftedClock, SystemClock};
pub use view::{View, Visibility, prefix_range};

#[cfg(test)]
mod tests;
