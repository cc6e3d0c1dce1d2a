//! Records by filter: page by page, and counted.
//!
//! Both are exact and of one moment. Where the namespace is in memory its tail is asked; otherwise
//! the record rows of one view are walked over, and vectors are read only for what is returned.
//! Neither loads a tail: a namespace that is never searched takes no memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use lodgepole_rows::{self as rows, NamespaceRow, Place, RowError};
use lodgepole_search::{FlatChunk, Scope, SparseRef, count_matches};
use lodgepole_storage::View;
use lodgepole_types::{Filter, Lsn, NamespaceName, Record, RecordId};

use crate::record_scan::{HeadScan, place_in};
use crate::search_pool::FILTER_WORK;
use crate::shard::Shard;
use crate::tails::{TailKey, TailView};
use crate::{EngineError, ReadError, slots};

/// Which records to read.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterPage {
    /// Only records that match.
    pub filter: Arc<Filter>,
    /// Only ids after it, bytewise.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A page of records, by id ascending bytewise.
#[derive(Debug, Clone, PartialEq)]
pub struct FilteredPage {
    /// The records.
    pub records: Vec<Record>,
    /// Whether more follow.
    pub more: bool,
    /// Everything up to here is reflected.
    pub lsn: Lsn,
}

/// How many records match, all of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// By namespace; those that exist are there, also with zero.
    pub namespaces: BTreeMap<NamespaceName, u64>,
    /// Everything up to here is reflected.
    pub lsn: Lsn,
}

impl Shard {
    pub(crate) async fn fetch_by_metadata(
        &self,
        namespace: &NamespaceName,
        page: &FilterPage,
    ) -> Result<FilteredPage, ReadError> {
        if let Some(view) = self.held_view(namespace).await?
            && view.segments.is_empty()
        {
            return Ok(self.page_of_tail(view, page.clone()).await?);
        }
        let view = self.settled_view().await?;
        let mut found = FilteredPage { records: Vec::new(), more: false, lsn: view.lsn() };
        let Some(place) = place_in(&view, namespace).await? else { return Ok(found) };
        let mut scan = HeadScan::start(&view, place, page.after.as_deref()).await?;
        while let Some(head) = scan.next().await? {
            if !head.matches(&page.filter) {
                continue;
            }
            if found.records.len() == page.limit {
                found.more = true;
                break;
            }
            found.records.push(head.complete(&view, place).await?);
        }
        Ok(found)
    }

    pub(crate) async fn count_matches(
        &self,
        namespace: Option<&NamespaceName>,
        filter: &Arc<Filter>,
    ) -> Result<Counted, ReadError> {
        if let Some(name) = namespace
            && let Some(view) = self.held_view(name).await?
        {
            let lsn = view.lsn;
            match self.count_in_tail(view, Arc::clone(filter)).await {
                Ok(count) => {
                    return Ok(Counted {
                        namespaces: BTreeMap::from([(name.clone(), count)]),
                        lsn,
                    });
                }
                Err(error) if error.is_of_segment() => self.distrust(name, &error).await?,
                Err(error) => return Err(error.into()),
            }
        }
        let view = self.settled_view().await?;
        let mut namespaces = BTreeMap::new();
        for (name, place) in self.places(&view, namespace).await? {
            let mut scan = HeadScan::start(&view, place, None).await?;
            let mut count = 0;
            while let Some(head) = scan.next().await? {
                count += u64::from(head.matches(filter));
            }
            namespaces.insert(name, count);
        }
        Ok(Counted { namespaces, lsn: view.lsn() })
    }

    /// One namespace, or every one, as a view shows them.
    async fn places(
        &self,
        view: &View,
        namespace: Option<&NamespaceName>,
    ) -> Result<Vec<(NamespaceName, Place)>, EngineError> {
        if let Some(name) = namespace {
            let place = place_in(view, name).await?;
            return Ok(place.map(|place| (name.clone(), place)).into_iter().collect());
        }
        let mut found = Vec::new();
        slots::for_each(view, rows::namespace_prefix, |entry| {
            if let Some(name) = rows::namespace_of_key(&entry.key) {
                let id = NamespaceRow::decode(&entry.value)?.id;
                let slot = rows::slot_of(&name);
                found.push((name, Place { slot, id }));
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// The tail of a namespace, if it is in memory.
    async fn held_view(&self, namespace: &NamespaceName) -> Result<Option<TailView>, EngineError> {
        let Some(place) = self.place(namespace).await? else { return Ok(None) };
        match self.commons.tails.held(TailKey { index: self.shape.index, place }) {
            Some(tail) => Ok(tail.view().await),
            None => Ok(None),
        }
    }

    async fn page_of_tail(
        &self,
        view: TailView,
        page: FilterPage,
    ) -> Result<FilteredPage, EngineError> {
        let work = work(&view);
        let found = self.commons.pool.run(work, move |_| page_of(&view, &page)).await;
        found.ok_or(EngineError::SearchDied)?
    }

    async fn count_in_tail(&self, view: TailView, filter: Arc<Filter>) -> Result<u64, EngineError> {
        let work = work(&view);
        let counted = self.commons.pool.run(work, move |_| {
            let scope = Scope { at: view.lsn, filter: Some(&filter) };
            let chunks = view.chunks.iter().map(|chunk| chunk.rows_in(scope).count() as u64);
            let mut count = chunks.sum();
            for held in view.segments.iter() {
                count += count_matches(&held.live(), &filter)?;
            }
            Ok(count)
        });
        counted.await.ok_or(EngineError::SearchDied)?
    }
}

fn work(view: &TailView) -> usize {
    view.chunks.iter().map(|chunk| chunk.rows() * FILTER_WORK).sum()
}

/// The first matching rows by id. Keeps one more than wanted, to know whether more follow.
fn page_of(view: &TailView, page: &FilterPage) -> Result<FilteredPage, EngineError> {
    let scope = Scope { at: view.lsn, filter: Some(&page.filter) };
    let after = page.after.as_deref();
    let kept = page.limit + 1;
    let mut found: Vec<(&FlatChunk, usize)> = Vec::new();
    for chunk in view.chunks.iter() {
        for row in 0..chunk.rows() {
            // Comparing ids is cheaper than filtering.
            if after.is_none_or(|after| chunk.id_of(row) > after) && chunk.is_in(row, scope) {
                found.push((chunk, row));
            }
            if found.len() >= 2 * kept {
                keep_first(&mut found, kept);
            }
        }
    }
    keep_first(&mut found, kept);
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let records: Result<_, _> =
        found.into_iter().map(|(chunk, row)| record_of(chunk, row)).collect();
    Ok(FilteredPage { records: records?, more, lsn: view.lsn })
}

fn keep_first(found: &mut Vec<(&FlatChunk, usize)>, kept: usize) {
    found.sort_unstable_by(|a, b| a.0.id_of(a.1).cmp(b.0.id_of(b.1)));
    found.truncate(kept);
}

fn record_of(chunk: &FlatChunk, row: usize) -> Result<Record, EngineError> {
    Ok(Record {
        id: RecordId::parse(chunk.id_of(row)).map_err(|_| RowError::unmatched())?,
        values: chunk.values_of(row).to_vec(),
        sparse: chunk.sparse_of(row).map(SparseRef::to_vector),
        metadata: chunk.metadata_of(row).to_metadata().map_err(|_| RowError::damaged_metadata())?,
    })
}
