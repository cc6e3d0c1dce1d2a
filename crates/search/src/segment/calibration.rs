//! How far a search has to look for a target of recall, as measured when the segment was built.
//!
//! Some of the segment's own rows served as queries, and some that were mixed with others, as queries
//! are that are unlike the data. For each the builder found the true nearest rows, in which
//! of its nearest lists they lie, and by how much their estimates exceed the best ones. The tables
//! say how many lists, and which margin, gave which recall, for [`DEPTHS`] nearest rows; what lies
//! between is interpolated. Queries fall in [`BINS`] classes by how near the best rows of the first
//! few lists are: a query far from what it found needs more lists.
//!
//! WHY a margin and not a number of candidates: where many rows are about equally near, as for a
//! query far from all of them, the errors of the estimates mix more rows. How large these errors
//! are depends little on the query.

use super::SegmentError;
use lodgepole_container::{Container, Section};

/// Numbers of nearest rows that were looked for.
pub(super) const DEPTHS: [usize; 3] = [10, 100, 1_000];
/// Recalls that were aimed at.
pub(super) const TARGETS: [f32; 7] = [0.80, 0.90, 0.95, 0.97, 0.98, 0.99, 0.995];
/// Classes of queries like the rows, by how near their nearest are.
pub(super) const NEAR_BINS: usize = 3;
/// Classes of queries farther away than these.
pub(super) const FAR_BINS: usize = 3;
/// All classes.
pub(super) const BINS: usize = NEAR_BINS + FAR_BINS;
/// Lists looked at before a query is classed, by whether they are short.
pub(super) fn first_lists(short: bool) -> usize {
    if short { 12 } else { 4 }
}
/// The k whose estimate classes a query.
pub(super) const CLASS_K: usize = 10;

/// Numbers in the section: bounds, then margins, then lists.
const MARGINS_AT: usize = BINS;
const LISTS_AT: usize = MARGINS_AT + DEPTHS.len() * BINS * TARGETS.len();
pub(super) const NUMBERS: usize = LISTS_AT + DEPTHS.len() * BINS * TARGETS.len();

/// A query in a far class looks at so many times the lists that the builder's did: it comes from a
/// distribution that the builder did not see.
const FAR_FACTOR: f32 = 4.0;
/// The same for a query far beyond all that the builder saw.
const STRANGE_FACTOR: f32 = 8.0;
/// What the margin of such a query is multiplied with.
const FAR_MARGIN_FACTOR: f32 = 1.5;

/// How much more of the nearest hard queries may miss so that others miss less.
const MISSED_MORE_MAX: f32 = 1.4;

/// How hard a query is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Class {
    bin: usize,
    factor: f32,
}

impl Class {
    /// The hardest among queries like the rows.
    pub(super) const LAST_NEAR: Self = Self { bin: NEAR_BINS - 1, factor: 1.0 };
    /// The hardest that the builder saw.
    pub(super) const FARTHEST: Self = Self { bin: BINS - 1, factor: 1.0 };
    /// Neither the easiest nor the hardest.
    pub(super) const MIDDLE: Self = Self { bin: NEAR_BINS / 2, factor: 1.0 };
}

/// The tables of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calibration<'a>(&'a [f32]);

impl<'a> Calibration<'a> {
    pub(super) fn read(container: &'a Container) -> Result<Self, SegmentError> {
        container.f32s(Section::Calibration, 0..NUMBERS).map(Self)
    }

    /// The class of a query by the estimate of the [`CLASS_K`]-th nearest in the first lists; for a
    /// hybrid query, whose estimates say something else, the hardest of queries like the rows.
    pub(super) fn class(self, nearest: Option<f32>) -> Class {
        let Some(nearest) = nearest else { return Class::LAST_NEAR };
        let bounds = &self.0[..BINS];
        match bounds.iter().position(|bound| nearest <= *bound) {
            Some(bin) if bin < NEAR_BINS => Class { bin, factor: 1.0 },
            Some(bin) => Class { bin, factor: FAR_FACTOR },
            None => {
                // The farther beyond, the stranger; and not at once where no far queries were seen.
                let (first, near, last) = (bounds[0], bounds[NEAR_BINS - 1], bounds[BINS - 1]);
                let least = if last > near { FAR_FACTOR } else { 1.0 };
                let beyond = ((nearest - last) / (last - first)).clamp(0.0, 1.0);
                // No number where all bounds are one.
                let beyond = if beyond.is_nan() { 1.0 } else { beyond };
                Class { bin: BINS - 1, factor: mix(least, STRANGE_FACTOR, beyond) }
            }
        }
    }

    /// Up to which distance behind the k-th best estimate rows are candidates for the k nearest, in
    /// units of the query's reach.
    pub(super) fn margin(self, k: f32, recall: f32, class: Class) -> f32 {
        // A margin of more than so many nearest is not known to become smaller.
        let k = k.min(DEPTHS[DEPTHS.len() - 1] as f32);
        let factor = if class.factor > 1.0 { FAR_MARGIN_FACTOR } else { 1.0 };
        self.of(MARGINS_AT, k, recall, Class { factor, ..class })
    }

    /// Lists to look at for the k nearest, so that queries of this class find so much.
    pub(super) fn lists(self, k: f32, recall: f32, class: Class) -> f32 {
        self.of(LISTS_AT, k, recall, class)
    }

    /// Lists to look at for the k nearest, so that queries like the rows find so much on average: easy
    /// ones more than that, with few lists more, hard ones a little less, with many lists fewer.
    ///
    /// What is missed falls about as the inverse of the number of lists, so that the fewest are looked
    /// at when each class gets lists in proportion to the root of what it needs by itself. But queries
    /// from elsewhere may all be hard: no class misses more than [`MISSED_MORE_MAX`] times as much.
    pub(super) fn lists_on_average(self, k: f32, recall: f32, class: Class) -> f32 {
        let own = self.lists(k, recall, class);
        if class.bin >= NEAR_BINS {
            return own;
        }
        let roots =
            (0..NEAR_BINS).map(|bin| self.lists(k, recall, Class { bin, factor: 1.0 }).sqrt());
        let mean = roots.sum::<f32>() / NEAR_BINS as f32;
        (mean * own.sqrt()).max(own / MISSED_MORE_MAX)
    }

    fn of(self, table: usize, k: f32, recall: f32, class: Class) -> f32 {
        let row = |depth: usize| table + (depth * BINS + class.bin) * TARGETS.len();
        class.factor * self.between(k, |depth| self.by_target(row(depth), recall))
    }

    /// Between two targets, linear in the logarithm of what is missed.
    fn by_target(self, at: usize, recall: f32) -> f32 {
        let numbers = &self.0[at..at + TARGETS.len()];
        let above = TARGETS.iter().position(|target| *target >= recall);
        match above {
            None => numbers[TARGETS.len() - 1] * 2.0,
            Some(0) => numbers[0],
            Some(above) => {
                let missed = [1.0 - TARGETS[above - 1], 1.0 - recall, 1.0 - TARGETS[above]];
                let [low, here, high] = missed.map(|missed| missed.max(1e-6).ln());
                mix(numbers[above - 1], numbers[above], (here - low) / (high - low))
            }
        }
    }

    /// Between two depths, a power of k.
    fn between(self, k: f32, at: impl Fn(usize) -> f32) -> f32 {
        const LEAST: f32 = 1e-6;
        let place = (k.max(1.0).log10() - 1.0).clamp(-1.0, 3.5);
        let low = if place < 1.0 { 0 } else { 1 };
        let (a, b) = (at(low).max(LEAST).ln(), at(low + 1).max(LEAST).ln());
        // Fewer than 10 are as hard to find as 10.
        let share = (place - low as f32).max(0.0);
        mix(a, b, share).exp()
    }
}

fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
}

/// The next whole number; 0 for what is negative or no number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
pub(super) fn whole(count: f32) -> usize {
    count.ceil() as usize
}
