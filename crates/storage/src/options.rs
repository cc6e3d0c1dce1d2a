//! What an operator can set about storage. Every value has a unit in its name and a default.

use std::time::Duration;

/// Settings of a [`Storage`](crate::Storage).
#[derive(Debug, Clone)]
pub struct StorageOptions {
    /// How long writes are gathered into one log object. 1 to 2 ms on a local disk, 25 to 50 ms on
    /// object storage: each flush is one synced file or one PUT.
    pub flush_interval: Duration,
    /// Size at which a database's memtable becomes a file.
    pub memtable_bytes: usize,
    /// Size of the files that compaction writes. The first read of a cold file loads its whole
    /// index and filter, so smaller files make a fresh clone answer sooner.
    pub file_bytes_max: usize,
    /// Unflushed bytes at which one database makes its writers wait.
    pub unflushed_bytes_max: usize,
    /// The block cache, shared by all databases.
    pub block_cache_bytes: u64,
    /// How long the inherited files of a new clone are left alone by compaction.
    pub clone_quiet: Duration,
    /// Age below which collection touches nothing. Longer than the longest scan, because an
    /// iterator does not pin the files it reads.
    pub collection_age: Duration,
    /// The same for objects of the log, which no scan reads: only a restart and a clone do, and both
    /// hold what they need.
    pub log_collection_age: Duration,
    /// How long a compaction's own pins live.
    pub compactor_pin: Duration,
    /// Attempts at a failed store operation before the database is closed; none means for ever. A
    /// full disk or an unreachable bucket is then waited out, callers meet their own deadlines, and
    /// everything goes on by itself. Errors that must not be repeated are never repeated.
    pub retries_max: Option<u32>,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_millis(1),
            memtable_bytes: 32 << 20,
            file_bytes_max: 64 << 20,
            unflushed_bytes_max: 128 << 20,
            block_cache_bytes: 256 << 20,
            clone_quiet: Duration::from_secs(300),
            collection_age: Duration::from_secs(900),
            log_collection_age: Duration::from_secs(120),
            compactor_pin: Duration::from_secs(900),
            retries_max: None,
        }
    }
}
