//! One step of work on one namespace that is held in memory.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lodgepole_rows::{self as rows, DocId, Place, QueueRow};
use lodgepole_search::{SegmentSize, merge_choice};
use lodgepole_storage::{View, prefix_range};
use lodgepole_types::{Lsn, NamespaceName};

use super::Step;
use super::rows::JoinedRows;
use crate::change::{Change, Indexed, SegmentsChange, SegmentsCommit};
use crate::segments::{HeldSegment, OpenSegment, Unnamed};
use crate::shard::Shard;
use crate::tails::{JobView, Tail, TailKey, TailView};
use crate::{EngineError, WriteError};

/// Queue rows removed by one batch.
const STALE_ROWS_AT_ONCE: usize = 2_000;

/// Stops building when it is dropped: a shard that is closed takes its work with it.
#[derive(Debug, Default)]
pub(super) struct Stop(pub(super) Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Ends the noting of deaths, whatever became of the job.
struct Noting<'a> {
    tail: &'a Tail,
    job: u64,
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        self.tail.end_job(self.job);
    }
}

/// Segments that were built but not committed.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) segments: Vec<OpenSegment>,
    pub(super) unnamed: Vec<Unnamed>,
}

impl Shard {
    /// Builds what is to be built of a namespace now.
    ///
    /// `quiet` when nothing was written for a while, so that it is worth the work to merge more.
    pub(super) async fn index_step(
        &self,
        name: &NamespaceName,
        quiet: bool,
    ) -> Result<Step, EngineError> {
        let Some(place) = self.place(name).await? else { return Ok(Step::Idle) };
        let Some(tail) = self.tail(name, place).await? else {
            // Too large for memory; or gone, which the next look shows.
            return self.index_streamed(name, quiet).await;
        };
        if tail.view().await.is_none() {
            return Ok(Step::Superseded);
        }
        let (rows, bytes) = tail.unindexed();
        let wanted = self.commons.options.index_from.is_reached(rows, bytes);
        if !wanted && !quiet {
            return Ok(Step::Idle);
        }
        let mut queued_from = Lsn(0);
        if wanted {
            let Some(lsn) = self.queue_changes(name).await? else { return Ok(Step::Idle) };
            queued_from = lsn;
        }
        let job = self.commons.wishes.next_job();
        let Some(JobView { view, seq }) = tail.begin_job(job) else { return Ok(Step::Superseded) };
        let _noting = Noting { tail: &tail, job };
        if view.lsn < queued_from {
            // The tail was dropped from memory meanwhile, and no longer follows the writes: what
            // came after it and before the queue is in neither.
            return Ok(Step::Superseded);
        }
        let sizes: Vec<_> = view.segments.iter().map(size_of).collect();
        let tail_rows = if wanted { rows } else { 0 };
        let rows_max = self.commons.options.segment_rows_max;
        let taken = merge_choice(&sizes, tail_rows, quiet, rows_max);
        if !wanted && taken.is_empty() {
            return Ok(Step::Idle);
        }
        let (merged, kept): (Vec<_>, Vec<_>) =
            view.segments.iter().enumerate().partition(|(at, _)| taken.contains(at));
        let kept: Vec<_> = kept.into_iter().map(|(_, held)| held).collect();
        let merged: Vec<_> = merged.into_iter().map(|(_, held)| held).collect();
        if view.segments.is_empty() {
            self.drop_stale_queue(name, place, seq).await?;
        }
        let built = self.build(joined(&merged, &view)?).await?;
        let (trimmed, left) = self.queued_until(place, seq).await?;
        let commit = SegmentsCommit {
            place,
            before: view.segments.iter().map(|held| held.open.id).collect(),
            after: kept
                .iter()
                .map(|held| &held.open)
                .chain(&built.segments)
                .map(OpenSegment::entry)
                .collect(),
            deletions: deletions(&kept),
            trimmed,
            left,
            indexed: Indexed {
                job,
                removed: merged.iter().map(|held| held.open.id).collect(),
                added: built.segments,
                upto: seq,
                unnamed: built.unnamed,
            },
        };
        self.commit_segments(name, commit).await
    }

    /// Has the changes of a namespace queued, at the latest after the Lsn that is given; none when
    /// the namespace is gone.
    pub(super) async fn queue_changes(
        &self,
        name: &NamespaceName,
    ) -> Result<Option<Lsn>, EngineError> {
        let change = Change::Segments(name.clone(), SegmentsChange::Queue);
        match self.write(change).await {
            Ok(done) => Ok(Some(done.lsn)),
            Err(WriteError::Engine(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Builds a segment of some rows; none of no rows.
    pub(super) async fn build(&self, rows: JoinedRows) -> Result<Built, EngineError> {
        let mut built = Built::default();
        if rows.len() > 0 {
            let stop = Stop::default();
            let stopped = Arc::clone(&stop.0);
            let (open, unnamed) = self.commons.segments.build(self.shape, rows, stopped).await?;
            built.segments.push(open);
            built.unnamed.push(unnamed);
        }
        Ok(built)
    }

    /// Keys of the queue rows of requests up to `seq`, and how many versions the others name.
    pub(crate) async fn queued_until(
        &self,
        place: Place,
        seq: DocId,
    ) -> Result<(Vec<Vec<u8>>, u64), EngineError> {
        let view: View = self.database.view()?;
        let mut scan = view.scan(prefix_range(&rows::queue_prefix(place))).await?;
        let (mut keys, mut left) = (Vec::new(), 0);
        while let Some(entry) = scan.next().await? {
            if rows::seq_of_queue_key(&entry.key)? > seq {
                left += QueueRow::versions(&entry.value)?;
            } else {
                keys.push(entry.key.to_vec());
            }
        }
        Ok((keys, left))
    }

    /// Removes what a queue that was given up has left, ahead of the commit of the first segments:
    /// it may be too much for one batch.
    pub(super) async fn drop_stale_queue(
        &self,
        name: &NamespaceName,
        place: Place,
        seq: DocId,
    ) -> Result<(), EngineError> {
        let (keys, _) = self.queued_until(place, seq).await?;
        for some in keys.chunks(STALE_ROWS_AT_ONCE) {
            let change = SegmentsChange::DropStale(some.to_vec());
            match self.write(Change::Segments(name.clone(), change)).await {
                Ok(_) => {}
                Err(WriteError::Engine(error)) => return Err(error),
                // The namespace is gone, and with it its queue.
                Err(_) => break,
            }
        }
        Ok(())
    }

    pub(super) async fn commit_segments(
        &self,
        name: &NamespaceName,
        commit: SegmentsCommit,
    ) -> Result<Step, EngineError> {
        let key = TailKey { index: self.shape.index, place: commit.place };
        let change = SegmentsChange::Commit(Box::new(commit));
        match self.write(Change::Segments(name.clone(), change)).await {
            Ok(_) => Ok(Step::Built),
            Err(WriteError::Engine(error)) => Err(error),
            Err(_) => {
                // What is in memory is not what is stored. Read anew, it is; as it is, it might stay so.
                self.commons.tails.remove(key);
                Ok(Step::Superseded)
            }
        }
    }
}

/// All that lives in some segments and in the tail. The tail goes in too, however small it is: it is
/// cheap beside the rest.
fn joined(merged: &[&HeldSegment], view: &TailView) -> Result<JoinedRows, EngineError> {
    let mut joined = JoinedRows::default();
    for held in merged {
        joined.add_segment(held)?;
    }
    for chunk in view.chunks.iter() {
        joined.add_chunk(chunk, view.lsn)?;
    }
    Ok(joined)
}

pub(super) fn size_of(held: &HeldSegment) -> SegmentSize {
    SegmentSize { live: held.live_rows() as u64, rows: held.open.segment.rows() as u64 }
}

/// The dead rows of segments that stay.
pub(super) fn deletions(kept: &[&HeldSegment]) -> Vec<(uuid::Uuid, Vec<u8>)> {
    let dying = kept.iter().filter(|held| !held.dead.is_empty());
    dying.map(|held| (held.open.id.id, held.dead.encode())).collect()
}
