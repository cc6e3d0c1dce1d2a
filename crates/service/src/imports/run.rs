//! The way of one import, from its row to its end.
//!
//! Listing, reading and staging can be cut off anywhere and begun again: the note in the shard says
//! where to go on. What ends an import is the user's to mend (the files, the namespaces), or our
//! fault. What may pass by itself is waited for: an empty or unreachable source for some seconds, a
//! file that cannot be read for a few attempts, a shard that takes no writes for as long as it takes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_catalog::{CatalogError, ImportEnd};
use lodgepole_engine::{Duplicate, ReadError, ShardRef, StageBatch, StagingError, WriteError};
use lodgepole_import::{Batch, FileError, Shape, SparseRule};
use lodgepole_storage::{Source, SourceError};
use lodgepole_types::{
    Classify, Import, ImportErrorMode, ImportId, ImportStatus, Index, IndexConfig, IndexId, Record,
};
use uuid::Uuid;

use super::decode::{Decode, DecodeError, Decoded};
use super::figures::Figures;
use super::note::Note;
use super::plan::Plan;
use crate::service::{Shared, shard_of};

/// How long a source that is empty or cannot be reached is looked at again, and the pause between.
const SEARCH_FOR: Duration = Duration::from_secs(10);
const SEARCH_PAUSE: Duration = Duration::from_millis(500);
/// Attempts at a file without getting on, and the pause between.
const READ_ATTEMPTS_MAX: u32 = 5;
const READ_PAUSE: Duration = Duration::from_secs(2);
/// Pause before going on when the shard takes no writes.
const WRITE_PAUSE: Duration = Duration::from_secs(5);

/// Why the work stopped before its end.
enum Halt {
    /// The import fails. The text is for the user.
    Failed(String),
    /// A file could not be read just now.
    Unreadable { path: String, cause: io::Error },
    /// The shard or the catalog could not be reached just now.
    Interrupted(Box<dyn std::error::Error + Send + Sync>),
    /// The row says that there is nothing more to do.
    Over,
}

impl Halt {
    /// Something that the user can mend.
    fn user(text: &str) -> Self {
        Self::Failed(format!("User error: {text}"))
    }

    /// Something that the user cannot mend; the log has the rest.
    fn ours(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "an import failed");
        Self::Failed("Internal error: the server's log says more.".to_owned())
    }

    fn of<E>(error: E) -> Self
    where
        E: Classify + std::error::Error + Send + Sync + 'static,
    {
        use lodgepole_types::ErrorKind as Kind;
        match error.kind() {
            Kind::Unavailable | Kind::RateLimited | Kind::DeadlineExceeded => {
                Self::Interrupted(Box::new(error))
            }
            Kind::Internal | Kind::DataLoss => Self::ours(&error),
            Kind::InvalidArgument
            | Kind::Unprocessable
            | Kind::Unauthenticated
            | Kind::Forbidden
            | Kind::PermissionDenied
            | Kind::NotFound
            | Kind::AlreadyExists
            | Kind::Conflict
            | Kind::FailedPrecondition
            | Kind::PayloadTooLarge => Self::user(&error.to_string()),
        }
    }
}

impl From<WriteError> for Halt {
    fn from(error: WriteError) -> Self {
        Self::of(error)
    }
}

impl From<ReadError> for Halt {
    fn from(error: ReadError) -> Self {
        Self::of(error)
    }
}

impl From<CatalogError> for Halt {
    fn from(error: CatalogError) -> Self {
        if is_over(&error) { Self::Over } else { Self::of(error) }
    }
}

/// Whether the row takes no more changes. A catalog that failed takes none until a restart, which
/// goes on from there.
fn is_over(error: &CatalogError) -> bool {
    matches!(
        error,
        CatalogError::AlreadyEnded { .. }
            | CatalogError::ImportNotFound(_)
            | CatalogError::Poisoned
    )
}

/// An import under way.
struct Run<'a> {
    shared: &'a Shared,
    import: Arc<Import>,
    index: Arc<Index>,
    figures: &'a Figures,
}

impl Shared {
    /// Works on an import until it has ended.
    pub(super) async fn run_import(&self, index: IndexId, id: ImportId, figures: &Figures) {
        let mut attempts = Attempts::default();
        loop {
            let contents = self.catalog.contents();
            let Some(import) = contents.import(index, id).filter(|import| !import.has_ended())
            else {
                return;
            };
            let Some(index) = contents.index_by_id(index) else { return };
            let run = Run { shared: self, import, index, figures };
            let halt = match run.through().await {
                Ok(()) => return,
                Err(halt) => halt,
            };
            match halt {
                Halt::Over => return,
                Halt::Failed(error) => match run.fail(error).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(%error, import = %id, "an import could not be ended yet");
                        self.clock.sleep(WRITE_PAUSE).await;
                    }
                },
                Halt::Unreadable { path, cause } => {
                    tracing::warn!(error = %cause, import = %id, path, "a file cannot be read");
                    if let Err(error) = attempts.again(figures.percent(), &path, &cause) {
                        let _ended = run.fail(error).await;
                        return;
                    }
                    self.clock.sleep(READ_PAUSE).await;
                }
                Halt::Interrupted(error) => {
                    tracing::warn!(%error, import = %id, "an import waits for its index");
                    self.clock.sleep(WRITE_PAUSE).await;
                }
            }
        }
    }
}

/// Counts attempts at files that got no further.
#[derive(Debug, Default)]
struct Attempts {
    made: u32,
    percent: f32,
}

impl Attempts {
    /// `Err` with the end of the import when it is not worth another one.
    fn again(&mut self, percent: f32, path: &str, cause: &io::Error) -> Result<(), String> {
        if percent > self.percent {
            *self = Self { made: 0, percent };
        }
        self.made += 1;
        if cause.kind() == io::ErrorKind::NotFound {
            return Err(format!("User error: {cause}"));
        }
        if self.made >= READ_ATTEMPTS_MAX {
            return Err(format!("User error: file \"{path}\" cannot be read"));
        }
        Ok(())
    }
}

impl Run<'_> {
    async fn through(&self) -> Result<(), Halt> {
        if self.import.status == ImportStatus::Committing {
            return self.make_visible().await;
        }
        let (source, plan) = self.search().await?;
        let _turn = self.shared.imports.turns.acquire().await.map_err(|_| Halt::Over)?;
        self.shared.catalog.run_import(self.index.id, self.import.id).await?;
        let plan = Arc::new(plan);
        for namespace in plan.namespaces() {
            self.shared.engine.stage_begin(self.shard(), self.job(), namespace).await?;
        }
        let (records, rows) = self.stage(source, &plan).await?;
        let (index, id) = (self.index.id, self.import.id);
        self.shared.catalog.commit_import(index, id, records, rows - records.min(rows)).await?;
        self.make_visible().await
    }

    /// Finds the files, for as long as a source that was just filled may take to show them.
    async fn search(&self) -> Result<(Source, Plan), Halt> {
        let limits = &self.shared.rules.limits;
        let uri = &self.import.uri;
        let clock = &self.shared.clock;
        let source = self.shared.imports.sources.find(uri);
        let source = source.map_err(|error| Halt::user(&error.to_string()))?;
        let began = clock.elapsed();
        loop {
            let problem = match source.list(limits.import_files_max).await {
                Ok(files) if !files.is_empty() => {
                    let plan = Plan::of(files, limits).map_err(|text| Halt::user(&text))?;
                    return Ok((source, plan));
                }
                Ok(_) | Err(SourceError::Unreachable { .. }) if uri.ends_with(".parquet") => {
                    format!(
                        "\"{uri}\": It looks like you specified a complete path to a parquet file as \
                     the URI prefix to import from. Name the folder above its namespace's folder."
                    )
                }
                Ok(_) => format!(
                    "No Parquet files found under \"{uri}\". There must be a folder for each \
                     namespace, with files named *.parquet."
                ),
                Err(error @ SourceError::Unreachable { .. }) => {
                    tracing::info!(error = %causes(&error), import = %self.import.id, "no source");
                    error.to_string()
                }
                Err(error) => return Err(Halt::user(&error.to_string())),
            };
            if clock.elapsed().saturating_sub(began) >= SEARCH_FOR {
                return Err(Halt::user(&problem));
            }
            clock.sleep(SEARCH_PAUSE).await;
        }
    }

    /// Stages everything that is not staged yet; gives the numbers of records and of rows.
    async fn stage(&self, source: Source, plan: &Arc<Plan>) -> Result<(u64, u64), Halt> {
        let mut note = self.resume(plan).await?;
        let mut records = self.staged_records().await?;
        let mut place = Place::new(plan, note.file);
        self.figures.note(place.before, plan.bytes, records);
        let mut batches = Decode {
            source,
            plan: Arc::clone(plan),
            from: note,
            shape: shape(&self.index.config),
            limits: self.shared.rules.limits.clone(),
        }
        .start();
        while note.file < plan.files.len() {
            let Some(received) = batches.recv().await else {
                // The reader of a damaged file may panic. Its thread is gone, nothing else is.
                return Err(Halt::user(&place.of_file("The file is damaged or not supported")));
            };
            let Decoded { file, batch, file_rows } = received.map_err(|error| place.halt(error))?;
            let Some(batch) = batch else {
                note = Note { file: file + 1, row: 0, ..note };
                place = Place::new(plan, note.file);
                self.figures.note(place.before, plan.bytes, records);
                continue;
            };
            let count = u64::try_from(batch.rows.len()).unwrap_or(u64::MAX);
            let row = batch.first_row.saturating_add(count);
            note = Note { row, rows: note.rows.saturating_add(count), ..note };
            records += self.stage_batch(batch, &place, note).await?;
            self.figures.note(place.after(row, file_rows), plan.bytes, records);
            #[cfg(test)]
            if let Ok(permit) = self.shared.imports.batches.acquire().await {
                permit.forget();
            }
        }
        self.check_all_filled().await?;
        Ok((records, note.rows))
    }

    /// Where to go on.
    async fn resume(&self, plan: &Plan) -> Result<Note, Halt> {
        let state = self.shared.engine.stage_progress(self.shard(), self.job()).await?;
        let bytes = state.map(|state| state.progress).unwrap_or_default();
        match Note::decode(&bytes, plan.digest) {
            Some(note) if note.plan == plan.digest => Ok(note),
            _ => Err(Halt::user(
                "The files were changed while the import was interrupted. Start it again.",
            )),
        }
    }

    async fn staged_records(&self) -> Result<u64, Halt> {
        let state = self.shared.engine.stage_progress(self.shard(), self.job()).await?;
        let namespaces = state.map(|state| state.namespaces).unwrap_or_default();
        Ok(namespaces.iter().map(|namespace| namespace.record_count).sum())
    }

    /// Stages the good rows of a batch; gives how many of them were new.
    async fn stage_batch(&self, batch: Batch, place: &Place<'_>, note: Note) -> Result<u64, Halt> {
        let on_duplicate = match self.import.error_mode {
            ImportErrorMode::Abort => Duplicate::Refuse,
            ImportErrorMode::Continue => Duplicate::Skip,
        };
        let mut records: Vec<Record> = Vec::with_capacity(batch.rows.len());
        for (row, checked) in (batch.first_row..).zip(batch.rows) {
            match (checked, on_duplicate) {
                (Ok(record), _) => records.push(record),
                (Err(_), Duplicate::Skip) => {}
                (Err(error), Duplicate::Refuse) => {
                    return Err(Halt::user(&place.of_row(row, &error.0)));
                }
            }
        }
        let ids: Vec<_> = records.iter().map(|record| record.id.clone()).collect();
        let batch_of = StageBatch { records, progress: note.encode(), on_duplicate };
        let (shard, job) = (self.shard(), self.job());
        let written = self.shared.engine.stage_write(shard, job, place.namespace(), batch_of).await;
        match written {
            Ok(staged) => Ok(staged.added),
            Err(WriteError::Staging(StagingError::Duplicate(id))) => {
                // All rows are records in this mode; the first of two with one id was fine.
                let at = ids.iter().rposition(|other| *other == id).unwrap_or_default();
                let row = batch.first_row.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
                let text = format!("Duplicate vector ID \"{id}\"");
                Err(Halt::user(&place.of_row(row, &text)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// An import that adds nothing to a namespace has failed, not succeeded with nothing.
    async fn check_all_filled(&self) -> Result<(), Halt> {
        let state = self.shared.engine.stage_progress(self.shard(), self.job()).await?;
        let namespaces = state.map(|state| state.namespaces).unwrap_or_default();
        match namespaces.iter().find(|namespace| namespace.record_count == 0) {
            None => Ok(()),
            Some(empty) => Err(Halt::user(&format!(
                "No vectors added, all rows were skipped for namespace: {}",
                empty.name.listed()
            ))),
        }
    }

    async fn make_visible(&self) -> Result<(), Halt> {
        match self.shared.engine.stage_commit(self.shard(), self.job()).await {
            // Nothing is staged: it was committed before the process stopped.
            Ok(_) | Err(WriteError::Staging(StagingError::NotBegun)) => {}
            Err(error) => return Err(error.into()),
        }
        let now = self.shared.clock.now();
        let (index, id) = (self.index.id, self.import.id);
        let ended = self.shared.catalog.end_import(index, id, ImportEnd::Completed, now).await?;
        tracing::info!(
            import = %id,
            records = ended.records_imported,
            skipped = ended.rows_skipped,
            "an import is completed"
        );
        Ok(())
    }

    async fn fail(&self, error: String) -> Result<(), CatalogError> {
        tracing::info!(import = %self.import.id, error, "an import has failed");
        let end = ImportEnd::Failed { error, percent_complete: self.figures.percent() };
        let (index, id) = (self.index.id, self.import.id);
        match self.shared.catalog.end_import(index, id, end, self.shared.clock.now()).await {
            Ok(_) => Ok(()),
            Err(error) if is_over(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn shard(&self) -> ShardRef {
        shard_of(&self.index)
    }

    fn job(&self) -> Uuid {
        self.import.id.as_uuid()
    }
}

/// A file of a plan, with the bytes before it.
struct Place<'a> {
    plan: &'a Plan,
    file: usize,
    before: f64,
}

impl<'a> Place<'a> {
    fn new(plan: &'a Plan, file: usize) -> Self {
        let before: u64 = plan.files.iter().take(file).map(|planned| planned.file.bytes).sum();
        Self { plan, file, before: real(before) }
    }

    /// Bytes read once `row` of `rows` rows are.
    fn after(&self, row: u64, rows: u64) -> f64 {
        let bytes = self.plan.files.get(self.file).map_or(0, |planned| planned.file.bytes);
        self.before + real(bytes) * real(row) / real(rows.max(1))
    }

    fn namespace(&self) -> &'a lodgepole_types::NamespaceName {
        &self.plan.files[self.file].namespace
    }

    fn path(&self, file: usize) -> &'a str {
        self.plan.files.get(file).map_or("", |planned| planned.file.path.as_str())
    }

    fn of_row(&self, row: u64, text: &str) -> String {
        format!("error reading record (file \"{}\", row {row}): {text}", self.path(self.file))
    }

    fn of_file(&self, text: &str) -> String {
        format!("{text} (file \"{}\")", self.path(self.file))
    }

    fn halt(&self, error: DecodeError) -> Halt {
        match error.error {
            FileError::Invalid(text) => {
                Halt::user(&format!("{text} (file \"{}\")", self.path(error.file)))
            }
            FileError::Unreadable(cause) => {
                Halt::Unreadable { path: self.path(error.file).to_owned(), cause }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is shown as a percentage")]
fn real(count: u64) -> f64 {
    count as f64
}

/// What records of an index are made of.
fn shape(config: &IndexConfig) -> Shape {
    let sparse = match (config.dense, config.takes_sparse()) {
        (None, _) => SparseRule::Required,
        (Some(_), true) => SparseRule::Optional,
        (Some(_), false) => SparseRule::Forbidden,
    };
    Shape { dimension: config.dimension(), sparse }
}

/// An error with the causes below it, outermost first.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
