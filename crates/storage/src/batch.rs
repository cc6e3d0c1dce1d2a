//! A batch of changes that becomes durable and visible as one.

use slatedb::WriteBatch;

/// Puts and deletes that are applied together or not at all. Of several changes to one key, the
/// last one counts.
#[derive(Debug, Default)]
pub struct Batch {
    inner: WriteBatch,
    bytes: usize,
    changes: usize,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`. Keys are at most 64 KiB.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.changes += 1;
        self.inner.put_bytes(key.into(), value.into());
    }

    /// Removes `key`; no error when it is not there.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.changes += 1;
        self.inner.delete(key);
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes == 0
    }

    /// Number of changes.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// Bytes of keys and values, for budgets.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn into_inner(self) -> WriteBatch {
        self.inner
    }
}
