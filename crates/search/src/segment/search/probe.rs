//! The lists of a segment in the order in which a search looks at them.
//!
//! A list is the nearer the nearer its rows are on average: by the distance of its centroid, and by
//! how far its rows lie around that. How many of them are looked at, calibration says.
//!
//! WHY not until the lists left are unlikely to hold anything nearer, by a model of how their rows
//! are spread: tried, and at equal recall it looked at twice as many rows of real embeddings. It
//! spent them on the few queries that are far from everything, where no list stands out.

use super::allowed::Allowed;
use super::pool::ascending;
use super::view::View;
use crate::segment::SegmentError;
use crate::segment::format::Section;

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
pub(in crate::segment) struct Probe {
    /// Where the rows' estimates lie, as a number in their order, and below it the list.
    ///
    /// Distance above, number below, so that integers are selected among.
    keys: Vec<u64>,
    /// By list.
    bases: Vec<f32>,
}

impl Probe {
    /// All lists with rows that may be found.
    pub(in crate::segment) fn new(
        view: &View<'_>,
        terms: ListTerms<'_>,
        allowed: &Allowed<'_>,
    ) -> Result<Self, SegmentError> {
        let count = terms.spreads.len();
        let mut sums = vec![0; count];
        let all = 0..count * view.codes().len();
        let centroids = view.segment.container.i8s(Section::Centroids, all)?;
        view.look.kernels.dot_i8_rows(view.codes(), centroids, &mut sums);
        let (mut keys, mut bases) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (list, sum) in (0_u32..).zip(sums) {
            let at = list as usize;
            let base = view.estimate(terms.centroids[at], sum);
            bases.push(base);
            let rows = terms.starts[at] as usize..terms.starts[at + 1] as usize;
            let empty = match allowed {
                Allowed::All | Allowed::Living(_) => rows.is_empty(),
                Allowed::Few(_) | Allowed::Many(_) => allowed.count_in(rows) == 0,
            };
            if !empty {
                let around = if view.is_euclidean() { terms.spreads[at][0] / 2.0 } else { 0.0 };
                keys.push(u64::from(ascending(base + around)) << 32 | u64::from(list));
            }
        }
        Ok(Self { keys, bases })
    }

    pub(in crate::segment) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The next lists, in no order: they are all nearer than those left.
    pub(in crate::segment) fn next(&mut self, count: usize) -> Vec<Seen> {
        let left = self.keys.len() - count.min(self.keys.len());
        if left > 0 && left < self.keys.len() {
            // The nearest go to the end, where they are taken off.
            self.keys.select_nth_unstable_by(left, |a, b| b.cmp(a));
        }
        let near = self.keys.drain(left..);
        near.map(|key| {
            // The lower half of a key is a list's number, so this loses nothing.
            let list = u32::try_from(key & u64::from(u32::MAX)).unwrap_or(u32::MAX);
            Seen { base: self.bases[list as usize], list }
        })
        .collect()
    }
}
