//! What is held in memory for search: one tail per searched namespace.
//!
//! A tail holds ids, vectors and metadata of the rows that are in no segment, and the namespace's
//! open segments with their dead rows. It is loaded when its namespace is first searched or indexed,
//! and follows every durable write from then on. Invariants:
//!
//! - a view handed out never changes: chunks are immutable but for the moment a row died, and a
//!   view ignores deaths after its Lsn; a segment's set of dead rows is copied before it changes;
//! - a tail shows every write that was answered before the view was taken;
//! - all tails together stay below a budget, those being loaded included, by what they are expected
//!   to take; the least recently searched ones go first, and a namespace for which there is no room
//!   is not held at all (the caller searches it from storage).

mod gather;
mod tail;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lodgepole_rows::Place;
use lodgepole_types::{IndexId, Lsn};
use parking_lot::Mutex;

pub(crate) use self::gather::ChunkGatherer;
use self::tail::Applied;
pub(crate) use self::tail::{JobView, LoadedRows, Tail, TailView};
use crate::EngineError;
use crate::change::Effect;

/// The namespace of one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TailKey {
    pub(crate) index: IndexId,
    pub(crate) place: Place,
}

/// All tails of the process.
#[derive(Debug)]
pub(crate) struct TailCache {
    tails: Mutex<HashMap<TailKey, Arc<Tail>>>,
    bytes: AtomicU64,
    bytes_max: u64,
    ticks: AtomicU64,
}

/// Whether a tail may be held.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It is there, or being loaded by somebody else.
    Present(Arc<Tail>),
    /// The caller must load it.
    Load(Loading),
    /// There is no room for it now: it is larger than the budget, or others are being loaded.
    TooLarge,
}

/// The right and the duty to load a tail. Dropped without [`Loading::finish`], the tail is taken
/// out again and the waiting queries try anew.
#[derive(Debug)]
pub(crate) struct Loading {
    cache: Arc<TailCache>,
    key: TailKey,
    tail: Arc<Tail>,
    finished: bool,
}

impl TailCache {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            tails: Mutex::new(HashMap::new()),
            bytes: AtomicU64::new(0),
            bytes_max,
            ticks: AtomicU64::new(0),
        })
    }

    /// Bytes held now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The tail of a namespace, if it is held or being loaded.
    pub(crate) fn held(&self, key: TailKey) -> Option<Arc<Tail>> {
        let tail = self.tails.lock().get(&key).map(Arc::clone)?;
        tail.touch(self.tick());
        Some(tail)
    }

    /// Finds the tail of a namespace, or makes room for one of about `estimate` bytes.
    pub(crate) fn admit(
        self: &Arc<Self>,
        key: TailKey,
        dimension: usize,
        estimate: u64,
    ) -> Admission {
        let mut tails = self.tails.lock();
        if let Some(tail) = tails.get(&key) {
            tail.touch(self.tick());
            return Admission::Present(Arc::clone(tail));
        }
        self.make_room(&mut tails, estimate);
        if self.bytes() + estimate > self.bytes_max {
            return Admission::TooLarge;
        }
        self.bytes.fetch_add(estimate, Ordering::Relaxed);
        let tail = Arc::new(Tail::loading(dimension, self.tick(), estimate));
        tails.insert(key, Arc::clone(&tail));
        drop(tails);
        Admission::Load(Loading { cache: Arc::clone(self), key, tail, finished: false })
    }

    /// Shows a durable write to the tail of its namespace, if there is one. Called in the order of
    /// Lsns, by one thread per index.
    pub(crate) fn apply(&self, index: IndexId, lsn: Lsn, effect: Effect) {
        let Some(place) = effect.place else { return };
        let key = TailKey { index, place };
        if effect.emptied {
            self.remove(key);
            return;
        }
        let Some(tail) = self.tails.lock().get(&key).map(Arc::clone) else { return };
        let bytes = match tail.apply(lsn, effect) {
            Ok(Applied::Bytes(bytes)) => bytes,
            Ok(Applied::Unchanged) => return,
            Ok(Applied::Lost) => return self.remove(key),
            Err(error) => {
                // The rows are safe in storage: the next query loads them anew.
                let error: &dyn std::error::Error = &error;
                tracing::error!(%index, error, "a tail was dropped");
                self.remove(key);
                return;
            }
        };
        let mut tails = self.tails.lock();
        self.settle(&tails, key, &tail, bytes);
        self.make_room(&mut tails, 0);
    }

    /// The views of all tails that are loaded, with their indexes.
    pub(crate) fn views(&self) -> Vec<(IndexId, TailView)> {
        let tails = self.tails.lock();
        let views = tails.iter().map(|(key, tail)| Some((key.index, tail.view_now()?)));
        views.flatten().collect()
    }

    /// Drops all tails of an index.
    pub(crate) fn forget(&self, index: IndexId) {
        let mut tails = self.tails.lock();
        let keys: Vec<_> = tails.keys().filter(|key| key.index == index).copied().collect();
        for key in keys {
            self.take(&mut tails, key);
        }
    }

    /// Drops the tail of a namespace.
    pub(crate) fn remove(&self, key: TailKey) {
        let mut tails = self.tails.lock();
        self.take(&mut tails, key);
    }

    fn take(&self, tails: &mut HashMap<TailKey, Arc<Tail>>, key: TailKey) {
        if let Some(tail) = tails.remove(&key) {
            self.bytes.fetch_sub(tail.count_as(0), Ordering::Relaxed);
            tail.give_up();
        }
    }

    /// Drops the least recently searched tails until `wanted` more bytes fit.
    fn make_room(&self, tails: &mut HashMap<TailKey, Arc<Tail>>, wanted: u64) {
        while self.bytes() + wanted > self.bytes_max {
            let ready = tails.iter().filter(|(_, tail)| tail.is_ready());
            let oldest = ready.min_by_key(|(_, tail)| tail.last_used());
            let Some((&key, _)) = oldest else { return };
            self.take(tails, key);
        }
    }

    /// Replaces what is counted for a tail by what it takes, unless it has been dropped meanwhile.
    fn settle(
        &self,
        tails: &HashMap<TailKey, Arc<Tail>>,
        key: TailKey,
        tail: &Arc<Tail>,
        bytes: u64,
    ) {
        if tails.get(&key).is_some_and(|held| Arc::ptr_eq(held, tail)) {
            let before = tail.count_as(bytes);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.bytes.fetch_sub(before, Ordering::Relaxed);
        }
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }
}

impl Loading {
    /// Says how much has been loaded so far. `false` when that is more than there is room for: then
    /// the caller must give up.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        let mut tails = self.cache.tails.lock();
        let reserved = self.tail.bytes();
        if bytes > reserved {
            self.cache.make_room(&mut tails, bytes - reserved);
            if self.cache.bytes() + (bytes - reserved) > self.cache.bytes_max {
                return false;
            }
            self.cache.settle(&tails, self.key, &self.tail, bytes);
        }
        true
    }

    /// Gives the loaded rows, which show every write up to `lsn` and none after it. `None` when the
    /// segments were exchanged meanwhile: then they have to be loaded again.
    pub(crate) fn finish(
        mut self,
        loaded: LoadedRows,
        lsn: Lsn,
    ) -> Result<Option<Arc<Tail>>, EngineError> {
        let Some(bytes) = self.tail.become_ready(loaded, lsn)? else { return Ok(None) };
        let mut tails = self.cache.tails.lock();
        self.cache.settle(&tails, self.key, &self.tail, bytes);
        self.cache.make_room(&mut tails, 0);
        drop(tails);
        self.finished = true;
        Ok(Some(Arc::clone(&self.tail)))
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        if !self.finished {
            self.cache.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests;
