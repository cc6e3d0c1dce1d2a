//! Many cases, and their figures.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::forge::Blindness;
use super::{Case, Estate, Failure, Outcome, examine};

/// Failures that are kept in words.
const KEPT_MAX: usize = 50;

/// How often each kind of damage ended how.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// By kind of file and of damage: how many were found, repaired, harmless, earlier, failed.
    counts: BTreeMap<(String, String), [u64; 5]>,
    /// The first failures: the case in words, its seed, what went wrong.
    pub failures: Vec<(u64, String, Failure)>,
}

impl Tally {
    /// Takes note of one case.
    fn add(&mut self, case: &Case, result: Result<Outcome, Failure>) {
        let key = (case.kind.to_string(), case.damage.to_string());
        let column = match &result {
            Ok(Outcome::Found) => 0,
            Ok(Outcome::Repaired) => 1,
            Ok(Outcome::Harmless) => 2,
            Ok(Outcome::Earlier) => 3,
            Err(_) => 4,
        };
        self.counts.entry(key).or_default()[column] += 1;
        if let Err(failure) = result
            && self.failures.len() < KEPT_MAX
        {
            self.failures.push((case.seed, case.to_string(), failure));
        }
    }

    /// Cases.
    #[must_use]
    pub fn cases(&self) -> u64 {
        self.counts.values().flatten().sum()
    }

    /// Cases that broke the law.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.total(4)
    }

    /// Failures of a kind, of those kept.
    #[must_use]
    pub fn count(&self, is: impl Fn(&Failure) -> bool) -> usize {
        self.failures.iter().filter(|(_, _, failure)| is(failure)).count()
    }

    /// Damages of this kind of file, however they ended.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> u64 {
        let of = self.counts.iter().filter(|((of, _), _)| of == kind);
        of.flat_map(|(_, counts)| counts).sum()
    }

    fn total(&self, column: usize) -> u64 {
        self.counts.values().map(|counts| counts[column]).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["found", "repaired", "harmless", "earlier", "FAILED"];
        write!(f, "{:<20} {:<15}", "file", "damage")?;
        head.iter().try_for_each(|column| write!(f, "{column:>9}"))?;
        writeln!(f)?;
        for ((kind, damage), counts) in &self.counts {
            write!(f, "{kind:<20} {damage:<15}")?;
            counts.iter().try_for_each(|count| write!(f, "{count:>9}"))?;
            writeln!(f)?;
        }
        for (_, case, failure) in &self.failures {
            writeln!(f, "{case}: {failure}")?;
        }
        let is_panic = |failure: &Failure| matches!(failure, Failure::Panicked(_));
        let is_wrong = |failure: &Failure| matches!(failure, Failure::Wrong(_));
        let (found, repaired, harmless) = (self.total(0), self.total(1), self.total(2));
        write!(
            f,
            "rot: {} cases, found={found} repaired={repaired} harmless={harmless} earlier={} \
             panics={} wrong={} failed={}",
            self.cases(),
            self.total(3),
            self.count(is_panic),
            self.count(is_wrong),
            self.failed(),
        )
    }
}

/// Runs the cases of some seeds on some threads.
#[must_use]
pub fn run(
    estate: &Estate,
    seeds: Range<u64>,
    blindness: Option<Blindness>,
    threads: usize,
) -> Tally {
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end {
            return;
        }
        let Some(case) = Case::of(estate, seed, blindness) else { continue };
        let result = examine(&case);
        tally.lock().add(&case, result);
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    tally.into_inner()
}
