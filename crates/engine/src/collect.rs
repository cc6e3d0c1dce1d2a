//! Removing the files of segments that nothing needs any more.
//!
//! Roots are the directories of all live indexes, the sets that backups carry, and the files that
//! are being written. A name can move from one root to another while they are read: from an index to
//! a backup that is taken, from a backup to an index made from it. So the order is: files, files
//! without a row, catalog, directories, catalog again; and if the catalog changed in between, or a
//! backup or restore is under way, this round removes nothing. Then there was one moment at which
//! no root named the segment, and a segment that no root names can never be named again. A hidden
//! index is no root: nobody opens it any more, and what can be restored from it are its backups,
//! which carry their own sets. (Model: crates/lifetimes.)
//!
//! INVARIANT: a root that cannot be read ends the round before anything is removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use lodgepole_rows::{self as rows, DirectoryRow, RowError, SegmentId};
use lodgepole_types::IndexId;

use crate::engine::Engine;
use crate::reap::Round;
use crate::{EngineError, ShardRef, slots};

impl Engine {
    /// Removes segments that have been without use for the time of grace.
    pub(crate) async fn collect_segments(&self, round: &mut Round<'_>) -> Result<(), EngineError> {
        let mut files = Vec::new();
        for folder in self.storage.folders("ix").await? {
            if let Some(index) = IndexId::parse(&folder) {
                files.extend(self.commons.segments.files(index).await?);
            }
        }
        if files.is_empty() {
            return Ok(());
        }
        let unnamed = self.commons.segments.unnamed();
        let before = round.estate();
        if before.backups_under_way || !before.restoring.is_empty() {
            return Ok(());
        }
        let mut named = unnamed;
        for shape in &before.live {
            match self.named_segments(*shape).await {
                Ok(segments) => named.extend(segments.iter()),
                // Deleted meanwhile; the catalog tells.
                Err(EngineError::Retired(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if round.estate() != before {
            return Ok(());
        }
        for name in &before.segments {
            named.insert(SegmentId::parse(name).ok_or_else(RowError::of_segment_name)?);
        }
        let unused = files.into_iter().filter(|file| !named.contains(file)).collect();
        for id in self.aged(unused) {
            self.commons.segments.remove(id).await?;
            self.unused_segments.lock().remove(&id);
            round.reaped.segments += 1;
            if before.live.iter().all(|shape| shape.index != id.origin) {
                for folder in [format!("ix/{}/seg", id.origin), format!("ix/{}", id.origin)] {
                    self.storage.remove_empty_folder(&folder).await?;
                }
            }
        }
        Ok(())
    }

    /// The segments that the rows of an index name.
    async fn named_segments(
        &self,
        shape: ShardRef,
    ) -> Result<Arc<BTreeSet<SegmentId>>, EngineError> {
        let store = &self.commons.segments;
        if let Some(marks) = store.marks(shape.index) {
            return Ok(marks);
        }
        let version = store.marks_version();
        let shard = self.shard(shape).await?;
        let mut named = BTreeSet::new();
        let view = shard.settled_view().await?;
        slots::for_each(&view, rows::directory_prefix, |entry| {
            let segments = DirectoryRow::decode(&entry.value)?.segments;
            named.extend(segments.iter().map(|segment| segment.id));
            Ok(())
        })
        .await?;
        let named = Arc::new(named);
        store.remember_marks(version, shape.index, Arc::clone(&named));
        Ok(named)
    }

    /// Those of some unused segments that have been so for the time of grace.
    fn aged(&self, unused: BTreeSet<SegmentId>) -> Vec<SegmentId> {
        let now = self.commons.clock.elapsed();
        let grace = self.commons.options.segment_grace;
        let mut seen = self.unused_segments.lock();
        seen.retain(|id, _| unused.contains(id));
        let old = |id: &SegmentId| {
            let first = *seen.entry(*id).or_insert(now);
            now.saturating_sub(first) >= grace
        };
        unused.into_iter().filter(old).collect()
    }
}
