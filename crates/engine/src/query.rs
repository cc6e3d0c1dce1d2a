//! Nearest-record queries.
//!
//! A query takes a view of the namespace: its segments, and the tail of what is in none. The tail is
//! scored in full on all search threads, the segments are searched, and the best of both are one list.
//! Of a namespace too large for the memory budget the tail is scored while it streams from storage.
//! Either way the rows searched hold ids, vectors and metadata of one version at one Lsn. Invariant:
//! score, values and metadata of a hit belong to one version of the record.

use std::sync::Arc;

use lodgepole_kernels::Kernels;
use lodgepole_rows::RowError;
use lodgepole_search::{
    Candidate, FlatChunk, PreparedQuery, Scope, SearchOptions, SparseRef, TopK, search_segments,
};
use lodgepole_types::{
    Filter, Lsn, Metadata, Metric, NamespaceName, Record, RecordId, ScoredRecord, SparseVector,
};
use rayon::prelude::*;

use crate::record_scan::{RecordScan, place_in};
use crate::search_pool::{FILTER_WORK, Spread};
use crate::segment_load::{Indexed, segments_in};
use crate::segments::HeldSegment;
use crate::shard::Shard;
use crate::tails::{ChunkGatherer, TailView};
use crate::versions::{Unindexed, VersionScan};
use crate::{EngineError, ReadError};

/// How often one query finds segments damaged, and gives them up, before it fails.
const DISTRUST_MAX: u32 = 3;
/// Rows of a segment that a query looks at, at most, about.
const CODED_ROWS_MAX: usize = 50_000;
/// How much cheaper it is to look at a code than to score a vector.
const CODED_TIMES: usize = 32;

/// What to look for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The place to look around.
    pub near: Near,
    /// Hits wanted.
    pub top_k: u32,
    /// Only records that match; all of them without a filter.
    pub filter: Option<Arc<Filter>>,
    /// Whether hits carry their values, dense and sparse.
    pub include_values: bool,
    /// Whether hits carry their metadata.
    pub include_metadata: bool,
    /// How hard to look.
    pub effort: Effort,
}

/// How hard a query looks for near records, where it does not look at all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Multiplies how much of a segment is looked at.
    pub scan_factor: f32,
    /// At most so many records are scored exactly, but never fewer than wanted; `None` leaves it
    /// to the search.
    pub candidates_max: Option<usize>,
}

impl Default for Effort {
    fn default() -> Self {
        Self { scan_factor: 1.0, candidates_max: None }
    }
}

/// The place to look around.
#[derive(Debug, Clone, PartialEq)]
pub enum Near {
    /// A vector of the index's dimension. Records without a dense vector are no hits.
    Dense(Vec<f32>),
    /// A sparse vector, by inner product. Records that share no dimension with it are no hits.
    Sparse(SparseVector),
    /// Both, by the sum of both inner products. Records without a dense vector are no hits.
    Hybrid {
        /// Of the index's dimension.
        dense: Vec<f32>,
        /// The sparse part.
        sparse: SparseVector,
    },
    /// The vectors of a record: it is among the hits itself, if it matches the filter. An unknown
    /// id has no hits.
    Record(RecordId),
}

/// The nearest records, nearest first; equal scores by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The records; fewer than asked for when fewer match.
    pub hits: Vec<ScoredRecord>,
    /// Everything up to here is reflected.
    pub lsn: Lsn,
}

/// A query ready to run.
struct Search {
    prepared: PreparedQuery,
    k: usize,
    filter: Option<Arc<Filter>>,
    include_values: bool,
    include_metadata: bool,
    effort: Effort,
}

impl Shard {
    pub(crate) async fn query(
        &self,
        namespace: &NamespaceName,
        query: Query,
    ) -> Result<Answer, ReadError> {
        let lsn = self.database.durable_lsn();
        let Query { near, top_k, filter, include_values, include_metadata, effort } = query;
        let Some(prepared) = self.prepare(namespace, near).await? else {
            return Ok(Answer { hits: Vec::new(), lsn });
        };
        let k = top_k as usize;
        let search = Search { prepared, k, filter, include_values, include_metadata, effort };
        Ok(self.nearest(namespace, Arc::new(search)).await?)
    }

    /// What is looked for; `None` when it is a record that does not exist or has no vector that
    /// could be compared.
    async fn prepare(
        &self,
        namespace: &NamespaceName,
        near: Near,
    ) -> Result<Option<PreparedQuery>, EngineError> {
        let near = match near {
            Near::Record(id) => match self.vectors_of(namespace, &id).await? {
                Some(near) => near,
                None => return Ok(None),
            },
            near @ (Near::Dense(_) | Near::Sparse(_) | Near::Hybrid { .. }) => near,
        };
        let kernels = Kernels::detect();
        Ok(match near {
            Near::Dense(dense) => Some(PreparedQuery::dense(self.shape.metric(), dense, kernels)),
            Near::Sparse(sparse) => Some(PreparedQuery::sparse(&sparse)),
            Near::Hybrid { dense, sparse } => Some(PreparedQuery::hybrid(dense, &sparse, kernels)),
            Near::Record(_) => None,
        })
    }

    /// The vectors of a record, as a place to look around. Where the metric is not the inner
    /// product sparse values never count.
    async fn vectors_of(
        &self,
        namespace: &NamespaceName,
        id: &RecordId,
    ) -> Result<Option<Near>, EngineError> {
        let Some(place) = self.place(namespace).await? else { return Ok(None) };
        let Some(record) = self.record(place, id).await? else { return Ok(None) };
        let sparse = record.sparse.filter(|_| self.shape.metric() == Metric::DotProduct);
        Ok(match (record.values.is_empty(), sparse) {
            (false, Some(sparse)) => Some(Near::Hybrid { dense: record.values, sparse }),
            (false, None) => Some(Near::Dense(record.values)),
            (true, Some(sparse)) => Some(Near::Sparse(sparse)),
            (true, None) => None,
        })
    }

    async fn nearest(
        &self,
        namespace: &NamespaceName,
        search: Arc<Search>,
    ) -> Result<Answer, EngineError> {
        let mut distrusted = 0;
        loop {
            let found = self.nearest_once(namespace, &search).await;
            match found {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(error) if error.is_of_segment() && distrusted < DISTRUST_MAX => {
                    distrusted += 1;
                    self.distrust(namespace, &error).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `None` when the namespace changed under the query: it has to begin anew.
    async fn nearest_once(
        &self,
        namespace: &NamespaceName,
        search: &Arc<Search>,
    ) -> Result<Option<Answer>, EngineError> {
        let lsn = self.database.durable_lsn();
        self.shown.reach(lsn).await;
        let Some(place) = self.place(namespace).await? else {
            return Ok(Some(Answer { hits: Vec::new(), lsn }));
        };
        let Some(tail) = self.tail(namespace, place).await? else {
            return self.stream(namespace, Arc::clone(search)).await.map(Some);
        };
        // Whoever loads a tail may fail, or lose it to the budget: then it is our turn.
        let Some(view) = tail.view().await else { return Ok(None) };
        self.search(view, Arc::clone(search)).await.map(Some)
    }

    async fn search(&self, view: TailView, search: Arc<Search>) -> Result<Answer, EngineError> {
        let lsn = view.lsn;
        let hits = self.best_of(view, search).await?;
        Ok(Answer { hits, lsn })
    }

    /// The nearest records of some chunks.
    async fn best_of(
        &self,
        view: TailView,
        search: Arc<Search>,
    ) -> Result<Vec<ScoredRecord>, EngineError> {
        let work = search.work_on(&view);
        let found = self.commons.pool.run(work, move |spread| {
            let TailView { chunks, segments, lsn } = &view;
            let top = match spread {
                Spread::Here => chunks.iter().map(|chunk| search.scan(chunk, *lsn)).reduce(merge),
                Spread::Pool => {
                    chunks.par_iter().map(|chunk| search.scan(chunk, *lsn)).reduce_with(merge)
                }
            };
            let mut top = top.unwrap_or_else(|| search.nothing());
            search.segments(segments, &mut top)?;
            top.into_sorted().iter().map(|candidate| search.hit(candidate)).collect()
        });
        found.await.ok_or(EngineError::SearchDied)?
    }

    /// Scores a namespace while it streams from storage: for those above the memory budget. What is in
    /// segments is searched there.
    async fn stream(
        &self,
        namespace: &NamespaceName,
        search: Arc<Search>,
    ) -> Result<Answer, EngineError> {
        let view = self.settled_view().await?;
        let lsn = view.lsn();
        let mut best = Vec::new();
        let Some(place) = place_in(&view, namespace).await? else {
            return Ok(Answer { hits: best, lsn });
        };
        let entries = segments_in(&view, place).await?;
        let mut unindexed = if entries.is_empty() {
            Unindexed::All(RecordScan::start(&view, place).await?)
        } else {
            let Indexed { segments, born, .. } =
                Indexed::load(&view, place, &entries, &self.commons.segments).await?;
            let indexed = TailView { chunks: Arc::default(), segments: segments.into(), lsn };
            best = self.best_of(indexed, Arc::clone(&search)).await?;
            Unindexed::Some(VersionScan::new(&view, place, born))
        };
        let mut gatherer = ChunkGatherer::new(self.shape.dimension());
        while let Some(record) = unindexed.next().await? {
            if gatherer.push(record)? {
                self.add_best(&mut best, gatherer.take(), lsn, &search).await?;
            }
        }
        self.add_best(&mut best, gatherer.finish()?, lsn, &search).await?;
        Ok(Answer { hits: best, lsn })
    }

    async fn add_best(
        &self,
        best: &mut Vec<ScoredRecord>,
        chunks: Vec<FlatChunk>,
        lsn: Lsn,
        search: &Arc<Search>,
    ) -> Result<(), EngineError> {
        let chunks = chunks.into_iter().map(Arc::new).collect();
        let view = TailView { chunks, segments: Arc::default(), lsn };
        best.extend(self.best_of(view, Arc::clone(search)).await?);
        let metric = search.prepared.metric();
        best.sort_by(|a, b| nearer_first(metric, a, b));
        best.truncate(search.k);
        Ok(())
    }
}

impl Search {
    /// What scanning so many rows costs at most, in multiplications.
    fn work(&self, rows: usize) -> usize {
        let filtering = if self.filter.is_some() { rows * FILTER_WORK } else { 0 };
        self.prepared.work(rows) + filtering
    }

    /// What searching a view costs at most, about.
    fn work_on(&self, view: &TailView) -> usize {
        let chunks: usize = view.chunks.iter().map(|chunk| self.work(chunk.rows())).sum();
        let coded = view.segments.iter().map(|held| held.open.segment.rows().min(CODED_ROWS_MAX));
        let scored = if view.segments.is_empty() { 0 } else { self.prepared.work(2 * self.k) };
        chunks + scored + coded.map(|rows| self.prepared.work(rows) / CODED_TIMES).sum::<usize>()
    }

    fn nothing<'a>(&self) -> TopK<'a> {
        TopK::new(self.k, self.prepared.metric())
    }

    fn segments<'a>(
        &self,
        segments: &'a [HeldSegment],
        top: &mut TopK<'a>,
    ) -> Result<(), EngineError> {
        if segments.is_empty() {
            return Ok(());
        }
        let live: Vec<_> = segments.iter().map(HeldSegment::live).collect();
        let options = SearchOptions {
            filter: self.filter.as_deref(),
            scan_factor: self.effort.scan_factor,
            max_candidates: self.effort.candidates_max,
            ..SearchOptions::nearest(self.k)
        };
        search_segments(Kernels::detect(), &self.prepared, &live, &options, top)?;
        Ok(())
    }

    fn scan<'a>(&self, chunk: &'a FlatChunk, at: Lsn) -> TopK<'a> {
        let mut top = self.nothing();
        let scope = Scope { at, filter: self.filter.as_deref() };
        chunk.scan(Kernels::detect(), &self.prepared, scope, &mut top);
        top
    }

    /// Copies what was asked for.
    fn hit(&self, candidate: &Candidate<'_>) -> Result<ScoredRecord, EngineError> {
        let id = RecordId::parse(candidate.id).map_err(|_| RowError::unmatched())?;
        let (mut values, mut sparse, mut metadata) = (Vec::new(), None, Metadata::default());
        if self.include_values {
            values = candidate.values.to_vec();
            sparse = candidate.sparse.map(SparseRef::to_vector);
        }
        if self.include_metadata {
            let stored = candidate.metadata.to_metadata();
            metadata = stored.map_err(|_| RowError::damaged_metadata())?;
        }
        Ok(ScoredRecord { score: candidate.score, record: Record { id, values, sparse, metadata } })
    }
}

fn merge<'a>(mut a: TopK<'a>, b: TopK<'a>) -> TopK<'a> {
    a.merge(b);
    a
}

/// Nearest first; equal scores by id.
fn nearer_first(metric: Metric, a: &ScoredRecord, b: &ScoredRecord) -> std::cmp::Ordering {
    let by_score = a.score.total_cmp(&b.score);
    let by_score = if metric.lower_is_nearer() { by_score } else { by_score.reverse() };
    by_score.then_with(|| a.record.id.as_str().cmp(b.record.id.as_str()))
}
