//! Restores whose answer never reached its caller.
//!
//! Clients send the same request again when the connection breaks or a 5xx comes, and their requests
//! carry nothing that tells such a retry from a second call. The two must be answered differently:
//! a retry wants the ids of what it has made, a second call must hear that the name is taken. What
//! we do know is whether the caller was still there when the answer was ready. If not, the answer is
//! kept here for some minutes, and the first request that asks for exactly the same gets it.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lodgepole_api::parse::NewIndexFromBackup;
use lodgepole_types::{BackupId, IndexId, IndexName, RestoreJobId, Timestamp};

/// How long a client may take to try again. Above the longest back-off of the official clients.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(300);

/// What a caller asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// The backup to read.
    pub(crate) backup: BackupId,
    /// The index to make.
    pub(crate) request: NewIndexFromBackup,
}

/// What was made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) job: RestoreJobId,
    pub(crate) index: IndexId,
}

/// Answers without a caller, by the name of the index: at most one for each.
#[derive(Debug, Default)]
pub(crate) struct Undelivered(Mutex<HashMap<IndexName, (Order, Made, Timestamp)>>);

impl Undelivered {
    /// Keeps an answer, and forgets those that nobody will ask for any more.
    pub(crate) fn keep(&self, order: Order, made: Made, now: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (_, _, since)| now.since(*since) <= RETRY_MAX);
        kept.insert(order.request.name.clone(), (order, made, now));
    }

    /// Takes the answer to exactly this order.
    pub(crate) fn take(&self, order: &Order, now: Timestamp) -> Option<Made> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (same, made, since) = kept.get(&order.request.name)?;
        if same != order || now.since(*since) > RETRY_MAX {
            return None;
        }
        let made = *made;
        kept.remove(&order.request.name);
        Some(made)
    }
}

/// Lets restores under one name go one after the other, so that a retry that comes while the first
/// attempt still runs waits for its end. Names may share a lock, which costs them only time.
#[derive(Debug)]
pub(crate) struct Turns {
    locks: Vec<tokio::sync::Mutex<()>>,
    hasher: std::hash::RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        const LOCKS: usize = 64;
        Self {
            locks: (0..LOCKS).map(|_| tokio::sync::Mutex::default()).collect(),
            hasher: std::hash::RandomState::new(),
        }
    }
}

impl Turns {
    /// The lock of a name.
    pub(crate) fn of(&self, name: &IndexName) -> &tokio::sync::Mutex<()> {
        let hash = self.hasher.hash_one(name);
        let place = hash % u64::try_from(self.locks.len()).unwrap_or(1);
        &self.locks[usize::try_from(place).unwrap_or(0)]
    }
}
