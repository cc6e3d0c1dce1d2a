//! Indexes that have data and no row yet, or never get one: those being created, and copies of backups
//! that are looked through.
//!
//! Only this tells the reaper that such data is no stray. INVARIANT: an id enters before there is data,
//! and leaves after its row is there or its data is gone; where it is not known whether the row is there,
//! it stays until the process ends, and the next one reads the truth. WHY not by age alone: a store that
//! refuses writes for longer than any age still carries out deletes.

use std::collections::BTreeSet;
use std::sync::Arc;

use lodgepole_types::IndexId;
use parking_lot::Mutex;

/// The ids of indexes without a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rowless(Arc<Mutex<BTreeSet<IndexId>>>);

/// Takes an id out again when it is dropped.
#[derive(Debug)]
pub(crate) struct RowlessGuard {
    rowless: Rowless,
    index: IndexId,
    stays: bool,
}

impl Rowless {
    /// All of them. Ask before the catalog is read: what has left by then has its row.
    pub(crate) fn all(&self) -> BTreeSet<IndexId> {
        self.0.lock().clone()
    }

    /// Enters an id; it leaves when the guard is dropped.
    pub(crate) fn enter(&self, index: IndexId) -> RowlessGuard {
        self.0.lock().insert(index);
        RowlessGuard { rowless: self.clone(), index, stays: false }
    }
}

impl RowlessGuard {
    /// Leaves the id entered for as long as the process lives.
    pub(crate) fn stay(mut self) {
        self.stays = true;
    }
}

impl Drop for RowlessGuard {
    fn drop(&mut self) {
        if !self.stays {
            self.rowless.0.lock().remove(&self.index);
        }
    }
}
