//! Large immutable objects beside the databases: the segments of search structures.
//!
//! A blob is written once, as a whole, under a name that is never used again, and is then read as
//! memory: mapped where the store is a folder of ours, loaded everywhere else. INVARIANT: a name
//! leads to a whole blob or to nothing, also after a crash; and when [`Storage::finish_blob`] has
//! answered, the blob survives a power cut. Like the objects of databases, a blob ends with a seal of
//! its length and its name, so that a cut one, or another one in its place, is not taken for it; what
//! is in between has checksums of its own.
//!
//! WHY not through the object store's interface: it takes and gives buffers, and a segment may be
//! larger than the memory.
#![expect(clippy::result_large_err, reason = "the error below is object_store's")]

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use futures::StreamExt as _;
use object_store::path::Path as StorePath;
use object_store::{Error, ObjectStoreExt as _, PutPayload};

use crate::local::{LocalFile, Need, blocking};
use crate::mmap::{Advice, Map};
use crate::sealed::{SEAL_BYTES, Sealer, sealed_length};
use crate::{Storage, StorageError};

/// Blobs start at multiples of this in memory: the length of a cache line.
const ALIGNMENT: usize = 64;

/// The place of a blob below the root of its store, such as `ix/<index id>/seg/<segment id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobPath(String);

impl BlobPath {
    /// Takes a path of plain segments: letters, digits, `-`, `_` and `.`, separated by `/`. Other
    /// characters become `_`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        let clean = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/') { c } else { '_' }
        };
        Self(path.chars().map(clean).collect())
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn in_store(&self) -> StorePath {
        StorePath::from(self.as_str())
    }
}

impl fmt::Display for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A blob being written; it blocks, so it belongs on a blocking thread. Nothing is seen under its
/// name before [`Storage::finish_blob`]; dropping it leaves nothing behind.
pub struct BlobWriter {
    path: BlobPath,
    target: Target,
    sealer: Sealer,
}

enum Target {
    /// A staging file on the disk of the store.
    File(LocalFile),
    /// The whole blob, for stores that take it in one piece.
    Memory(Vec<u8>),
}

impl BlobWriter {
    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        match &self.target {
            Target::File(file) => file.written(),
            Target::Memory(bytes) => bytes.len() as u64,
        }
    }
}

impl Write for BlobWriter {
    /// A full or failed disk is a [`DiskError`](crate::local::DiskError) inside the error.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.target {
            Target::File(file) => file.write(bytes),
            Target::Memory(memory) => memory.write(bytes),
        }?;
        self.sealer.add_bytes(&bytes[..taken]);
        Ok(taken)
    }

    /// Makes nothing durable: [`Storage::finish_blob`] does.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobWriter")
            .field("path", &self.path)
            .field("written", &self.written())
            .finish_non_exhaustive()
    }
}

/// The bytes of a blob, starting at a multiple of 64. Cloning is cheap. They stay readable after
/// the blob was deleted.
#[derive(Clone)]
pub struct Blob {
    memory: Arc<Bytes>,
    /// Without the seal.
    length: usize,
}

enum Bytes {
    Mapped(Map),
    /// Memory, and where the blob starts in it.
    Loaded(Box<[u8]>, Range<usize>),
}

impl Blob {
    /// All bytes; always the same slice. Reading mapped bytes may wait for the disk.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory.all()[..self.length]
    }

    /// Bytes that this holds in memory for good. A map holds none: the operating system takes its
    /// pages back when it needs them.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        match &*self.memory {
            Bytes::Mapped(_) => 0,
            Bytes::Loaded(memory, _) => memory.len(),
        }
    }

    /// Says how a range will be read. Only a hint: no answer, and nothing depends on it.
    pub fn advise(&self, range: Range<usize>, advice: Advice) {
        match &*self.memory {
            Bytes::Mapped(map) => {
                if let Err(error) = map.advise(range, advice) {
                    tracing::debug!(%error, "the system did not take advice on a map");
                }
            }
            Bytes::Loaded(..) => {}
        }
    }
}

impl Bytes {
    /// With the seal.
    fn all(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map.bytes(),
            Self::Loaded(memory, range) => &memory[range.clone()],
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_mapped = matches!(&*self.memory, Bytes::Mapped(_));
        f.debug_struct("Blob")
            .field("length", &self.bytes().len())
            .field("is_mapped", &is_mapped)
            .finish()
    }
}

impl Storage {
    /// Begins a blob. On a disk it counts as growth: it is refused, now or at a later write, while
    /// there is still room for what frees space.
    ///
    /// # Errors
    /// [`StorageError::Disk`] when the disk is too full, or fails.
    pub fn write_blob(&self, path: &BlobPath) -> Result<BlobWriter, StorageError> {
        self.admit(Need::Growth, 0)?;
        let target = match self.local() {
            Some(local) => Target::File(local.create_file(&path.in_store())?),
            None => Target::Memory(Vec::new()),
        };
        let sealer = Sealer::new(&path.in_store());
        Ok(BlobWriter { path: path.clone(), target, sealer })
    }

    /// Publishes a blob for good, in place of one that may have the name. Returns its length.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails, or a write to the blob had failed. The blob is then
    /// absent, except that a disk which failed to sync its folder may show it or not.
    pub async fn finish_blob(&self, writer: BlobWriter) -> Result<u64, StorageError> {
        let length = writer.written();
        let seal = writer.sealer.seal();
        match writer.target {
            Target::File(mut file) => {
                let finish = move || {
                    // A failed write is remembered: finishing fails then.
                    file.write_all(&seal).ok();
                    file.finish()
                };
                blocking(finish).await?;
                Ok(length)
            }
            Target::Memory(mut bytes) => {
                bytes.extend_from_slice(&seal);
                self.store().put(&writer.path.in_store(), PutPayload::from(bytes)).await?;
                Ok(length)
            }
        }
    }

    /// Opens a blob for reading: mapped from a local disk, loaded whole from elsewhere.
    ///
    /// # Errors
    /// [`StorageError::BlobMissing`]; [`StorageError::Sealed`] when it is not the blob that was
    /// written under this name, or was cut; or when the store fails.
    pub async fn open_blob(&self, path: &BlobPath) -> Result<Blob, StorageError> {
        let location = path.in_store();
        let opened = match self.local() {
            Some(local) => {
                let local = local.clone();
                blocking(move || local.map(&location)).await.map(Bytes::Mapped)
            }
            None => self.load(&location).await,
        };
        match opened {
            Ok(bytes) => {
                let length = sealed_length(&path.in_store(), bytes.all())?;
                Ok(Blob { memory: Arc::new(bytes), length })
            }
            Err(Error::NotFound { .. }) => Err(StorageError::BlobMissing(path.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a blob; fine when there is none. Who has it open can go on reading. After a power
    /// cut it may be there again.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn delete_blob(&self, path: &BlobPath) -> Result<(), StorageError> {
        match self.store().delete(&path.in_store()).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The blobs directly in `folder`: name and length.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn blobs(&self, folder: &str) -> Result<Vec<(String, u64)>, StorageError> {
        let prefix = BlobPath::new(folder).in_store();
        let listed = self.store().list_with_delimiter(Some(&prefix)).await?;
        let named = listed.objects.iter().filter_map(|object| {
            let length = object.size.saturating_sub(SEAL_BYTES);
            object.location.filename().map(|name| (name.to_owned(), length))
        });
        Ok(named.collect())
    }

    /// Removes a folder of blobs as far as it is empty, so that [`Self::folders`] no longer shows
    /// it. Nothing may be writing below it. Only a disk has folders: elsewhere it does nothing.
    ///
    /// # Errors
    /// [`StorageError`] when the disk fails.
    pub async fn remove_empty_folder(&self, folder: &str) -> Result<(), StorageError> {
        if let Some(local) = self.local() {
            local.remove_empty_folders(&BlobPath::new(folder).in_store()).await?;
        }
        Ok(())
    }

    /// Reads a blob piece by piece into one aligned allocation.
    async fn load(&self, location: &StorePath) -> object_store::Result<Bytes> {
        let found = self.store().get(location).await?;
        let changed = |why: &'static str| Error::Generic { store: "blob", source: why.into() };
        let length = usize::try_from(found.meta.size).map_err(|_| changed("it is too large"))?;
        let mut memory = vec![0; length + ALIGNMENT].into_boxed_slice();
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let mut filled = start;
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            let end = filled + piece.len();
            if end > start + length {
                return Err(changed("it grew while it was read"));
            }
            memory[filled..end].copy_from_slice(&piece);
            filled = end;
        }
        if filled != start + length {
            return Err(changed("it shrank while it was read"));
        }
        Ok(Bytes::Loaded(memory, start..filled))
    }
}

#[cfg(test)]
mod tests;
