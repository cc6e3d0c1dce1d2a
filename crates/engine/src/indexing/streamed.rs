//! Indexing a namespace that is too large to be held in memory: straight from its records.
//!
//! The records are read from one view, in runs that fit into memory, and each run becomes a
//! segment. One commit at the end puts them all in place, so that a crash in between leaves the
//! namespace as it was. Once it has segments, small ones are merged by the same rule as those of a
//! namespace in memory, so their number stays logarithmic.

use std::collections::BTreeMap;
use std::sync::Arc;

use lodgepole_rows::{DocId, Place};
use lodgepole_search::{FlatChunk, merge_choice};
use lodgepole_storage::View;
use lodgepole_types::{Lsn, NamespaceName, RecordId};

use super::Step;
use super::job::{Built, deletions, size_of};
use super::rows::JoinedRows;
use crate::EngineError;
use crate::change::{Indexed, SegmentsCommit};
use crate::record_scan::{RecordScan, place_in};
use crate::segment_load::{
    Indexed as IndexedRows, VERSIONS_AT_ONCE, read_versions, segments_in, seq_in,
};
use crate::segments::{HeldSegment, OpenSegment};
use crate::shard::Shard;
use crate::tails::ChunkGatherer;

impl Shard {
    /// As [`Shard::index_step`], of a namespace that is not held in memory.
    pub(super) async fn index_streamed(
        &self,
        name: &NamespaceName,
        quiet: bool,
    ) -> Result<Step, EngineError> {
        if self.queue_changes(name).await?.is_none() {
            return Ok(Step::Idle);
        }
        let view = self.settled_view().await?;
        let Some(place) = place_in(&view, name).await? else { return Ok(Step::Idle) };
        let (seq, entries) = (seq_in(&view).await?, segments_in(&view, place).await?);
        let mut runs =
            Runs { gatherer: ChunkGatherer::new(self.shape.dimension()), built: Built::default() };
        let (mut merged, mut kept) = (Vec::new(), Vec::new());
        if entries.is_empty() {
            self.drop_stale_queue(name, place, seq).await?;
            let mut scan = RecordScan::start(&view, place).await?;
            while let Some(record) = scan.next().await? {
                if runs.gatherer.push(record)? {
                    runs.build_when_full(self).await?;
                }
            }
        } else {
            let indexed = IndexedRows::load(&view, place, &entries, &self.commons.segments).await?;
            let tail_rows = indexed.born.len() as u64;
            (merged, kept) = self.merged_and_kept(indexed.segments, tail_rows, quiet);
            let row_bytes = self.count(place).await?.row_bytes();
            let wanted = self.commons.options.index_from;
            if merged.is_empty() && !wanted.is_reached(tail_rows, tail_rows * row_bytes) {
                return Ok(Step::Idle);
            }
            runs.read(self, (&view, place), indexed.born).await?;
        }
        runs.build_last(self, &merged).await?;
        let Built { segments: added, unnamed } = runs.built;
        let (trimmed, left) = self.queued_until(place, seq).await?;
        if added.is_empty() && merged.is_empty() && trimmed.is_empty() {
            return Ok(Step::Idle);
        }
        let kept: Vec<_> = kept.iter().collect();
        let commit = SegmentsCommit {
            place,
            before: entries.iter().map(|entry| entry.id).collect(),
            after: kept
                .iter()
                .map(|held| &held.open)
                .chain(&added)
                .map(OpenSegment::entry)
                .collect(),
            deletions: deletions(&kept),
            trimmed,
            left,
            // No tail was asked: one that is held by now is loaded again.
            indexed: Indexed {
                job: self.commons.wishes.next_job(),
                removed: merged.iter().map(|held| held.open.id).collect(),
                added,
                upto: seq,
                unnamed,
            },
        };
        self.commit_segments(name, commit).await
    }

    /// Which segments become one, with `tail_rows` that are in none; and the others.
    fn merged_and_kept(
        &self,
        segments: Vec<HeldSegment>,
        tail_rows: u64,
        quiet: bool,
    ) -> (Vec<HeldSegment>, Vec<HeldSegment>) {
        let sizes: Vec<_> = segments.iter().map(size_of).collect();
        let rows_max = self.commons.options.segment_rows_max;
        let taken = merge_choice(&sizes, tail_rows, quiet, rows_max);
        let (mut merged, mut kept) = (Vec::new(), Vec::new());
        for (at, held) in segments.into_iter().enumerate() {
            if taken.contains(&at) { merged.push(held) } else { kept.push(held) }
        }
        (merged, kept)
    }
}

/// Records on their way into segments.
struct Runs {
    gatherer: ChunkGatherer,
    built: Built,
}

impl Runs {
    async fn build_when_full(&mut self, shard: &Shard) -> Result<(), EngineError> {
        if self.gatherer.bytes() >= shard.commons.options.index_batch_bytes {
            let chunks = self.gatherer.take();
            self.build(shard, JoinedRows::default(), chunks).await?;
        }
        Ok(())
    }

    /// Reads versions of records, and builds of them what does not fit into memory.
    async fn read(
        &mut self,
        shard: &Shard,
        (view, place): (&View, Place),
        born: BTreeMap<DocId, RecordId>,
    ) -> Result<(), EngineError> {
        let mut born = born.into_iter();
        loop {
            let some: BTreeMap<_, _> = born.by_ref().take(VERSIONS_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(());
            }
            let gatherer = &mut self.gatherer;
            read_versions(view, place, some, |record| {
                gatherer.push(record)?;
                Ok(true)
            })
            .await?;
            self.build_when_full(shard).await?;
        }
    }

    /// Builds the last segment: of what is left, and of what lives in segments that go. These are
    /// mapped, so their size is no matter of memory.
    async fn build_last(
        &mut self,
        shard: &Shard,
        merged: &[HeldSegment],
    ) -> Result<(), EngineError> {
        let gatherer = ChunkGatherer::new(shard.shape.dimension());
        let chunks = std::mem::replace(&mut self.gatherer, gatherer).finish()?;
        let mut joined = JoinedRows::default();
        for held in merged {
            joined.add_segment(held)?;
        }
        self.build(shard, joined, chunks).await
    }

    async fn build(
        &mut self,
        shard: &Shard,
        mut joined: JoinedRows,
        chunks: Vec<FlatChunk>,
    ) -> Result<(), EngineError> {
        for chunk in chunks {
            joined.add_chunk(&Arc::new(chunk), Lsn(0))?;
        }
        let built = shard.build(joined).await?;
        self.built.segments.extend(built.segments);
        self.built.unnamed.extend(built.unnamed);
        Ok(())
    }
}
