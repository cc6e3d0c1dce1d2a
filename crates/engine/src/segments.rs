//! The segments of a process: files on one side, what is searched on the other.
//!
//! A segment is one immutable file, opened once for all shards that use it: a clone searches the
//! very object that its source searches. INVARIANTS: a file is complete and on stable storage before
//! any row names it; a file that is being written, or waits for its row, is known as such, so that
//! no collection takes it for garbage.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use lodgepole_kernels::Kernels;
use lodgepole_rows::{DocId, SegmentEntry, SegmentId};
use lodgepole_search::{
    LiveSegment, RowSet, RowSource, Segment, SegmentBytes, SegmentError, SegmentShape,
    build_segment,
};
use lodgepole_storage::{Advice, Blob, BlobPath, Storage, StorageError};
use lodgepole_types::IndexId;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{EngineError, ShardRef};

/// Decides how vectors are rotated before they are coded. One for all: a query is rotated once for
/// all segments, and an index made from a backup goes on with the segments of its source.
const ROTATION_SEED: u64 = 0x6c6f_6467_6570_6f6c;

/// A segment that can be searched, with its name.
#[derive(Debug, Clone)]
pub(crate) struct OpenSegment {
    pub(crate) id: SegmentId,
    pub(crate) segment: Arc<Segment>,
}

impl OpenSegment {
    pub(crate) fn entry(&self) -> SegmentEntry {
        let rows = self.segment.rows() as u64;
        SegmentEntry { id: self.id, rows, bytes: self.segment.bytes() }
    }
}

/// The segment files of a process.
#[derive(Debug)]
pub(crate) struct SegmentStore {
    storage: Storage,
    /// Whether segments are built on threads of their own.
    builds_aside: bool,
    open: Mutex<HashMap<SegmentId, Weak<Segment>>>,
    unnamed: Mutex<BTreeSet<SegmentId>>,
    /// What the rows of an index name, as far as it was read since they last changed.
    marks: Mutex<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    version: u64,
    names: HashMap<IndexId, Arc<BTreeSet<SegmentId>>>,
}

/// A segment whose file no row names yet. Dropped, it counts as garbage unless a row does.
#[derive(Debug)]
pub(crate) struct Unnamed {
    store: Arc<SegmentStore>,
    pub(crate) id: SegmentId,
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        self.store.unnamed.lock().remove(&self.id);
    }
}

/// A segment as a namespace has it: with the rows that are dead by now.
#[derive(Debug, Clone)]
pub(crate) struct HeldSegment {
    pub(crate) open: OpenSegment,
    pub(crate) dead: RowSet,
}

impl HeldSegment {
    /// Rows that live.
    pub(crate) fn live_rows(&self) -> usize {
        self.open.segment.rows().saturating_sub(self.dead.len())
    }

    /// Marks a version dead; `false` when it is not in this segment.
    pub(crate) fn bury(&mut self, docid: DocId) -> Result<bool, SegmentError> {
        let row = self.open.segment.find(docid)?;
        if let Some(row) = row {
            self.dead.insert(row);
        }
        Ok(row.is_some())
    }

    /// What search is given.
    pub(crate) fn live(&self) -> LiveSegment<'_> {
        LiveSegment { segment: &self.open.segment, dead: &self.dead }
    }

    /// Bytes on the heap, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.open.segment.rows() as u64 / 8
    }
}

/// The bytes of a segment file.
#[derive(Debug)]
struct FileBytes(Blob);

impl SegmentBytes for FileBytes {
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl SegmentStore {
    pub(crate) fn new(storage: Storage, builds_aside: bool) -> Arc<Self> {
        Arc::new(Self {
            storage,
            builds_aside,
            open: Mutex::default(),
            unnamed: Mutex::default(),
            marks: Mutex::default(),
        })
    }

    /// The segment of this name, opened unless it is open.
    pub(crate) async fn open(&self, id: SegmentId) -> Result<OpenSegment, EngineError> {
        let held = self.open.lock().get(&id).and_then(Weak::upgrade);
        if let Some(segment) = held {
            return Ok(OpenSegment { id, segment });
        }
        let blob = match self.storage.open_blob(&path_of(id)).await {
            Ok(blob) => blob,
            Err(StorageError::BlobMissing(_)) => return Err(EngineError::SegmentMissing),
            Err(error) => return Err(error.into()),
        };
        let segment = Arc::new(Segment::open(Arc::new(FileBytes(blob.clone())))?);
        // A row of some hundred bytes else brings its surroundings along, and where memory is short
        // these push out what every search needs.
        for range in segment.scattered() {
            blob.advise(range, Advice::Random);
        }
        Ok(OpenSegment { id, segment: self.remember(id, segment) })
    }

    /// Two may have opened it at once: the first one stays.
    fn remember(&self, id: SegmentId, segment: Arc<Segment>) -> Arc<Segment> {
        let mut open = self.open.lock();
        open.retain(|_, segment| segment.strong_count() > 0);
        if let Some(first) = open.get(&id).and_then(Weak::upgrade) {
            return first;
        }
        open.insert(id, Arc::downgrade(&segment));
        segment
    }

    /// Builds a segment of some rows and writes it, on a thread of its own.
    pub(crate) async fn build<R: RowSource + Send + Sync + 'static>(
        self: &Arc<Self>,
        shape: ShardRef,
        rows: R,
        stop: Arc<AtomicBool>,
    ) -> Result<(OpenSegment, Unnamed), EngineError> {
        let mut random = [0; 16];
        self.storage.rng().fill(&mut random);
        let id = uuid::Builder::from_random_bytes(random).into_uuid();
        let id = SegmentId { origin: shape.index, id };
        self.unnamed.lock().insert(id);
        let unnamed = Unnamed { store: Arc::clone(self), id };
        let mut writer = self.storage.write_blob(&path_of(id))?;
        let shape = SegmentShape {
            dimension: shape.dimension(),
            metric: shape.metric(),
            seed: ROTATION_SEED,
        };
        let build = move || {
            let mut buffered = std::io::BufWriter::with_capacity(1 << 20, &mut writer);
            build_segment(&rows, shape, Kernels::detect(), &mut buffered, &stop)?;
            buffered.flush().map_err(SegmentError::from)?;
            drop(buffered);
            Ok::<_, SegmentError>(writer)
        };
        let built = if self.builds_aside {
            crate::background::run("build", build).await
        } else {
            Some(build())
        };
        let writer = built.ok_or(EngineError::SearchDied)??;
        self.storage.finish_blob(writer).await?;
        Ok((self.open(id).await?, unnamed))
    }

    /// Files that no row names yet.
    pub(crate) fn unnamed(&self) -> BTreeSet<SegmentId> {
        self.unnamed.lock().clone()
    }

    /// What the rows of an index name, if that is known.
    pub(crate) fn marks(&self, index: IndexId) -> Option<Arc<BTreeSet<SegmentId>>> {
        self.marks.lock().names.get(&index).cloned()
    }

    /// How often marks were forgotten. To be asked before rows are read whose names are remembered.
    pub(crate) fn marks_version(&self) -> u64 {
        self.marks.lock().version
    }

    /// Remembers what the rows of an index name, unless rows changed since `version`.
    pub(crate) fn remember_marks(
        &self,
        version: u64,
        index: IndexId,
        names: Arc<BTreeSet<SegmentId>>,
    ) {
        let mut marks = self.marks.lock();
        if marks.version == version {
            marks.names.insert(index, names);
        }
    }

    /// The rows of an index changed.
    pub(crate) fn forget_marks(&self, index: IndexId) {
        let mut marks = self.marks.lock();
        marks.version += 1;
        marks.names.remove(&index);
    }

    /// All files of an index.
    pub(crate) async fn files(&self, origin: IndexId) -> Result<Vec<SegmentId>, EngineError> {
        let blobs = self.storage.blobs(&folder_of(origin)).await?;
        let names = blobs.iter().filter_map(|(name, _)| Uuid::parse_str(name).ok());
        Ok(names.map(|id| SegmentId { origin, id }).collect())
    }

    pub(crate) async fn remove(&self, id: SegmentId) -> Result<(), EngineError> {
        Ok(self.storage.delete_blob(&path_of(id)).await?)
    }
}

fn folder_of(origin: IndexId) -> String {
    format!("ix/{origin}/seg")
}

fn path_of(id: SegmentId) -> BlobPath {
    BlobPath::new(&format!("{}/{}", folder_of(id.origin), id.id))
}
