//! Search over segments: plan, scan codes, refine, score.
//!
//! Every segment is planned for itself. Where few rows may be found, all of them are looked at by
//! their 8-bit form, or exactly; else codes are scanned, of all rows or of the likely lists. What
//! the scans find competes in one pool; what is there within a margin of the best is refined, and the
//! best of that are scored exactly.
//!
//! WHY the plan depends on the matches and not on the filter: whether rows are left out by a filter,
//! by deletions or by both makes no difference to what is near.

mod allowed;
mod dense;
mod finish;
mod pool;
mod probe;
mod scan;
mod sparse;
mod view;

use lodgepole_kernels::Kernels;
use lodgepole_types::Filter;

use self::allowed::Allowed;
pub(super) use self::view::reach_of;
use super::{LiveSegment, SearchCounters, SearchOptions, SegmentError};
use crate::query::PreparedQuery;
use crate::topk::TopK;

/// Searches segments for the nearest rows, with one candidate threshold over all of them, and
/// pushes exact scores into `top`. Nothing is missed in segments
/// whose rows are all scored, nor by sparse queries. Where few rows match, all of them are estimated
/// by their 8-bit form, and scored when they could be among the nearest within three standard errors.
///
/// # Errors
/// [`SegmentError::Damaged`] when the bytes it has to look at are not what was written. What was
/// pushed until then is right, but not all there is.
pub fn search_segments<'a>(
    kernels: Kernels,
    query: &PreparedQuery,
    segments: &[LiveSegment<'a>],
    options: &SearchOptions<'_>,
    top: &mut TopK<'a>,
) -> Result<SearchCounters, SegmentError> {
    let mut counters = SearchCounters::default();
    if options.k == 0 {
        return Ok(counters);
    }
    match (query.dense_part(), query.sparse_part()) {
        (Some(dense), sparse) => {
            let search = dense::DenseSearch::new(kernels, query, dense, segments, options);
            search.run(sparse, top, &mut counters)?;
        }
        (None, Some(sparse)) => {
            for live in segments {
                sparse::search(sparse, *live, options, top, &mut counters)?;
            }
        }
        (None, None) => {}
    }
    Ok(counters)
}

/// How many living rows match a filter.
///
/// # Errors
/// [`SegmentError::Damaged`] when the bytes it has to look at are not what was written.
pub fn count_matches(segment: &LiveSegment<'_>, filter: &Filter) -> Result<u64, SegmentError> {
    let rows = segment.segment.rows();
    Ok(Allowed::of(segment, Some(filter))?.count(rows) as u64)
}
