//! Reading: what a reader may see, and a view that stands still.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;
use lodgepole_types::Lsn;
use slatedb::DbSnapshot;
use slatedb::config::{DurabilityLevel, ReadOptions, ScanOptions};

use crate::{Scan, StorageError};

/// What a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Everything written, also what a crash could still take back. Only for the writer itself.
    Memory,
    /// What is on stable storage. Every read for a user.
    Durable,
}

impl Visibility {
    fn level(self) -> DurabilityLevel {
        match self {
            Self::Memory => DurabilityLevel::Memory,
            Self::Durable => DurabilityLevel::Remote,
        }
    }

    pub(crate) fn read_options(self) -> ReadOptions {
        ReadOptions::new().with_durability_filter(self.level())
    }

    /// Read-ahead keeps a long scan from waiting for every block; its blocks do not push the hot
    /// ones out of the cache. WHY no more: it is taken for every file at once, and before they are
    /// merged there may be dozens. At 4 MiB each one scan of such a database held 100 MiB and more.
    pub(crate) fn scan_options(self) -> ScanOptions {
        ScanOptions::new()
            .with_durability_filter(self.level())
            .with_read_ahead_bytes(256 << 10)
            .with_max_fetch_tasks(2)
    }
}

/// A view of a database at one moment: later writes do not show in it.
#[derive(Clone)]
pub struct View(Arc<DbSnapshot>);

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("View").field(&self.0.seq()).finish()
    }
}

impl View {
    pub(crate) fn new(inner: Arc<DbSnapshot>) -> Self {
        Self(inner)
    }

    /// The last write that this view can show. Writes up to here that are not durable yet are
    /// hidden until they are.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        Lsn(self.0.seq())
    }

    /// The durable value of `key`.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails or data is damaged.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.get_with_options(key, &Visibility::Durable.read_options()).await?)
    }

    /// As [`Self::scan`], for a reader that jumps: nothing is read ahead, and blocks are kept in
    /// the cache.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails or data is damaged.
    pub async fn walk(&self, range: (Bound<Bytes>, Bound<Bytes>)) -> Result<Scan, StorageError> {
        let options = ScanOptions::new()
            .with_durability_filter(Visibility::Durable.level())
            .with_cache_blocks(true);
        Ok(Scan::new(self.0.scan_with_options(range, &options).await?))
    }

    /// The durable entries whose keys lie in `range`, in order.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails or data is damaged.
    pub async fn scan(&self, range: (Bound<Bytes>, Bound<Bytes>)) -> Result<Scan, StorageError> {
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        let inner = self.0.scan_with_options(bounds, &Visibility::Durable.scan_options()).await?;
        Ok(Scan::new(inner))
    }
}

/// The range of all keys that start with `prefix`.
#[must_use]
pub fn prefix_range(prefix: &[u8]) -> (Bound<Bytes>, Bound<Bytes>) {
    let start = Bound::Included(Bytes::copy_from_slice(prefix));
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return (start, Bound::Excluded(end.into()));
        }
    }
    (start, Bound::Unbounded)
}
