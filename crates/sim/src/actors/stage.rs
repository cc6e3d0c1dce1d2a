//! What every actor has at hand, and the defects that can be put in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lodgepole_types::{IndexId, SeededRng};
use parking_lot::Mutex;

use super::annals::Annals;
use super::figures::Figures;
use super::process::Process;
use super::weather::{draw, index};
use crate::crash::Violation;

/// A defect, put in to see whether it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Writes are answered when they have been handed in.
    AnswersBeforeDurable,
    /// A request is written as two.
    SplitsRequests,
    /// Readers see writes that have no answer yet.
    ReadsBeforeVisible,
    /// The newest log object was never synced: the crash takes it.
    LosesTheEndOfTheLog,
    /// The reaper does not know of backups.
    ReapsUnderBackups,
    /// The collection does not know of the segments of backups.
    CollectsUnderBackups,
    /// A restore brings deleted records back.
    RestoreForgetsDeletes,
    /// A process that was fenced goes on writing.
    IgnoresFences,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AnswersBeforeDurable,
        Self::SplitsRequests,
        Self::ReadsBeforeVisible,
        Self::LosesTheEndOfTheLog,
        Self::ReapsUnderBackups,
        Self::CollectsUnderBackups,
        Self::RestoreForgetsDeletes,
        Self::IgnoresFences,
    ];
}

/// What the actors of one process share.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) process: Arc<Process>,
    pub(super) annals: Arc<Mutex<Annals>>,
    pub(super) figures: Arc<Mutex<Figures>>,
    pub(super) defect: Option<Defect>,
    /// The first broken promise that an actor saw.
    pub(super) violation: Arc<Mutex<Option<Violation>>>,
    /// Tells those who run in the background to end.
    pub(super) closing: Arc<AtomicBool>,
}

impl Stage {
    /// Sleeps up to `longest_us` microseconds, now and then ten times as long. `false` when there is
    /// nobody left to talk to.
    pub(super) async fn pause(&self, rng: &SeededRng, longest_us: u64) -> bool {
        let long = if draw(rng, 12) == 0 { 10 } else { 1 };
        self.process.clock().sleep(Duration::from_micros(draw(rng, longest_us) * long)).await;
        !self.process.store.is_crashed()
    }

    /// Whether those in the background shall end.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed) || self.process.store.is_crashed()
    }

    /// An index that is there, by chance.
    pub(super) fn pick(&self, rng: &SeededRng) -> Option<(String, IndexId)> {
        let live = self.annals.lock().live_indexes();
        let at = index(draw(rng, live.len() as u64));
        live.into_iter().nth(at)
    }

    /// Keeps the first violation.
    pub(super) fn keep(&self, violation: Violation) {
        self.violation.lock().get_or_insert(violation);
    }

    /// Adds to the story of the run.
    pub(super) fn tell(&self, what: &str) {
        self.annals.lock().tell(what);
    }

    /// Adds to the figures.
    pub(super) fn count(&self, add: impl FnOnce(&mut Figures)) {
        add(&mut self.figures.lock());
    }
}
