//! Whether the log of a database is whole.
//!
//! SlateDB finds the end of a log by trying numbers, each twice as far as the one before: an object
//! that is missing in the middle looks like the end, and everything confirmed after it would be
//! forgotten without a word. So the log is listed before a database is opened. INVARIANT: a database
//! is opened only when its log has every object from the manifest's mark to the newest one there is.
//!
//! What cannot be seen: the loss of the newest object as a whole, which nothing else refers to yet.

use futures::TryStreamExt as _;
use object_store::path::Path as StorePath;
use slatedb::VersionedManifest;

use crate::{DatabasePath, Storage, StorageError};

/// How often the log is listed before it counts as damaged: a writer or a collection of another
/// process may be at work.
const LISTINGS_MAX: usize = 3;

impl Storage {
    /// Looks whether the log is whole, given how to read the newest manifest.
    ///
    /// # Errors
    /// [`StorageError::LogBroken`] when an object is missing, or when the store fails.
    pub(crate) async fn check_log(&self, path: &DatabasePath) -> Result<(), StorageError> {
        let mut missing = None;
        for _ in 0..LISTINGS_MAX {
            let Some(manifest) = self.newest_manifest(path).await? else { return Ok(()) };
            missing = self.first_missing(path, &manifest, u64::MAX).await?;
            if missing.is_none() {
                return Ok(());
            }
        }
        let Some(number) = missing else { return Ok(()) };
        Err(StorageError::LogBroken(object_of(path, number)))
    }

    /// Looks whether the log that a pinned manifest needs is whole: a clone copies it.
    ///
    /// # Errors
    /// As [`Self::check_log`].
    pub(crate) async fn check_pinned_log(
        &self,
        path: &DatabasePath,
        pinned: &VersionedManifest,
    ) -> Result<(), StorageError> {
        let known = pinned.next_wal_sst_id().saturating_sub(1);
        match self.first_missing(path, pinned, known).await? {
            Some(number) => Err(StorageError::LogBroken(object_of(path, number))),
            None => Ok(()),
        }
    }

    /// The number of the first object of the log, up to `last`, that is to be replayed and is not there.
    async fn first_missing(
        &self,
        path: &DatabasePath,
        manifest: &VersionedManifest,
        last: u64,
    ) -> Result<Option<u64>, StorageError> {
        let replayed = manifest.replay_after_wal_id();
        let folder = StorePath::from(format!("{path}/wal"));
        let offset = StorePath::from(object_of(path, replayed));
        let listed = self.store().list_with_offset(Some(&folder), &offset);
        let mut numbers: Vec<u64> = listed
            .try_filter_map(async |object| Ok(number_of(&object.location)))
            .try_collect()
            .await?;
        numbers.retain(|number| *number > replayed && *number <= last);
        numbers.sort_unstable();
        // What the manifest knows to have been written, it knows for good.
        let known = manifest.next_wal_sst_id().saturating_sub(1);
        let newest = numbers.last().copied().unwrap_or(replayed).max(known);
        let mut there = numbers.into_iter();
        Ok((replayed + 1..=newest).find(|number| there.next() != Some(*number)))
    }
}

fn object_of(path: &DatabasePath, number: u64) -> String {
    format!("{path}/wal/{number:020}.sst")
}

fn number_of(location: &StorePath) -> Option<u64> {
    location.filename()?.strip_suffix(".sst")?.parse().ok()
}
