//! Updates and deletes of everything that a filter matches, exactly and as one write.
//!
//! Looking at every record of a namespace takes long, and other writes must not wait for it. So the
//! search works beside the writer, and the writer is told to take note of what changes meanwhile:
//!
//! 1. A [`Watch`] is registered with the writer. From here it collects the id of every record that
//!    a write touches.
//! 2. A view that shows everything up to the registration is scanned ([`Findings`]).
//! 3. Ids that were touched in the meantime are looked at again in a newer view, until few are left.
//! 4. One command goes to the writer. It looks at these few again, as they are at its place in the
//!    order of writes, and writes one batch.
//!
//! INVARIANT: a record that was not touched since the view is, at the command, as the view shows it.
//! Hence the batch is what a scan at that very place would have given, and the count is exact.
//!
//! A namespace that is emptied or deleted meanwhile ends the watch, as do too many touched ids: the
//! search then begins anew, some times, before the caller is told to retry.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use lodgepole_rows::{self as rows, Place, RecordHead, RecordRow, RowError};
use lodgepole_storage::local::Need;
use lodgepole_storage::{Database, View, Visibility, prefix_range};
use lodgepole_types::{
    Filter, Lsn, Metadata, MetadataError, MetadataPatch, NamespaceName, RecordId, StoredMetadata,
};
use parking_lot::Mutex;

use crate::change::{Change, Outcome, RecordChange};
use crate::planner::{KnownNamespace, Plan, Planner, length};
use crate::shard::Shard;
use crate::{Engine, EngineError, ShardRef, WriteError};

/// Rounds of looking again at touched ids before the writer gets whatever is left.
const CATCH_UP_ROUNDS: usize = 20;
/// Rows after which a scan lets other tasks of its thread work.
const ROWS_AT_A_STRETCH: usize = 1_000;
/// Memory of a match beside its id and metadata.
const MATCH_OVERHEAD_BYTES: usize = 128;

/// What an update or delete by filter did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// Records that matched, changed or not.
    pub count: u64,
    /// The write.
    pub lsn: Lsn,
}

/// What is done with the matches.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// They are removed.
    Delete,
    /// The metadata of the first `max` of them by id is changed.
    Update { patch: MetadataPatch, max: usize },
}

/// Ids that writes have touched since the watch was registered.
#[derive(Debug)]
pub(crate) struct Watch {
    place: Place,
    ids_max: usize,
    touched: Mutex<Touched>,
}

#[derive(Debug, Default)]
struct Touched {
    ids: HashSet<RecordId>,
    /// The namespace is gone, or more ids were touched than are held.
    is_lost: bool,
}

/// A watch, and the last write before it.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) watch: Arc<Watch>,
    pub(crate) since: Lsn,
}

impl Watch {
    pub(crate) fn new(place: Place, ids_max: usize) -> Arc<Self> {
        Arc::new(Self { place, ids_max, touched: Mutex::default() })
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Takes note of ids. Called after their write can be seen in new views.
    pub(crate) fn touch(&self, ids: impl IntoIterator<Item = RecordId>) {
        let mut touched = self.touched.lock();
        if touched.is_lost {
            return;
        }
        touched.ids.extend(ids);
        if touched.ids.len() > self.ids_max {
            *touched = Touched { ids: HashSet::new(), is_lost: true };
        }
    }

    /// The namespace was emptied or deleted.
    pub(crate) fn lose(&self) {
        *self.touched.lock() = Touched { ids: HashSet::new(), is_lost: true };
    }

    /// The ids touched since this was last called; `None` when the watch is lost.
    fn take(&self) -> Option<Vec<RecordId>> {
        let mut touched = self.touched.lock();
        if touched.is_lost {
            return None;
        }
        let mut ids: Vec<_> = touched.ids.drain().collect();
        ids.sort_unstable();
        Some(ids)
    }

    fn len(&self) -> usize {
        self.touched.lock().ids.len()
    }
}

/// A match: its version, and what becomes of it.
#[derive(Debug)]
struct Match {
    head: RecordHead,
    becomes: Becomes,
}

impl Match {
    /// Memory it takes, with what will be written of it.
    fn bytes(&self, id: &RecordId) -> u64 {
        let metadata = match &self.becomes {
            Becomes::Metadata(metadata, _) => metadata.len(),
            Becomes::Removed | Becomes::Unchanged | Becomes::Refused(_) => 0,
        };
        (2 * id.as_str().len() + metadata + MATCH_OVERHEAD_BYTES) as u64
    }
}

#[derive(Debug)]
enum Becomes {
    Removed,
    /// The patch changes nothing in it.
    Unchanged,
    /// Metadata as stored, and what the record counts for then.
    Metadata(Vec<u8>, u32),
    /// Its metadata would exceed the limit.
    Refused(MetadataError),
}

/// What a filter matches, as far as it is known.
#[derive(Debug)]
pub(crate) struct Findings {
    place: Place,
    filter: Arc<Filter>,
    act: Act,
    /// The view that was scanned.
    base: View,
    /// Matches by id. Of an update that matches more than it may change, the first ones, with some
    /// to spare.
    kept: BTreeMap<RecordId, Match>,
    kept_max: usize,
    /// The last id kept, when more matched.
    end: Option<RecordId>,
    /// Matches after `end`.
    beyond: u64,
    /// Ids after `end` that were looked at again, and whether they match now.
    revisited: HashMap<RecordId, bool>,
    bytes: u64,
    bytes_max: u64,
}

impl Findings {
    /// Scans a view for matches.
    async fn scan(
        place: Place,
        base: View,
        search: &Search,
        limits: Limits,
    ) -> Result<Self, WriteError> {
        let kept_max = match &search.act {
            Act::Delete => usize::MAX,
            Act::Update { max, .. } => max.saturating_add(limits.spare),
        };
        let mut findings = Self {
            place,
            filter: Arc::clone(&search.filter),
            act: search.act.clone(),
            base: base.clone(),
            kept: BTreeMap::new(),
            kept_max,
            end: None,
            beyond: 0,
            revisited: HashMap::new(),
            bytes: 0,
            bytes_max: limits.bytes_max,
        };
        let mut scan = base.scan(prefix_range(&rows::record_key(place, ""))).await?;
        let mut rows = 0_usize;
        while let Some(entry) = scan.next().await? {
            let id = rows::record_id_of_key(&entry.key)?;
            findings.add(id, &entry.value)?;
            rows += 1;
            if rows.is_multiple_of(ROWS_AT_A_STRETCH) {
                tokio::task::yield_now().await;
            }
        }
        Ok(findings)
    }

    /// Takes the next row of the scan.
    fn add(&mut self, id: RecordId, row: &[u8]) -> Result<(), WriteError> {
        if self.kept.len() < self.kept_max {
            if let Some(found) = self.evaluate(row)? {
                self.keep(id, found)?;
            }
        } else if self.is_match(row)? {
            if self.end.is_none() {
                self.end = self.kept.last_key_value().map(|(id, _)| id.clone());
            }
            self.beyond += 1;
        }
        Ok(())
    }

    fn keep(&mut self, id: RecordId, found: Match) -> Result<(), WriteError> {
        self.bytes += found.bytes(&id);
        self.kept.insert(id, found);
        if self.bytes > self.bytes_max { Err(WriteError::TooManyMatches) } else { Ok(()) }
    }

    fn is_match(&self, row: &[u8]) -> Result<bool, RowError> {
        let (_, metadata) = RecordRow::split(row)?;
        Ok(self.filter.matches(StoredMetadata::new(metadata)))
    }

    fn evaluate(&self, row: &[u8]) -> Result<Option<Match>, RowError> {
        let (head, stored) = RecordRow::split(row)?;
        if !self.filter.matches(StoredMetadata::new(stored)) {
            return Ok(None);
        }
        let becomes = match &self.act {
            Act::Delete => Becomes::Removed,
            Act::Update { patch, .. } => {
                let metadata = Metadata::from_stored(stored).map_err(|_| RowError::of_record())?;
                match patch.apply(&metadata).map(|metadata| metadata.to_stored()) {
                    Ok(merged) if merged == stored => Becomes::Unchanged,
                    Ok(merged) => {
                        let bytes = head.bytes - length(stored.len()) + length(merged.len());
                        Becomes::Metadata(merged, bytes)
                    }
                    Err(error) => Becomes::Refused(error),
                }
            }
        };
        Ok(Some(Match { head, becomes }))
    }

    /// Looks at a touched record again: `row` is what it is now.
    async fn revisit(&mut self, id: RecordId, row: Option<&[u8]>) -> Result<(), WriteError> {
        if self.end.as_ref().is_none_or(|end| id <= *end) {
            let now = row.map(|row| self.evaluate(row)).transpose()?.flatten();
            if let Some(before) = self.kept.remove(&id) {
                self.bytes -= before.bytes(&id);
            }
            return match now {
                Some(found) => self.keep(id, found),
                None => Ok(()),
            };
        }
        let was = match self.revisited.get(&id) {
            Some(was) => *was,
            None => match self.base.get(&rows::record_key(self.place, id.as_str())).await? {
                Some(row) => self.is_match(&row)?,
                None => false,
            },
        };
        let is = row.map(|row| self.is_match(row)).transpose()?.unwrap_or(false);
        self.beyond = self.beyond + u64::from(is) - u64::from(was);
        self.revisited.insert(id, is);
        Ok(())
    }

    /// All matches.
    fn count(&self) -> u64 {
        self.kept.len() as u64 + self.beyond
    }

    /// How many of the kept ones are changed; `None` when too few are kept to know.
    fn changed(&self) -> Option<usize> {
        match &self.act {
            Act::Delete => Some(self.kept.len()),
            Act::Update { max, .. } => {
                let is_known = self.beyond == 0 || self.kept.len() >= *max;
                is_known.then(|| self.kept.len().min(*max))
            }
        }
    }
}

/// What is looked for, and what is done with it.
#[derive(Debug)]
struct Search {
    filter: Arc<Filter>,
    act: Act,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Matches kept beyond those that may be changed, for when some of these stop matching.
    spare: usize,
    bytes_max: u64,
}

/// The command to the writer: what was found, and the watch that tells what changed since.
#[derive(Debug)]
pub(crate) struct Matching {
    watch: Arc<Watch>,
    findings: Findings,
    revisit_max: usize,
}

impl Matching {
    /// What it needs room for.
    pub(crate) fn room(&self) -> (Need, u64) {
        let need = match self.findings.act {
            Act::Delete => Need::Upkeep,
            Act::Update { .. } => Need::Growth,
        };
        (need, self.findings.bytes)
    }
}

impl Engine {
    /// Changes the metadata of the records that match, of the first `max` of them by id. Counts all
    /// that match. All of it happens at one place in the order of writes, or none of it.
    ///
    /// # Errors
    /// [`WriteError::Metadata`] when the metadata of one of them would grow too large;
    /// [`WriteError::Contended`] when other writes keep changing the matches.
    pub async fn update_matching(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        filter: Arc<Filter>,
        patch: MetadataPatch,
        max: usize,
    ) -> Result<Matched, WriteError> {
        let search = Search { filter, act: Act::Update { patch, max } };
        self.shard(shard).await?.change_matching(namespace, &search).await
    }

    /// Deletes the records that match: all of them at one place in the order of writes, or none.
    ///
    /// # Errors
    /// [`WriteError::Contended`] when other writes keep changing the matches;
    /// [`WriteError::TooManyMatches`] when memory does not suffice for them.
    pub async fn delete_matching(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        filter: Arc<Filter>,
    ) -> Result<Matched, WriteError> {
        let search = Search { filter, act: Act::Delete };
        self.shard(shard).await?.change_matching(namespace, &search).await
    }
}

impl Shard {
    async fn change_matching(
        &self,
        namespace: &NamespaceName,
        search: &Search,
    ) -> Result<Matched, WriteError> {
        let _turn = self.watches.acquire().await.map_err(|_| self.stopped_error())?;
        for _ in 0..self.commons.options.matching_tries_max {
            let Some(registered) = self.watch(namespace).await? else {
                // The default namespace, before its first write.
                return Ok(Matched { count: 0, lsn: self.database.durable_lsn() });
            };
            let Some(matching) = self.find(registered, search).await? else { continue };
            let change = RecordChange::Matching(Box::new(matching));
            match self.write(Change::Records(namespace.clone(), change)).await {
                Ok(done) => {
                    let Outcome::Matched(count) = done.outcome else {
                        return Err(self.stopped_error().into());
                    };
                    return Ok(Matched { count, lsn: done.lsn });
                }
                Err(WriteError::Contended) => {}
                Err(error) => return Err(error),
            }
        }
        Err(WriteError::Contended)
    }

    /// Finds the matches while writes go on; `None` when the watch was lost.
    async fn find(
        &self,
        registered: Registered,
        search: &Search,
    ) -> Result<Option<Matching>, WriteError> {
        let Registered { watch, since } = registered;
        let options = &self.commons.options;
        let limits =
            Limits { spare: options.revisit_ids_max, bytes_max: options.matching_bytes_max };
        let view = self.settled_view().await?;
        assert!(view.lsn() >= since, "a view is older than a write that was handed in before");
        let mut findings = Findings::scan(watch.place, view, search, limits).await?;
        for _ in 0..CATCH_UP_ROUNDS {
            if watch.len() <= options.revisit_ids_max / 2 {
                break;
            }
            // Ids first, then the view: it shows at least the writes that touched them.
            let Some(ids) = watch.take() else { return Ok(None) };
            let view = self.settled_view().await?;
            for id in ids {
                let row = view.get(&rows::record_key(watch.place, id.as_str())).await?;
                findings.revisit(id, row.as_deref()).await?;
            }
        }
        Ok(Some(Matching { watch, findings, revisit_max: options.revisit_ids_max }))
    }
}

impl Planner {
    /// Registers nothing itself: tells the place that a watch is for.
    pub(crate) async fn watched_place(
        &mut self,
        database: &Database,
        name: &NamespaceName,
    ) -> Result<Option<Place>, WriteError> {
        if let Some(known) = self.known(database, name).await? {
            return Ok(Some(known.place(name)));
        }
        self.refuse_alias(name, |target| crate::AliasError::WriteToAlias { target })?;
        if name.is_default() { Ok(None) } else { Err(WriteError::NamespaceNotFound) }
    }

    pub(crate) async fn matching(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        mut known: KnownNamespace,
        matching: Matching,
        plan: &mut Plan,
    ) -> Result<(), WriteError> {
        let Matching { watch, mut findings, revisit_max } = matching;
        let place = known.place(name);
        let touched = watch.take().filter(|ids| place == watch.place && ids.len() <= revisit_max);
        for id in touched.ok_or(WriteError::Contended)? {
            let row = self.row(database, place, &id).await?;
            findings.revisit(id, row.as_deref()).await?;
        }
        let changed = findings.changed().ok_or(WriteError::Contended)?;
        let refused = findings.kept.values().take(changed).find_map(|found| match &found.becomes {
            Becomes::Refused(error) => Some(error.clone()),
            Becomes::Removed | Becomes::Unchanged | Becomes::Metadata(..) => None,
        });
        if let Some(error) = refused {
            return Err(error.into());
        }
        plan.outcome = Outcome::Matched(findings.count());
        plan.effect.place = Some(place);
        for (id, Match { head, becomes }) in findings.kept.into_iter().take(changed) {
            match becomes {
                Becomes::Removed => self.remove(place, &mut known.count, id, head, plan),
                Becomes::Metadata(metadata, bytes) => {
                    self.revise(place, &mut known.count, (id, head), (metadata, bytes), plan);
                }
                Becomes::Unchanged | Becomes::Refused(_) => {}
            }
        }
        plan.batch.put(rows::count_key(place), known.count.encode());
        self.remember(name, known);
        Ok(())
    }

    async fn row(
        &self,
        database: &Database,
        place: Place,
        id: &RecordId,
    ) -> Result<Option<Bytes>, EngineError> {
        Ok(database.get(&rows::record_key(place, id.as_str()), Visibility::Memory).await?)
    }
}

#[cfg(test)]
mod tests;
