//! Measures how far a search has to look, with rows of the segment as queries, and with rows that
//! were mixed with others.
//!
//! INVARIANT: a query does not find the row it comes from, or every measurement would be one row too
//! good.

use std::sync::atomic::AtomicBool;

use lodgepole_kernels::{BLOCK_ROWS, block_bytes, prefetch};
use lodgepole_types::Metric;

use super::cluster::Level;
use super::encode::Codes;
use super::{Arranged, halt, subtract};
use crate::segment::calibration::{
    BINS, CLASS_K, DEPTHS, FAR_BINS, NEAR_BINS, NUMBERS, TARGETS, first_lists, whole,
};
use crate::segment::random::Draw;
use crate::segment::search::reach_of;
use crate::segment::space::{Space, square, to_f32};
use crate::segment::{RowSource, SegmentError};

/// Rows that serve as queries.
const QUERIES: usize = 150;
/// Mixed rows that do.
const MOVED_QUERIES: usize = 100;
/// What becomes of a row that is moved: so many times itself, and the same of two others.
const MOVES: [[f32; 3]; 5] =
    [[0.5, 0.5, 0.0], [1.0, 0.25, -0.25], [1.0, 0.5, -0.5], [1.0, 1.0, -1.0], [1.0, 2.0, -2.0]];
/// Fewer far queries than this say nothing about classes of their own.
const FAR_QUERIES_MIN: usize = 24;
/// Where every row must be scored for each query, so many times fewer.
const QUERIES_WITHOUT_CODES_SHARE: usize = 5;
/// Best estimates that are scored to find the nearest.
const POOL: usize = 6_000;
/// Of these, rows that are asked for ahead: they lie all over the source.
const VALUES_AHEAD: usize = 8;
/// The share of what may be missed that candidates may miss; lists may miss the rest. Small, because
/// a few candidates more cost less than lists.
const CANDIDATE_SHARE: f32 = 0.1;

/// A segment in the making.
pub(super) struct Parts<'a> {
    pub(super) source: &'a dyn RowSource,
    pub(super) space: &'a Space,
    pub(super) mean: &'a [f32],
    /// As their 8-bit form says.
    pub(super) lists: &'a Level,
    pub(super) arranged: &'a Arranged,
    pub(super) codes: &'a Codes<'a>,
    /// Whether clusters were split into lists.
    pub(super) short_lists: bool,
    /// Source rows that the lists were made from, ascending.
    pub(super) sampled: &'a [u32],
    pub(super) stop: &'a AtomicBool,
}

/// What one query needs.
struct Needs {
    class: f32,
    /// For each of the nearest rows, nearest first: the place of its list, counted from 1, and its
    /// estimate in units of the query's reach.
    lists: Vec<u32>,
    estimates: Vec<f32>,
    /// The k-th best estimate of all rows, for each of [`DEPTHS`].
    kth: [f32; DEPTHS.len()],
}

/// The numbers of the section `Calibration`.
pub(super) fn calibrate(parts: &Parts<'_>, draw: &mut Draw) -> Result<Vec<f32>, SegmentError> {
    let share = if parts.codes.blocks.is_empty() { QUERIES_WITHOUT_CODES_SHARE } else { 1 };
    let mut near = Vec::with_capacity(QUERIES);
    for row in parts.queries(QUERIES / share, draw) {
        near.push(parts.measure(row, parts.values(row)?)?);
    }
    let mut moved = Vec::with_capacity(MOVED_QUERIES);
    let rows = parts.queries(MOVED_QUERIES / share * 3, draw);
    for (number, rows) in rows.chunks_exact(3).enumerate() {
        let from = [parts.values(rows[0])?, parts.values(rows[1])?, parts.values(rows[2])?];
        let query = mix(from, MOVES[number % MOVES.len()]);
        moved.push(parts.measure(rows[0], &query)?);
    }
    let (bounds, bins) = classes(near, moved);
    let mut numbers = Vec::with_capacity(NUMBERS);
    numbers.extend_from_slice(&bounds);
    for depth in 0..DEPTHS.len() {
        let first = numbers.len();
        for bin in &bins {
            let excesses = bin.iter().flat_map(|needs| needs.excesses(depth));
            push_needed(excesses.collect(), CANDIDATE_SHARE, &mut numbers);
        }
        raise_far(&mut numbers[first..]);
    }
    for depth in DEPTHS {
        let first = numbers.len();
        for bin in &bins {
            let lists = bin.iter().flat_map(|needs| needs.lists.iter().take(depth));
            let lists = lists.map(|list| *list as f32).collect();
            push_needed(lists, 1.0 - CANDIDATE_SHARE, &mut numbers);
        }
        raise_far(&mut numbers[first..]);
    }
    Ok(numbers)
}

/// A query that no row is like.
fn mix([a, b, c]: [&[f32]; 3], shares: [f32; 3]) -> Vec<f32> {
    let values = a.iter().zip(b).zip(c);
    values.map(|((a, b), c)| a * shares[0] + b * shares[1] + c * shares[2]).collect()
}

/// Sorts queries into classes; answers the upper bound of each, and its queries. The classes of near
/// queries are even parts of those that were not moved; those of far queries even parts of the rest.
fn classes(mut near: Vec<Needs>, moved: Vec<Needs>) -> ([f32; BINS], Vec<Vec<Needs>>) {
    let mut bounds = [f32::INFINITY; BINS];
    near.sort_by(|a, b| a.class.total_cmp(&b.class));
    for (bin, bound) in bounds.iter_mut().enumerate().take(NEAR_BINS) {
        let last = near.len() * (bin + 1) / NEAR_BINS;
        *bound = near[last.saturating_sub(1)].class;
    }
    let farthest = bounds[NEAR_BINS - 1];
    let (mut far, among): (Vec<_>, Vec<_>) =
        moved.into_iter().partition(|needs| needs.class > farthest);
    far.sort_by(|a, b| a.class.total_cmp(&b.class));
    if far.len() * QUERIES < FAR_QUERIES_MIN * near.len() {
        // As of rows on a line, where what is mixed is like them.
        for needs in &mut far {
            needs.class = farthest;
        }
    }
    for bin in 0..FAR_BINS {
        let last = far.len() * (bin + 1) / FAR_BINS;
        bounds[NEAR_BINS + bin] = last.checked_sub(1).map_or(farthest, |last| far[last].class);
    }
    let mut bins: Vec<Vec<Needs>> = (0..BINS).map(|_| Vec::new()).collect();
    for needs in near.into_iter().chain(among).chain(far) {
        let bin = bounds.iter().position(|bound| needs.class <= *bound).unwrap_or(BINS - 1);
        bins[bin].push(needs);
    }
    (bounds, bins)
}

/// For each target the least number with which that share of what is looked for is found, when so
/// much of what is missed may be missed for want of it. Numbers of a class that nothing is known of
/// are those of the class before.
fn push_needed(mut all: Vec<f32>, share: f32, numbers: &mut Vec<f32>) {
    if all.is_empty() {
        let before = numbers.len().saturating_sub(TARGETS.len());
        numbers.extend_from_within(before..before + TARGETS.len());
        return;
    }
    all.sort_unstable_by(f32::total_cmp);
    for target in TARGETS {
        let target = 1.0 - (1.0 - target) * share;
        let at = whole(all.len() as f32 * target).clamp(1, all.len());
        numbers.push(all[at - 1]);
    }
}

/// What far queries need is at least what the hardest of the near ones do: they were few.
fn raise_far(numbers: &mut [f32]) {
    let (near, far) = numbers.split_at_mut(NEAR_BINS * TARGETS.len());
    let hardest = &near[near.len() - TARGETS.len()..];
    for bin in far.chunks_exact_mut(TARGETS.len()) {
        for (number, least) in bin.iter_mut().zip(hardest) {
            *number = number.max(*least);
        }
    }
}

impl Needs {
    /// By how much the estimates of the nearest rows exceed the last that would do without errors.
    fn excesses(&self, depth: usize) -> impl Iterator<Item = f32> {
        let estimates = self.estimates.iter().take(DEPTHS[depth]);
        estimates.map(move |estimate| (estimate - self.kth[depth]).max(0.0))
    }
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

    /// What a query needs that comes from a row.
    fn measure(&self, row: usize, values: &[f32]) -> Result<Needs, SegmentError> {
        halt(self.stop, 0)?;
        let space = self.space;
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
        let reach = self.reach(&query);
        let last = estimates.len().saturating_sub(1);
        let kth = DEPTHS
            .map(|depth| estimates.get(last.min(depth - 1)).map_or(0.0, |entry| entry.0 / reach));
        let mut exact = Vec::with_capacity(estimates.len());
        for (at, (estimate, other, list)) in estimates.iter().enumerate() {
            if let Some(next) = estimates.get(at + VALUES_AHEAD) {
                prefetch(self.values(next.1 as usize)?);
            }
            let distance = self.distance(values, self.values(*other as usize)?);
            exact.push((distance, estimate / reach, rank[*list as usize]));
        }
        exact.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        exact.truncate(DEPTHS[DEPTHS.len() - 1].min(exact.len() / 2));
        Ok(Needs {
            class,
            lists: exact.iter().map(|entry| entry.2).collect(),
            estimates: exact.iter().map(|entry| entry.1).collect(),
            kth,
        })
    }

    /// The unit of margins, as in a search.
    fn reach(&self, query: &[f32]) -> f32 {
        if !self.space.is_euclidean() {
            return 1.0;
        }
        let mut around = query.to_vec();
        subtract(&mut around, self.mean);
        reach_of(self.space.kernels.squared_norm(&around).sqrt())
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
        // As a search does, which knows query and centroids in 8 bits.
        let mut codes = vec![0; around.len()];
        let scale = kernels.quantise_i8(&around, &mut codes);
        for (value, code) in around.iter_mut().zip(codes) {
            *value = f32::from(code) * scale;
        }
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
        let kernels = self.space.kernels;
        let directions = self.codes.directions;
        let table = directions.table(kernels, query, self.mean, self.codes.reference);
        let block_bytes = block_bytes(directions.coded());
        let first = first_lists(self.short_lists).min(order.len());
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
                out.resize(blocks.len() * BLOCK_ROWS, 0.0);
                let bytes = blocks.start * block_bytes..blocks.end * block_bytes;
                let blocks = &self.codes.blocks[bytes];
                kernels.scan_estimates(&table, blocks, base, &mut out);
            }
            for (row, estimate) in rows.zip(&out) {
                all.push((*estimate, row, list));
            }
            if place + 1 == first {
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
