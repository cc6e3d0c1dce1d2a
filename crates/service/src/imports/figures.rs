//! How far an import is, for those who ask.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Percentage while an import is not Completed, at most: the last step makes the records visible.
const PERCENT_OPEN_MAX: f64 = 99.9;

/// Figures of an import at work.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Thousandths of a percent.
    percent: AtomicU32,
    records: AtomicU64,
}

impl Figures {
    /// Notes that `done` of `total` bytes were read and `records` records are staged.
    pub(super) fn note(&self, done: f64, total: u64, records: u64) {
        #[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
        let percent = (100.0 * done / total.max(1) as f64).clamp(0.0, PERCENT_OPEN_MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 0 and 100,000"
        )]
        self.percent.store((percent * 1_000.0) as u32, Ordering::Relaxed);
        self.records.store(records, Ordering::Relaxed);
    }

    pub(super) fn percent(&self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
        let thousandths = self.percent.load(Ordering::Relaxed) as f32;
        thousandths / 1_000.0
    }

    pub(super) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }
}
