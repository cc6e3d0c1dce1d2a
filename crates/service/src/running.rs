//! Which backups and restore jobs this process is working on.
//!
//! A row that says "under way" and is not in here was cut off, by a crash or a failure, and may be
//! cleaned up. INVARIANT: an id enters before its row is written and leaves after the last change
//! of its row.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The ids at work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<String>>>);

impl Running {
    /// Enters an id; it leaves when the guard is dropped.
    pub(crate) fn enter(&self, id: &impl ToString) -> RunningGuard {
        let id = id.to_string();
        self.ids().insert(id.clone());
        RunningGuard { running: self.clone(), id }
    }

    pub(crate) fn contains(&self, id: &impl ToString) -> bool {
        self.ids().contains(&id.to_string())
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps an id in [`Running`].
#[derive(Debug)]
pub(crate) struct RunningGuard {
    running: Running,
    id: String,
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.ids().remove(&self.id);
    }
}
