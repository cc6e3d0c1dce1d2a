//! What exists: indexes, hidden indexes, backups, restore jobs and the ports of indexes.
//!
//! One small database, `sys/catalog`, holds it; the page docs/format/catalog.md draws its rows. All
//! of it is in memory, read without waiting; every change is one transaction, and transactions run
//! one after the other. Invariants:
//!
//! - a change is visible only when it is on stable storage, and then as a whole;
//! - names of indexes are unique, and so are their ports; a name that a pending restore job has
//!   reserved counts as taken;
//! - a backup that a pending restore job reads cannot be deleted.
//!
//! The catalog knows nothing of the data itself: taking checkpoints, cloning and removing files is
//! the engine's business, and the order of the two is the service's.
#![forbid(unsafe_code)]

mod backups;
mod catalog;
mod collections;
mod contents;
mod error;
mod imports;
mod indexes;
mod keys;
#[cfg(test)]
mod model;
mod ports;
mod restore_jobs;
mod rows;
mod schedules;
#[cfg(test)]
mod testing;

pub use backups::{BackupCut, NewBackup};
pub use catalog::{Catalog, CatalogOptions};
pub use contents::Contents;
pub use error::CatalogError;
pub use imports::{ImportEnd, NewImport};
pub use indexes::NewIndex;
pub use keys::{ApiKey, KeyId, KeyState, NewKey, Role};
pub use ports::PortRange;
pub use restore_jobs::NewRestoreJob;
pub use rows::HiddenIndex;
pub use schedules::{NewSchedule, ScheduleChange};
