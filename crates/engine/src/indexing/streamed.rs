//! Indexing a namespace that is too large to be held in memory: straight from its records.
//!
//! Without segments, all records are read from one view, in runs that fit into memory, and each run
//! becomes a segment; one commit at the end puts them in place, so that a crash in between leaves the
//! namespace as it was. With segments, a step takes the beginning of the queue, as much as fits into
//! memory, and commits it: queries read from the records what is in no segment, so what waits has to
//! become less while the rest is built, not at its end. Small segments are merged by the same rule
//! as those of a namespace in memory, so their number stays logarithmic.

use std::sync::Arc;

use lodgepole_search::{FlatChunk, merge_choice};
use lodgepole_types::{Lsn, NamespaceName};

use super::Step;
use super::job::{Built, deletions, size_of};
use super::rows::JoinedRows;
use crate::EngineError;
use crate::change::{Indexed, SegmentsCommit};
use crate::record_scan::{RecordScan, place_in};
use crate::segment_load::{Indexed as IndexedRows, segments_in, seq_in};
use crate::segments::{HeldSegment, OpenSegment};
use crate::shard::Shard;
use crate::tails::ChunkGatherer;
use crate::versions::{Unindexed, VersionScan};

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
        let (mut seq, entries) = (seq_in(&view).await?, segments_in(&view, place).await?);
        let batch_bytes = self.commons.options.index_batch_bytes;
        let (merged, kept, more, run_bytes, unindexed);
        if entries.is_empty() {
            self.drop_stale_queue(name, place, seq).await?;
            (merged, kept, more, run_bytes) = (Vec::new(), Vec::new(), false, batch_bytes);
            unindexed = Unindexed::All(RecordScan::start(&view, place).await?);
        } else {
            let mut indexed =
                IndexedRows::load(&view, place, &entries, &self.commons.segments).await?;
            let row_bytes = self.count(place).await?.row_bytes().max(1);
            let later = indexed.leave_after((batch_bytes / row_bytes).max(1));
            seq = later.map_or(seq, |later| later.upto);
            let wanted = self.commons.options.index_from;
            let is_enough = |rows: u64| wanted.is_reached(rows, rows * row_bytes);
            more = later.is_some_and(|later| is_enough(later.rows));
            let tail_rows = indexed.born.len() as u64;
            (merged, kept) = self.merged_and_kept(indexed.segments, tail_rows, quiet);
            if merged.is_empty() && !more && !is_enough(tail_rows) {
                return Ok(Step::Idle);
            }
            // Whole in one segment, but for rows much larger than the rest.
            run_bytes = 2 * batch_bytes;
            unindexed = Unindexed::Some(VersionScan::new(&view, place, indexed.born));
        }
        let runs = Runs::new(self).read(unindexed, run_bytes).await?;
        let Built { segments: added, unnamed } = runs.build_last(&merged).await?;
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
        let step = self.commit_segments(name, commit).await?;
        Ok(if step == Step::Built && more { Step::More } else { step })
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
struct Runs<'a> {
    shard: &'a Shard,
    gatherer: ChunkGatherer,
    built: Built,
}

impl<'a> Runs<'a> {
    fn new(shard: &'a Shard) -> Self {
        let gatherer = ChunkGatherer::new(shard.shape.dimension());
        Self { shard, gatherer, built: Built::default() }
    }

    /// Reads all of it, and builds a segment whenever so many bytes have come.
    async fn read(mut self, mut from: Unindexed<'_>, run_bytes: u64) -> Result<Self, EngineError> {
        while let Some(record) = from.next().await? {
            if self.gatherer.push(record)? && self.gatherer.bytes() >= run_bytes {
                let chunks = self.gatherer.take();
                self.build(JoinedRows::default(), chunks).await?;
            }
        }
        Ok(self)
    }

    /// Builds the last segment: of what is left, and of what lives in segments that go. These are
    /// mapped, so their size is no matter of memory.
    async fn build_last(mut self, merged: &[HeldSegment]) -> Result<Built, EngineError> {
        let gatherer = ChunkGatherer::new(self.shard.shape.dimension());
        let chunks = std::mem::replace(&mut self.gatherer, gatherer).finish()?;
        let mut joined = JoinedRows::default();
        for held in merged {
            joined.add_segment(held)?;
        }
        self.build(joined, chunks).await?;
        Ok(self.built)
    }

    async fn build(
        &mut self,
        mut joined: JoinedRows,
        chunks: Vec<FlatChunk>,
    ) -> Result<(), EngineError> {
        for chunk in chunks {
            joined.add_chunk(&Arc::new(chunk), Lsn(0))?;
        }
        let built = self.shard.build(joined).await?;
        self.built.segments.extend(built.segments);
        self.built.unnamed.extend(built.unnamed);
        Ok(())
    }
}
