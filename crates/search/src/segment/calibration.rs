//! How far a search has to look for a target of recall, as measured when the segment was built.
//!
//! Some of the segment's own rows served as queries. For each the builder found the true nearest
//! rows, in which of its nearest lists they lie, and at which place among the estimates. The tables
//! say how many lists and candidates gave which recall, for [`DEPTHS`] nearest rows; what lies
//! between is interpolated. Queries fall in [`BINS`] classes by how near the best rows of the first
//! few lists are: a query far from what it found needs more lists, also and above all when it is
//! unlike the data.

use super::SegmentError;
use super::format::{Container, Section};

/// Numbers of nearest rows that were looked for.
pub(super) const DEPTHS: [usize; 3] = [10, 100, 1_000];
/// Recalls that were aimed at.
pub(super) const TARGETS: [f32; 7] = [0.80, 0.90, 0.95, 0.97, 0.98, 0.99, 0.995];
/// Classes of queries.
pub(super) const BINS: usize = 3;
/// Lists looked at before a query is classed.
pub(super) const FIRST_LISTS: usize = 4;
/// The k whose estimate classes a query.
pub(super) const CLASS_K: usize = 10;

/// Numbers in the section: bounds, then candidates, then lists.
const CANDIDATES_AT: usize = 4;
const LISTS_AT: usize = CANDIDATES_AT + DEPTHS.len() * BINS * TARGETS.len();
pub(super) const NUMBERS: usize = LISTS_AT + DEPTHS.len() * BINS * TARGETS.len();

/// A query beyond all that the builder saw looks at so many times the lists of the last class.
const STRANGE_FACTOR: f32 = 2.0;

/// How hard a query is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Class {
    bin: usize,
    factor: f32,
}

impl Class {
    /// The hardest that the builder saw.
    pub(super) const LAST: Self = Self { bin: BINS - 1, factor: 1.0 };
}

/// The tables of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calibration<'a>(&'a [f32]);

impl<'a> Calibration<'a> {
    pub(super) fn read(container: &'a Container) -> Result<Self, SegmentError> {
        container.f32s(Section::Calibration, 0..NUMBERS).map(Self)
    }

    /// The class of a query by the estimate of the [`CLASS_K`]-th nearest in the first lists; the
    /// last one where that is not known, as in a search among few of the rows, for which estimates
    /// say something else.
    pub(super) fn class(self, nearest: Option<f32>) -> Class {
        let Some(nearest) = nearest else { return Class::LAST };
        match self.0[..BINS].iter().position(|bound| nearest <= *bound) {
            Some(bin) => Class { bin, factor: 1.0 },
            None => Class { factor: STRANGE_FACTOR, ..Class::LAST },
        }
    }

    /// Candidates of the codes to refine for the k nearest.
    pub(super) fn candidates(self, k: f32, recall: f32, class: Class) -> f32 {
        self.of(CANDIDATES_AT, k, recall, class)
    }

    /// Lists to look at for the k nearest.
    pub(super) fn lists(self, k: f32, recall: f32, class: Class) -> f32 {
        self.of(LISTS_AT, k, recall, class)
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
        let place = (k.max(1.0).log10() - 1.0).clamp(-1.0, 3.5);
        let low = if place < 1.0 { 0 } else { 1 };
        let (a, b) = (at(low).max(1.0).ln(), at(low + 1).max(1.0).ln());
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
