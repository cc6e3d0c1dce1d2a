//! Vectors in memory, for exact search: one tail per searched namespace.
//!
//! A tail is loaded from the vector rows when its namespace is first searched, and follows every
//! durable write from then on. Invariants:
//!
//! - a view handed out never changes: chunks are immutable but for the moment a row died, and a
//!   view ignores deaths after its Lsn;
//! - a tail shows every write that was answered before the view was taken;
//! - all tails together stay below a budget, those being loaded included, by what they are expected
//!   to take; the least recently searched ones go first, and a namespace for which there is no room
//!   is not held at all (the caller searches it from storage).
//!
//! Loading races with writes without stopping them: effects that arrive while the rows are being
//! scanned are buffered, and replayed over the result. Replaying is idempotent, because docids are
//! never reused and only grow: a version at or below the largest loaded docid is either loaded or
//! superseded already.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lodgepole_search::{ChunkError, FlatChunk, FlatChunkBuilder};
use lodgepole_types::{IndexId, Lsn, RecordId};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::change::Effect;
use crate::rows::{DocId, Place};

/// Rows above which appended chunks are no longer merged with their neighbours.
const MERGED_ROWS_MAX: usize = 16_384;

/// The namespace of one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TailKey {
    pub(crate) index: IndexId,
    pub(crate) place: Place,
}

/// What a query searches.
#[derive(Debug, Clone)]
pub(crate) struct TailView {
    pub(crate) chunks: Arc<Vec<Arc<FlatChunk>>>,
    pub(crate) lsn: Lsn,
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

/// One namespace's vectors.
#[derive(Debug)]
pub(crate) struct Tail {
    dimension: usize,
    state: Mutex<State>,
    ready: watch::Sender<Progress>,
    last_used: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Loading,
    Ready,
    GivenUp,
}

#[derive(Debug)]
enum State {
    Loading(Vec<(Lsn, Effect)>),
    Ready { chunks: Arc<Vec<Arc<FlatChunk>>>, lsn: Lsn, loaded_max: Option<DocId>, loaded: usize },
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
        let grown = match tail.apply(lsn, effect) {
            Ok(grown) => grown,
            Err(error) => {
                // The rows are safe in storage: the next query loads them anew.
                let error: &dyn std::error::Error = &error;
                tracing::error!(%index, error, "a tail was dropped");
                self.remove(key);
                return;
            }
        };
        let mut tails = self.tails.lock();
        self.account(&tails, key, &tail, grown);
        self.make_room(&mut tails, 0);
    }

    /// Drops all tails of an index.
    pub(crate) fn forget(&self, index: IndexId) {
        let mut tails = self.tails.lock();
        let keys: Vec<_> = tails.keys().filter(|key| key.index == index).copied().collect();
        for key in keys {
            self.take(&mut tails, key);
        }
    }

    fn remove(&self, key: TailKey) {
        let mut tails = self.tails.lock();
        self.take(&mut tails, key);
    }

    fn take(&self, tails: &mut HashMap<TailKey, Arc<Tail>>, key: TailKey) {
        if let Some(tail) = tails.remove(&key) {
            self.bytes.fetch_sub(tail.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            tail.give_up();
        }
    }

    /// Drops the least recently searched tails until `wanted` more bytes fit.
    fn make_room(&self, tails: &mut HashMap<TailKey, Arc<Tail>>, wanted: u64) {
        while self.bytes() + wanted > self.bytes_max {
            let ready = tails.iter().filter(|(_, tail)| tail.is_ready());
            let oldest = ready.min_by_key(|(_, tail)| tail.last_used.load(Ordering::Relaxed));
            let Some((&key, _)) = oldest else { return };
            self.take(tails, key);
        }
    }

    /// Counts bytes of a tail, unless it has been dropped meanwhile.
    fn account(
        &self,
        tails: &HashMap<TailKey, Arc<Tail>>,
        key: TailKey,
        tail: &Arc<Tail>,
        grown: u64,
    ) {
        if tails.get(&key).is_some_and(|held| Arc::ptr_eq(held, tail)) {
            tail.bytes.fetch_add(grown, Ordering::Relaxed);
            self.bytes.fetch_add(grown, Ordering::Relaxed);
        }
    }

    /// Replaces what was reserved for a tail by what it takes.
    fn settle(
        &self,
        tails: &HashMap<TailKey, Arc<Tail>>,
        key: TailKey,
        tail: &Arc<Tail>,
        bytes: u64,
    ) {
        if tails.get(&key).is_some_and(|held| Arc::ptr_eq(held, tail)) {
            let reserved = tail.bytes.swap(bytes, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.bytes.fetch_sub(reserved, Ordering::Relaxed);
        }
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }
}

impl Loading {
    /// Gives the loaded rows; `lsn` is the last write that they are sure to hold.
    pub(crate) fn finish(
        mut self,
        chunks: Vec<FlatChunk>,
        lsn: Lsn,
    ) -> Result<Arc<Tail>, ChunkError> {
        let bytes = self.tail.become_ready(chunks, lsn)?;
        let mut tails = self.cache.tails.lock();
        self.cache.settle(&tails, self.key, &self.tail, bytes);
        self.cache.make_room(&mut tails, 0);
        drop(tails);
        self.finished = true;
        Ok(Arc::clone(&self.tail))
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        if !self.finished {
            self.cache.remove(self.key);
        }
    }
}

impl Tail {
    /// A tail to be; `reserved` bytes are counted for it until its true size is known.
    fn loading(dimension: usize, tick: u64, reserved: u64) -> Self {
        Self {
            dimension,
            state: Mutex::new(State::Loading(Vec::new())),
            ready: watch::Sender::new(Progress::Loading),
            last_used: AtomicU64::new(tick),
            bytes: AtomicU64::new(reserved),
        }
    }

    fn touch(&self, tick: u64) {
        self.last_used.store(tick, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        *self.ready.borrow() == Progress::Ready
    }

    fn give_up(&self) {
        self.ready.send_if_modified(|progress| {
            let was_loading = *progress == Progress::Loading;
            if was_loading {
                *progress = Progress::GivenUp;
            }
            was_loading
        });
    }

    /// Waits until the tail is loaded and returns what can be searched now; `None` when whoever
    /// loaded it gave up.
    pub(crate) async fn view(&self) -> Option<TailView> {
        let mut progress = self.ready.subscribe();
        let reached = progress.wait_for(|progress| *progress != Progress::Loading).await.ok()?;
        if *reached == Progress::GivenUp {
            return None;
        }
        drop(reached);
        match &*self.state.lock() {
            State::Loading(_) => None,
            State::Ready { chunks, lsn, .. } => {
                Some(TailView { chunks: Arc::clone(chunks), lsn: *lsn })
            }
        }
    }

    fn become_ready(&self, loaded: Vec<FlatChunk>, lsn: Lsn) -> Result<u64, ChunkError> {
        let mut state = self.state.lock();
        let buffered = match &mut *state {
            State::Loading(buffered) => std::mem::take(buffered),
            State::Ready { .. } => Vec::new(),
        };
        let loaded_max =
            loaded.iter().filter_map(FlatChunk::docid_range).map(|range| range.1).max();
        let count = loaded.len();
        let mut chunks: Vec<_> = loaded.into_iter().map(Arc::new).collect();
        let mut at = lsn;
        for (lsn, effect) in buffered {
            self.replay(&mut chunks, count, loaded_max, lsn, effect)?;
            at = at.max(lsn);
        }
        let bytes = chunks.iter().map(|chunk| chunk.bytes() as u64).sum();
        *state = State::Ready { chunks: Arc::new(chunks), lsn: at, loaded_max, loaded: count };
        drop(state);
        self.ready.send_replace(Progress::Ready);
        Ok(bytes)
    }

    /// Applies an effect; returns the bytes that it added.
    fn apply(&self, at: Lsn, effect: Effect) -> Result<u64, ChunkError> {
        let (mut next, loaded_max, loaded) = {
            let mut state = self.state.lock();
            match &mut *state {
                State::Loading(buffered) => {
                    buffered.push((at, effect));
                    return Ok(0);
                }
                State::Ready { chunks, loaded_max, loaded, .. } => {
                    ((**chunks).clone(), *loaded_max, *loaded)
                }
            }
        };
        // Only the applier of this index changes a ready tail, so the copy is built unlocked.
        let before: u64 = next.iter().map(|chunk| chunk.bytes() as u64).sum();
        self.replay(&mut next, loaded, loaded_max, at, effect)?;
        let after: u64 = next.iter().map(|chunk| chunk.bytes() as u64).sum();
        let next = Arc::new(next);
        *self.state.lock() = State::Ready { chunks: next, lsn: at, loaded_max, loaded };
        Ok(after.saturating_sub(before))
    }

    fn replay(
        &self,
        chunks: &mut Vec<Arc<FlatChunk>>,
        loaded: usize,
        loaded_max: Option<DocId>,
        at: Lsn,
        effect: Effect,
    ) -> Result<(), ChunkError> {
        for docid in effect.buried {
            let _found = chunks.iter().any(|chunk| chunk.bury(docid, at));
        }
        let new = |docid: DocId| loaded_max.is_none_or(|max| docid > max);
        let added: Vec<_> = effect
            .added
            .into_iter()
            .filter(|added| new(added.docid) && added.values.len() == self.dimension)
            .collect();
        if added.is_empty() {
            return Ok(());
        }
        let mut builder = FlatChunkBuilder::with_capacity(self.dimension, added.len());
        for added in &added {
            builder.push(added.docid, &added.id, at, &added.values)?;
        }
        chunks.push(Arc::new(builder.finish()));
        merge_small(chunks, loaded, at)
    }
}

/// Merges the newest chunks while the last is at least half as large as the one before, so a row is
/// copied a logarithmic number of times and a tail has a logarithmic number of small chunks.
fn merge_small(chunks: &mut Vec<Arc<FlatChunk>>, loaded: usize, at: Lsn) -> Result<(), ChunkError> {
    while chunks.len() >= loaded + 2 {
        let (last, before) = (&chunks[chunks.len() - 1], &chunks[chunks.len() - 2]);
        let rows = last.rows() + before.rows();
        if rows > MERGED_ROWS_MAX || last.rows() * 2 < before.rows() {
            return Ok(());
        }
        let merged = FlatChunk::merged(&chunks[chunks.len() - 2..], at)?;
        chunks.truncate(chunks.len() - 2);
        if merged.rows() > 0 {
            chunks.push(Arc::new(merged));
        }
    }
    Ok(())
}

/// Gathers rows in any order into chunks of ascending docids.
#[derive(Debug)]
pub(crate) struct ChunkGatherer {
    dimension: usize,
    pending: Vec<(DocId, RecordId, Vec<f32>)>,
    chunks: Vec<FlatChunk>,
}

impl ChunkGatherer {
    /// Rows of one chunk.
    const CHUNK_ROWS: usize = 8_192;

    pub(crate) fn new(dimension: usize) -> Self {
        Self { dimension, pending: Vec::new(), chunks: Vec::new() }
    }

    /// Takes a row. Rows without dense values are not searched here.
    pub(crate) fn push(
        &mut self,
        docid: DocId,
        id: RecordId,
        values: Vec<f32>,
    ) -> Result<(), ChunkError> {
        if values.len() != self.dimension {
            return Ok(());
        }
        self.pending.push((docid, id, values));
        if self.pending.len() == Self::CHUNK_ROWS { self.seal() } else { Ok(()) }
    }

    /// Whether a chunk has been completed.
    pub(crate) fn is_chunk_full(&self) -> bool {
        !self.chunks.is_empty()
    }

    pub(crate) fn finish(mut self) -> Result<Vec<FlatChunk>, ChunkError> {
        self.seal()?;
        Ok(self.chunks)
    }

    fn seal(&mut self) -> Result<(), ChunkError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.pending.sort_unstable_by_key(|row| row.0);
        let mut builder = FlatChunkBuilder::with_capacity(self.dimension, self.pending.len());
        for (docid, id, values) in self.pending.drain(..) {
            builder.push(docid, &id, Lsn(0), &values)?;
        }
        self.chunks.push(builder.finish());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
