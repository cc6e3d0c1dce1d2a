//! The lists of a segment in the order in which a search looks at them.
//!
//! A list is the nearer the nearer its rows are on average: by the distance of its centroid, and by
//! how far its rows lie around that. How many of them are looked at, calibration says. Few centroids
//! are all compared in 8 bits; many have codes, which say which few of them are worth that.
//!
//! WHY not until the lists left are unlikely to hold anything nearer, by a model of how their rows
//! are spread: tried, and at equal recall it looked at twice as many rows of real embeddings. It
//! spent them on the few queries that are far from everything, where no list stands out.

use super::allowed::Allowed;
use super::pool::{ascending, from_ascending};
use super::scan::Blocks;
use super::view::View;
use crate::segment::SegmentError;
use lodgepole_container::Section;
use lodgepole_kernels::{BLOCK_ROWS, CodeTable, Pick, prefetch};

/// From one dead row in so many on, lists are looked through for those without living rows.
const DEAD_SHARE: usize = 20;

/// What is known of the lists of a segment before a query.
#[derive(Debug, Clone, Copy)]
pub(in crate::segment) struct ListTerms<'a> {
    /// Scale and norm of the centroids' 8-bit form.
    pub(in crate::segment) centroids: &'a [[f32; 2]],
    /// For each list the mean of |r|², the variance of |r|²/2, and |c|².
    pub(in crate::segment) spreads: &'a [[f32; 4]],
    /// First row of each list, and the end of the last.
    pub(in crate::segment) starts: &'a [u32],
}

/// A list, as seen from the query.
#[derive(Debug, Clone, Copy)]
pub(in crate::segment) struct Seen {
    /// What is added to its rows' estimates.
    pub(in crate::segment) base: f32,
    pub(in crate::segment) list: u32,
}

impl Seen {
    /// The only list of a segment.
    pub(super) fn only(base: f32) -> Self {
        Self { base, list: 0 }
    }
}

/// The lists not looked at yet.
#[derive(Debug)]
pub(in crate::segment) struct Probe<'s, 'a> {
    view: &'s View<'a>,
    terms: ListTerms<'a>,
    table: &'s CodeTable,
    /// Lists with rows that may be found; all of them without.
    worth: Option<Vec<u32>>,
    /// Where the rows' estimates lie, as a number in their order, and below it the list.
    ///
    /// Distance above, number below, so that integers are selected among.
    keys: Vec<u64>,
    /// Lists that are left out of `keys`, if any, are farther than those in it.
    complete: bool,
    /// The farthest that was taken from them so far.
    taken: Option<u64>,
    /// How many these are.
    count_taken: usize,
    /// Lists whose place is known exactly, with it.
    ready: Vec<(u64, Seen)>,
}

impl<'s, 'a> Probe<'s, 'a> {
    /// All lists with rows that may be found. About `count` of them will be asked for.
    pub(in crate::segment) fn new(
        view: &'s View<'a>,
        (terms, table): (ListTerms<'a>, &'s CodeTable),
        allowed: &Allowed<'_>,
        count: usize,
    ) -> Result<Self, SegmentError> {
        let worth = match allowed {
            Allowed::All => None,
            // Hardly a list is dead as a whole where few rows are.
            Allowed::Living(dead) if dead.len() * DEAD_SHARE < view.segment.rows() => None,
            Allowed::Living(_) | Allowed::Few(_) | Allowed::Many(_) => {
                Some(allowed.list_words(terms.starts))
            }
        };
        let mut probe = Self {
            view,
            terms,
            table,
            worth,
            keys: Vec::new(),
            complete: false,
            taken: None,
            count_taken: 0,
            ready: Vec::new(),
        };
        if view.segment.has_list_codes() {
            probe.gather(count)?;
        } else {
            probe.gather_all()?;
        }
        Ok(probe)
    }

    pub(in crate::segment) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ready.is_empty() && self.complete
    }

    /// Takes all lists from their 8-bit centroids.
    fn gather_all(&mut self) -> Result<(), SegmentError> {
        let count = self.terms.spreads.len();
        let lists: Vec<u32> = (0_u32..).take(count).filter(|list| self.is_worth(*list)).collect();
        self.complete = true;
        self.make_ready(&lists)
    }

    fn is_worth(&self, list: u32) -> bool {
        self.worth.as_ref().is_none_or(|words| words[list as usize / 32] >> (list % 32) & 1 == 1)
    }

    /// Collects the next `count` lists and some more, by the codes of their centroids. Where the bar
    /// for that is, a sample of the lists says.
    fn gather(&mut self, count: usize) -> Result<(), SegmentError> {
        /// One of so many blocks of lists is in the sample.
        const SAMPLE_STEP: usize = 8;
        let mut near = Vec::new();
        self.below(f32::INFINITY, SAMPLE_STEP, &mut near)?;
        let rank = (self.count_taken + count.saturating_mul(2)) / SAMPLE_STEP + 8;
        let mut bar = f32::INFINITY;
        if rank < near.len() {
            let mut numbers: Vec<u32> =
                near.iter().map(|(_, estimate)| ascending(*estimate)).collect();
            bar = from_ascending(*numbers.select_nth_unstable(rank).1);
        }
        self.complete = bar == f32::INFINITY;
        near.clear();
        self.below(bar, 1, &mut near)?;
        let keys = near.iter().map(|(list, estimate)| key_of(*estimate, *list));
        self.keys.clear();
        match self.taken {
            None => self.keys.extend(keys),
            Some(taken) => self.keys.extend(keys.filter(|key| *key > taken)),
        }
        Ok(())
    }

    /// The lists worth a look with an estimate below the bar, of every `step`-th block of them.
    fn below(&self, bar: f32, step: usize, near: &mut Vec<(u32, f32)>) -> Result<(), SegmentError> {
        let lists = self.terms.spreads.len();
        let base = self.view.around_mean();
        let blocks = (0_u32..).take(lists.div_ceil(BLOCK_ROWS)).step_by(step);
        let picks: Vec<Pick> = blocks
            .map(|block| {
                let words = self.worth.as_ref();
                let allowed = words.map_or(u32::MAX, |words| words[block as usize]);
                Pick { block, base, allowed }
            })
            .collect();
        let blocks = Blocks::of(self.view.segment, self.table, Section::ListBlocks);
        blocks.below((self.view.look.kernels, self.table), &picks, bar, near)
    }

    /// The next lists, in no order: they are nearer than those left.
    ///
    /// The codes of centroids say which lists may be among them; their 8-bit form, which the scan
    /// of a list needs anyway, says which are.
    pub(in crate::segment) fn next(&mut self, count: usize) -> Result<Vec<Seen>, SegmentError> {
        if self.view.segment.has_list_codes() {
            self.weigh(count)?;
        }
        let nearer = |a: &(u64, Seen), b: &(u64, Seen)| a.0.cmp(&b.0);
        if count < self.ready.len() {
            self.ready.select_nth_unstable_by(count, nearer);
        }
        Ok(self.ready.drain(..count.min(self.ready.len())).map(|(_, seen)| seen).collect())
    }

    /// Makes ready some more than `count` lists.
    fn weigh(&mut self, count: usize) -> Result<(), SegmentError> {
        let wanted = count.saturating_mul(3) / 2 + 12;
        let wanted = wanted.saturating_sub(self.ready.len());
        if self.keys.len() < wanted && !self.complete {
            self.gather(wanted)?;
        }
        let left = self.keys.len() - wanted.min(self.keys.len());
        if left > 0 && left < self.keys.len() {
            // The nearest go to the end, where they are taken off.
            self.keys.select_nth_unstable_by(left, |a, b| b.cmp(a));
        }
        self.taken = self.keys[left..].iter().max().copied().or(self.taken);
        let lists: Vec<u32> = self.keys.drain(left..).map(lower).collect();
        self.count_taken += lists.len();
        self.make_ready(&lists)
    }

    fn make_ready(&mut self, lists: &[u32]) -> Result<(), SegmentError> {
        for (&list, base) in lists.iter().zip(self.bases(lists)?) {
            let square = self.terms.spreads[list as usize][0];
            let around = if self.view.is_euclidean() { square / 2.0 } else { 0.0 };
            self.ready.push((key_of(base + around, list), Seen { base, list }));
        }
        Ok(())
    }

    /// What is added to the estimates of the rows of lists, by their 8-bit centroids.
    fn bases(&self, lists: &[u32]) -> Result<Vec<f32>, SegmentError> {
        let container = &self.view.segment.container;
        let padded = self.view.codes().len();
        // They lie all over their sections, and come while the centroids are looked at.
        for &list in lists {
            let list = list as usize;
            prefetch(&self.terms.centroids[list..=list]);
            prefetch(&self.terms.spreads[list..=list]);
        }
        let centroids =
            bytemuck::cast_slice(container.rows_at(Section::Centroids, padded, lists)?);
        let mut sums = vec![0; lists.len()];
        let kernels = self.view.look.kernels;
        kernels.dot_i8_at(self.view.codes(), centroids, lists, &mut sums);
        let terms = self.terms.centroids;
        let base = |(list, sum): (&u32, i32)| self.view.estimate(terms[*list as usize], sum);
        Ok(lists.iter().zip(sums).map(base).collect())
    }
}

fn key_of(estimate: f32, list: u32) -> u64 {
    u64::from(ascending(estimate)) << 32 | u64::from(list)
}

/// The number of the list of a key.
fn lower(key: u64) -> u32 {
    // The mask leaves 32 bits, so this loses nothing.
    u32::try_from(key & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}
