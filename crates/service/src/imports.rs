//! Bulk imports: records of Parquet files, in the background.
//!
//! A call only writes the row of an import; a task of its own does the work ([`run`]). It stages the
//! records in the shard, out of sight, together with a note of how far it got, so a stop or a crash
//! costs nothing but the batch under way, and makes all of them visible with one batch at the end.
//! Invariants:
//!
//! - the row in the catalog is the truth: `staged` is set before anything is staged and taken back
//!   when nothing of it is left, so what was cut off is found again;
//! - an import that was cancelled or failed leaves nothing;
//! - at most so many imports read files at one time, each with one thread, so that requests keep
//!   their share of the processor.

mod decode;
mod figures;
mod note;
mod plan;
mod run;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lodgepole_api::wire::imports::{
    CancelImportReply, ImportList, ImportReply, StartImportReply, StartImportRequest,
};
use lodgepole_api::{ApiError, PageQuery, parse};
use lodgepole_catalog::{CatalogError, NewImport};
use lodgepole_storage::Sources;
use lodgepole_types::{Import, ImportId, ImportStatus, Index, IndexId};
use tokio::sync::{Semaphore, watch};

use crate::RequestContext;
use crate::service::{Service, Shared, log_left_over, shard_of};
use figures::Figures;

/// Imports that read files at one time: one for this many processors, at least one.
const PROCESSORS_PER_IMPORT: usize = 4;

/// The imports that this process works on.
#[derive(Debug)]
pub(crate) struct Imports {
    sources: Sources,
    /// Each import that reads files holds one permit.
    turns: Semaphore,
    active: Mutex<Active>,
    /// A test holds imports here: every staged batch takes one permit for good.
    #[cfg(test)]
    batches: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Active {
    tasks: HashMap<ImportId, Task>,
    /// Set by the shutdown: no task may begin any more.
    closed: bool,
}

/// An import at work.
#[derive(Debug, Clone)]
struct Task {
    index: IndexId,
    figures: Arc<Figures>,
    /// Carries `true` when the task is to stop; closed by the receiver when it has.
    stop: watch::Sender<bool>,
}

impl Task {
    async fn stopped(self) {
        self.stop.send_replace(true);
        self.stop.closed().await;
    }
}

impl Imports {
    pub(crate) fn new(sources: Sources) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let turns = Semaphore::new((processors / PROCESSORS_PER_IMPORT).max(1));
        Self {
            sources,
            turns,
            active: Mutex::default(),
            #[cfg(test)]
            batches: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    #[cfg(test)]
    pub(crate) fn held_by(mut self, batches: Arc<Semaphore>) -> Self {
        self.batches = batches;
        self
    }

    /// Stops all imports where they are; none begins any more.
    pub(crate) async fn stop_all(&self) {
        let tasks: Vec<_> = {
            let mut active = self.active();
            active.closed = true;
            active.tasks.values().cloned().collect()
        };
        for task in tasks {
            task.stopped().await;
        }
    }

    /// Stops the imports into an index that is no longer live.
    pub(crate) async fn stop_into(&self, index: IndexId) {
        let tasks: Vec<_> = {
            let active = self.active();
            active.tasks.values().filter(|task| task.index == index).cloned().collect()
        };
        for task in tasks {
            task.stopped().await;
        }
    }

    fn task(&self, id: ImportId) -> Option<Task> {
        self.active().tasks.get(&id).cloned()
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Starts an import. Nothing was read when this returns.
    ///
    /// # Errors
    /// `InvalidArgument`, also for a place that imports may not come from; `RateLimited` when too
    /// many are open; `Unavailable`.
    pub async fn start_import(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: StartImportRequest,
    ) -> Result<StartImportReply, ApiError> {
        let limits = &self.shared.rules.limits;
        let start = parse::start_import(request, limits)?;
        self.shared.imports.sources.find(&start.uri)?;
        let new = NewImport {
            id: ImportId::random(self.shared.rng.as_ref()),
            index_id: index.id,
            uri: start.uri,
            error_mode: start.error_mode,
            created_at: self.shared.clock.now(),
            open_max: limits.imports_open_max,
        };
        let import = self
            .run_whole(|shared| async move {
                let import = shared.catalog.begin_import(new).await?;
                shared.work_on(&import);
                Ok(import)
            })
            .await?;
        Ok(StartImportReply { id: import.id.to_string() })
    }

    /// Lists the imports into an index, newest first.
    ///
    /// # Errors
    /// `InvalidArgument` for a bad limit or token.
    pub fn list_imports(
        &self,
        ctx: &RequestContext,
        index: &Index,
        query: &PageQuery,
    ) -> Result<ImportList, ApiError> {
        let page = parse::import_page(query, &self.shared.rules.limits)?;
        let (imports, pagination) = page.cut(self.shared.catalog.contents().imports_of(index.id));
        let show = |import: Arc<Import>| ImportReply::of(&self.shared.now(&import), ctx.version);
        Ok(ImportList { data: imports.into_iter().map(show).collect(), pagination })
    }

    /// Describes an import.
    ///
    /// # Errors
    /// `NotFound`, also for what is not an id.
    pub fn describe_import(
        &self,
        ctx: &RequestContext,
        index: &Index,
        id: &str,
    ) -> Result<ImportReply, ApiError> {
        let id = parse::import_id(id)?;
        let import = self.shared.catalog.contents().import(index.id, id);
        let import = import.ok_or(CatalogError::ImportNotFound(id))?;
        Ok(ImportReply::of(&self.shared.now(&import), ctx.version))
    }

    /// Cancels an import; nothing of it is left. One that has ended stays as it is.
    ///
    /// # Errors
    /// `NotFound`, also for what is not an id; `Unavailable`.
    pub async fn cancel_import(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        id: &str,
    ) -> Result<CancelImportReply, ApiError> {
        let (index, id) = (index.id, parse::import_id(id)?);
        self.run_whole(move |shared| async move {
            let task = shared.imports.task(id);
            let percent = task.as_ref().map_or(0.0, |task| task.figures.percent());
            let now = shared.clock.now();
            let import = shared.catalog.cancel_import(index, id, percent, now).await?;
            if import.status == ImportStatus::Cancelled
                && let Some(task) = task
            {
                task.stop.send_replace(true);
            }
            Ok(CancelImportReply {})
        })
        .await
    }
}

impl Shared {
    /// An import with what is known of it at this moment.
    fn now(&self, import: &Import) -> Import {
        let mut import = import.clone();
        if import.has_ended() {
            return import;
        }
        if let Some(task) = self.imports.task(import.id) {
            import.percent_complete = task.figures.percent();
            import.records_imported = task.figures.records();
        }
        import
    }

    /// Goes on with every open import, and finishes the removal of ended ones. Called at the start,
    /// and in every round of the reaper.
    pub(crate) async fn settle_imports(self: &Arc<Self>) -> Result<(), ApiError> {
        self.catalog.forget_orphaned_imports().await?;
        for import in self.catalog.contents().imports() {
            if !import.has_ended() || import.staged {
                self.work_on(import);
            }
        }
        Ok(())
    }

    /// Puts a task to work on an import, unless there is one.
    fn work_on(self: &Arc<Self>, import: &Import) {
        let (index, id) = (import.index_id, import.id);
        let (stop, stopped) = watch::channel(false);
        let figures = Arc::new(Figures::default());
        {
            let mut active = self.imports.active();
            if active.closed || active.tasks.contains_key(&id) {
                return;
            }
            active.tasks.insert(id, Task { index, figures: Arc::clone(&figures), stop });
        }
        let at_work = AtWork { shared: Arc::clone(self), id };
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            shared.drive(index, id, &figures, stopped).await;
            // Only now may another task begin with this import.
            drop(at_work);
        });
    }

    /// Works on an import until it has ended, or is told to stop; then removes what it may have left.
    async fn drive(
        &self,
        index: IndexId,
        id: ImportId,
        figures: &Figures,
        mut stopped: watch::Receiver<bool>,
    ) {
        tokio::select! {
            () = self.run_import(index, id, figures) => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        if let Err(error) = self.clear_import(index, id).await {
            log_left_over("removing what an import staged", &error);
        }
    }

    /// Removes what an ended import may have left in its shard.
    async fn clear_import(&self, index: IndexId, id: ImportId) -> Result<(), ApiError> {
        let contents = self.catalog.contents();
        let Some(import) = contents.import(index, id) else { return Ok(()) };
        // The shard of an index that is gone is removed as a whole.
        let Some(index) = contents.index_by_id(index) else { return Ok(()) };
        if import.has_ended() && import.staged {
            self.engine.stage_abort(shard_of(&index), id.as_uuid()).await?;
            self.catalog.import_unstaged(index.id, id).await?;
        }
        Ok(())
    }
}

/// Keeps an import among those at work.
struct AtWork {
    shared: Arc<Shared>,
    id: ImportId,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.shared.imports.active().tasks.remove(&self.id);
    }
}
