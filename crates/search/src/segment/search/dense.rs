//! Dense and hybrid queries.

use lodgepole_kernels::{Cut, Kernels};

use super::allowed::Allowed;
use super::finish::{Fine, certain, push, refine, score};
use super::pool::{Entry, Pool};
use super::probe::{Probe, Seen};
use super::scan::CodeScan;
use super::sparse::Extra;
use super::view::{Look, View};
use crate::query::{DenseQuery, PreparedQuery, SparseQuery};
use crate::segment::calibration::{CLASS_K, Calibration, Class, FIRST_LISTS, whole};
use crate::segment::{LiveSegment, SearchCounters, SearchOptions, SegmentError, SegmentKind};
use crate::topk::TopK;

/// One dense query over all segments.
pub(super) struct DenseSearch<'q, 'a> {
    kernels: Kernels,
    query: &'q PreparedQuery,
    dense: &'q DenseQuery,
    segments: &'q [LiveSegment<'a>],
    options: &'q SearchOptions<'q>,
    look: Option<Look>,
    pool: Pool,
    /// Candidates that the segments looked at so far ask for.
    refined: usize,
    fine: Vec<Fine>,
    /// For a hybrid query, by segment.
    extras: Vec<Option<Extra>>,
    hits: Vec<(u32, f32)>,
    words: Vec<u32>,
    estimates: Vec<f32>,
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
            pool: Pool::new(options.k * 2),
            refined: 0,
            fine: Vec::new(),
            extras: segments.iter().map(|_| None).collect(),
            hits: Vec::new(),
            words: Vec::new(),
            estimates: Vec::new(),
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
        let scan = CodeScan::of(view)?;
        let hybrid = self.extras[at].is_some();
        let few = matches!(allowed, Allowed::Few(_)) || matches <= few_max(rows);
        if few || (hybrid && !scan.has_codes()) {
            return self.refine(view, number, &allowed.below(rows), counters);
        }
        let calibration = Calibration::read(&segment.container)?;
        self.pool.widen(self.candidates(&calibration, Class::LAST, hybrid));
        let list = ListScan { view, scan: &scan, segment: number, allowed };
        let unfiltered = matches!(allowed, Allowed::All | Allowed::Living(_)) && !hybrid;
        if segment.kind() == SegmentKind::Flat {
            let seen = [scan.only(view)?];
            self.scan_lists(&list, &seen, counters)?;
            self.classify(&calibration, unfiltered, hybrid);
            return Ok(());
        }
        let mut probe = Probe::new(view, scan.terms, allowed)?;
        if hybrid {
            self.classify(&calibration, unfiltered, hybrid);
            return self.scan_lists(&list, &probe.next(usize::MAX), counters);
        }
        self.scan_lists(&list, &probe.next(FIRST_LISTS), counters)?;
        let class = self.classify(&calibration, unfiltered, hybrid);
        // The k nearest of few rows are as far as more than k of all rows.
        let among_all = self.options.k as f32 * rows as f32 / matches as f32;
        let recall = self.options.recall.for_planning();
        let wanted = calibration.lists(among_all, recall, class) * self.options.scan_factor;
        let mut next = whole(wanted).saturating_sub(FIRST_LISTS);
        loop {
            self.scan_lists(&list, &probe.next(next), counters)?;
            let found = self.pool.len() + self.fine.len();
            if probe.is_empty() || found >= self.options.k.min(matches) {
                return Ok(());
            }
            next = FIRST_LISTS;
        }
    }

    /// Finds out how hard the query is, and so how many candidates to keep from now on.
    fn classify(&mut self, calibration: &Calibration<'_>, unfiltered: bool, hybrid: bool) -> Class {
        let class = calibration.class(unfiltered.then(|| self.kth(CLASS_K)));
        self.refined = self.refined.max(self.candidates(calibration, class, hybrid));
        self.pool.keep(self.refined);
        class
    }

    /// Candidates to refine. The sparse part of a hybrid query was not calibrated.
    fn candidates(&self, calibration: &Calibration<'_>, class: Class, hybrid: bool) -> usize {
        let (k, recall) = (self.options.k, self.options.recall.for_planning());
        let factor = self.options.scan_factor.max(1.0) * if hybrid { 2.0 } else { 1.0 };
        let candidates = calibration.candidates(k as f32, recall, class) * factor;
        whole(candidates).max(k * 2)
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
        let mut estimates: Vec<f32> = self.fine.iter().map(|fine| fine.entry.estimate).collect();
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
        for seen in lists {
            let rows = list.scan.rows(seen.list);
            counters.lists_probed += 1;
            counters.rows_scanned += rows.len() as u64;
            if !list.scan.has_codes() {
                let rows = list.allowed.within(rows);
                self.refine(list.view, list.segment, &rows, counters)?;
            } else if self.extras[list.segment as usize].is_some() {
                self.scan_hybrid(list, *seen)?;
            } else {
                self.scan_codes(list, *seen)?;
            }
        }
        Ok(())
    }

    /// Scans the codes of one list.
    fn scan_codes(&mut self, list: &ListScan<'_>, seen: Seen) -> Result<(), SegmentError> {
        for (blocks, rows) in list.scan.runs(seen.list) {
            let words = if list.allowed.is_all() {
                None
            } else {
                list.allowed.block_words(rows.clone(), &mut self.words);
                Some(self.words.as_slice())
            };
            let cut = Cut { threshold: self.pool.threshold(), allowed: words };
            self.hits.clear();
            list.scan.below(seen.base, blocks, cut, &mut self.hits)?;
            let first_row = u32::try_from(rows.start).unwrap_or(u32::MAX);
            for &(offset, estimate) in &self.hits {
                let row = first_row + offset;
                self.pool.push(Entry { estimate, segment: list.segment, row });
            }
        }
        Ok(())
    }

    /// The same for a hybrid query: the sum of both parts must be below the threshold.
    fn scan_hybrid(&mut self, list: &ListScan<'_>, seen: Seen) -> Result<(), SegmentError> {
        let Some(extra) = &self.extras[list.segment as usize] else { return Ok(()) };
        for (blocks, rows) in list.scan.runs(seen.list) {
            list.scan.estimates(seen.base, blocks, &mut self.estimates)?;
            list.allowed.block_words(rows.clone(), &mut self.words);
            for (at, row) in rows.enumerate() {
                let estimate = self.estimates[at] - extra.at(row);
                if estimate < self.pool.threshold() && self.words[at / 32] >> (at % 32) & 1 == 1 {
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

/// Up to so many of `rows` rows are looked at by their 8-bit form. That costs about 10 ns a row,
/// and codes cost less than 1 ns, but are looked at whether their rows match or not.
fn few_max(rows: usize) -> usize {
    rows / 40 + 1_000
}
