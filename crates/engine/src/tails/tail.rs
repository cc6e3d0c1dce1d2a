//! One namespace in memory: its segments, and the rows that are in none.
//!
//! Each version of a record is in one place, a chunk or a segment. When the indexer's segments come,
//! the rows that they hold leave the chunks in the same step, with the deaths that were noted since
//! its job began.
//!
//! Loading races with writes without stopping them. A tail is registered first, so it is shown every
//! write from then on; those that arrive before the rows are loaded wait. The rows are read from one
//! view that was taken after the registration, at some Lsn: it shows all writes up to there, whole,
//! and none after it. So of what waited, that up to the Lsn is dropped and the rest is applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lodgepole_rows::{DocId, RowError};
use lodgepole_search::{ChunkError, FlatChunk, FlatChunkBuilder, RowParts, RowSet, Segment};
use lodgepole_types::{Lsn, RecordId, StoredMetadata};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::EngineError;
use crate::change::{Added, Effect, Indexed, Revised};
use crate::segments::HeldSegment;

/// Rows above which appended chunks are no longer merged with their neighbours.
const MERGED_ROWS_MAX: usize = 16_384;

/// What a query searches.
#[derive(Debug, Clone)]
pub(crate) struct TailView {
    pub(crate) chunks: Arc<[Arc<FlatChunk>]>,
    pub(crate) segments: Arc<[HeldSegment]>,
    pub(crate) lsn: Lsn,
}

/// What a namespace is made of when its tail is loaded, or when work on its segments begins.
#[derive(Debug, Default)]
pub(crate) struct LoadedRows {
    pub(crate) segments: Vec<HeldSegment>,
    /// The rows that no segment holds.
    pub(crate) chunks: Vec<FlatChunk>,
    /// The last docid that had been given out.
    pub(crate) seq: DocId,
}

/// The state that new segments are built of.
#[derive(Debug)]
pub(crate) struct JobView {
    pub(crate) view: TailView,
    /// All versions up to this one are in the view.
    pub(crate) seq: DocId,
}

/// What an effect did to a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    /// It takes so many bytes now.
    Bytes(u64),
    /// Nothing.
    Unchanged,
    /// It cannot follow: it has to be loaded anew.
    Lost,
}

/// Versions that died since work on the segments began.
#[derive(Debug)]
struct Journal {
    job: u64,
    deaths: Vec<DocId>,
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
    Ready { stacks: Stacks, view: TailView, journal: Option<Journal> },
}

/// The segments, and the chunks of what is in none: those with dense vectors, and those without,
/// each by ascending docid.
#[derive(Debug, Clone, Default)]
struct Stacks {
    dense: Stack,
    bare: Stack,
    segments: Arc<[HeldSegment]>,
    seq: DocId,
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
        self.view_now()
    }

    /// What can be searched now; `None` while it is being loaded.
    pub(crate) fn view_now(&self) -> Option<TailView> {
        match &*self.state.lock() {
            State::Loading(_) => None,
            State::Ready { view, .. } => Some(view.clone()),
        }
    }

    /// Takes the loaded rows and what was written meanwhile; returns the bytes of it all. `None` when
    /// the segments were exchanged meanwhile.
    pub(super) fn become_ready(
        &self,
        loaded: LoadedRows,
        lsn: Lsn,
    ) -> Result<Option<u64>, EngineError> {
        let mut state = self.state.lock();
        let buffered = match &mut *state {
            State::Loading(buffered) => std::mem::take(buffered),
            State::Ready { .. } => Vec::new(),
        };
        let mut stacks = Stacks::of(loaded);
        let mut at = lsn;
        for (lsn, effect) in buffered {
            if lsn > at {
                if !stacks.apply(self.dimension, lsn, effect, None)? {
                    return Ok(None);
                }
                at = lsn;
            }
        }
        let bytes = stacks.bytes();
        let view = stacks.view(at);
        *state = State::Ready { stacks, view, journal: None };
        drop(state);
        self.ready.send_replace(Progress::Ready);
        Ok(Some(bytes))
    }

    /// Applies an effect.
    pub(super) fn apply(&self, at: Lsn, effect: Effect) -> Result<Applied, EngineError> {
        let (mut next, journal) = {
            let mut state = self.state.lock();
            match &mut *state {
                State::Loading(buffered) => {
                    buffered.push((at, effect));
                    return Ok(Applied::Unchanged);
                }
                // The view that it was loaded from may have been ahead of the applier.
                State::Ready { view, .. } if at <= view.lsn => return Ok(Applied::Unchanged),
                State::Ready { stacks, journal, .. } => {
                    let journal = if effect.indexed.is_some() { journal.take() } else { None };
                    (stacks.clone(), journal)
                }
            }
        };
        let buried = effect.buried.clone();
        // Only the applier of this index changes a ready tail, so the copy is built unlocked.
        if !next.apply(self.dimension, at, effect, journal)? {
            return Ok(Applied::Lost);
        }
        let (bytes, now) = (next.bytes(), next.view(at));
        if let State::Ready { stacks, view, journal } = &mut *self.state.lock() {
            (*stacks, *view) = (next, now);
            // With the lock held that a job begins under: it sees these deaths, or they are noted.
            if let Some(journal) = journal {
                journal.deaths.extend(buried);
            }
        }
        Ok(Applied::Bytes(bytes))
    }

    /// The state to build segments of. Deaths are noted from now on, until the segments of this
    /// job come or another job begins. `None` while the tail is being loaded.
    pub(crate) fn begin_job(&self, job: u64) -> Option<JobView> {
        match &mut *self.state.lock() {
            State::Loading(_) => None,
            State::Ready { stacks, view, journal } => {
                *journal = Some(Journal { job, deaths: Vec::new() });
                Some(JobView { view: view.clone(), seq: stacks.seq })
            }
        }
    }

    /// Ends the noting of deaths for a job, if it was not ended by its segments.
    pub(crate) fn end_job(&self, job: u64) {
        if let State::Ready { journal, .. } = &mut *self.state.lock()
            && journal.as_ref().is_some_and(|journal| journal.job == job)
        {
            *journal = None;
        }
    }

    /// Rows that no segment holds, and their bytes.
    pub(crate) fn unindexed(&self) -> (u64, u64) {
        match &*self.state.lock() {
            State::Loading(_) => (0, 0),
            State::Ready { stacks, .. } => {
                let rows =
                    stacks.chunks().map(|chunk| chunk.rows() - chunk.dead_rows()).sum::<usize>();
                (rows as u64, stacks.chunk_bytes())
            }
        }
    }
}

impl Stacks {
    fn of(loaded: LoadedRows) -> Self {
        let LoadedRows { segments, chunks, seq } = loaded;
        let (bare, dense) =
            chunks.into_iter().map(Arc::new).partition(|chunk| chunk.dimension() == 0);
        let stack = |chunks: Vec<_>| Stack { loaded: chunks.len(), chunks };
        Self { dense: stack(dense), bare: stack(bare), segments: segments.into(), seq }
    }

    fn view(&self, lsn: Lsn) -> TailView {
        let chunks = self.chunks().map(Arc::clone).collect();
        TailView { chunks, segments: Arc::clone(&self.segments), lsn }
    }

    fn chunks(&self) -> impl Iterator<Item = &Arc<FlatChunk>> {
        self.dense.chunks.iter().chain(&self.bare.chunks)
    }

    fn bytes(&self) -> u64 {
        self.chunk_bytes() + self.segments.iter().map(HeldSegment::bytes).sum::<u64>()
    }

    fn chunk_bytes(&self) -> u64 {
        self.chunks().map(|chunk| chunk.bytes() as u64).sum()
    }

    /// `false` when what is held cannot be made what it should be.
    fn apply(
        &mut self,
        dimension: usize,
        at: Lsn,
        effect: Effect,
        journal: Option<Journal>,
    ) -> Result<bool, EngineError> {
        let Effect { added, revised, buried, seq, indexed, distrusted, .. } = effect;
        if distrusted {
            return Ok(false);
        }
        if let Some(indexed) = indexed {
            let Some(journal) = journal.filter(|journal| journal.job == indexed.job) else {
                return Ok(false);
            };
            self.exchange(indexed, &journal.deaths, at)?;
        }
        self.seq = self.seq.max(seq);
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
        self.bury(&buried, at)?;
        for stack in [&mut self.dense, &mut self.bare] {
            stack.drop_dead(at)?;
            stack.merge_small(at)?;
        }
        Ok(true)
    }

    /// Each version is in a chunk or in a segment.
    fn bury(&mut self, buried: &[DocId], at: Lsn) -> Result<(), EngineError> {
        let mut segments: Option<Vec<HeldSegment>> = None;
        for &docid in buried {
            if self.chunks().any(|chunk| chunk.bury(docid, at)) {
                continue;
            }
            for held in segments.get_or_insert_with(|| self.segments.to_vec()) {
                if held.bury(docid)? {
                    break;
                }
            }
        }
        if let Some(segments) = segments {
            self.segments = segments.into();
        }
        Ok(())
    }

    /// Puts new segments in the place of others and of the chunks' rows that they hold.
    fn exchange(&mut self, indexed: Indexed, deaths: &[DocId], at: Lsn) -> Result<(), EngineError> {
        let Indexed { removed, added, upto, unnamed, .. } = indexed;
        let stays = |held: &&HeldSegment| !removed.contains(&held.open.id);
        let mut segments: Vec<_> = self.segments.iter().filter(stays).cloned().collect();
        for open in added {
            let dead = RowSet::new(open.segment.rows());
            let mut held = HeldSegment { open, dead };
            for &docid in deaths {
                held.bury(docid)?;
            }
            segments.push(held);
        }
        self.segments = segments.into();
        for stack in [&mut self.dense, &mut self.bare] {
            stack.drop_until(upto, at)?;
        }
        // From here on rows name the files, and the collector has been told to read them again.
        drop(unnamed);
        Ok(())
    }

    /// Finds the vectors of a new version in the one before.
    fn revision(&self, revised: Revised) -> Result<NewRow, EngineError> {
        let Revised { old, docid, id: _, metadata } = revised;
        let mut found = self.chunks().filter_map(|chunk| chunk.find(old).map(|row| (chunk, row)));
        if let Some((chunk, row)) = found.next() {
            return Ok(NewRow::Revised { chunk: Arc::clone(chunk), row, docid, metadata });
        }
        for held in self.segments.iter() {
            if let Some(row) = held.open.segment.find(old)? {
                let segment = Arc::clone(&held.open.segment);
                let is_dense = !segment.row(row)?.values.is_empty();
                return Ok(NewRow::Thawed { segment, row, is_dense, docid, metadata });
            }
        }
        Err(RowError::unmatched().into())
    }
}

/// A row to be appended.
enum NewRow {
    Added(Added),
    Revised {
        chunk: Arc<FlatChunk>,
        row: usize,
        docid: DocId,
        metadata: Vec<u8>,
    },
    /// Revised, with the vectors of a segment's row.
    Thawed {
        segment: Arc<Segment>,
        row: u32,
        is_dense: bool,
        docid: DocId,
        metadata: Vec<u8>,
    },
}

impl NewRow {
    fn docid(&self) -> DocId {
        match self {
            Self::Added(added) => added.docid,
            Self::Revised { docid, .. } | Self::Thawed { docid, .. } => *docid,
        }
    }

    fn is_dense(&self) -> bool {
        match self {
            Self::Added(added) => !added.values.is_empty(),
            Self::Revised { chunk, .. } => chunk.dimension() > 0,
            Self::Thawed { is_dense, .. } => *is_dense,
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
            NewRow::Thawed { segment, row, docid, metadata, .. } => {
                let before = segment.row(*row)?;
                let id = RecordId::parse(before.id).map_err(|_| RowError::unmatched())?;
                let parts = RowParts {
                    id: &id,
                    values: before.values,
                    sparse: before.sparse,
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

    /// Drops the rows up to a version: they are in a segment now.
    fn drop_until(&mut self, upto: DocId, at: Lsn) -> Result<(), ChunkError> {
        let mut chunks = Vec::new();
        for chunk in std::mem::take(&mut self.chunks) {
            match chunk.docid_range() {
                Some((first, _)) if first > upto => chunks.push(chunk),
                Some((_, last)) if last > upto => chunks.push(Arc::new(chunk.after(upto, at)?)),
                Some(_) | None => {}
            }
        }
        // What was loaded lies before the job, and so is gone.
        self.loaded = 0;
        chunks.retain(|chunk| chunk.rows() > 0);
        self.chunks = chunks;
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
