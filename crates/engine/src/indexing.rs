//! Building segments in the background.
//!
//! Writers and queries wish for namespaces to be indexed; one task of the process takes one wish
//! after the other, so that building never takes more than one processor from the queries. Work on a
//! namespace goes in steps: have its changes queued; take its tail and some of its segments as they
//! are at one moment; write one segment of all that lives in them; commit. Invariants:
//!
//! - what a commit drops from the queue is exactly what its segments and deletion rows hold;
//! - a step that is cut off leaves nothing but a file that no row names;
//! - search sees the segments before or the segments after, never a mixture.

mod job;
mod rows;
mod streamed;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lodgepole_types::{IndexId, NamespaceName};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::ShardRef;
use crate::engine::Engine;

/// How long a namespace is left alone after work on it failed.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Namespaces that the indexer has to look at, each once.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    open: Mutex<BTreeMap<(IndexId, NamespaceName), Wish>>,
    /// Those that are being worked on, since when they had waited.
    running: Mutex<BTreeMap<(IndexId, NamespaceName), Duration>>,
    added: Notify,
    jobs: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Wish {
    shape: ShardRef,
    /// Not before this time of the monotonic clock.
    due: Duration,
    /// Nothing was wished for since it was looked at last.
    quiet: bool,
    /// Since when it waits.
    since: Duration,
}

/// What work on a namespace led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// New segments are there: there may be more to do.
    Built,
    /// New segments are there, and enough for others waits.
    More,
    /// There was nothing to do.
    Idle,
    /// Writes came in between in a way that makes it all to be done again.
    Superseded,
}

/// Namespaces of one index that are not indexed as far as was wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) namespaces: u64,
    /// When the first of them was wished for.
    pub(crate) since: Duration,
}

/// A wish that is being worked on; it counts as such until this is dropped.
#[derive(Debug)]
struct Work {
    wishes: Arc<Wishes>,
    key: (IndexId, NamespaceName),
    wish: Wish,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.wishes.running.lock().remove(&self.key);
    }
}

impl Wishes {
    /// Wishes for a namespace to be indexed, as soon as possible.
    pub(crate) fn add(&self, shape: ShardRef, name: NamespaceName, now: Duration) {
        let mut open = self.open.lock();
        let wish = Wish { shape, due: now, quiet: false, since: now };
        let known = open.entry((shape.index, name)).or_insert(wish);
        if known.quiet {
            *known = wish;
        }
        drop(open);
        self.added.notify_one();
    }

    /// Wishes for the rest of a namespace to be indexed, which waits since then: after those that
    /// came before `now`, so that none waits for all of another.
    fn add_rest(&self, shape: ShardRef, name: NamespaceName, (since, now): (Duration, Duration)) {
        let rest = Wish { shape, due: now, quiet: false, since };
        let mut open = self.open.lock();
        let known = open.entry((shape.index, name)).or_insert(rest);
        *known = Wish { since: known.since.min(since), due: known.due.min(now), ..rest };
    }

    /// Wishes for a namespace to be looked at later, unless it is to be sooner.
    fn add_later(&self, shape: ShardRef, name: NamespaceName, due: Duration) {
        self.open.lock().entry((shape.index, name)).or_insert(Wish {
            shape,
            due,
            quiet: true,
            since: due,
        });
    }

    /// How many namespaces of each index wait to be indexed or are at it, and since when the first
    /// one does. A look at a namespace that finds nothing to do counts while it lasts.
    pub(crate) fn waiting(&self) -> HashMap<IndexId, Waiting> {
        let mut since: BTreeMap<(IndexId, NamespaceName), Duration> = BTreeMap::new();
        // Both locked at once: what is taken is in one of them.
        let (open, running) = (self.open.lock(), self.running.lock());
        let wished = open.iter().filter(|(_, wish)| !wish.quiet);
        since.extend(wished.map(|(key, wish)| (key.clone(), wish.since)));
        since.extend(running.iter().map(|(key, first)| (key.clone(), *first)));
        drop((open, running));
        let mut waiting: HashMap<IndexId, Waiting> = HashMap::new();
        for ((index, _), first) in since {
            let of_index = waiting.entry(index).or_insert(Waiting { namespaces: 0, since: first });
            of_index.namespaces += 1;
            of_index.since = of_index.since.min(first);
        }
        waiting
    }

    /// A number for a piece of work that no other has.
    fn next_job(&self) -> u64 {
        self.jobs.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a wish that is due; otherwise how long until one is.
    fn take(self: &Arc<Self>, now: Duration) -> Result<Work, Option<Duration>> {
        let mut open = self.open.lock();
        let first = open.iter().min_by_key(|(_, wish)| wish.due);
        let Some((key, wish)) = first.map(|(key, wish)| (key.clone(), *wish)) else {
            return Err(None);
        };
        if wish.due > now {
            return Err(Some(wish.due.saturating_sub(now)));
        }
        open.remove(&key);
        self.running.lock().insert(key.clone(), wish.since.min(now));
        Ok(Work { wishes: Arc::clone(self), key, wish })
    }
}

impl Engine {
    /// Builds segments until the engine shuts down. One task of the process runs it.
    pub(crate) async fn index_in_background(self: Arc<Self>) {
        let (clock, wishes) = (&self.commons.clock, &self.commons.wishes);
        while !self.is_shutting_down() {
            match wishes.take(clock.elapsed()) {
                Ok(work) => drop(self.index_one(work).await),
                Err(wait) => {
                    let wait = wait.unwrap_or(RETRY_PAUSE).min(RETRY_PAUSE);
                    tokio::select! {
                        biased;
                        () = wishes.added.notified() => {}
                        () = clock.sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Does everything that is wished for now, and what follows from it without a pause.
    ///
    /// For tests and for operators who want to wait: returns when nothing is left to do, or when
    /// something failed, which is then tried again later.
    pub async fn index_now(&self) {
        while let Ok(work) = self.commons.wishes.take(Duration::MAX) {
            if !self.index_one(work).await {
                return;
            }
        }
    }

    /// `false` when it failed and is put off.
    async fn index_one(&self, work: Work) -> bool {
        let Wish { shape, quiet, since, .. } = work.wish;
        let name = work.key.1.clone();
        let (clock, wishes) = (&self.commons.clock, &self.commons.wishes);
        let options = &self.commons.options;
        let outcome = match self.shard(shape).await {
            Ok(shard) => match shard.index_step(&name, quiet).await {
                // A merge reads what no query may have read yet.
                Err(error) if error.is_of_segment() => {
                    shard.distrust(&name, &error).await.map(|()| Step::Superseded)
                }
                outcome => outcome,
            },
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Step::Built) => wishes.add_later(shape, name, clock.elapsed() + options.merge_pause),
            Ok(Step::More) => wishes.add_rest(shape, name, (since, clock.elapsed())),
            Ok(Step::Superseded) => wishes.add_later(shape, name, clock.elapsed() + RETRY_PAUSE),
            Ok(Step::Idle) if quiet => {}
            Ok(Step::Idle) => wishes.add_later(shape, name, clock.elapsed() + options.merge_pause),
            Err(error) => {
                let gone = matches!(
                    error,
                    crate::EngineError::Retired(_) | crate::EngineError::ShuttingDown
                );
                if !gone {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(index = %shape.index, namespace = name.listed(), error,
                        "indexing stopped; it is tried again");
                    wishes.add_later(shape, name, clock.elapsed() + RETRY_PAUSE);
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
