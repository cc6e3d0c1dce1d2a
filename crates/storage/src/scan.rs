//! Walking over keys in order.

use bytes::Bytes;
use slatedb::DbIterator;

use crate::StorageError;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The whole key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// Entries in ascending byte order of their keys.
///
/// A scan does not pin the files it reads: it must end within
/// [`collection_age`](crate::StorageOptions::collection_age).
pub struct Scan(DbIterator);

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scan")
    }
}

impl Scan {
    pub(crate) fn new(inner: DbIterator) -> Self {
        Self(inner)
    }

    /// Jumps forward: the next entry is the first at or after `key`, which must lie beyond the last
    /// one returned and inside the scan's range. Costs a seek in every file, not the way between.
    ///
    /// # Errors
    /// [`StorageError`] when a file cannot be read, or `key` lies outside.
    pub async fn seek(&mut self, key: &[u8]) -> Result<(), StorageError> {
        Ok(self.0.seek(key).await?)
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// [`StorageError`] when a file cannot be read or is damaged.
    pub async fn next(&mut self) -> Result<Option<KeyValue>, StorageError> {
        let entry = self.0.next().await?;
        Ok(entry.map(|entry| KeyValue { key: entry.key, value: entry.value }))
    }
}
