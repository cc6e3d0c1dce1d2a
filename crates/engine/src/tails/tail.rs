//! The records of one namespace in memory.
//!
//! Loading races with writes without stopping them. A tail is registered first, so it is shown every
//! write from then on; those that arrive before the rows are loaded wait. The rows are read from one
//! view that was taken after the registration, at some Lsn: it shows all writes up to there, whole,
//! and none after it. So of what waited, that up to the Lsn is dropped and the rest is applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lodgepole_search::{ChunkError, FlatChunk, FlatChunkBuilder, RowParts};
use lodgepole_types::{Lsn, RecordId, StoredMetadata};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::EngineError;
use crate::change::{Added, Effect, Revised};
use crate::rows::{DocId, RowError};

/// Rows above which appended chunks are no longer merged with their neighbours.
const MERGED_ROWS_MAX: usize = 16_384;

/// What a query searches.
#[derive(Debug, Clone)]
pub(crate) struct TailView {
    pub(crate) chunks: Arc<[Arc<FlatChunk>]>,
    pub(crate) lsn: Lsn,
}

/// One namespace's records.
#[derive(Debug)]
pub(crate) struct Tail {
    dimension: usize,
    state: Mutex<State>,
    ready: watch::Sender<Progress>,
    last_used: AtomicU64,
    /// What is counted for it in the budget.
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
    Ready { stacks: Stacks, view: TailView },
}

/// The chunks of a tail: those with dense vectors, and those without. Each by ascending docid.
#[derive(Debug, Clone, Default)]
struct Stacks {
    dense: Stack,
    bare: Stack,
}

/// Chunks of one dimension.
#[derive(Debug, Clone, Default)]
struct Stack {
    chunks: Vec<Arc<FlatChunk>>,
    /// How many of them were loaded; the others were appended, and may be merged.
    loaded: usize,
}

impl Tail {
    /// A tail to be; `reserved` bytes are counted for it until its true size is known.
    pub(super) fn loading(dimension: usize, tick: u64, reserved: u64) -> Self {
        Self {
            dimension,
            state: Mutex::new(State::Loading(Vec::new())),
            ready: watch::Sender::new(Progress::Loading),
            last_used: AtomicU64::new(tick),
            bytes: AtomicU64::new(reserved),
        }
    }

    pub(super) fn touch(&self, tick: u64) {
        self.last_used.store(tick, Ordering::Relaxed);
    }

    pub(super) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// What is counted for it in the budget.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Changes what is counted for it; returns what was counted before.
    pub(super) fn count_as(&self, bytes: u64) -> u64 {
        self.bytes.swap(bytes, Ordering::Relaxed)
    }

    pub(super) fn is_ready(&self) -> bool {
        *self.ready.borrow() == Progress::Ready
    }

    pub(super) fn give_up(&self) {
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
            State::Ready { view, .. } => Some(view.clone()),
        }
    }

    /// Takes the loaded chunks and what was written meanwhile; returns the bytes of it all.
    pub(super) fn become_ready(
        &self,
        loaded: Vec<FlatChunk>,
        lsn: Lsn,
    ) -> Result<u64, EngineError> {
        let mut state = self.state.lock();
        let buffered = match &mut *state {
            State::Loading(buffered) => std::mem::take(buffered),
            State::Ready { .. } => Vec::new(),
        };
        let mut stacks = Stacks::of(loaded);
        let mut at = lsn;
        for (lsn, effect) in buffered {
            if lsn > at {
                stacks.apply(self.dimension, lsn, effect)?;
                at = lsn;
            }
        }
        let bytes = stacks.bytes();
        let view = stacks.view(at);
        *state = State::Ready { stacks, view };
        drop(state);
        self.ready.send_replace(Progress::Ready);
        Ok(bytes)
    }

    /// Applies an effect; returns the bytes of the tail then, or nothing when it did not change.
    pub(super) fn apply(&self, at: Lsn, effect: Effect) -> Result<Option<u64>, EngineError> {
        let mut next = {
            let mut state = self.state.lock();
            match &mut *state {
                State::Loading(buffered) => {
                    buffered.push((at, effect));
                    return Ok(None);
                }
                // The view that it was loaded from may have been ahead of the applier.
                State::Ready { view, .. } if at <= view.lsn => return Ok(None),
                State::Ready { stacks, .. } => stacks.clone(),
            }
        };
        // Only the applier of this index changes a ready tail, so the copy is built unlocked.
        next.apply(self.dimension, at, effect)?;
        let (bytes, view) = (next.bytes(), next.view(at));
        *self.state.lock() = State::Ready { stacks: next, view };
        Ok(Some(bytes))
    }
}

impl Stacks {
    fn of(loaded: Vec<FlatChunk>) -> Self {
        let (bare, dense) =
            loaded.into_iter().map(Arc::new).partition(|chunk| chunk.dimension() == 0);
        let stack = |chunks: Vec<_>| Stack { loaded: chunks.len(), chunks };
        Self { dense: stack(dense), bare: stack(bare) }
    }

    fn view(&self, lsn: Lsn) -> TailView {
        TailView { chunks: self.chunks().map(Arc::clone).collect(), lsn }
    }

    fn chunks(&self) -> impl Iterator<Item = &Arc<FlatChunk>> {
        self.dense.chunks.iter().chain(&self.bare.chunks)
    }

    fn bytes(&self) -> u64 {
        self.chunks().map(|chunk| chunk.bytes() as u64).sum()
    }

    fn apply(&mut self, dimension: usize, at: Lsn, effect: Effect) -> Result<(), EngineError> {
        let Effect { added, revised, buried, .. } = effect;
        let mut rows: Vec<_> = added.into_iter().map(NewRow::Added).collect();
        for revised in revised {
            rows.push(self.revision(revised)?);
        }
        rows.sort_unstable_by_key(NewRow::docid);
        let (dense, bare): (Vec<_>, Vec<_>) = rows.into_iter().partition(NewRow::is_dense);
        let dense = build(dimension, at, &dense)?;
        let bare = build(0, at, &bare)?;
        // A record may be changed more than once in one write: what is new can be gone already.
        self.dense.chunks.extend(dense);
        self.bare.chunks.extend(bare);
        for docid in buried {
            let _found = self.chunks().any(|chunk| chunk.bury(docid, at));
        }
        for stack in [&mut self.dense, &mut self.bare] {
            stack.drop_dead(at)?;
            stack.merge_small(at)?;
        }
        Ok(())
    }

    /// Finds the vectors of a new version in the one before.
    fn revision(&self, revised: Revised) -> Result<NewRow, EngineError> {
        let Revised { old, docid, metadata } = revised;
        let mut found = self.chunks().filter_map(|chunk| chunk.find(old).map(|row| (chunk, row)));
        let Some((chunk, row)) = found.next() else { return Err(RowError::unmatched().into()) };
        Ok(NewRow::Revised { chunk: Arc::clone(chunk), row, docid, metadata })
    }
}

/// A row to be appended.
enum NewRow {
    Added(Added),
    Revised { chunk: Arc<FlatChunk>, row: usize, docid: DocId, metadata: Vec<u8> },
}

impl NewRow {
    fn docid(&self) -> DocId {
        match self {
            Self::Added(added) => added.docid,
            Self::Revised { docid, .. } => *docid,
        }
    }

    fn is_dense(&self) -> bool {
        match self {
            Self::Added(added) => !added.values.is_empty(),
            Self::Revised { chunk, .. } => chunk.dimension() > 0,
        }
    }
}

fn build(
    dimension: usize,
    at: Lsn,
    rows: &[NewRow],
) -> Result<Option<Arc<FlatChunk>>, EngineError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let mut builder = FlatChunkBuilder::with_capacity(dimension, rows.len());
    for new in rows {
        match new {
            NewRow::Added(added) => {
                let parts = RowParts {
                    id: &added.id,
                    values: &added.values,
                    sparse: added.sparse.as_ref().map(Into::into),
                    metadata: StoredMetadata::new(&added.metadata),
                };
                builder.push(added.docid, at, parts)?;
            }
            NewRow::Revised { chunk, row, docid, metadata } => {
                let id = RecordId::parse(chunk.id_of(*row)).map_err(|_| RowError::unmatched())?;
                let parts = RowParts {
                    id: &id,
                    values: chunk.values_of(*row),
                    sparse: chunk.sparse_of(*row),
                    metadata: StoredMetadata::new(metadata),
                };
                builder.push(*docid, at, parts)?;
            }
        }
    }
    Ok(Some(Arc::new(builder.finish())))
}

impl Stack {
    /// Rewrites chunks of which most rows are dead, so that a namespace that is overwritten again
    /// and again takes at most about twice what its records take.
    fn drop_dead(&mut self, at: Lsn) -> Result<(), ChunkError> {
        let mut at_chunk = 0;
        while let Some(chunk) = self.chunks.get(at_chunk) {
            if chunk.dead_rows() * 2 <= chunk.rows() {
                at_chunk += 1;
                continue;
            }
            let rest = FlatChunk::merged(std::slice::from_ref(chunk), at)?;
            if rest.rows() > 0 {
                self.chunks[at_chunk] = Arc::new(rest);
                at_chunk += 1;
            } else {
                self.chunks.remove(at_chunk);
                self.loaded -= usize::from(at_chunk < self.loaded);
            }
        }
        Ok(())
    }

    /// Merges the newest chunks while the last is at least half as large as the one before, so a
    /// row is copied a logarithmic number of times and a tail has a logarithmic number of small
    /// chunks.
    fn merge_small(&mut self, at: Lsn) -> Result<(), ChunkError> {
        let chunks = &mut self.chunks;
        while chunks.len() >= self.loaded + 2 {
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
}
