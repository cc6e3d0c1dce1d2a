//! What operators want to know about search, and to do about it before the first query.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lodgepole_rows::{self as rows, NamespaceRow, Place};
use lodgepole_types::{IndexId, NamespaceName};

use crate::engine::Engine;
use crate::tails::TailView;
use crate::{ReadError, ShardRef, slots};

/// How the search of one index stands. Counts what is in memory: namespaces that nobody searched
/// since they were opened are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchState {
    /// Namespaces in memory.
    pub namespaces: u64,
    /// Rows that no segment holds, dead ones included.
    pub tail_rows: u64,
    /// Their bytes in memory.
    pub tail_bytes: u64,
    /// Segments in use.
    pub segments: u64,
    /// Rows of segments, dead ones included.
    pub segment_rows: u64,
    /// Rows of segments that are dead.
    pub dead_rows: u64,
    /// Bytes of segments, mapped from their files.
    pub segment_bytes: u64,
    /// Of these, what every query looks at.
    pub resident_bytes: u64,
    /// Namespaces that wait for the indexer, or are at it.
    pub waiting: u64,
    /// How long the first of them has waited.
    pub queue_age: Option<Duration>,
}

/// What was made ready for search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WarmUp {
    /// Namespaces.
    pub namespaces: u64,
    /// Those for which there was no room: their queries read from storage.
    pub too_large: u64,
}

impl SearchState {
    fn add(&mut self, view: &TailView) {
        self.namespaces += 1;
        for chunk in view.chunks.iter() {
            self.tail_rows += chunk.rows() as u64;
            self.tail_bytes += chunk.bytes() as u64;
        }
        for held in view.segments.iter() {
            self.segments += 1;
            self.segment_rows += held.open.segment.rows() as u64;
            self.dead_rows += held.dead.len() as u64;
            self.segment_bytes += held.open.segment.bytes();
            self.resident_bytes += held.open.segment.resident_bytes();
        }
    }
}

impl Engine {
    /// How the search of an index stands. Opens nothing.
    #[must_use]
    pub fn search_state(&self, index: IndexId) -> SearchState {
        self.search_states().remove(&index).unwrap_or_default()
    }

    /// How the search of every index stands of which something is in memory or waits, from one walk
    /// over all namespaces in memory. Opens nothing.
    #[must_use]
    pub fn search_states(&self) -> HashMap<IndexId, SearchState> {
        let mut states: HashMap<IndexId, SearchState> = HashMap::new();
        for (index, view) in self.commons.tails.views() {
            states.entry(index).or_default().add(&view);
        }
        let now = self.commons.clock.elapsed();
        for (index, waiting) in self.commons.wishes.waiting() {
            let state = states.entry(index).or_default();
            state.waiting = waiting.namespaces;
            state.queue_age = Some(now.saturating_sub(waiting.since));
        }
        states
    }

    /// Makes one namespace or all of an index ready, so that the next query waits for nothing.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn warm_up(
        &self,
        shape: ShardRef,
        namespace: Option<&NamespaceName>,
    ) -> Result<WarmUp, ReadError> {
        let shard = self.shard(shape).await?;
        let view = shard.settled_view().await?;
        let mut places: BTreeMap<NamespaceName, Place> = BTreeMap::new();
        slots::for_each(&view, rows::namespace_prefix, |entry| {
            if let Some(name) = rows::namespace_of_key(&entry.key)
                && namespace.is_none_or(|wanted| *wanted == name)
            {
                let id = NamespaceRow::decode(&entry.value)?.id;
                let slot = rows::slot_of(&name);
                places.insert(name, Place { slot, id });
            }
            Ok(())
        })
        .await?;
        let mut warmed = WarmUp::default();
        for (name, place) in places {
            let tail = match shard.tail(&name, place).await {
                Err(error) if error.is_of_segment() => {
                    shard.distrust(&name, &error).await?;
                    shard.tail(&name, place).await?
                }
                tail => tail?,
            };
            warmed.namespaces += 1;
            warmed.too_large += u64::from(tail.is_none());
        }
        Ok(warmed)
    }
}
