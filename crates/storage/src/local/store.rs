//! The store itself: `object_store`'s interface over one locked folder.
//!
//! Paths map to files by `LocalFileSystem`, which also reads. Put, copy, rename, delete
//! and multipart go through [`Disk`], step by step. Two names in the root are the store's own and
//! never appear: the lock file and the staging folder.
#![expect(clippy::result_large_err, reason = "the error is object_store's, whose trait we serve")]

use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, RenameTargetMode, Result,
};

use super::changes::{
    blocking, delete, finish_create, finish_replace, finish_update, link, link_over, read_error,
    rename_new, rename_over, stage,
};
use super::disk::{Disk, STAGING_NAME};
use super::error::{DiskError, LocalOpenError, final_error};
use super::etag;
use super::file::LocalFile;
use super::listing::Listing;
use super::lock::{DirectoryLock, LOCK_NAME};
use super::options::LocalOptions;
use super::root;
use super::space::{DiskProbe, SpaceGuard};
use super::upload::LocalUpload;
use crate::mmap::Map;

/// Deletes of one stream that run at the same time.
const DELETES_AT_ONCE: usize = 10;

/// Objects as files in one folder. Clones share the folder's lock, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct LocalStore {
    disk: Arc<Disk>,
    files: LocalFileSystem,
}

impl LocalStore {
    /// Opens a folder as a store: makes it when it is missing, locks it, and sweeps what
    /// writes left half done in a crash. Blocks for some milliseconds.
    ///
    /// # Errors
    /// [`LocalOpenError::InUse`] while another process, or another store of this one, has it.
    pub fn open(folder: &FilePath, options: LocalOptions) -> Result<Self, LocalOpenError> {
        root::create(folder, options.sync)
            .map_err(|source| LocalOpenError::folder("create", folder, source))?;
        let lock = DirectoryLock::take(folder)?;
        let staging = folder.join(STAGING_NAME);
        root::sweep(&staging)
            .map_err(|source| LocalOpenError::folder("clean", &staging, source))?;
        let files = LocalFileSystem::new_with_prefix(folder).map_err(|source| {
            LocalOpenError::Unusable { path: folder.to_path_buf(), source: Box::new(source) }
        })?;
        let root = std::fs::canonicalize(folder)
            .map_err(|source| LocalOpenError::folder("find", folder, source))?;
        let probe = options.space_probe.unwrap_or_else(|| Arc::new(DiskProbe(root.clone())));
        let space = Arc::new(SpaceGuard::new(probe, options.free_bytes_min));
        let disk = Disk::new(root, lock, space, options.sync, options.disk_hook);
        Ok(Self { disk: Arc::new(disk), files })
    }

    /// The guard that says whether there is room for a write; ask it before beginning one.
    #[must_use]
    pub fn space(&self) -> &Arc<SpaceGuard> {
        &self.disk.space
    }

    /// Refuses when a sync has failed, so that nothing is written until the store is opened again.
    ///
    /// # Errors
    /// [`DiskError::Poisoned`].
    pub fn healthy(&self) -> Result<(), DiskError> {
        self.disk.healthy()
    }

    /// Makes everything deleted so far stay deleted in a power cut. Needed only before forgetting
    /// that something existed: what merely reappears is collected again.
    ///
    /// # Errors
    /// When the disk fails; a failed sync poisons the store.
    pub async fn sync_deletes(&self) -> Result<(), Error> {
        let disk = Arc::clone(&self.disk);
        blocking(move || Ok(disk.sync_deletes()?)).await
    }

    /// Removes the folders at and below `prefix` that hold no object: deleting objects leaves them.
    /// Nothing may be writing below `prefix`.
    ///
    /// # Errors
    /// When the disk fails, or `prefix` is a name of the store's own.
    pub async fn remove_empty_folders(&self, prefix: &Path) -> Result<(), Error> {
        let folder = self.file_of(prefix)?;
        let disk = Arc::clone(&self.disk);
        blocking(move || Ok(disk.remove_empty_folders(&folder)?)).await
    }

    /// Makes a staging file that will become the object `location`. Blocks for a moment.
    ///
    /// # Errors
    /// When the disk fails, or `location` is a name of the store's own.
    pub(crate) fn create_file(&self, location: &Path) -> Result<LocalFile> {
        let target = self.file_of(location)?;
        self.disk.healthy()?;
        let staged = self.disk.stage()?;
        Ok(LocalFile::new(Arc::clone(&self.disk), target, staged))
    }

    /// Maps an object that is never replaced. Blocks for a moment.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when the disk fails.
    pub(crate) fn map(&self, location: &Path) -> Result<Map> {
        let path = self.file_of(location)?;
        let mapped = std::fs::File::open(&path).and_then(|file| Map::of(&file));
        mapped.map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                Error::NotFound { path: location.to_string(), source: error.into() }
            } else {
                read_error(&path, error)
            }
        })
    }

    /// The file behind a name that may be written.
    fn file_of(&self, location: &Path) -> Result<PathBuf> {
        if is_own(location) {
            let reserved = ReservedName(location.to_string());
            return Err(Error::NotSupported { source: Box::new(reserved) });
        }
        self.files.path_to_filesystem(location)
    }
}

impl std::fmt::Display for LocalStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalStore({})", self.disk.root.display())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the name {0} is the store's own")]
struct ReservedName(String);

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if !options.attributes.is_empty() {
            return Err(self.no_attributes("put"));
        }
        let target = self.file_of(location)?;
        let disk = Arc::clone(&self.disk);
        blocking(move || {
            let staged = stage(&disk, &payload)?;
            match options.mode {
                PutMode::Create => finish_create(&disk, &staged, &target),
                PutMode::Overwrite => finish_replace(&disk, &staged, &target),
                PutMode::Update(version) => {
                    finish_update(&disk, &staged, &target, version.e_tag.as_deref())
                }
            }?;
            let e_tag = etag::of(&staged.file).ok();
            Ok(PutResult { e_tag, version: None, extensions: Default::default() })
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(self.no_attributes("multipart put"));
        }
        let target = self.file_of(location)?;
        let disk = Arc::clone(&self.disk);
        let upload = blocking(move || {
            disk.healthy()?;
            let staged = disk.stage()?;
            Ok(LocalUpload::new(disk, target, staged))
        })
        .await?;
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if is_own(location) {
            let source = Box::new(ReservedName(location.to_string()));
            return Err(Error::NotFound { path: location.to_string(), source });
        }
        // Conditions are checked below, against our tags.
        let plain = GetOptions {
            if_match: None,
            if_none_match: None,
            if_modified_since: None,
            if_unmodified_since: None,
            ..options.clone()
        };
        let mut result = self.files.get_opts(location, plain).await?;
        if etag::is_small(result.meta.size) {
            result = with_content_tag(result).await?;
        }
        options.check_preconditions(&result.meta)?;
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .map(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let target = store.file_of(&location)?;
                    blocking(move || delete(&store.disk, &target)).await?;
                    Ok(location)
                }
            })
            .buffered(DELETES_AT_ONCE)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        Listing::of(&self.disk.root, prefix, None, is_own).stream()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        Listing::of(&self.disk.root, prefix, Some(offset), is_own).stream()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.files.list_with_delimiter(prefix).await?;
        listed.common_prefixes.retain(|prefix| !is_own(prefix));
        listed.objects.retain(|object| !is_own(&object.location));
        listed.objects.iter_mut().for_each(drop_small_tag);
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (from, to) = (self.file_of(from)?, self.file_of(to)?);
        let disk = Arc::clone(&self.disk);
        blocking(move || match options.mode {
            CopyMode::Create => link(&disk, &from, &to),
            CopyMode::Overwrite => link_over(&disk, &from, &to),
        })
        .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let (from, to) = (self.file_of(from)?, self.file_of(to)?);
        let disk = Arc::clone(&self.disk);
        blocking(move || match options.target_mode {
            RenameTargetMode::Overwrite => rename_over(&disk, &from, &to),
            RenameTargetMode::Create => rename_new(&disk, &from, &to),
        })
        .await
    }
}

impl LocalStore {
    fn no_attributes(&self, operation: &str) -> Error {
        let operation = format!("{operation} with attributes");
        Error::NotImplemented { operation, implementer: self.to_string() }
    }
}

/// Reads a small object whole and gives it its content's hash as tag.
async fn with_content_tag(mut result: GetResult) -> Result<GetResult> {
    let GetResultPayload::File(file, path) = result.payload else {
        return Ok(result);
    };
    let length = result.meta.size;
    let content = blocking(move || {
        let content = etag::read_small(&file).map_err(|error| read_error(&path, error))?;
        if content.len() as u64 != length {
            return Err(final_error(io::Error::other("an object changed in place")));
        }
        Ok(Bytes::from(content))
    })
    .await?;
    result.meta.e_tag = Some(etag::of_content(&content));
    let (start, end) = (as_index(result.range.start), as_index(result.range.end));
    let wanted = content.slice(start.min(content.len())..end.min(content.len()));
    result.payload =
        GetResultPayload::Stream(futures::stream::once(async move { Ok(wanted) }).boxed());
    Ok(result)
}

fn as_index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// A listing does not read objects, so it has no tag for small ones. `head` has.
fn drop_small_tag(object: &mut ObjectMeta) {
    if etag::is_small(object.size) {
        object.e_tag = None;
    }
}

fn is_own(location: &Path) -> bool {
    location.parts().next().is_some_and(|part| {
        let part = part.as_ref();
        part == LOCK_NAME || part == STAGING_NAME
    })
}
