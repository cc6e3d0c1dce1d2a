//! The threads that search.
//!
//! Searching is pure computation, so it runs beside the async runtime, on as many threads as there
//! are processors. Small searches are cheaper than the hand-over and run where they are.

use std::sync::Arc;

/// Multiplications below which a search runs on the calling thread: some 100 microseconds.
const INLINE_WORK_MAX: usize = 1 << 20;
/// What filtering one row costs, in multiplications.
pub(crate) const FILTER_WORK: usize = 256;

#[derive(Debug)]
pub(crate) struct SearchPool {
    pool: rayon::ThreadPool,
}

/// How a piece of work may spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Stay on this thread.
    Here,
    /// Use the pool's threads.
    Pool,
}

impl SearchPool {
    /// Starts `threads` threads, or one per processor for 0.
    pub(crate) fn start(threads: usize) -> Result<Arc<Self>, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("search-{number}"))
            .build()?;
        Ok(Arc::new(Self { pool }))
    }

    /// Runs `search`, on the pool when `work` (multiplications) is worth it. `None` when the search
    /// panicked.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: usize,
        search: impl FnOnce(Spread) -> R + Send + 'static,
    ) -> Option<R> {
        if work <= INLINE_WORK_MAX {
            return Some(search(Spread::Here));
        }
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.pool.spawn(move || {
            let _ = sender.send(search(Spread::Pool));
        });
        receiver.await.ok()
    }
}
