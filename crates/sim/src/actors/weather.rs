//! What the store does to a process: a seeded judge over every operation.
//!
//! Each process gets its own weather: how slow the store is, how often an operation fails before or after
//! it took effect, whether the error invites to try again, for how long the disk is full, and at which
//! change everything ends. INVARIANT: the judge draws once for each operation, so the weather of an
//! operation depends on its place in the order alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lodgepole_storage::fault::{
    Action, FaultStore, Operation, OperationKind, Retry, Timing, Verdict,
};
use lodgepole_types::{Clock, Rng, SeededRng};

/// Faults are drawn out of so many operations.
const OUT_OF: u64 = 10_000;

/// The weather of one process.
#[derive(Debug, Clone)]
pub(super) struct Weather {
    seed: u64,
    /// Changes and reads that fail, out of [`OUT_OF`].
    failing_changes: u64,
    failing_reads: u64,
    /// When the disk is full, after the process began.
    full: Option<(Duration, Duration)>,
    /// The change at which everything ends.
    crash: Option<u64>,
    /// Usual longest time of an operation, in microseconds; a few take a hundred times as long.
    slowness_us: u64,
}

/// Faults that were injected.
#[derive(Debug, Default)]
pub(super) struct Injected {
    before: AtomicU64,
    after: AtomicU64,
    full: AtomicU64,
}

impl Injected {
    /// Errors before any effect, errors after the effect, and refusals of a full disk.
    pub(super) fn counts(&self) -> [u64; 3] {
        [&self.before, &self.after, &self.full].map(|count| count.load(Ordering::Relaxed))
    }
}

/// A number below `below`.
pub(super) fn draw(rng: &SeededRng, below: u64) -> u64 {
    rng.next_u64() % below.max(1)
}

impl Weather {
    /// Draws a weather.
    pub(super) fn draw(rng: &SeededRng) -> Self {
        let full_at = Duration::from_millis(draw(rng, 60));
        let full_for = Duration::from_millis(20 + draw(rng, 2_000));
        Self {
            seed: rng.next_u64(),
            failing_changes: [0, 50, 200, 600][index(draw(rng, 4))],
            failing_reads: [0, 0, 30, 150][index(draw(rng, 4))],
            full: (draw(rng, 4) == 0).then_some((full_at, full_at + full_for)),
            crash: (draw(rng, 3) > 0).then(|| 1 + draw(rng, 260)),
            slowness_us: [0, 500, 3_000, 10_000][index(draw(rng, 4))],
        }
    }

    /// Begins it over a store.
    pub(super) fn begin(&self, store: &FaultStore, clock: &Arc<dyn Clock>) -> Arc<Injected> {
        let injected = Arc::new(Injected::default());
        if let Some(changes) = self.crash {
            let timing = if self.seed.is_multiple_of(2) { Timing::Before } else { Timing::After };
            store.crash_at(store.changes() + changes, timing);
        }
        let (weather, counts) = (self.clone(), Arc::clone(&injected));
        let (rng, began, now) = (SeededRng::new(self.seed), clock.elapsed(), Arc::clone(clock));
        store.judge_by(move |operation| {
            let drawn = rng.next_u64();
            weather.verdict(operation, drawn, now.elapsed().saturating_sub(began), &counts)
        });
        let (rng, slowness) = (SeededRng::new(!self.seed), self.slowness_us);
        store.slow_by(move |_| {
            let drawn = rng.next_u64();
            let slow = if (drawn >> 32).is_multiple_of(100) { 100 } else { 1 };
            Duration::from_micros((drawn % (slowness + 1)) * slow)
        });
        injected
    }

    fn verdict(
        &self,
        operation: &Operation,
        drawn: u64,
        since: Duration,
        injected: &Injected,
    ) -> Verdict {
        let is_put = operation.kind.is_change() && operation.kind != OperationKind::Delete;
        if is_put && self.full.is_some_and(|(from, until)| (from..until).contains(&since)) {
            injected.full.fetch_add(1, Ordering::Relaxed);
            return Verdict::Fault(Action::Fail(Retry::Invited), Timing::Before);
        }
        let rate =
            if operation.kind.is_change() { self.failing_changes } else { self.failing_reads };
        if drawn % OUT_OF >= rate {
            return Verdict::Pass;
        }
        let retry = if (drawn >> 32).is_multiple_of(5) { Retry::Refused } else { Retry::Invited };
        // A read has no effect that an error could come after.
        if operation.kind.is_change() && (drawn >> 40).is_multiple_of(2) {
            injected.after.fetch_add(1, Ordering::Relaxed);
            return Verdict::Fault(Action::Fail(retry), Timing::After);
        }
        injected.before.fetch_add(1, Ordering::Relaxed);
        Verdict::Fault(Action::Fail(retry), Timing::Before)
    }
}

/// A small number as a place in a table.
pub(super) fn index(drawn: u64) -> usize {
    usize::try_from(drawn).unwrap_or(0)
}
