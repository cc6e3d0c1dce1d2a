//! Sparse queries: exact, through the postings. Also the sums of hybrid queries.

use super::allowed::Allowed;
use super::finish::offer;
use crate::postings::{self, Postings, SparseHits, touched};
use crate::query::SparseQuery;
use crate::rowset::Mask;
use crate::segment::{LiveSegment, SearchCounters, SearchOptions, SegmentError};
use crate::topk::TopK;

/// Pushes the rows that share a dimension with the query and may be among the best.
pub(super) fn search<'a>(
    sparse: &SparseQuery,
    live: LiveSegment<'a>,
    options: &SearchOptions<'_>,
    top: &mut TopK<'a>,
    counters: &mut SearchCounters,
) -> Result<(), SegmentError> {
    let segment = live.segment;
    let Ok(rows) = u32::try_from(segment.rows()) else { return Ok(()) };
    counters.segments += 1;
    let mask = match Allowed::of(&live, options.filter)? {
        Allowed::All | Allowed::Living(_) => None,
        Allowed::Few(few) => Some(Mask::of_rows(segment.rows(), &few)),
        Allowed::Many(mask) => Some(mask),
    };
    let allowed = postings::Allowed { mask: mask.as_ref(), dead: live.dead };
    let mut hits = Hits { live, top, scored: 0 };
    Postings::open(&segment.container)?.scan(sparse, 0..rows, allowed, &mut hits)?;
    counters.rows_scored_f32 += hits.scored;
    Ok(())
}

/// Pushes hits as they come.
struct Hits<'t, 'a> {
    live: LiveSegment<'a>,
    top: &'t mut TopK<'a>,
    scored: u64,
}

impl SparseHits for Hits<'_, '_> {
    fn threshold(&self) -> f32 {
        self.top.threshold()
    }

    fn hit(&mut self, row: u32, score: f32) -> Result<(), SegmentError> {
        self.scored += 1;
        offer(self.live.segment, row, score, self.top)
    }
}

/// What the sparse part of a hybrid query adds to the rows of one segment.
#[derive(Debug)]
pub(super) struct Extra {
    sums: Vec<f64>,
    /// Turns a sum into the unit of estimates, in which the dense query has the length 1.
    unit: f64,
}

impl Extra {
    /// `None` when no row with a dense vector shares a dimension with the query.
    pub(super) fn of(
        sparse: &SparseQuery,
        live: &LiveSegment<'_>,
        length: f32,
    ) -> Result<Option<Self>, SegmentError> {
        let mut sums = vec![0.0; live.segment.dense_rows()];
        let postings = Postings::open(&live.segment.container)?;
        if !postings.accumulate(sparse, 0, &mut sums)? {
            return Ok(None);
        }
        let unit = if length > 0.0 { f64::from(length).recip() } else { 1.0 };
        Ok(Some(Self { sums, unit }))
    }

    /// What to take off the estimate of a row.
    #[expect(clippy::cast_possible_truncation, reason = "an estimate")]
    pub(super) fn at(&self, row: usize) -> f32 {
        self.sums.get(row).copied().and_then(touched).map_or(0.0, |sum| (sum * self.unit) as f32)
    }
}
