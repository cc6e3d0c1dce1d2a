//! Dense and hybrid queries.

use std::ops::RangeInclusive;

use lodgepole_kernels::{BLOCK_ROWS, Kernels, Pick};

use super::allowed::Allowed;
use super::finish::{Fine, certain, push, refine, score};
use super::pool::{Entry, Pool};
use super::probe::{Probe, Seen};
use super::scan::CodeScan;
use super::sparse::Extra;
use super::view::{Look, View};
use crate::query::{DenseQuery, PreparedQuery, SparseQuery};
use crate::segment::calibration::{CLASS_K, Calibration, Class, DEPTHS, first_lists, whole};
use crate::segment::{LiveSegment, SearchCounters, SearchOptions, SegmentError, SegmentKind};
use crate::topk::TopK;

/// A search for more than one of so many rows looks at all lists.
const MANY_SHARE: f32 = 8.0;
/// Up to one dead row in so many changes nothing about what is near.
const FEW_DEAD_SHARE: usize = 20;
/// Lists whose places are asked for ahead.
const LISTS_AHEAD: usize = 16;
/// Blocks scanned with one threshold: few at first, when every batch brings it down, then twice as many
/// each time, so that memory is asked for well ahead.
const PICKS: RangeInclusive<usize> = 4..=128;

/// One dense query over all segments.
pub(super) struct DenseSearch<'q, 'a> {
    kernels: Kernels,
    query: &'q PreparedQuery,
    dense: &'q DenseQuery,
    segments: &'q [LiveSegment<'a>],
    options: &'q SearchOptions<'q>,
    look: Option<Look>,
    pool: Pool,
    /// The margin of candidates that the segments looked at so far ask for.
    margin: f32,
    fine: Vec<Fine>,
    /// For a hybrid query, by segment.
    extras: Vec<Option<Extra>>,
    hits: Vec<(u32, f32)>,
    picks: Vec<Pick>,
    /// How many of them make a batch.
    picks_wanted: usize,
}

impl<'q, 'a> DenseSearch<'q, 'a> {
    pub(super) fn new(
        kernels: Kernels,
        query: &'q PreparedQuery,
        dense: &'q DenseQuery,
        segments: &'q [LiveSegment<'a>],
        options: &'q SearchOptions<'q>,
    ) -> Self {
        Self {
            kernels,
            query,
            dense,
            segments,
            options,
            look: None,
            // Margins were measured behind the tenth best, not behind fewer.
            pool: Pool::new(options.k.max(DEPTHS[0])),
            margin: 0.0,
            fine: Vec::new(),
            extras: segments.iter().map(|_| None).collect(),
            hits: Vec::new(),
            picks: Vec::new(),
            picks_wanted: *PICKS.start(),
        }
    }

    pub(super) fn run(
        mut self,
        sparse: Option<&SparseQuery>,
        top: &mut TopK<'a>,
        counters: &mut SearchCounters,
    ) -> Result<(), SegmentError> {
        let mut order: Vec<usize> = (0..self.segments.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(self.segments[*at].segment.dense_rows()));
        for at in order {
            counters.segments += 1;
            self.segment(at, sparse, top, counters)?;
        }
        self.finish(top, counters)
    }

    fn segment(
        &mut self,
        at: usize,
        sparse: Option<&SparseQuery>,
        top: &mut TopK<'a>,
        counters: &mut SearchCounters,
    ) -> Result<(), SegmentError> {
        let live = self.segments[at];
        let segment = live.segment;
        let allowed = Allowed::of(&live, self.options.filter)?;
        let matches = allowed.count(segment.rows());
        if matches == 0 || segment.dense_rows() == 0 {
            return Ok(());
        }
        let look = self.look.take();
        let look = match (&segment.space, look) {
            (None, look) => {
                self.look = look;
                return self.exact(live, &allowed, top, counters);
            }
            (Some(space), Some(look)) if look.shape == space.shape => look,
            (Some(space), _) => Look::new(self.kernels, space, self.dense.values()),
        };
        let done = match &segment.space {
            Some(space) if look.trusted => {
                if let Some(sparse) = sparse {
                    self.extras[at] = Extra::of(sparse, &live, look.length)?;
                }
                let view = View::new(&look, space, segment)?;
                self.approximate(&view, at, &allowed, counters)
            }
            Some(_) | None => self.exact(live, &allowed, top, counters),
        };
        self.look = Some(look);
        done
    }

    /// Scores every row.
    fn exact(
        &self,
        live: LiveSegment<'a>,
        allowed: &Allowed<'_>,
        top: &mut TopK<'a>,
        counters: &mut SearchCounters,
    ) -> Result<(), SegmentError> {
        let rows = allowed.below(live.segment.dense_rows());
        for &row in &rows {
            push(self.kernels, self.query, live, row, top)?;
        }
        counters.rows_scored_f32 += rows.len() as u64;
        Ok(())
    }

    fn approximate(
        &mut self,
        view: &View<'_>,
        at: usize,
        allowed: &Allowed<'_>,
        counters: &mut SearchCounters,
    ) -> Result<(), SegmentError> {
        let segment = view.segment;
        let rows = segment.dense_rows();
        let matches = allowed.count(segment.rows()).min(rows);
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        let hybrid = self.extras[at].is_some();
        let few = matches!(allowed, Allowed::Few(_)) || matches <= few_max(rows);
        if few || (hybrid && segment.meta.blocks == 0) {
            return self.refine(view, number, &allowed.below(rows), counters);
        }
        let scan = CodeScan::of(view)?;
        let calibration = Calibration::read(&segment.container)?;
        let margin = self.margin_of(&calibration, Class::FARTHEST, view, hybrid);
        self.pool.set_margin(self.margin.max(margin));
        let list = ListScan { view, scan: &scan, segment: number, allowed };
        // Among few of the rows, fewer are as near as the nearest of all.
        let class_k = (!hybrid).then(|| (CLASS_K * matches).div_ceil(rows));
        if segment.kind() == SegmentKind::Flat {
            let seen = [scan.only(view)?];
            self.scan_lists(&list, &seen, counters)?;
            self.classify(&calibration, class_k, view);
            return Ok(());
        }
        let recall = self.options.recall.for_planning();
        let factor = self.options.scan_factor;
        let lists = |among_all: f32, class| {
            // What a filter or dead rows leave may all be hard to find.
            let lists = if self.options.filter.is_some() || matches < rows - rows / FEW_DEAD_SHARE {
                calibration.lists(among_all, recall, class)
            } else {
                calibration.lists_on_average(among_all, recall, class)
            };
            let lists = whole(lists * factor);
            // What so many rows need was not measured, and hardly differs from all lists.
            if among_all * MANY_SHARE > rows as f32 { usize::MAX } else { lists }
        };
        // The k nearest of few rows are as far as more than k of all rows.
        let k = self.options.k as f32;
        let share = matches as f32 / rows as f32;
        let mut probe =
            Probe::new(view, (scan.terms, &scan.table), allowed, lists(k / share, Class::MIDDLE))?;
        if hybrid {
            self.classify(&calibration, class_k, view);
            return self.scan_lists(&list, &probe.next(usize::MAX)?, counters);
        }
        let first = first_lists(segment.has_list_codes());
        let near = probe.next(first)?;
        self.scan_lists(&list, &near, counters)?;
        let class = self.classify(&calibration, class_k, view);
        // Near the query they may be fewer still, as where a whole region is dead.
        let share = share.min(list.share_of(&near));
        let mut next = lists(k / share, class).saturating_sub(first);
        loop {
            self.scan_lists(&list, &probe.next(next)?, counters)?;
            let found = self.pool.len() + self.fine.len();
            if probe.is_empty() || found >= self.options.k.min(matches) {
                return Ok(());
            }
            next = first;
        }
    }

    /// Finds out how hard the query is, and so how many candidates to keep from now on.
    fn classify(
        &mut self,
        calibration: &Calibration<'_>,
        class_k: Option<usize>,
        view: &View<'_>,
    ) -> Class {
        let class = calibration.class(class_k.map(|k| self.kth(k)));
        self.margin = self.margin.max(self.margin_of(calibration, class, view, class_k.is_none()));
        self.pool.set_margin(self.margin);
        class
    }

    /// Up to how far behind the k-th best estimate rows are candidates. The sparse part of a hybrid
    /// query was not calibrated.
    fn margin_of(
        &self,
        calibration: &Calibration<'_>,
        class: Class,
        view: &View<'_>,
        hybrid: bool,
    ) -> f32 {
        let (k, recall) = (self.options.k, self.options.recall.for_planning());
        let factor = self.options.scan_factor.max(1.0) * if hybrid { 2.0 } else { 1.0 };
        calibration.margin(k as f32, recall, class) * factor * view.reach()
    }

    fn refine(
        &mut self,
        view: &View<'_>,
        segment: u32,
        rows: &[u32],
        counters: &mut SearchCounters,
    ) -> Result<(), SegmentError> {
        counters.rows_reranked_i8 += rows.len() as u64;
        let extra = self.extras[segment as usize].as_ref();
        let extra = |row: u32| extra.map_or(0.0, |extra| extra.at(row as usize));
        refine(view, segment, rows, extra, &mut self.fine)
    }

    /// The k-th best estimate so far; infinite before there are k.
    fn kth(&mut self, k: usize) -> f32 {
        if self.fine.is_empty() {
            return self.pool.kth(k);
        }
        // Some segments were refined outright, others scanned.
        let fine = self.fine.iter().map(|fine| fine.entry.estimate);
        let mut estimates: Vec<f32> = fine.chain(self.pool.estimates()).collect();
        if estimates.len() < k {
            return f32::INFINITY;
        }
        *estimates.select_nth_unstable_by(k - 1, f32::total_cmp).1
    }

    fn scan_lists(
        &mut self,
        list: &ListScan<'_>,
        lists: &[Seen],
        counters: &mut SearchCounters,
    ) -> Result<(), SegmentError> {
        for (at, seen) in lists.iter().enumerate() {
            if let Some(next) = lists.get(at + LISTS_AHEAD) {
                list.scan.prefetch_places(next.list);
            }
            counters.lists_probed += 1;
            let rows = list.scan.rows(seen.list);
            counters.rows_scanned += rows.len() as u64;
            if !list.scan.has_codes() {
                let rows = list.allowed.within(rows);
                self.refine(list.view, list.segment, &rows, counters)?;
            } else if self.extras[list.segment as usize].is_some() {
                self.scan_hybrid(list, *seen)?;
            } else {
                let all = list.allowed.is_all();
                for (block, rows) in list.scan.blocks(seen.list) {
                    let allowed = if all { u32::MAX } else { list.allowed.block_word(rows) };
                    self.picks.push(Pick { block, base: seen.base, allowed });
                    if self.picks.len() == self.picks_wanted {
                        self.scan_picks(list)?;
                    }
                }
            }
        }
        self.scan_picks(list)
    }

    /// Scans the codes of the picked blocks.
    fn scan_picks(&mut self, list: &ListScan<'_>) -> Result<(), SegmentError> {
        self.hits.clear();
        list.scan.below(&self.picks, self.pool.threshold(), &mut self.hits)?;
        self.picks.clear();
        self.picks_wanted = (self.picks_wanted * 2).min(*PICKS.end());
        for &(slot, estimate) in &self.hits {
            let row = list.scan.row_of(slot);
            self.pool.push(Entry { estimate, segment: list.segment, row });
        }
        Ok(())
    }

    /// The same for a hybrid query: the sum of both parts must be below the threshold.
    fn scan_hybrid(&mut self, list: &ListScan<'_>, seen: Seen) -> Result<(), SegmentError> {
        let Some(extra) = &self.extras[list.segment as usize] else { return Ok(()) };
        let mut estimates = [0.0; BLOCK_ROWS];
        for (block, rows) in list.scan.blocks(seen.list) {
            list.scan.estimates(seen.base, block, &mut estimates)?;
            let allowed = list.allowed.block_word(rows.clone());
            for (at, row) in rows.enumerate() {
                let estimate = estimates[at] - extra.at(row);
                if estimate < self.pool.threshold() && allowed >> at & 1 == 1 {
                    let row = u32::try_from(row).unwrap_or(u32::MAX);
                    self.pool.push(Entry { estimate, segment: list.segment, row });
                }
            }
        }
        Ok(())
    }

    /// Refines what the scans found, and scores the best.
    fn finish(
        mut self,
        top: &mut TopK<'a>,
        counters: &mut SearchCounters,
    ) -> Result<(), SegmentError> {
        let mut entries = self.pool.take();
        entries.sort_unstable_by_key(|entry| (entry.segment, entry.row));
        let look = self.look.take();
        for entries in entries.chunk_by(|a, b| a.segment == b.segment) {
            let rows: Vec<u32> = entries.iter().map(|entry| entry.row).collect();
            let segment = self.segments[entries[0].segment as usize].segment;
            let (Some(space), Some(look)) = (&segment.space, &look) else { continue };
            let view = View::new(look, space, segment)?;
            self.refine(&view, entries[0].segment, &rows, counters)?;
        }
        let k = self.options.k;
        let most = self.options.max_candidates.map_or(usize::MAX, |most| most.max(k));
        let fine = certain(std::mem::take(&mut self.fine), k, most);
        let mut entries: Vec<Entry> = fine.into_iter().map(|fine| fine.entry).collect();
        score(self.kernels, self.query, self.segments, &mut entries, top, counters)
    }
}

/// A segment whose lists are scanned.
struct ListScan<'s> {
    view: &'s View<'s>,
    scan: &'s CodeScan<'s>,
    segment: u32,
    allowed: &'s Allowed<'s>,
}

impl ListScan<'_> {
    /// Which share of the rows of some lists may be found; 1 of none.
    fn share_of(&self, lists: &[Seen]) -> f32 {
        let (mut found, mut all) = (0, 0);
        if !self.allowed.is_all() {
            for rows in lists.iter().map(|seen| self.scan.rows(seen.list)) {
                all += rows.len();
                found += self.allowed.count_in(rows);
            }
        }
        if all == 0 { 1.0 } else { found.max(1) as f32 / all as f32 }
    }
}

/// Up to so many of `rows` rows are looked at by their 8-bit form. That costs about 10 ns a row,
/// and codes cost less than 1 ns, but are looked at whether their rows match or not.
fn few_max(rows: usize) -> usize {
    rows / 40 + 1_000
}
