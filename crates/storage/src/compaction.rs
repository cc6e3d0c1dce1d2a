//! When SlateDB compacts.
//!
//! SlateDB's own size-tiered scheduler decides in ordinary times. It is overruled twice:
//!
//! - a fresh clone shares all files with its source; compacting them at once would copy the whole
//!   index in the background of an operation that is meant to cost nothing. For some minutes only
//!   the pressure of new L0 files is relieved (never nothing: writers stall for ever when L0 is
//!   full).
//! - on request everything is compacted into one run, which is how a clone stops reading the files
//!   of a deleted ancestor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lodgepole_types::{Clock, Timestamp};
use slatedb::Error;
use slatedb::compactor::{
    CompactionRequest, CompactionScheduler, CompactionSchedulerSupplier, CompactionSpec,
    CompactorStateView, SizeTieredCompactionSchedulerSupplier, SourceId,
};
use slatedb::config::CompactorOptions;

/// L0 files of a quiet clone above which compaction starts all the same. Writers stall at
/// [`L0_FILES_MAX`].
const L0_FILES_QUIET_MAX: usize = 12;

/// L0 files at which SlateDB makes writers wait.
pub(crate) const L0_FILES_MAX: usize = 32;

/// What a database wants of its compactor; shared with the scheduler.
#[derive(Debug)]
pub(crate) struct CompactionWish {
    quiet_until: Timestamp,
    everything: AtomicBool,
    clock: Arc<dyn Clock>,
}

impl CompactionWish {
    pub(crate) fn new(clock: Arc<dyn Clock>, quiet_until: Timestamp) -> Self {
        Self { quiet_until, everything: AtomicBool::new(false), clock }
    }

    /// Asks for (or takes back) a compaction of everything into one run.
    pub(crate) fn set_everything(&self, wanted: bool) {
        self.everything.store(wanted, Ordering::Release);
    }

    fn wants_everything(&self) -> bool {
        self.everything.load(Ordering::Acquire)
    }

    fn is_quiet(&self) -> bool {
        self.clock.now() < self.quiet_until
    }
}

/// Hands a scheduler to SlateDB.
#[derive(Debug)]
pub(crate) struct SchedulerSupplier(pub(crate) Arc<CompactionWish>);

impl CompactionSchedulerSupplier for SchedulerSupplier {
    fn compaction_scheduler(
        &self,
        options: &CompactorOptions,
    ) -> Box<dyn CompactionScheduler + Send + Sync> {
        Box::new(Scheduler {
            wish: Arc::clone(&self.0),
            tiered: SizeTieredCompactionSchedulerSupplier::new().compaction_scheduler(options),
        })
    }
}

struct Scheduler {
    wish: Arc<CompactionWish>,
    tiered: Box<dyn CompactionScheduler + Send + Sync>,
}

impl CompactionScheduler for Scheduler {
    fn propose(&self, state: &CompactorStateView) -> Vec<CompactionSpec> {
        if self.wish.wants_everything() {
            return everything(state).into_iter().collect();
        }
        let proposed = self.tiered.propose(state);
        if !self.wish.is_quiet() {
            return proposed;
        }
        if state.manifest().l0().len() <= L0_FILES_QUIET_MAX {
            return Vec::new();
        }
        proposed.into_iter().filter(CompactionSpec::has_l0_sources).collect()
    }

    fn validate(&self, state: &CompactorStateView, spec: &CompactionSpec) -> Result<(), Error> {
        self.tiered.validate(state, spec)
    }

    fn generate(
        &self,
        state: &CompactorStateView,
        request: &CompactionRequest,
    ) -> Result<Vec<CompactionSpec>, Error> {
        self.tiered.generate(state, request)
    }
}

/// All L0 files and all runs into the lowest run; nothing while another compaction runs, and
/// nothing when one run of own files is all there is.
fn everything(state: &CompactorStateView) -> Option<CompactionSpec> {
    let busy = state
        .compactions()
        .is_some_and(|list| list.recent_compactions().any(slatedb::compactor::Compaction::active));
    let manifest = state.manifest();
    let borrows = manifest.external_dbs().iter().any(|parent| !parent.sst_ids.is_empty());
    let settled = manifest.l0().is_empty() && manifest.compacted().len() <= 1 && !borrows;
    if busy || settled {
        return None;
    }
    let l0 = manifest.l0().iter().map(|view| SourceId::SstView(view.id));
    let runs = manifest.compacted().iter().map(|run| SourceId::SortedRun(run.id));
    let sources: Vec<_> = l0.chain(runs).collect();
    let destination = manifest.compacted().iter().map(|run| run.id).min().unwrap_or(0);
    (!sources.is_empty()).then(|| CompactionSpec::new(sources, destination))
}
