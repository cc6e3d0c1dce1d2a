//! Whether the newest manifest, or the newest list of compactions, of a database has been lost.
//!
//! SlateDB's collector writes down up to which number it may have deleted (`gc/*.boundary`), and what a
//! reader then takes for the newest has to lie above. Where it does not, because the newest object was
//! lost, SlateDB looks again, without a pause and for ever. INVARIANT: nothing of ours asks for the newest
//! one before there is one above the bound.
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
        let bound = StorePath::from(format!("{path}/gc/{kind}.boundary"));
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

    /// The newest manifest of a database; none when there is no such database.
    ///
    /// # Errors
    /// As [`Self::check_newest`], which costs no time: both go side by side.
    pub(crate) async fn newest_manifest(
        &self,
        path: &DatabasePath,
    ) -> Result<Option<VersionedManifest>, StorageError> {
        let admin = self.admin(path);
        let read = async { Ok(admin.read_manifest(None).await?) };
        let ((), manifest) = futures::try_join!(self.check_newest(path, MANIFESTS), read)?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests;
