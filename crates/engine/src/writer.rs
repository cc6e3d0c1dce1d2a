//! The write path of a shard: one writer, one applier.
//!
//! The writer takes requests in order, plans each into one batch and hands it to the log without
//! waiting. The applier awaits each batch's durability in the same order, then shows it to search
//! and answers the caller. So requests share the cost of syncing, nobody sees what a crash could
//! take back, and the order of answers is the order of Lsns. A failure of the store stops the
//! shard: the outcome of what was in flight is unknown until the log is read again, so the shard
//! must be opened anew (never guessed at).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lodgepole_storage::{CheckpointPin, Commit, Database, StorageError};
use lodgepole_types::{Clock, IndexId, Lsn, NamespaceName, RecordId};
use tokio::sync::{mpsc, oneshot, watch};

use crate::aliases::{AliasMap, PublishedAliases};
use crate::change::{Done, Effect, Outcome, WriteRequest};
use crate::indexing::Wishes;
use crate::matching::{Registered, Watch};
use crate::planner::{Plan, Planner};
use crate::segments::SegmentStore;
use crate::tails::TailCache;
use crate::{EngineError, ShardRef, WriteError};

/// What the writer is asked for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Apply a request.
    Write(WriteRequest),
    /// Take note, from now on, of the records of a namespace that writes touch. There is none when
    /// the namespace is the default one and was never written.
    Watch {
        namespace: NamespaceName,
        reply: oneshot::Sender<Result<Option<Registered>, WriteError>>,
    },
    /// Remove rows of dead namespaces.
    Sweep { keys: Vec<Vec<u8>>, reply: oneshot::Sender<Result<(), EngineError>> },
    /// Pin the state after everything queued before.
    Checkpoint { name: String, reply: oneshot::Sender<Result<Cut, EngineError>> },
}

/// A pinned state and exactly what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) pin: CheckpointPin,
    pub(crate) lsn: Lsn,
    pub(crate) record_count: u64,
    pub(crate) namespace_count: u64,
    pub(crate) bytes: u64,
    /// Segments it needs, sorted.
    pub(crate) segments: Vec<String>,
}

/// What the writer and the applier share with their shard.
#[derive(Debug, Clone)]
pub(crate) struct WriterContext {
    pub(crate) index: IndexId,
    pub(crate) shape: ShardRef,
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tails: Arc<TailCache>,
    pub(crate) wishes: Arc<Wishes>,
    pub(crate) segments: Arc<SegmentStore>,
    pub(crate) aliases: PublishedAliases,
    pub(crate) watch_ids_max: usize,
    pub(crate) stopped: Arc<AtomicBool>,
    pub(crate) shown: Arc<Shown>,
    pub(crate) cut_flush_max: Duration,
}

/// How far the durable writes have been shown to search. A write is durable a moment before search
/// shows it; who reads rows sees it by then, so that a search which begins later must wait for it:
/// otherwise what was seen could be gone again.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The last write that was handed to the log.
    submitted: AtomicU64,
    /// The last write that was shown.
    upto: watch::Sender<u64>,
}

impl Shown {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { submitted: AtomicU64::new(0), upto: watch::Sender::new(0) })
    }

    /// Waits until search shows every write of this shard that was durable at `durable`.
    pub(crate) async fn reach(&self, durable: Lsn) {
        // What came before this shard was opened, search reads from storage.
        let wanted = durable.0.min(self.submitted.load(Ordering::Acquire));
        if *self.upto.borrow() >= wanted {
            return;
        }
        // The sender is our own, so this ends with the write, or when the shard does.
        let _ = self.upto.subscribe().wait_for(|upto| *upto >= wanted).await;
    }

    /// Nothing more will be shown: nobody waits any longer.
    pub(crate) fn end(&self) {
        self.upto.send_replace(u64::MAX);
    }
}

impl WriterContext {
    fn stop(&self, error: &(dyn std::error::Error + 'static)) {
        if !self.stopped.swap(true, Ordering::AcqRel) {
            tracing::error!(index = %self.index, error, "shard stopped; it opens again on demand");
            // What had no answer may be in the log all the same, and name segments.
            self.segments.forget_marks(self.index);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// A batch on its way to stable storage.
struct InFlight {
    commit: Arc<Commit>,
    effect: Effect,
    unindexed: Vec<NamespaceName>,
    aliases: Option<Arc<AliasMap>>,
    outcome: Outcome,
    reply: Option<Reply>,
}

type Reply = oneshot::Sender<Result<Done, WriteError>>;

/// Starts the writer and the applier of a shard; they end when `commands` closes.
pub(crate) fn start(
    context: &WriterContext,
    planner: Planner,
    commands: mpsc::Receiver<Command>,
) -> Vec<tokio::task::JoinHandle<()>> {
    /// Batches between the writer and the applier.
    const IN_FLIGHT_MAX: usize = 1024;
    let (sender, receiver) = mpsc::channel(IN_FLIGHT_MAX);
    let writer = Writer {
        context: context.clone(),
        planner,
        watches: Vec::new(),
        last: None,
        last_lsn: context.database.durable_lsn(),
        in_flight: sender,
    };
    vec![
        tokio::spawn(writer.run(commands)),
        tokio::spawn(apply_in_order(context.clone(), receiver)),
    ]
}

struct Writer {
    context: WriterContext,
    planner: Planner,
    /// Watches end when whoever asked for them drops them.
    watches: Vec<Weak<Watch>>,
    last: Option<Arc<Commit>>,
    last_lsn: Lsn,
    in_flight: mpsc::Sender<InFlight>,
}

impl Writer {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Write(request) => self.write(request).await,
                Command::Watch { namespace, reply } => {
                    let _ = reply.send(self.watch(&namespace).await);
                }
                Command::Sweep { keys, reply } => {
                    let _ = reply.send(self.sweep(keys).await);
                }
                Command::Checkpoint { name, reply } => {
                    let _ = reply.send(self.checkpoint(&name).await);
                }
            }
        }
    }

    async fn write(&mut self, request: WriteRequest) {
        let WriteRequest { change, reply } = request;
        if self.context.is_stopped() {
            let _ = reply.send(Err(EngineError::Stopped(self.context.index).into()));
            return;
        }
        let now = self.context.clock.now();
        match self.planner.plan(&self.context.database, change, now).await {
            Ok(plan) => self.submit(plan, Some(reply)).await,
            Err(error) => {
                if !error.is_refusal() {
                    self.context.stop(&error);
                }
                let _ = reply.send(Err(error));
            }
        }
    }

    async fn submit(&mut self, mut plan: Plan, reply: Option<Reply>) {
        let marks = self.marks(&mut plan);
        let commit = match self.context.database.write(plan.batch).await {
            Ok(commit) => Arc::new(commit),
            Err(error) => {
                self.context.stop(&error);
                if let Some(reply) = reply {
                    let _ = reply.send(Err(error.into()));
                }
                return;
            }
        };
        assert!(commit.lsn() > self.last_lsn, "the log went backwards");
        self.last_lsn = commit.lsn();
        self.context.shown.submitted.store(commit.lsn().0, Ordering::Release);
        self.last = Some(Arc::clone(&commit));
        // Only now: whoever takes these ids and then a view must see the write in it.
        for (watch, ids) in marks {
            match ids {
                Some(ids) => watch.touch(ids),
                None => watch.lose(),
            }
        }
        let Plan { effect, unindexed, aliases, outcome, .. } = plan;
        let sent = InFlight { commit, effect, unindexed, aliases, outcome, reply };
        let _ = self.in_flight.send(sent).await;
    }

    /// The watches that a plan concerns, with the ids it touches; without when it empties their
    /// namespace.
    fn marks(&mut self, plan: &mut Plan) -> Vec<(Arc<Watch>, Option<Vec<RecordId>>)> {
        let touched = std::mem::take(&mut plan.touched);
        if self.watches.is_empty() {
            return Vec::new();
        }
        self.watches.retain(|watch| watch.strong_count() > 0);
        let place = plan.effect.place;
        let concerned = self.watches.iter().filter_map(Weak::upgrade);
        concerned
            .filter(|watch| place == Some(watch.place()))
            .map(|watch| {
                let ids = (!plan.effect.emptied).then(|| {
                    let added = plan.effect.added.iter().map(|added| &added.id);
                    added.chain(&touched).cloned().collect()
                });
                (watch, ids)
            })
            .collect()
    }

    async fn watch(&mut self, namespace: &NamespaceName) -> Result<Option<Registered>, WriteError> {
        if self.context.is_stopped() {
            return Err(EngineError::Stopped(self.context.index).into());
        }
        let found = self.planner.watched_place(&self.context.database, namespace).await;
        if let Err(error) = &found
            && !error.is_refusal()
        {
            self.context.stop(error);
        }
        let Some(place) = found? else { return Ok(None) };
        let watch = Watch::new(place, self.context.watch_ids_max);
        self.watches.push(Arc::downgrade(&watch));
        Ok(Some(Registered { watch, since: self.last_lsn }))
    }

    async fn sweep(&mut self, keys: Vec<Vec<u8>>) -> Result<(), EngineError> {
        if self.context.is_stopped() {
            return Err(EngineError::Stopped(self.context.index));
        }
        let mut plan = Plan::default();
        for key in keys {
            plan.batch.delete(key);
        }
        self.submit(plan, None).await;
        Ok(())
    }

    /// The cut of a backup. Nothing is submitted meanwhile, so the pinned state is exactly the
    /// requests up to `last_lsn`, and the totals belong to it.
    async fn checkpoint(&mut self, name: &str) -> Result<Cut, EngineError> {
        if self.context.is_stopped() {
            return Err(EngineError::Stopped(self.context.index));
        }
        let result = self.cut(name).await;
        if let Err(error) = &result {
            tracing::warn!(index = %self.context.index, error = error as &dyn std::error::Error, "checkpoint failed");
        }
        result.map_err(EngineError::from)
    }

    async fn cut(&mut self, name: &str) -> Result<Cut, StorageError> {
        if let Some(last) = &self.last {
            last.durable().await?;
        }
        let database = &self.context.database;
        if database.unflushed_bytes() > 0 {
            // A clone copies the unflushed log object by object; flushing first keeps it fast.
            tokio::select! {
                biased;
                flushed = database.flush() => flushed?,
                () = self.context.clock.sleep(self.context.cut_flush_max) => {}
            }
        }
        let pin = database.checkpoint(name).await?;
        let totals = self.planner.totals();
        Ok(Cut {
            pin,
            lsn: self.last_lsn,
            record_count: totals.record_count,
            namespace_count: totals.namespace_count,
            bytes: totals.bytes,
            segments: self.planner.segments(),
        })
    }
}

async fn apply_in_order(context: WriterContext, mut in_flight: mpsc::Receiver<InFlight>) {
    while let Some(written) = in_flight.recv().await {
        let InFlight { commit, effect, unindexed, aliases, outcome, reply } = written;
        let outcome = match commit.durable().await {
            Ok(()) => {
                let lsn = commit.lsn();
                if effect.indexed.is_some() || effect.distrusted || effect.emptied {
                    context.segments.forget_marks(context.index);
                }
                context.tails.apply(context.index, lsn, effect);
                for name in unindexed {
                    context.wishes.add(context.shape, name, context.clock.elapsed());
                }
                if let Some(aliases) = aliases {
                    context.aliases.store(aliases);
                }
                context.shown.upto.send_if_modified(|upto| {
                    let is_news = *upto < lsn.0;
                    *upto = lsn.0.max(*upto);
                    is_news
                });
                Ok(Done { lsn, outcome })
            }
            Err(error) => {
                context.stop(&error);
                // Nothing after it becomes durable either.
                context.shown.end();
                Err(error.into())
            }
        };
        if let Some(reply) = reply {
            let _ = reply.send(outcome);
        }
    }
}
