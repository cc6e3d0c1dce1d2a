//! Measures how far a search has to look, with rows of the segment as queries.
//!
//! INVARIANT: a query does not find itself, or every measurement would be one row too good.

use std::sync::atomic::AtomicBool;

use lodgepole_kernels::{BLOCK_ROWS, BlockTerms, code_block_bytes};
use lodgepole_types::Metric;

use super::cluster::Level;
use super::encode::Codes;
use super::{Arranged, halt, subtract};
use crate::segment::calibration::{BINS, CLASS_K, DEPTHS, FIRST_LISTS, NUMBERS, TARGETS, whole};
use crate::segment::random::Draw;
use crate::segment::space::{Space, square, to_f32};
use crate::segment::{RowSource, SegmentError};

/// Rows that serve as queries.
const QUERIES: usize = 224;
/// The same where every row must be scored for each.
const QUERIES_WITHOUT_CODES: usize = 40;
/// Best estimates that are scored to find the nearest.
const POOL: usize = 6_000;
/// The share of what may be missed that candidates may miss; lists may miss the rest.
const CANDIDATE_SHARE: f32 = 0.25;

/// A segment in the making.
pub(super) struct Parts<'a> {
    pub(super) source: &'a dyn RowSource,
    pub(super) space: &'a Space,
    pub(super) mean: &'a [f32],
    pub(super) lists: &'a Level,
    pub(super) arranged: &'a Arranged,
    pub(super) codes: &'a Codes,
    /// Source rows that the lists were made from, ascending.
    pub(super) sampled: &'a [u32],
    pub(super) stop: &'a AtomicBool,
}

/// What one query needs: for each of the nearest rows, nearest first, the place of its list and its
/// place among the estimates, counted from 1.
struct Needs {
    class: f32,
    lists: Vec<u32>,
    places: Vec<u32>,
}

/// The numbers of the section `Calibration`.
pub(super) fn calibrate(parts: &Parts<'_>, draw: &mut Draw) -> Result<Vec<f32>, SegmentError> {
    let has_codes = !parts.codes.blocks.is_empty();
    let queries = if has_codes { QUERIES } else { QUERIES_WITHOUT_CODES };
    let mut needs = Vec::with_capacity(queries);
    for row in parts.queries(queries, draw) {
        halt(parts.stop, 0)?;
        needs.push(parts.measure(row)?);
    }
    needs.sort_by(|a, b| a.class.total_cmp(&b.class));
    let mut numbers = Vec::with_capacity(NUMBERS);
    for bin in 0..BINS {
        let last = needs.len() * (bin + 1) / BINS;
        numbers.push(needs[last.saturating_sub(1)].class);
    }
    numbers.push(0.0);
    type Measured = fn(&Needs) -> &Vec<u32>;
    let candidates: (Measured, f32) = (|needs| &needs.places, CANDIDATE_SHARE);
    let lists: (Measured, f32) = (|needs| &needs.lists, 1.0 - CANDIDATE_SHARE);
    for (of, share) in [candidates, lists] {
        for depth in DEPTHS {
            for bin in 0..BINS {
                let class = &needs[needs.len() * bin / BINS..needs.len() * (bin + 1) / BINS];
                for target in TARGETS {
                    let target = 1.0 - (1.0 - target) * share;
                    numbers.push(needed(class, depth, target, of));
                }
            }
        }
    }
    Ok(numbers)
}

/// The least number with which the share of the nearest `depth` rows of all queries is found.
fn needed(needs: &[Needs], depth: usize, target: f32, of: impl Fn(&Needs) -> &Vec<u32>) -> f32 {
    let mut all: Vec<u32> =
        needs.iter().flat_map(|needs| of(needs).iter().take(depth)).copied().collect();
    if all.is_empty() {
        return 1.0;
    }
    all.sort_unstable();
    let at = whole(all.len() as f32 * target).clamp(1, all.len());
    all[at - 1] as f32
}

/// The best estimates of one query so far: estimate, row and list.
struct Estimates {
    entries: Vec<(f32, u32, u32)>,
    but: u32,
    threshold: f32,
    class: f32,
}

impl Estimates {
    fn new(but: usize) -> Self {
        Self {
            entries: Vec::new(),
            but: u32::try_from(but).unwrap_or(u32::MAX),
            threshold: f32::INFINITY,
            class: f32::INFINITY,
        }
    }

    fn push(&mut self, entry: (f32, u32, u32)) {
        if entry.0 < self.threshold && entry.1 != self.but {
            self.entries.push(entry);
            if self.entries.len() >= POOL * 2 {
                self.cut();
            }
        }
    }

    /// Takes the class of the query from what was found so far.
    fn set_class(&mut self) {
        let mut estimates: Vec<f32> = self.entries.iter().map(|entry| entry.0).collect();
        if estimates.len() >= CLASS_K {
            self.class = *estimates.select_nth_unstable_by(CLASS_K - 1, f32::total_cmp).1;
        }
    }

    fn cut(&mut self) {
        if self.entries.len() > POOL {
            let order = |a: &(f32, u32, u32), b: &(f32, u32, u32)| a.0.total_cmp(&b.0);
            self.threshold = self.entries.select_nth_unstable_by(POOL - 1, order).1.0;
            self.entries.truncate(POOL);
        }
    }
}

impl Parts<'_> {
    /// Rows to serve as queries. A sampled row lies nearer to its centroid than a query will, so
    /// others are taken where there are enough.
    fn queries(&self, count: usize, draw: &mut Draw) -> Vec<usize> {
        let order = &self.arranged.order;
        let mut drawn = draw.sample(count * 4, order.len());
        let fresh = |at: &usize| self.sampled.binary_search(&order[*at]).is_err();
        if drawn.iter().filter(|at| fresh(at)).count() >= count {
            drawn.retain(fresh);
        }
        let step = (drawn.len() / count).max(1);
        drawn.into_iter().step_by(step).take(count).collect()
    }

    fn measure(&self, row: usize) -> Result<Needs, SegmentError> {
        let space = self.space;
        let values = self.values(row)?;
        let mut query = vec![0.0; space.padded];
        space.place_query(values, square(space.kernels, values), &mut query);
        let order = self.order(&query);
        let mut rank = vec![0_u32; order.len()];
        for (place, (_, list)) in (1_u32..).zip(&order) {
            rank[*list as usize] = place;
        }
        let Estimates { class, entries: mut estimates, .. } =
            self.estimates(&query, &order, row)?;
        estimates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut exact = Vec::with_capacity(estimates.len());
        for (place, (_, other, list)) in (1_u32..).zip(&estimates) {
            let distance = self.distance(values, self.values(*other as usize)?);
            exact.push((distance, place, rank[*list as usize]));
        }
        exact.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        exact.truncate(DEPTHS[DEPTHS.len() - 1].min(exact.len() / 2));
        Ok(Needs {
            class,
            lists: exact.iter().map(|entry| entry.2).collect(),
            places: exact.iter().map(|entry| entry.1).collect(),
        })
    }

    fn values(&self, row: usize) -> Result<&[f32], SegmentError> {
        Ok(self.source.row(self.arranged.order[row] as usize)?.values)
    }

    /// The lists, nearest first, with their bases.
    fn order(&self, query: &[f32]) -> Vec<(f32, u32)> {
        let mut around = query.to_vec();
        let kernels = self.space.kernels;
        let mut products = vec![0.0; self.lists.len()];
        let offset = if self.space.is_euclidean() {
            subtract(&mut around, self.mean);
            kernels.squared_norm(&around) / 2.0
        } else {
            -kernels.dot(query, self.mean)
        };
        kernels.dot_rows(&around, self.lists.values(), &mut products);
        let mut order: Vec<(f32, u32)> = (0_u32..)
            .zip(products)
            .map(|(list, product)| {
                let half = if self.space.is_euclidean() { self.lists.half_norm(list) } else { 0.0 };
                (offset + half - product, list)
            })
            .collect();
        let key = |entry: &(f32, u32)| {
            let square = self.codes.spreads[entry.1 as usize][0];
            if self.space.is_euclidean() { entry.0 + square / 2.0 } else { entry.0 }
        };
        order.sort_unstable_by(|a, b| key(a).total_cmp(&key(b)).then(a.1.cmp(&b.1)));
        order
    }

    /// The best estimates of all rows but one.
    fn estimates(
        &self,
        query: &[f32],
        order: &[(f32, u32)],
        but: usize,
    ) -> Result<Estimates, SegmentError> {
        let mut all = Estimates::new(but);
        let table = self.space.kernels.code_table(query);
        let block_bytes = code_block_bytes(self.space.padded);
        let mut placed = vec![0.0; self.space.padded];
        let mut out = Vec::new();
        for (place, &(base, list)) in order.iter().enumerate() {
            let at = list as usize;
            let rows = self.arranged.starts[at]..self.arranged.starts[at + 1];
            out.clear();
            if self.codes.blocks.is_empty() {
                for row in rows.clone() {
                    self.space.place_row(self.values(row as usize)?, &mut placed);
                    out.push(self.space.estimate(query, &placed));
                }
            } else {
                let blocks = self.codes.starts[at] as usize..self.codes.starts[at + 1] as usize;
                let slots = blocks.start * BLOCK_ROWS..blocks.end * BLOCK_ROWS;
                let terms = BlockTerms {
                    a: &self.codes.a[slots.clone()],
                    b: &self.codes.b[slots.clone()],
                    base,
                };
                out.resize(slots.len(), 0.0);
                let bytes = blocks.start * block_bytes..blocks.end * block_bytes;
                let codes = &self.codes.blocks[bytes];
                self.space.kernels.scan_estimates(&table, codes, terms, &mut out);
            }
            for (row, estimate) in rows.zip(&out) {
                all.push((*estimate, row, list));
            }
            if place + 1 == FIRST_LISTS.min(order.len()) {
                all.set_class();
            }
        }
        all.cut();
        Ok(all)
    }

    /// A number that orders rows as their scores do, smaller for nearer.
    fn distance(&self, query: &[f32], values: &[f32]) -> f32 {
        let kernels = self.space.kernels;
        match self.space.shape.metric {
            Metric::Euclidean => kernels.squared_l2(query, values),
            Metric::DotProduct => -kernels.dot(query, values),
            Metric::Cosine => {
                let square = square(kernels, values);
                if square == 0.0 {
                    0.0
                } else {
                    -kernels.dot(query, values) / to_f32(square.sqrt())
                }
            }
        }
    }
}
