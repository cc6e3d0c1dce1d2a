//! Lodgepole's clock in SlateDB's terms.
//!
//! SlateDB schedules its background work and dates its files by this clock, so a test that advances
//! the injected clock also ages the files that collection looks at.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use lodgepole_types::Clock;
use slatedb_common::clock::{SystemClock, SystemClockTicker};

/// Adapter; SlateDB asks it for the time.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseClock(pub(crate) Arc<dyn Clock>);

impl SystemClock for DatabaseClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.now().0).unwrap_or_default()
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.0.sleep(duration)
    }

    fn ticker<'a>(&'a self, duration: Duration) -> SystemClockTicker<'a> {
        SystemClockTicker::new(self, duration)
    }
}
