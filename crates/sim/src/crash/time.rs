//! Virtual time: a run that waits for hours ends in milliseconds.
//!
//! A single-threaded runtime whose timer is paused jumps to the next timer whenever no task can go
//! on. INVARIANT: inside [`in_virtual_time`] everything that waits does so on the injected clock, so
//! no run depends on the speed of the machine, and a deadlock shows as time running out.

use std::future::Future;
use std::time::Duration;

use lodgepole_types::{BoxFuture, Clock, Timestamp};
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::Violation;

/// Virtual time that no run needs; one that is still waiting then waits for ever.
const RUN_TIME_MAX: Duration = Duration::from_secs(4 * 3_600);

/// The runtime's paused clock, starting at a fixed moment.
#[derive(Debug)]
pub struct VirtualClock {
    start: Instant,
    start_ms: i64,
}

impl VirtualClock {
    /// A clock that shows `start` now. Only inside [`in_virtual_time`].
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start: Instant::now(), start_ms: start.0 }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let elapsed_ms = i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.start_ms.saturating_add(elapsed_ms))
    }

    fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move { tokio::time::sleep_until(Instant::now() + duration).await })
    }
}

/// Runs a future to its end on a runtime of its own, in virtual time. Whatever it spawned dies with
/// the runtime, as with a process.
///
/// # Errors
/// The future's own, or [`Violation::Stuck`] when it waits for something that never comes.
pub fn in_virtual_time<T>(run: impl Future<Output = Result<T, Violation>>) -> Result<T, Violation> {
    let mut builder = Builder::new_current_thread();
    // Only with this configuration can the order in which `select!` polls be fixed.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(b"lodgepole"));
    let runtime = builder
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| Violation::Unexpected(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        tokio::time::timeout(RUN_TIME_MAX, run)
            .await
            .unwrap_or_else(|_| Err(Violation::Stuck("hours went by".to_owned())))
    })
}
