//! Time as a parameter.
//!
//! Nothing in Lodgepole reads the system's clock itself (clippy refuses it): a [`Clock`] is handed
//! down from the binary, from a test, or from the simulation. The wall time it gives never runs
//! backwards, because SlateDB's clock must not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A moment in wall time, in milliseconds since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment in RFC 3339 with milliseconds and `Z`, as the API prints it.
    #[must_use]
    pub fn rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0)
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// Reads a moment in RFC 3339; what is finer than a millisecond is cut off.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|time| Self(time.timestamp_millis()))
    }

    /// Time since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Where time comes from.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Wall time. Never decreases during the life of one clock.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, for measuring spans.
    fn elapsed(&self) -> Duration;

    /// Completes after `duration` of this clock's time.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// A clock that stands still until it is advanced, for tests of code that does not wait.
///
/// Sleeping completes at once and advances the clock by the time slept.
#[derive(Debug)]
pub struct ManualClock(std::sync::Arc<Mutex<Duration>>);

impl ManualClock {
    /// A clock that shows `start` after 1970.
    #[must_use]
    pub fn new(start: Duration) -> Self {
        Self(std::sync::Arc::new(Mutex::new(start)))
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        *self.lock() += by;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.lock().as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        *self.lock()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let time = std::sync::Arc::clone(&self.0);
        Box::pin(async move {
            *time.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += duration;
        })
    }
}
