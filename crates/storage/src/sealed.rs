//! Objects under seal: what is read back is what was written under that name.
//!
//! SlateDB checksums the blocks of its tables, but not its manifests, and nothing there ties bytes to
//! a name: a manifest with a flipped bit was believed or ended the process, and a table that a disk
//! gave back in place of another one of the same shape was read as that one. So every object below a
//! database ends with 32 bytes that say how long it is, what its content hashes to, and under which
//! path it was written ([`seal`]). INVARIANT: an object that was cut, lengthened, exchanged or, where
//! it is read as a whole, changed in any bit is never handed up; the error names it.
//!
//! WHY tables are not hashed at every read: they are read block by block, and their blocks have
//! checksums of their own. Their seal is looked at once, before the first read, and that of an empty one,
//! which nobody reads, when its length is asked for. WHY a layer below the databases: it is the only place
//! that all objects pass, and no format above it changes.
#![expect(clippy::result_large_err, reason = "the errors are object_store's")]

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use parking_lot::Mutex;

use self::seal::read_seal;
use self::upload::SealedUpload;

mod error;
mod seal;
mod upload;

#[cfg(test)]
mod tests;

pub use error::SealError;
pub(crate) use seal::{SEAL_BYTES, Sealer, sealed_length};

/// Tables whose seal is remembered as good; more are looked at again.
const KNOWN_MAX: usize = 65_536;
/// The last bytes of a table, by SlateDB's format.
const FOOTER_BYTES: u64 = 10;

/// A store whose objects are sealed when they are written, and checked when they are read.
#[derive(Debug, Clone)]
pub(crate) struct SealedStore {
    inner: Arc<dyn ObjectStore>,
    /// Lengths of tables, without their seals. A table is never replaced.
    known: Arc<Mutex<HashMap<Path, u64>>>,
}

impl SealedStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, known: Arc::default() }
    }

    /// The length of a table without its seal, once that was found to be its own.
    async fn length_of(&self, location: &Path) -> Result<u64> {
        if let Some(length) = self.known.lock().get(location) {
            return Ok(*length);
        }
        let tail = GetRange::Suffix(SEAL_BYTES + FOOTER_BYTES);
        let options = GetOptions { range: Some(tail), ..GetOptions::default() };
        let found = self.inner.get_opts(location, options).await?;
        let size = found.meta.size;
        let tail = found.bytes().await?;
        let sealed = read_seal(location, &tail)?;
        if sealed.length.checked_add(SEAL_BYTES) != Some(size) {
            return Err(SealError::of(location, "it has another length than it was given").into());
        }
        if is_of_log(location) && !points_inside(&tail, sealed.length) {
            return Err(SealError::of(location, "its footer points outside of it").into());
        }
        let mut known = self.known.lock();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(location.clone(), sealed.length);
        Ok(sealed.length)
    }

    /// Reads a whole object and compares all of it.
    async fn whole(&self, location: &Path, options: GetOptions) -> Result<(GetResult, Bytes)> {
        let options = GetOptions { range: None, ..options };
        let mut found = self.inner.get_opts(location, options).await?;
        let payload = GetResultPayload::Stream(stream::empty().boxed());
        let payload = std::mem::replace(&mut found.payload, payload);
        let read = GetResult {
            payload,
            meta: found.meta.clone(),
            range: found.range.clone(),
            attributes: found.attributes.clone(),
            extensions: Default::default(),
        };
        let content = seal::open(location, read.bytes().await?)?;
        found.meta.size = content.len() as u64;
        found.range = 0..found.meta.size;
        Ok((found, content))
    }

    async fn part_of_table(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let length = self.length_of(location).await?;
        let wanted = within(location, options.range.as_ref(), length)?;
        let range = Some(GetRange::Bounded(wanted.clone()));
        let mut found = self.inner.get_opts(location, GetOptions { range, ..options }).await?;
        if found.range != wanted {
            return Err(SealError::of(location, "it is shorter than it was").into());
        }
        found.meta.size = length;
        Ok(found)
    }
}

/// A range as far as an object has it, which must be at least its start.
fn within(location: &Path, range: Option<&GetRange>, length: u64) -> Result<Range<u64>> {
    let Some(range) = range else { return Ok(0..length) };
    let cut = |_| SealError::of(location, "it ends before what it is to hold").into();
    range.as_range(length).map_err(cut)
}

/// Whether an object is read block by block, and its blocks have checksums.
fn is_table(location: &Path) -> bool {
    location.as_ref().ends_with(".sst")
}

/// Whether an object belongs to the log of a database.
fn is_of_log(location: &Path) -> bool {
    location.as_ref().rsplit('/').nth(1) == Some("wal")
}

/// Whether the footer before the seal, 8 bytes that are an offset and 2 of a version, names a place before
/// itself; an empty object has none. SlateDB slices what it holds of a log object by that offset without a
/// look, and no checksum covers it: one flipped byte would end the process.
fn points_inside(tail: &[u8], length: u64) -> bool {
    if length == 0 {
        return true;
    }
    let offset = Bytes::copy_from_slice(tail).try_get_u64().ok();
    offset.and_then(|offset| offset.checked_add(FOOTER_BYTES)).is_some_and(|end| end <= length)
}

fn without_seal(mut object: ObjectMeta) -> ObjectMeta {
    object.size = object.size.saturating_sub(SEAL_BYTES);
    object
}

impl fmt::Display for SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for SealedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let mut sealer = Sealer::new(location);
        sealer.add(&payload);
        self.known.lock().remove(location);
        self.inner.put_opts(location, sealer.close(payload), options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.known.lock().remove(location);
        let upload = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(SealedUpload::new(upload, Sealer::new(location))))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            let mut found = self.inner.get_opts(location, options).await?;
            if found.meta.size < SEAL_BYTES {
                return Err(SealError::of(location, "it is too short").into());
            }
            if found.meta.size == SEAL_BYTES && is_table(location) {
                // An empty object of the log is a fence, and nobody reads it: its seal is looked at here.
                self.length_of(location).await?;
            }
            found.meta = without_seal(found.meta);
            found.range = 0..found.meta.size;
            return Ok(found);
        }
        if options.range.is_some() && is_table(location) {
            return self.part_of_table(location, options).await;
        }
        let range = options.range.clone();
        let (mut found, content) = self.whole(location, options).await?;
        found.range = within(location, range.as_ref(), found.meta.size)?;
        let part = part_of(&content, &found.range);
        found.payload = GetResultPayload::Stream(stream::once(async move { Ok(part) }).boxed());
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let cut = || SealError::of(location, "it ends before what it is to hold");
        if !is_table(location) {
            let (found, content) = self.whole(location, GetOptions::default()).await?;
            if ranges.iter().any(|range| range.end > found.meta.size) {
                return Err(cut().into());
            }
            return Ok(ranges.iter().map(|range| part_of(&content, range)).collect());
        }
        let length = self.length_of(location).await?;
        if ranges.iter().any(|range| range.end > length) {
            return Err(cut().into());
        }
        let parts = self.inner.get_ranges(location, ranges).await?;
        let wanted = ranges.iter().map(|range| range.end.saturating_sub(range.start));
        if !parts.iter().map(|part| part.len() as u64).eq(wanted) {
            return Err(cut().into());
        }
        Ok(parts)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let known = Arc::clone(&self.known);
        let deleted = self.inner.delete_stream(locations);
        let forget = move |location: &Path| {
            known.lock().remove(location);
        };
        deleted.inspect_ok(forget).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix).map_ok(without_seal).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset).map_ok(without_seal).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.inner.list_with_delimiter(prefix).await?;
        listed.objects = listed.objects.into_iter().map(without_seal).collect();
        Ok(listed)
    }

    /// The copy has a path of its own, and so a seal of its own.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (_, content) = self.whole(from, GetOptions::default()).await?;
        let mode = match options.mode {
            CopyMode::Create => PutMode::Create,
            CopyMode::Overwrite => PutMode::Overwrite,
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        self.put_opts(to, content.into(), options).await.map(drop)
    }
}

fn part_of(content: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
    content.slice(at(range.start)..at(range.end).max(at(range.start)))
}
