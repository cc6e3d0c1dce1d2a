//! The operating system's time and randomness, as the binary hands them down.
//!
//! The only code that reads either. INVARIANT: the wall time of a [`SystemClock`] never runs
//! backwards: it is a fixed moment plus a monotonic count, and the fixed moment only ever moves
//! forward. A wall clock that is set back is therefore followed only once it has caught up, or after
//! a restart: SlateDB refuses time that decreases, and dates files by it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use lodgepole_types::{BoxFuture, Clock, Rng, Timestamp};
use parking_lot::Mutex;

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    /// Wall time at `start`, in milliseconds since 1970; only grows.
    start_wall_ms: AtomicI64,
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others come from")]
    pub fn new() -> Self {
        Self { start: Instant::now(), start_wall_ms: AtomicI64::new(wall_ms()) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed_ms = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        let anchor = wall_ms().saturating_sub(elapsed_ms);
        let before = self.start_wall_ms.fetch_max(anchor, Ordering::AcqRel);
        Timestamp(before.max(anchor).saturating_add(elapsed_ms))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others come from")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // Lazily made, because tokio's timer must be made on a runtime.
        Box::pin(async move { tokio::time::sleep(duration).await })
    }
}

/// Wall time as the machine has it; 0 before 1970.
#[expect(clippy::disallowed_methods, reason = "this is the clock that all others come from")]
fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A clock that tests can set ahead of the one inside.
///
/// Sleeping is the inner clock's, so background work keeps its pace while everything that compares
/// times (collection ages, expiry) sees hours pass. Clones share the shift.
#[derive(Debug, Clone)]
pub struct ShiftedClock {
    inner: Arc<dyn Clock>,
    shift_ms: Arc<AtomicU64>,
}

impl ShiftedClock {
    /// A clock that agrees with `inner` until it is advanced.
    #[must_use]
    pub fn new(inner: Arc<dyn Clock>) -> Self {
        Self { inner, shift_ms: Arc::new(AtomicU64::new(0)) }
    }

    /// Moves the time on by `by`, in whole milliseconds.
    pub fn advance(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.shift_ms.fetch_add(by_ms, Ordering::AcqRel);
    }

    fn shift(&self) -> u64 {
        self.shift_ms.load(Ordering::Acquire)
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.inner.now().0.saturating_add_unsigned(self.shift()))
    }

    fn elapsed(&self) -> Duration {
        self.inner.elapsed().saturating_add(Duration::from_millis(self.shift()))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.inner.sleep(duration)
    }
}

/// The operating system refused to give random numbers at start.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
pub struct RngUnavailable(getrandom::Error);

/// The system gives up to 256 bytes in one go.
const DRAWN_AHEAD_BYTES: usize = 256;

/// Random numbers from the operating system, fit for keys.
///
/// Whether the system gives any is found out in [`OsRng::new`]. Should it stop later (no system that
/// gave once is known to), numbers come from SipHash over a counter under a key it gave before:
/// still neither repeated nor guessable, and a server in the middle of its work need not stop.
pub struct OsRng {
    /// Numbers drawn and not yet given away. WHY: every request takes two, and a system call for
    /// each is a fortieth of a quick query.
    drawn_ahead: Mutex<Vec<u64>>,
    fallback: RandomState,
    salt: u64,
    drawn: AtomicU64,
}

impl OsRng {
    /// A generator, after one draw as a trial.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn new() -> Result<Self, RngUnavailable> {
        let salt = getrandom::u64().map_err(RngUnavailable)?;
        Ok(Self {
            drawn_ahead: Mutex::default(),
            fallback: RandomState::new(),
            salt,
            drawn: AtomicU64::new(0),
        })
    }

    fn derived(&self) -> u64 {
        self.fallback.hash_one((self.salt, self.drawn.fetch_add(1, Ordering::Relaxed)))
    }
}

/// What is drawn ahead must not stand in a log.
impl std::fmt::Debug for OsRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OsRng").finish_non_exhaustive()
    }
}

impl Rng for OsRng {
    fn next_u64(&self) -> u64 {
        let mut ahead = self.drawn_ahead.lock();
        if ahead.is_empty() {
            let mut bytes = [0; DRAWN_AHEAD_BYTES];
            self.fill(&mut bytes);
            let (words, _) = bytes.as_chunks::<8>();
            ahead.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
        }
        ahead.pop().unwrap_or_else(|| self.derived())
    }

    fn fill(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&self.derived().to_le_bytes()[..chunk.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: time never runs backwards and can be set ahead; numbers are not constant.
    //! Method: a clock whose anchor is put into the future, and draws compared with each other.
    use super::*;

    #[test]
    fn wall_time_stays_ahead_when_the_machine_is_set_back() {
        let clock = SystemClock::new();
        let hour_ms = 3_600_000;
        // What the machine being set back by an hour looks like from the clock.
        clock.start_wall_ms.fetch_add(hour_ms, Ordering::AcqRel);
        let first = clock.now();
        assert!(first.0 >= wall_ms() + hour_ms - 1_000);
        for _ in 0..1_000 {
            assert!(clock.now() >= first);
        }
    }

    #[test]
    fn wall_time_follows_the_machine_forward() {
        let clock = SystemClock::new();
        // What the machine being set ahead by an hour looks like from the clock.
        clock.start_wall_ms.fetch_sub(3_600_000, Ordering::AcqRel);
        assert!((clock.now().0 - wall_ms()).abs() < 1_000);
    }

    #[tokio::test]
    async fn a_shifted_clock_jumps_but_sleeps_as_the_one_inside() {
        let clock = ShiftedClock::new(Arc::new(SystemClock::new()));
        let (before, elapsed) = (clock.now(), clock.elapsed());
        clock.clone().advance(Duration::from_secs(7_200));
        assert!(clock.now().since(before) >= Duration::from_secs(7_200));
        assert!(clock.elapsed() - elapsed >= Duration::from_secs(7_200));
        let asleep = clock.elapsed();
        clock.sleep(Duration::from_millis(5)).await;
        let slept = clock.elapsed() - asleep;
        assert!(slept >= Duration::from_millis(5) && slept < Duration::from_secs(60));
    }

    #[test]
    fn random_numbers_differ_also_when_derived() {
        let rng = OsRng::new().unwrap();
        let mut drawn: Vec<u64> = (0..100).map(|_| rng.next_u64()).collect();
        drawn.extend((0..100).map(|_| rng.derived()));
        let mut bytes = [0_u8; 24];
        rng.fill(&mut bytes);
        drawn.extend(bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())));
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 203);
    }
}
