//! Reading a namespace into memory, for search.
//!
//! With segments only what came after them is read; without, every record is. A namespace for which
//! there is no room is not read at all. Writes go on meanwhile; the tail follows them. Invariant:
//! what a damaged segment holds is never served: the segments of the namespace are given up, and it
//! is read from its records until the indexer has built new ones.

use std::sync::Arc;

use lodgepole_rows::Place;
use lodgepole_types::NamespaceName;

use crate::change::{Change, SegmentsChange};
use crate::record_scan::{RecordScan, place_in};
use crate::segment_load::{Indexed, segments_in, seq_in};
use crate::shard::Shard;
use crate::tails::{Admission, ChunkGatherer, LoadedRows, Loading, Tail, TailKey};
use crate::versions::{Unindexed, VersionScan};
use crate::{EngineError, WriteError};

/// Bytes a row takes in memory beside its vectors, id and metadata.
const ROW_OVERHEAD_BYTES: u64 = 48;

/// What became of reading a namespace into memory.
enum Loaded {
    Ready(Arc<Tail>),
    /// The namespace was emptied or deleted, or its segments were exchanged meanwhile.
    Moved,
    /// It takes more than was expected, and there is no room for that.
    TooLarge,
}

impl Shard {
    /// The tail of a namespace, loaded unless somebody else does or did; `None` when there is no
    /// room for it.
    pub(crate) async fn tail(
        &self,
        namespace: &NamespaceName,
        place: Place,
    ) -> Result<Option<Arc<Tail>>, EngineError> {
        let key = TailKey { index: self.shape.index, place };
        loop {
            let admission = match self.commons.tails.held(key) {
                Some(tail) => Admission::Present(tail),
                None => {
                    let estimate = self.tail_bytes(place).await?;
                    self.commons.tails.admit(key, self.shape.dimension(), estimate)
                }
            };
            match admission {
                Admission::Present(tail) => return Ok(Some(tail)),
                Admission::TooLarge => {
                    self.wish_if_bare(namespace, place).await?;
                    return Ok(None);
                }
                Admission::Load(loading) => match self.load(loading, namespace, place).await? {
                    Loaded::Ready(tail) => {
                        self.wish_for_index(namespace, &tail);
                        return Ok(Some(tail));
                    }
                    Loaded::TooLarge => {
                        self.wish_if_bare(namespace, place).await?;
                        return Ok(None);
                    }
                    Loaded::Moved => {
                        let now = self.place(namespace).await?;
                        if now != Some(place) {
                            return Ok(None);
                        }
                    }
                },
            }
        }
    }

    /// What there is no room for is searched fast only once there are segments of it.
    async fn wish_if_bare(&self, name: &NamespaceName, place: Place) -> Result<(), EngineError> {
        if segments_in(&self.database.view()?, place).await?.is_empty() {
            self.commons.wishes.add(self.shape, name.clone(), self.commons.clock.elapsed());
        }
        Ok(())
    }

    fn wish_for_index(&self, namespace: &NamespaceName, tail: &Tail) {
        let (rows, bytes) = tail.unindexed();
        if self.commons.options.index_from.is_reached(rows, bytes) {
            let now = self.commons.clock.elapsed();
            self.commons.wishes.add(self.shape, namespace.clone(), now);
        }
    }

    /// What a tail is expected to take. Sparse values are held twice, with the dimensions that occur.
    async fn tail_bytes(&self, place: Place) -> Result<u64, EngineError> {
        const SPARSE_TIMES: u64 = 3;
        let count = self.count(place).await?;
        let view = self.database.view()?;
        let indexed: u64 =
            segments_in(&view, place).await?.iter().map(|segment| segment.rows).sum();
        let row_bytes = count.row_bytes();
        let rows = count.record_count.saturating_sub(indexed);
        let times = if self.shape.dense.is_none() { SPARSE_TIMES } else { 1 };
        Ok(rows * (times * row_bytes + ROW_OVERHEAD_BYTES) + indexed / 8)
    }

    async fn load(
        &self,
        loading: Loading,
        namespace: &NamespaceName,
        place: Place,
    ) -> Result<Loaded, EngineError> {
        // The view comes after the registration of the tail: what it does not show, the tail is shown.
        let view = self.settled_view().await?;
        if place_in(&view, namespace).await? != Some(place) {
            return Ok(Loaded::Moved);
        }
        let seq = seq_in(&view).await?;
        let entries = segments_in(&view, place).await?;
        let (segments, mut unindexed);
        if entries.is_empty() {
            segments = Vec::new();
            unindexed = Unindexed::All(RecordScan::start(&view, place).await?);
        } else {
            let indexed = Indexed::load(&view, place, &entries, &self.commons.segments).await?;
            segments = indexed.segments;
            unindexed = Unindexed::Some(VersionScan::new(&view, place, indexed.born));
        }
        let mut gatherer = ChunkGatherer::new(self.shape.dimension());
        while let Some(record) = unindexed.next().await? {
            if gatherer.push(record)? && !loading.has_room_for(gatherer.bytes()) {
                return Ok(Loaded::TooLarge);
            }
        }
        let loaded = LoadedRows { segments, chunks: gatherer.finish()?, seq };
        Ok(match loading.finish(loaded, view.lsn())? {
            Some(tail) => Loaded::Ready(tail),
            None => Loaded::Moved,
        })
    }

    /// Gives up the segments of a namespace: they are built anew, from the records.
    pub(crate) async fn distrust(
        &self,
        namespace: &NamespaceName,
        error: &EngineError,
    ) -> Result<(), EngineError> {
        tracing::error!(index = %self.shape.index, namespace = namespace.listed(),
            error = error as &dyn std::error::Error,
            "segments are damaged; search goes on over the records while they are rebuilt");
        let change = Change::Segments(namespace.clone(), SegmentsChange::Distrust);
        match self.write(change).await {
            // The namespace is gone, and with it its segments.
            Ok(_) | Err(WriteError::Superseded) => {}
            Err(WriteError::Engine(error)) => return Err(error),
            Err(_) => return Err(self.stopped_error()),
        }
        self.commons.wishes.add(self.shape, namespace.clone(), self.commons.clock.elapsed());
        Ok(())
    }
}
