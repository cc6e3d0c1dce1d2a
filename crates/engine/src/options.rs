//! What an operator can set about the engine. Every value has a unit in its name and a default.

use std::time::Duration;

/// Settings of an [`Engine`](crate::Engine).
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Unflushed writes of all shards together; above it the fullest shard is flushed.
    pub write_buffer_bytes: u64,
    /// Vectors held in memory for search, over all namespaces. Least recently searched ones are
    /// dropped above it; a namespace for which there is no room is searched from storage.
    pub tail_bytes_max: u64,
    /// Time without a request after which a shard is flushed and closed.
    pub idle_close: Duration,
    /// How often budgets and idle shards are looked at.
    pub upkeep_interval: Duration,
    /// Threads that search; 0 means one per processor.
    pub search_threads: usize,
    /// Writes of one shard that may wait for their turn; more callers wait outside.
    pub write_queue_max: usize,
    /// How long a write waits for stable storage before its caller is told that the outcome is
    /// unknown.
    pub write_deadline: Duration,
    /// How long a backup waits for the memtable to be flushed before it goes on without.
    pub cut_flush_max: Duration,
    /// Aliases of one index.
    pub aliases_max: usize,
    /// Updates and deletes by filter that one shard carries out at once; more callers wait.
    pub watches_max: usize,
    /// Ids that other writes may touch while one update or delete by filter looks for its matches;
    /// above it the search begins anew.
    pub watch_ids_max: usize,
    /// Of these ids, how many the writer may look at again itself, while other writes wait.
    pub revisit_ids_max: usize,
    /// How often an update or delete by filter begins anew before its caller is told to retry.
    pub matching_tries_max: u32,
    /// Memory for the matches of one update or delete by filter: ids, and the metadata to be
    /// written.
    pub matching_bytes_max: u64,
    /// How much of a namespace must be in no segment before one is built.
    pub index_from: IndexFrom,
    /// Versions of records in the change queue of one namespace, or the number of its records where
    /// that is more. Above it the queue is given up with the segments, and the namespace is indexed
    /// anew from its records.
    pub queue_versions_max: u64,
    /// Rows up to which segments are merged into one.
    pub segment_rows_max: u64,
    /// Records of one segment when a namespace is indexed that is too large for memory, in bytes.
    pub index_batch_bytes: u64,
    /// Time without indexing after which the segments of a namespace are merged further.
    pub merge_pause: Duration,
    /// How long a segment must have been seen without use before its file is removed.
    pub segment_grace: Duration,
    /// Whether a segment is built on a thread of its own. Not in a simulation: when such a thread ends
    /// is chance, and with it the order of everything after.
    pub builds_aside: bool,
}

/// When a segment is built: as soon as one of both is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexFrom {
    /// Rows that no segment holds.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl IndexFrom {
    pub(crate) fn is_reached(self, rows: u64, bytes: u64) -> bool {
        rows >= self.rows || (rows > 0 && bytes >= self.bytes)
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            write_buffer_bytes: 256 << 20,
            tail_bytes_max: 4 << 30,
            idle_close: Duration::from_secs(120),
            upkeep_interval: Duration::from_millis(500),
            search_threads: 0,
            write_queue_max: 256,
            write_deadline: Duration::from_secs(30),
            cut_flush_max: Duration::from_millis(250),
            aliases_max: 1_000,
            watches_max: 4,
            watch_ids_max: 100_000,
            revisit_ids_max: 1_000,
            matching_tries_max: 5,
            matching_bytes_max: 256 << 20,
            index_from: IndexFrom { rows: 4_096, bytes: 32 << 20 },
            queue_versions_max: 2_000_000,
            segment_rows_max: 4_000_000,
            index_batch_bytes: 512 << 20,
            merge_pause: Duration::from_secs(3),
            segment_grace: Duration::from_secs(120),
            builds_aside: true,
        }
    }
}
