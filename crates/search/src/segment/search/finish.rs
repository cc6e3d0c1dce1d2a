//! From candidates to answers: 8-bit estimates, then exact scores.
//!
//! The error of an 8-bit estimate is known from how both vectors were rounded. So a candidate is
//! scored exactly unless it is certain, up to [`CERTAIN`] standard errors, that k others are nearer.

use lodgepole_kernels::{Kernels, prefetch};

use super::pool::{Entry, ascending, from_ascending};
use super::view::View;
use crate::query::PreparedQuery;
use crate::segment::{LiveSegment, SearchCounters, Segment, SegmentError, SourceRow};
use crate::topk::{Candidate, TopK};
use lodgepole_container::Section;

/// Standard errors on each side.
const CERTAIN: f32 = 3.0;

/// A candidate with its 8-bit estimate.
#[derive(Debug, Clone, Copy)]
pub(in crate::segment) struct Fine {
    pub(in crate::segment) entry: Entry,
    pub(in crate::segment) error: f32,
}

/// Estimates rows of one segment by their 8-bit form. `extra` is taken off the estimate of a row.
pub(super) fn refine(
    view: &View<'_>,
    segment: u32,
    rows: &[u32],
    extra: impl Fn(u32) -> f32,
    out: &mut Vec<Fine>,
) -> Result<(), SegmentError> {
    let container = &view.segment.container;
    let padded = view.codes().len();
    let terms = container.rows_at(Section::Terms8, size_of::<[f32; 2]>(), rows)?;
    let terms: &[[f32; 2]] = bytemuck::cast_slice(terms);
    let codes = bytemuck::cast_slice(container.rows_at(Section::Rows8, padded, rows)?);
    let mut sums = vec![0; rows.len()];
    for &row in rows {
        prefetch(&terms[row as usize..=row as usize]);
    }
    view.look.kernels.dot_i8_at(view.codes(), codes, rows, &mut sums);
    for (&row, sum) in rows.iter().zip(sums) {
        let terms = terms[row as usize];
        let estimate = view.estimate(terms, sum) - extra(row);
        let entry = Entry { estimate, segment, row };
        out.push(Fine { entry, error: view.error(terms) });
    }
    Ok(())
}

/// Keeps those that may be among the k nearest, best first, at most `most`.
pub(super) fn certain(mut fine: Vec<Fine>, k: usize, most: usize) -> Vec<Fine> {
    if fine.len() > k && k > 0 {
        let worst = |fine: &Fine| ascending(fine.entry.estimate + CERTAIN * fine.error);
        let mut bars: Vec<u32> = fine.iter().map(worst).collect();
        let bar = from_ascending(*bars.select_nth_unstable(k - 1).1);
        fine.retain(|fine| fine.entry.estimate - CERTAIN * fine.error <= bar);
    }
    if fine.len() > most {
        fine.select_nth_unstable_by(most, |a, b| a.entry.order(&b.entry));
        fine.truncate(most);
    }
    fine
}

/// Scores rows exactly and pushes them.
///
/// In passes, so that each asks for all the memory of the next before it is needed: candidates are
/// spread over the segment, and waiting for one after the other would take longer than the rest.
pub(super) fn score<'a>(
    kernels: Kernels,
    query: &PreparedQuery,
    segments: &[LiveSegment<'a>],
    entries: &mut [Entry],
    top: &mut TopK<'a>,
    counters: &mut SearchCounters,
) -> Result<(), SegmentError> {
    /// Vectors asked for ahead.
    const AHEAD: usize = 8;
    entries.sort_unstable_by_key(|entry| (entry.segment, entry.row));
    let segment = |entry: &Entry| segments[entry.segment as usize].segment;
    let mut scored = Vec::with_capacity(entries.len());
    let mut ahead = entries.iter();
    for entry in ahead.by_ref().take(AHEAD) {
        prefetch(segment(entry).values_of(entry.row as usize)?);
    }
    for entry in entries.iter() {
        if let Some(next) = ahead.next() {
            prefetch(segment(next).values_of(next.row as usize)?);
        }
        segment(entry).prefetch_places(entry.row as usize)?;
        if let Some(score) = exact_score(kernels, query, segment(entry), entry.row)? {
            scored.push((score, *entry));
        }
    }
    counters.rows_scored_f32 += entries.len() as u64;
    for (score, entry) in &scored {
        if top.admits(*score) {
            segment(entry).prefetch_texts(entry.row as usize)?;
        }
    }
    for (score, entry) in scored {
        offer(segment(&entry), entry.row, score, top)?;
    }
    Ok(())
}

/// Scores one row exactly, and pushes it when it is worth it.
pub(super) fn push<'a>(
    kernels: Kernels,
    query: &PreparedQuery,
    live: LiveSegment<'a>,
    row: u32,
    top: &mut TopK<'a>,
) -> Result<(), SegmentError> {
    match exact_score(kernels, query, live.segment, row)? {
        Some(score) => offer(live.segment, row, score, top),
        None => Ok(()),
    }
}

/// `None` for a row that the query cannot find.
fn exact_score(
    kernels: Kernels,
    query: &PreparedQuery,
    segment: &Segment,
    row: u32,
) -> Result<Option<f32>, SegmentError> {
    let values = segment.values_of(row as usize)?;
    let hybrid = query.sparse_part().is_some();
    let sparse = if hybrid { segment.sparse_of(row as usize)? } else { None };
    Ok(query.rescore(kernels, values, sparse))
}

/// Pushes a scored row, if it may be among the best.
pub(super) fn offer<'a>(
    segment: &'a Segment,
    row: u32,
    score: f32,
    top: &mut TopK<'a>,
) -> Result<(), SegmentError> {
    if top.admits(score) {
        let SourceRow { docid, id, values, sparse, metadata } = segment.row(row)?;
        top.push(Candidate { score, docid, id, values, sparse, metadata });
    }
    Ok(())
}
