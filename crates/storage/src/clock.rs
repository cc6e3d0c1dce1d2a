//! Lodgepole's clock in SlateDB's terms.
//!
//! SlateDB schedules its background work and dates its files by this clock, so a test that advances
//! the injected clock also ages the files that collection looks at.
//!
//! INVARIANT: the time that a database is given is never before that of what it holds. SlateDB stamps
//! every write and refuses, for good, one whose stamp is before the last: a machine whose clock was an
//! hour ahead, and was put right while the server was off, could not write for an hour. Nothing of
//! ours reads the stamps.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use lodgepole_types::{Clock, Timestamp};
use slatedb_common::clock::{SystemClock, SystemClockTicker};

/// How far beyond the last write of a database that was written under a wrong clock its time goes on.
/// Compaction names its jobs by time as well, and may have run after the last write.
const BEYOND_MS: i64 = 600_000;

/// How far the time of databases is ahead, because some were written under a clock that was.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// Added to the time since start, in milliseconds; what counts is the sum.
    elapsed_offset_ms: AtomicI64,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { elapsed_offset_ms: AtomicI64::new(i64::MIN) }
    }
}

impl Ahead {
    /// Takes note of the stamp of a write, in milliseconds since 1970. Does nothing when that is over.
    pub(crate) fn note(&self, clock: &dyn Clock, stamp_ms: i64) {
        let now = self.now(clock);
        if stamp_ms <= now.0 {
            return;
        }
        let ahead_ms = stamp_ms.saturating_sub(now.0);
        tracing::warn!(
            ahead_ms,
            "the clock of this machine is behind the data: stamps go on from the data's"
        );
        let offset = stamp_ms.saturating_add(BEYOND_MS).saturating_sub(elapsed_ms(clock));
        self.elapsed_offset_ms.fetch_max(offset, Ordering::AcqRel);
    }

    fn now(&self, clock: &dyn Clock) -> Timestamp {
        let offset = self.elapsed_offset_ms.load(Ordering::Acquire);
        clock.now().max(Timestamp(offset.saturating_add(elapsed_ms(clock))))
    }
}

fn elapsed_ms(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// Adapter; SlateDB asks it for the time.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseClock {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ahead: Arc<Ahead>,
}

impl SystemClock for DatabaseClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.ahead.now(self.clock.as_ref()).0).unwrap_or_default()
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.clock.sleep(duration)
    }

    fn ticker<'a>(&'a self, duration: Duration) -> SystemClockTicker<'a> {
        SystemClockTicker::new(self, duration)
    }
}
