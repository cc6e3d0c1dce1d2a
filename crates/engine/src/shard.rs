//! One open shard: its database, its writer, its tails.
//!
//! A shard is ready as soon as its log is replayed: everything acknowledged can be read. It counts
//! as stopped once its store failed or another handle took the database over; the engine then drops
//! it and opens a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use lodgepole_rows::{self as rows, NamespaceRow, Place};
use lodgepole_storage::{Database, Storage, View, Visibility};
use lodgepole_types::{Clock, DenseField, IndexId, Metric, NamespaceName};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::aliases::PublishedAliases;
use crate::change::{Change, Done, WriteRequest};
use crate::indexing::Wishes;
use crate::matching::Registered;
use crate::planner::{Planner, PlannerLimits};
use crate::search_pool::SearchPool;
use crate::segments::SegmentStore;
use crate::tails::TailCache;
use crate::writer::{self, Command, Cut, Shown, WriterContext};
use crate::{EngineError, EngineOptions, WriteError};

/// Which shard, and the shape of its vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardRef {
    /// The index.
    pub index: IndexId,
    /// Its dense vectors; none in a sparse index.
    pub dense: Option<DenseField>,
}

impl ShardRef {
    /// How nearness is scored.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.dense.map_or(Metric::DotProduct, |dense| dense.metric)
    }

    /// Values of a dense vector; 0 in a sparse index.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dense.map_or(0, |dense| dense.dimension as usize)
    }
}

/// What all shards of a process share.
#[derive(Debug, Clone)]
pub(crate) struct Commons {
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: EngineOptions,
    pub(crate) tails: Arc<TailCache>,
    pub(crate) pool: Arc<SearchPool>,
    pub(crate) segments: Arc<SegmentStore>,
    /// What the indexer has to look at.
    pub(crate) wishes: Arc<Wishes>,
}

#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) shape: ShardRef,
    pub(crate) database: Database,
    pub(crate) commons: Commons,
    /// As of the last durable write.
    pub(crate) aliases: PublishedAliases,
    /// Updates and deletes by filter that may go on at once.
    pub(crate) watches: Semaphore,
    commands: mpsc::Sender<Command>,
    stopped: Arc<AtomicBool>,
    /// How far search has followed the durable writes.
    pub(crate) shown: Arc<Shown>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    sweep: Arc<Notify>,
    last_used: Mutex<Duration>,
}

impl Shard {
    /// Starts the writer over an open database.
    pub(crate) async fn start(
        shape: ShardRef,
        database: Database,
        commons: Commons,
    ) -> Result<Arc<Self>, EngineError> {
        let options = &commons.options;
        let limits = PlannerLimits {
            aliases_max: options.aliases_max,
            index_from: options.index_from,
            queue_versions_max: options.queue_versions_max,
        };
        let planner = Planner::open(&database, shape.index, limits).await?;
        let aliases: PublishedAliases = Arc::new(ArcSwap::new(Arc::clone(&planner.aliases)));
        let watches = Semaphore::new(options.watches_max);
        let stopped = Arc::new(AtomicBool::new(false));
        let shown = Shown::new();
        let context = WriterContext {
            index: shape.index,
            shape,
            wishes: Arc::clone(&commons.wishes),
            segments: Arc::clone(&commons.segments),
            database: database.clone(),
            clock: Arc::clone(&commons.clock),
            tails: Arc::clone(&commons.tails),
            aliases: Arc::clone(&aliases),
            watch_ids_max: options.watch_ids_max,
            stopped: Arc::clone(&stopped),
            shown: Arc::clone(&shown),
            cut_flush_max: options.cut_flush_max,
        };
        let (sender, receiver) = mpsc::channel(options.write_queue_max);
        let tasks = writer::start(&context, planner, receiver);
        let now = commons.clock.elapsed();
        let shard = Arc::new(Self {
            shape,
            database,
            commons,
            aliases,
            watches,
            commands: sender,
            stopped,
            shown,
            tasks: Mutex::new(tasks),
            sweep: Arc::default(),
            last_used: Mutex::new(now),
        });
        let sweeper =
            tokio::spawn(crate::sweep::run(Arc::downgrade(&shard), Arc::clone(&shard.sweep)));
        shard.tasks.lock().push(sweeper);
        shard.sweep.notify_one();
        Ok(shard)
    }

    pub(crate) fn touch(&self) {
        *self.last_used.lock() = self.commons.clock.elapsed();
    }

    pub(crate) fn idle_for(&self) -> Duration {
        self.commons.clock.elapsed().saturating_sub(*self.last_used.lock())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire) || self.database.closed().is_some()
    }

    /// Applies one request; returns once it is durable and searchable.
    pub(crate) async fn write(&self, change: Change) -> Result<Done, WriteError> {
        let leaves_dead_rows = change.may_leave_dead_rows();
        let (need, bytes) = change.room();
        self.commons.storage.admit(need, bytes)?;
        let (reply, answer) = oneshot::channel();
        let request = WriteRequest { change, reply };
        let answered = async {
            self.send(Command::Write(request)).await?;
            answer.await.map_err(|_| self.stopped_error())?
        };
        let outcome = tokio::select! {
            biased;
            outcome = answered => outcome,
            () = self.commons.clock.sleep(self.commons.options.write_deadline) => {
                return Err(EngineError::Deadline(self.commons.options.write_deadline).into());
            }
        };
        if leaves_dead_rows && outcome.is_ok() {
            self.sweep.notify_one();
        }
        outcome
    }

    /// Lets the writer take note of the records of a namespace that writes touch from now on.
    pub(crate) async fn watch(
        &self,
        namespace: &NamespaceName,
    ) -> Result<Option<Registered>, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Watch { namespace: namespace.clone(), reply }).await?;
        answer.await.map_err(|_| self.stopped_error())?
    }

    /// Removes rows that nothing refers to any more.
    pub(crate) async fn sweep_rows(&self, keys: Vec<Vec<u8>>) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Sweep { keys, reply }).await?;
        answer.await.map_err(|_| self.stopped_error())?
    }

    /// Pins the state after everything acknowledged so far.
    pub(crate) async fn checkpoint(&self, name: &str) -> Result<Cut, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Checkpoint { name: name.to_owned(), reply }).await?;
        answer.await.map_err(|_| self.stopped_error())?
    }

    /// The place of a namespace, as far as a durable write made it.
    pub(crate) async fn place(&self, name: &NamespaceName) -> Result<Option<Place>, EngineError> {
        let key = rows::namespace_key(name);
        let Some(bytes) = self.database.get(&key, Visibility::Durable).await? else {
            return Ok(None);
        };
        let row = NamespaceRow::decode(&bytes)?;
        Ok(Some(Place { slot: rows::slot_of(name), id: row.id }))
    }

    /// A view all of whose writes are durable, so that several reads of it agree with each other.
    /// Waits for at most the writes that were in flight: a few flush intervals.
    pub(crate) async fn settled_view(&self) -> Result<View, EngineError> {
        const POLL: Duration = Duration::from_micros(500);
        let view = self.database.view()?;
        while self.database.durable_lsn() < view.lsn() {
            if self.is_stopped() {
                return Err(self.stopped_error());
            }
            self.commons.clock.sleep(POLL).await;
        }
        Ok(view)
    }

    pub(crate) fn stopped_error(&self) -> EngineError {
        EngineError::Stopped(self.shape.index)
    }

    async fn send(&self, command: Command) -> Result<(), EngineError> {
        if self.is_stopped() {
            return Err(self.stopped_error());
        }
        self.commands.send(command).await.map_err(|_| self.stopped_error())
    }

    /// Ends the tasks and closes the database: flushed when `flush`, otherwise as it stands. What
    /// was acknowledged is in the log either way.
    pub(crate) async fn close(&self, flush: bool) {
        self.stopped.store(true, Ordering::Release);
        for task in std::mem::take(&mut *self.tasks.lock()) {
            task.abort();
        }
        self.shown.end();
        self.commons.tails.forget(self.shape.index);
        let closed =
            if flush { self.database.close().await } else { self.database.abandon().await };
        if let Err(error) = closed {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(index = %self.shape.index, error, "shard did not close cleanly");
        }
        // Nobody learns what became of a commit that was in flight: it may name segments.
        self.commons.segments.forget_marks(self.shape.index);
    }
}
