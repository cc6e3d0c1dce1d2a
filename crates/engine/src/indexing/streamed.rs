//! Indexing a namespace that is too large to be held in memory: straight from its records.
//!
//! The records are read from one view, in runs that fit into memory, and each run becomes a
//! segment. One commit at the end puts them all in place, so that a crash in between leaves the
//! namespace as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use lodgepole_types::{Lsn, NamespaceName};

use super::Step;
use super::job::Built;
use super::rows::JoinedRows;
use crate::EngineError;
use crate::change::{Indexed, SegmentsCommit};
use crate::record_scan::{RecordScan, place_in};
use crate::rows::SegmentId;
use crate::segment_load::{Indexed as IndexedRows, read_versions, segments_in, seq_in};
use crate::segments::{HeldSegment, OpenSegment};
use crate::shard::Shard;
use crate::tails::ChunkGatherer;

/// Versions read before it is looked at how much memory they take.
const VERSIONS_AT_ONCE: usize = 8_192;

impl Shard {
    pub(super) async fn index_streamed(&self, name: &NamespaceName) -> Result<Step, EngineError> {
        if self.queue_changes(name).await?.is_none() {
            return Ok(Step::Idle);
        }
        let view = self.settled_view().await?;
        let Some(place) = place_in(&view, name).await? else { return Ok(Step::Idle) };
        let (seq, entries) = (seq_in(&view).await?, segments_in(&view, place).await?);
        let mut runs =
            Runs { gatherer: ChunkGatherer::new(self.shape.dimension()), built: Built::default() };
        let mut kept: Vec<HeldSegment> = Vec::new();
        if entries.is_empty() {
            let mut scan = RecordScan::start(&view, place).await?;
            while let Some(record) = scan.next().await? {
                if runs.gatherer.push(record)? {
                    runs.build_when_full(self).await?;
                }
            }
        } else {
            let indexed = IndexedRows::load(&view, place, &entries, &self.commons.segments).await?;
            kept = indexed.segments;
            let mut born = indexed.born.into_iter();
            loop {
                let some: BTreeMap<_, _> = born.by_ref().take(VERSIONS_AT_ONCE).collect();
                if some.is_empty() {
                    break;
                }
                let gatherer = &mut runs.gatherer;
                read_versions(&view, place, some, |record| {
                    gatherer.push(record)?;
                    Ok(true)
                })
                .await?;
                runs.build_when_full(self).await?;
            }
        }
        runs.build_rest(self).await?;
        let Built { segments: added, unnamed } = runs.built;
        let trimmed = self.queued_until(place, seq).await?;
        if added.is_empty() && trimmed.is_empty() {
            return Ok(Step::Idle);
        }
        let dying = kept.iter().filter(|held| !held.dead.is_empty());
        let commit = SegmentsCommit {
            place,
            before: entries.iter().map(|entry| entry.id).collect::<Vec<SegmentId>>(),
            after: kept
                .iter()
                .map(|held| &held.open)
                .chain(&added)
                .map(OpenSegment::entry)
                .collect(),
            deletions: dying.map(|held| (held.open.id.id, held.dead.encode())).collect(),
            trimmed,
            // No tail was asked: one that is held by now is loaded again.
            indexed: Indexed {
                job: self.commons.wishes.next_job(),
                removed: Vec::new(),
                added,
                upto: seq,
                unnamed,
            },
        };
        self.commit_segments(name, commit).await
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
            self.build(shard, chunks).await?;
        }
        Ok(())
    }

    async fn build_rest(&mut self, shard: &Shard) -> Result<(), EngineError> {
        let gatherer = ChunkGatherer::new(shard.shape.dimension());
        let chunks = std::mem::replace(&mut self.gatherer, gatherer).finish()?;
        self.build(shard, chunks).await
    }

    async fn build(
        &mut self,
        shard: &Shard,
        chunks: Vec<lodgepole_search::FlatChunk>,
    ) -> Result<(), EngineError> {
        let mut joined = JoinedRows::default();
        for chunk in chunks {
            joined.add_chunk(&Arc::new(chunk), Lsn(0))?;
        }
        let built = shard.build(joined).await?;
        self.built.segments.extend(built.segments);
        self.built.unnamed.extend(built.unnamed);
        Ok(())
    }
}
