//! The store that fails.
//!
//! A crash is modelled as the death of the process that holds this handle: operations that came
//! later are not carried out, those under way may still be, and none is answered with success.
//! After a crash, [`FaultStore::successor`] is the store as the next process finds it; the old handle
//! stays dead, so that background tasks of the old database cannot wake up and write.
#![expect(clippy::result_large_err, reason = "the error is object_store's, whose trait we serve")]

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use lodgepole_types::Clock;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result, UploadPart,
};
use parking_lot::Mutex;
use slatedb_common::retry::NonRetryable;

use super::held::{Gate, Held};
use super::plan::{Action, Operation, OperationKind, Plan, Retry, Timing, Verdict};

/// The name by which injected errors say where they come from.
const STORE: &str = "fault store";

/// A store that passes everything on to another until it is told to fail. Clones are handles of the
/// same process; they share counts, faults and fate.
#[derive(Debug, Clone)]
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    changes: u64,
    reads: u64,
    log: Vec<Operation>,
    is_crashed: bool,
    /// A successor has taken over: this handle never comes back.
    is_ended: bool,
    /// Changes that are held, by number.
    held: BTreeMap<u64, (Timing, Arc<Gate>)>,
    latency: Latency,
    /// Says how long each operation takes on top of that.
    pace: Option<Pace>,
}

/// How long an operation takes.
struct Pace(Box<dyn FnMut(&Operation) -> Duration + Send>);

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pace")
    }
}

/// Time that operations take on top of the store's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// For each change.
    pub change: Duration,
    /// For each read.
    pub read: Duration,
}

/// The error of an injected fault, at the end of the chain of causes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Injected {
    /// One operation was to fail.
    #[error("injected failure of {0}")]
    Failure(Operation),
    /// The store has crashed.
    #[error("the store has crashed, so there is no answer to {0}")]
    Crash(Operation),
}

/// An operation that was let through, and what its answer is to be.
struct Admitted {
    operation: Operation,
    after: Option<Action>,
    /// Held after it has taken effect.
    held: Option<Arc<Gate>>,
}

impl FaultStore {
    /// A store over `inner` with no faults. Latency is slept on `clock`.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, state: Arc::default() }
    }

    /// How many changes have reached the store. The next one has this number plus one.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// How many reads have reached the store.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.state.lock().reads
    }

    /// Everything that has reached the store, in order.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.state.lock().log.clone()
    }

    /// The change with this number, once it has reached the store.
    #[must_use]
    pub fn change(&self, number: u64) -> Option<Operation> {
        let state = self.state.lock();
        state.log.iter().find(|seen| seen.kind.is_change() && seen.number == number).cloned()
    }

    /// Crashes at the change `number`.
    pub fn crash_at(&self, number: u64, timing: Timing) {
        let verdict = Verdict::Fault(Action::Crash, timing);
        self.state.lock().plan.changes.insert(number, verdict);
    }

    /// Crashes now.
    pub fn crash(&self) {
        self.state.lock().is_crashed = true;
    }

    /// Fails the change `number`, once.
    pub fn fail_change(&self, number: u64, timing: Timing, retry: Retry) {
        let verdict = Verdict::Fault(Action::Fail(retry), timing);
        self.state.lock().plan.changes.insert(number, verdict);
    }

    /// Fails the read `number`, once.
    pub fn fail_read(&self, number: u64, retry: Retry) {
        let verdict = Verdict::Fault(Action::Fail(retry), Timing::Before);
        self.state.lock().plan.reads.insert(number, verdict);
    }

    /// Holds the change `number` when it comes, before it takes effect or before it is answered, until
    /// the handle that is returned is dropped.
    #[must_use]
    pub fn hold_change(&self, number: u64, timing: Timing) -> Held {
        let (held, gate) = Held::new();
        self.state.lock().held.insert(number, (timing, gate));
        held
    }

    /// Lets `judge` decide about every operation that has no fault of its own; it sees them in
    /// order and must not call the store.
    pub fn judge_by(&self, judge: impl FnMut(&Operation) -> Verdict + Send + 'static) {
        self.state.lock().plan.judge = Some(Box::new(judge));
    }

    /// Drops all faults that are still to come. A crash stays.
    pub fn clear_faults(&self) {
        self.state.lock().plan = Plan::default();
    }

    /// Slows every operation down from now on.
    pub fn set_latency(&self, latency: Latency) {
        self.state.lock().latency = latency;
    }

    /// Slows each operation down by what `pace` says; it sees them in order and must not call the store.
    pub fn slow_by(&self, pace: impl FnMut(&Operation) -> Duration + Send + 'static) {
        self.state.lock().pace = Some(Pace(Box::new(pace)));
    }

    /// Whether the store has crashed.
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.state.lock().is_crashed
    }

    /// Ends a crash for this handle, as if the store had only been out of reach. Without effect once
    /// a successor has taken over.
    pub fn revive(&self) {
        let mut state = self.state.lock();
        state.is_crashed = state.is_ended;
    }

    /// Ends this handle for good, and gives the store as the next process finds it: the same
    /// objects, no faults, counts from zero.
    #[must_use]
    pub fn successor(&self) -> Self {
        let mut state = self.state.lock();
        state.is_crashed = true;
        state.is_ended = true;
        Self::new(Arc::clone(&self.inner), Arc::clone(&self.clock))
    }

    /// Numbers an operation, waits its latency and decides about it.
    async fn admit(&self, kind: OperationKind, path: &str) -> Result<Admitted> {
        let (operation, verdict, latency, held) = {
            let mut state = self.state.lock();
            let number = if kind.is_change() { &mut state.changes } else { &mut state.reads };
            *number += 1;
            let operation = Operation { number: *number, kind, path: path.to_owned() };
            state.log.push(operation.clone());
            if state.is_crashed {
                return Err(crashed(operation));
            }
            let verdict = state.plan.verdict(&operation);
            // From here on nothing later is carried out, also while this one still is.
            state.is_crashed = matches!(verdict, Verdict::Fault(Action::Crash, _));
            let latency = if kind.is_change() { state.latency.change } else { state.latency.read };
            let slowed = state.pace.as_mut().map_or(Duration::ZERO, |pace| (pace.0)(&operation));
            let latency = latency + slowed;
            let held = if kind.is_change() { state.held.remove(&operation.number) } else { None };
            (operation, verdict, latency, held)
        };
        if !latency.is_zero() {
            self.clock.sleep(latency).await;
        }
        let held = match held {
            Some((Timing::Before, gate)) => {
                gate.pass().await;
                None
            }
            Some((Timing::After, gate)) => Some(gate),
            None => None,
        };
        match verdict {
            Verdict::Pass => Ok(Admitted { operation, after: None, held }),
            Verdict::Fault(action, Timing::Before) => Err(error_of(action, operation)),
            Verdict::Fault(action, Timing::After) => {
                Ok(Admitted { operation, after: Some(action), held })
            }
        }
    }

    /// The answer to an operation that has been carried out.
    async fn answer<T>(&self, admitted: Admitted, result: Result<T>) -> Result<T> {
        if let Some(gate) = &admitted.held {
            gate.pass().await;
        }
        match admitted.after {
            Some(action) => Err(error_of(action, admitted.operation)),
            None if self.is_crashed() => Err(crashed(admitted.operation)),
            None => result,
        }
    }

    async fn run<T>(
        &self,
        kind: OperationKind,
        path: &Path,
        act: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let admitted = self.admit(kind, path.as_ref()).await?;
        let result = act.await;
        self.answer(admitted, result).await
    }

    /// Refuses after a crash what is not counted.
    fn refuse_if_crashed(&self, kind: OperationKind, path: &str) -> Result<()> {
        if self.is_crashed() {
            return Err(crashed(Operation { number: 0, kind, path: path.to_owned() }));
        }
        Ok(())
    }
}

fn error_of(action: Action, operation: Operation) -> Error {
    match action {
        Action::Fail(Retry::Invited) => {
            Error::Generic { store: STORE, source: Box::new(Injected::Failure(operation)) }
        }
        Action::Fail(Retry::Refused) => not_retried(Injected::Failure(operation)),
        Action::Crash => crashed(operation),
    }
}

fn crashed(operation: Operation) -> Error {
    not_retried(Injected::Crash(operation))
}

fn not_retried(injected: Injected) -> Error {
    Error::Generic { store: STORE, source: Box::new(NonRetryable(Box::new(injected))) }
}

impl std::fmt::Display for FaultStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaultStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let kind = match options.mode {
            PutMode::Overwrite => OperationKind::Put,
            PutMode::Create => OperationKind::Create,
            PutMode::Update(_) => OperationKind::Update,
        };
        self.run(kind, location, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.refuse_if_crashed(OperationKind::CompleteUpload, location.as_ref())?;
        let upload = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(FaultUpload { store: self.clone(), location: location.clone(), upload }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.run(OperationKind::Get, location, self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.run(OperationKind::Get, location, self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        // One at a time, so that the numbers of deletes follow their order.
        let store = self.clone();
        locations
            .and_then(move |location| {
                let store = store.clone();
                async move {
                    let delete = store.inner.delete(&location);
                    store.run(OperationKind::Delete, &location, delete).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(prefix, self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(prefix, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let path = prefix.cloned().unwrap_or_default();
        self.run(OperationKind::List, &path, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.run(OperationKind::Copy, to, self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.run(OperationKind::Rename, to, self.inner.rename_opts(from, to, options)).await
    }
}

impl FaultStore {
    fn listing(
        &self,
        prefix: Option<&Path>,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        let path = prefix.map(ToString::to_string).unwrap_or_default();
        futures::stream::once(async move {
            let admitted = store.admit(OperationKind::List, &path).await?;
            store.answer(admitted, Ok(listing)).await
        })
        .try_flatten()
        .boxed()
    }
}

/// An upload whose end is one change.
#[derive(Debug)]
struct FaultUpload {
    store: FaultStore,
    location: Path,
    upload: Box<dyn MultipartUpload>,
}

#[async_trait]
impl MultipartUpload for FaultUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let refused =
            self.store.refuse_if_crashed(OperationKind::CompleteUpload, self.location.as_ref());
        match refused {
            Ok(()) => self.upload.put_part(data),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let kind = OperationKind::CompleteUpload;
        self.store.run(kind, &self.location, self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.refuse_if_crashed(OperationKind::CompleteUpload, self.location.as_ref())?;
        self.upload.abort().await
    }
}
