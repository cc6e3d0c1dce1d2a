//! Whether the newest manifest, or the newest list of compactions, of a database has been lost.
//!
//! SlateDB's collector writes down up to which number it may have deleted (`gc/*.boundary`), and what a
//! reader then takes for the newest has to lie above. Where it does not, because the newest object was
//! lost, SlateDB looks again, without a pause and for ever. INVARIANT: whatever of [`Storage`] needs the
//! newest one ends with an error when none is above the bound.
//!
//! The bound is read first: the newest number only grows, so a collector at work changes nothing.

use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as StorePath;
use slatedb::VersionedManifest;

use crate::{DatabasePath, Storage, StorageError};

/// Objects of a database that are numbered and of which the newest counts: the name of their folder,
/// which is also their ending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbered(&'static str);

pub(crate) const MANIFESTS: Numbered = Numbered("manifest");
pub(crate) const COMPACTIONS: Numbered = Numbered("compactions");

impl Storage {
    /// Looks whether there is an object above what the collector may have deleted.
    ///
    /// # Errors
    /// [`StorageError::ObjectMissing`] when there is none, or when the store fails.
    pub(crate) async fn check_newest(
        &self,
        path: &DatabasePath,
        Numbered(kind): Numbered,
    ) -> Result<(), StorageError> {
        let bound = bound_of(path, kind);
        let bytes = match self.sealed().get(&bound).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<u64>().ok());
        let Some(number) = number else { return Ok(()) };
        let folder = StorePath::from(format!("{path}/{kind}"));
        let object = |number: u64| format!("{path}/{kind}/{number:020}.{kind}");
        let above = StorePath::from(object(number));
        let mut newer = self.store().list_with_offset(Some(&folder), &above);
        while let Some(found) = newer.try_next().await? {
            if found.location.extension() == Some(kind) {
                return Ok(());
            }
        }
        Err(StorageError::ObjectMissing(object(number.saturating_add(1))))
    }

    /// The newest manifest of a database; none when there is no such database, or when it is being deleted:
    /// then some of its objects are gone, and what the others say is out of date.
    ///
    /// # Errors
    /// As [`Self::check_newest`], which goes on beside the reading, so that a distant store answers no
    /// later.
    pub(crate) async fn newest_manifest(
        &self,
        path: &DatabasePath,
    ) -> Result<Option<VersionedManifest>, StorageError> {
        let admin = self.admin(path);
        let newest = async {
            let read = async { Ok(admin.read_manifest(None).await?) };
            let ((), manifest) = futures::try_join!(self.check_newest(path, MANIFESTS), read)?;
            Ok(manifest)
        };
        let (is_being_deleted, newest) = futures::join!(self.is_being_deleted(path), newest);
        if is_being_deleted? { Ok(None) } else { newest }
    }

    async fn is_being_deleted(&self, path: &DatabasePath) -> Result<bool, StorageError> {
        match self.store().head(&mark_of(path)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes all objects of a database, so that it can be gone on with wherever it is cut off. A power cut may
    /// keep any part of it: the newest manifest gone but not its bound, or an older manifest back that knows
    /// pins given up since. So a mark of ours stands beside the database until the rest is gone for good.
    pub(crate) async fn delete_objects(
        &self,
        path: &DatabasePath,
        has_manifest: bool,
    ) -> Result<(), StorageError> {
        let mark = mark_of(path);
        self.sealed().put(&mark, bytes::Bytes::new().into()).await?;
        if !has_manifest {
            // SlateDB deletes nothing without a manifest that does not say itself that it is being deleted;
            // and without their bounds it does not look for objects that are gone.
            let of_slate = StorePath::from(format!("{path}/.deleting"));
            self.sealed().put(&of_slate, bytes::Bytes::new().into()).await?;
            for Numbered(kind) in [MANIFESTS, COMPACTIONS] {
                self.delete_if_there(&bound_of(path, kind)).await?;
            }
            if let Some(manifest) = self.admin(path).read_manifest(None).await? {
                self.check_parents(&manifest).await?;
            }
        }
        self.admin(path).delete_db(true).await?;
        if let Some(local) = self.local() {
            local.sync_deletes().await?;
        }
        self.delete_if_there(&mark).await
    }

    /// Looks whether each database that this one hangs on still has its newest manifest: SlateDB gives up the
    /// pins there.
    ///
    /// # Errors
    /// As [`Self::check_newest`].
    pub(crate) async fn check_parents(
        &self,
        manifest: &VersionedManifest,
    ) -> Result<(), StorageError> {
        for parent in manifest.external_dbs() {
            self.check_newest(&DatabasePath::new(&parent.path), MANIFESTS).await?;
        }
        Ok(())
    }

    async fn delete_if_there(&self, object: &StorePath) -> Result<(), StorageError> {
        match self.sealed().delete(object).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn bound_of(path: &DatabasePath, kind: &str) -> StorePath {
    StorePath::from(format!("{path}/gc/{kind}.boundary"))
}

/// What says that a database is being deleted.
fn mark_of(path: &DatabasePath) -> StorePath {
    StorePath::from(format!("{path}.deleting"))
}

#[cfg(test)]
mod tests;
