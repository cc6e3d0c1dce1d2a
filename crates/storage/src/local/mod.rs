//! Objects as files in one folder of a local disk.
//!
//! What the rest of the system may assume of an object store, and what `LocalFileSystem` alone does
//! not give: an object is on stable storage when its put has answered, replacing an object only if
//! it is still the one that was read works, one process at a time owns the folder, a disk that is
//! nearly full refuses early and recovers by itself, and a disk that failed to sync is not trusted
//! again. Reading is `LocalFileSystem`'s; writing is ours, because its errors hide a failed folder
//! sync among failed renames, and because a crash suite needs every step of a write to be a place
//! where a fault can happen (see [`DiskStep`]); listing is ours, because it is slow there.

mod changes;
mod disk;
mod error;
mod etag;
mod file;
mod folders;
mod listing;
mod lock;
mod options;
mod root;
mod space;
mod store;
mod upload;

pub(crate) use changes::blocking;
pub use disk::STAGING_NAME;
pub use error::{DiskError, LocalOpenError};
pub(crate) use file::LocalFile;
pub use lock::holder;
pub use options::{DiskHook, DiskStep, LocalOptions, SyncMode};
pub use space::{Inodes, Need, Space, SpaceGuard, SpaceProbe, measure};
pub use store::LocalStore;

#[cfg(test)]
mod tests;
