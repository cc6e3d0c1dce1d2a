//! Exact nearest-record queries.
//!
//! A query takes a view of the namespace's tail and scores every visible row, on all search
//! threads. A namespace too large for the memory budget is scored while it streams from storage.
//! Metadata lies in the record rows: a hit whose row carries another docid was overwritten since
//! the view was taken, so the query is run again on a fresh view; after some tries such hits are
//! scored again from the version that is there now. A score and metadata of two versions are never
//! mixed.

use std::sync::Arc;

use lodgepole_kernels::Kernels;
use lodgepole_search::{Candidate, FlatChunk, PreparedQuery, TopK};
use lodgepole_storage::Visibility;
use lodgepole_types::{
    Lsn, Metadata, Metric, NamespaceName, Record, RecordId, ScoredRecord, SparseVector,
};
use rayon::prelude::*;

use crate::rows::{self, DocId, Place, RecordRow, VectorRow};
use crate::search_pool::Spread;
use crate::shard::Shard;
use crate::tails::{Admission, ChunkGatherer, Loading, Tail, TailKey, TailView};
use crate::{EngineError, ReadError};

/// Views tried before hits that changed meanwhile are scored again one by one.
const FRESH_VIEWS_MAX: usize = 3;
/// Bytes a row takes in memory beside its values and id.
const ROW_OVERHEAD_BYTES: u64 = 40;

/// What to look for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The place to look around.
    pub near: Near,
    /// Hits wanted.
    pub top_k: u32,
    /// Whether hits carry their values.
    pub include_values: bool,
    /// Whether hits carry their metadata.
    pub include_metadata: bool,
}

/// The place to look around.
#[derive(Debug, Clone, PartialEq)]
pub enum Near {
    /// A vector of the index's dimension.
    Vector(Vec<f32>),
    /// The vector of a record; it is among the hits itself. An unknown id has no hits.
    Record(RecordId),
}

/// The nearest records, nearest first; equal scores by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The records; fewer than asked for when the namespace has fewer.
    pub hits: Vec<ScoredRecord>,
    /// Everything up to here is reflected.
    pub lsn: Lsn,
}

/// A hit before its metadata is read.
#[derive(Debug)]
struct Hit {
    score: f32,
    docid: DocId,
    id: String,
    values: Vec<f32>,
}

impl Hit {
    fn of(candidate: &Candidate<'_>, with_values: bool) -> Self {
        Self {
            score: candidate.score,
            docid: candidate.docid,
            id: candidate.id.to_owned(),
            values: if with_values { candidate.values.to_vec() } else { Vec::new() },
        }
    }
}

impl Shard {
    pub(crate) async fn query(
        &self,
        namespace: &NamespaceName,
        query: Query,
    ) -> Result<Answer, ReadError> {
        let lsn = self.database.durable_lsn();
        let nothing = Answer { hits: Vec::new(), lsn };
        let Some(place) = self.place(namespace).await? else { return Ok(nothing) };
        let vector = match &query.near {
            Near::Vector(vector) => vector.clone(),
            Near::Record(id) => match self.record(place, id).await? {
                Some(record) if !record.values.is_empty() => record.values,
                _ => return Ok(nothing),
            },
        };
        let prepared =
            Arc::new(PreparedQuery::new(self.shape.dense.metric, vector, Kernels::detect()));
        for attempt in 1.. {
            let (hits, lsn) = self.nearest(place, &query, &prepared).await?;
            let (hits, changed) = self.complete(place, &query, &prepared, hits).await?;
            if !changed || attempt == FRESH_VIEWS_MAX {
                return Ok(Answer { hits, lsn });
            }
        }
        Ok(nothing)
    }

    /// The best hits of one view.
    async fn nearest(
        &self,
        place: Place,
        query: &Query,
        prepared: &Arc<PreparedQuery>,
    ) -> Result<(Vec<Hit>, Lsn), EngineError> {
        loop {
            let key = TailKey { index: self.shape.index, place };
            let dimension = self.shape.dense.dimension as usize;
            let estimate = self.tail_bytes(place).await?;
            let tail = match self.commons.tails.admit(key, dimension, estimate) {
                Admission::Present(tail) => tail,
                Admission::Load(loading) => self.load(loading, place).await?,
                Admission::TooLarge => return self.stream(place, query, prepared).await,
            };
            // Whoever loads a tail may fail, or lose it to the budget: then it is our turn.
            if let Some(view) = tail.view().await {
                let lsn = view.lsn;
                return Ok((self.search(view, query, prepared).await?, lsn));
            }
        }
    }

    async fn tail_bytes(&self, place: Place) -> Result<u64, EngineError> {
        let count = self.count(place).await?;
        Ok(count.bytes + ROW_OVERHEAD_BYTES * count.record_count)
    }

    /// Reads all vectors of a namespace into memory. Writes go on meanwhile.
    async fn load(&self, loading: Loading, place: Place) -> Result<Arc<Tail>, EngineError> {
        let lsn = self.database.durable_lsn();
        let mut gatherer = ChunkGatherer::new(self.shape.dense.dimension as usize);
        let prefix = rows::vector_key(place, "");
        let mut scan = self.database.scan_prefix(&prefix, Visibility::Durable).await?;
        while let Some(entry) = scan.next().await? {
            let row = VectorRow::decode(&entry.value)?;
            gatherer.push(row.docid, rows::record_id_of_key(&entry.key)?, row.values)?;
        }
        Ok(loading.finish(gatherer.finish()?, lsn)?)
    }

    async fn search(
        &self,
        view: TailView,
        query: &Query,
        prepared: &Arc<PreparedQuery>,
    ) -> Result<Vec<Hit>, EngineError> {
        let rows: usize = view.chunks.iter().map(|chunk| chunk.rows()).sum();
        let work = rows * self.shape.dense.dimension as usize;
        let (prepared, k) = (Arc::clone(prepared), query.top_k as usize);
        let with_values = query.include_values;
        let found = self.commons.pool.run(work, move |spread| {
            let TailView { chunks, lsn } = &view;
            let top = match spread {
                Spread::Here => {
                    let tops = chunks.iter().map(|chunk| scan_chunk(chunk, &prepared, k, *lsn));
                    tops.reduce(merge)
                }
                Spread::Pool => {
                    let tops = chunks.par_iter().map(|chunk| scan_chunk(chunk, &prepared, k, *lsn));
                    tops.reduce_with(merge)
                }
            };
            let sorted = top.map(TopK::into_sorted).unwrap_or_default();
            sorted.iter().map(|candidate| Hit::of(candidate, with_values)).collect()
        });
        found.await.ok_or(EngineError::SearchDied)
    }

    /// Scores a namespace while it streams from storage: for those above the memory budget.
    async fn stream(
        &self,
        place: Place,
        query: &Query,
        prepared: &Arc<PreparedQuery>,
    ) -> Result<(Vec<Hit>, Lsn), EngineError> {
        let lsn = self.database.durable_lsn();
        let prefix = rows::vector_key(place, "");
        let mut scan = self.database.scan_prefix(&prefix, Visibility::Durable).await?;
        let mut best: Vec<Hit> = Vec::new();
        loop {
            let mut gatherer = ChunkGatherer::new(self.shape.dense.dimension as usize);
            let mut more = true;
            while !gatherer.is_chunk_full() {
                let Some(entry) = scan.next().await? else {
                    more = false;
                    break;
                };
                let row = VectorRow::decode(&entry.value)?;
                gatherer.push(row.docid, rows::record_id_of_key(&entry.key)?, row.values)?;
            }
            let chunks = gatherer.finish()?.into_iter().map(Arc::new).collect();
            let view = TailView { chunks: Arc::new(chunks), lsn };
            let found = self.search(view, query, prepared).await?;
            best.extend(found);
            sort_hits(&mut best, self.shape.dense.metric);
            best.truncate(query.top_k as usize);
            if !more {
                return Ok((best, lsn));
            }
        }
    }

    /// Adds what was asked for beside the score; tells whether a hit had changed meanwhile.
    async fn complete(
        &self,
        place: Place,
        query: &Query,
        prepared: &PreparedQuery,
        hits: Vec<Hit>,
    ) -> Result<(Vec<ScoredRecord>, bool), EngineError> {
        let mut changed = false;
        let mut records = Vec::with_capacity(hits.len());
        for hit in hits {
            let Ok(id) = RecordId::parse(&hit.id) else { continue };
            if !query.include_metadata {
                records.push(scored(id, hit.score, hit.values, None, Metadata::default()));
                continue;
            }
            let key = rows::record_key(place, &hit.id);
            let row = self.database.get(&key, Visibility::Durable).await?;
            let row = row.map(|bytes| RecordRow::decode(&bytes)).transpose()?;
            if let Some(row) = row.filter(|row| row.docid == hit.docid) {
                records.push(scored(id, hit.score, hit.values, None, row.metadata));
                continue;
            }
            changed = true;
            let Some(record) = self.record(place, &id).await? else { continue };
            if record.values.len() != prepared.values().len() {
                continue;
            }
            let score = prepared.rescore(Kernels::detect(), &record.values);
            let values = if query.include_values { record.values } else { Vec::new() };
            records.push(scored(id, score, values, record.sparse, record.metadata));
        }
        if changed {
            let metric = self.shape.dense.metric;
            records.sort_by(|a, b| {
                order(metric, (a.score, a.record.id.as_str()), (b.score, b.record.id.as_str()))
            });
        }
        Ok((records, changed))
    }
}

fn scan_chunk<'a>(chunk: &'a FlatChunk, prepared: &PreparedQuery, k: usize, at: Lsn) -> TopK<'a> {
    let mut top = TopK::new(k, prepared.metric());
    chunk.scan(Kernels::detect(), prepared, at, &mut top);
    top
}

fn merge<'a>(mut a: TopK<'a>, b: TopK<'a>) -> TopK<'a> {
    a.merge(b);
    a
}

fn scored(
    id: RecordId,
    score: f32,
    values: Vec<f32>,
    sparse: Option<SparseVector>,
    metadata: Metadata,
) -> ScoredRecord {
    ScoredRecord { score, record: Record { id, values, sparse, metadata } }
}

fn sort_hits(hits: &mut [Hit], metric: Metric) {
    hits.sort_by(|a, b| order(metric, (a.score, &a.id), (b.score, &b.id)));
}

/// Nearest first; equal scores by id.
fn order(metric: Metric, a: (f32, &str), b: (f32, &str)) -> std::cmp::Ordering {
    let by_score = if metric.lower_is_nearer() { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) };
    by_score.then_with(|| a.1.cmp(b.1))
}
