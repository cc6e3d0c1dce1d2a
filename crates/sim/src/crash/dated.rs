//! Objects dated by the injected clock.
//!
//! Collection compares the age of objects with the injected clock, but a store in memory dates them
//! by the machine's: in virtual time, a file written a moment ago would look hours old, and be
//! collected. INVARIANT: what a listing says was last modified at some time was written at that time
//! of the injected clock.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use lodgepole_storage::object_store::memory::InMemory;
use lodgepole_storage::object_store::path::Path;
use lodgepole_storage::object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use lodgepole_types::{Clock, Timestamp};
use parking_lot::Mutex;

type Dates = HashMap<Path, Timestamp>;

/// A store in memory whose objects carry the times of the injected clock.
#[derive(Debug, Clone)]
pub struct DatedStore {
    memory: Arc<InMemory>,
    clock: Arc<dyn Clock>,
    dates: Arc<Mutex<Dates>>,
    /// Whether a put replaces whatever is there, whatever it asked for.
    is_loose: bool,
}

/// The objects of a store that nobody is using.
#[derive(Debug)]
pub struct Disk {
    memory: InMemory,
    dates: Dates,
}

impl Disk {
    /// No objects.
    #[must_use]
    pub fn empty() -> Self {
        Self { memory: InMemory::new(), dates: Dates::new() }
    }

    /// A copy of these objects, used under `clock`.
    #[must_use]
    pub fn copy_under(&self, clock: Arc<dyn Clock>) -> DatedStore {
        DatedStore {
            memory: Arc::new(self.memory.fork()),
            clock,
            dates: Arc::new(Mutex::new(self.dates.clone())),
            is_loose: false,
        }
    }
}

impl DatedStore {
    /// A copy of all objects as they stand.
    #[must_use]
    pub fn image(&self) -> Disk {
        Disk { memory: self.memory.fork(), dates: self.dates.lock().clone() }
    }

    /// The same objects behind a store that has never heard of conditional puts: a defect, put in to
    /// see whether it is found.
    #[must_use]
    pub fn without_conditions(self) -> Self {
        Self { is_loose: true, ..self }
    }

    fn date(&self, location: &Path) {
        self.dates.lock().insert(location.clone(), self.clock.now());
    }

    fn redate(&self, mut object: ObjectMeta) -> ObjectMeta {
        let date = self.dates.lock().get(&object.location).copied();
        if let Some(date) = date.and_then(|date| DateTime::from_timestamp_millis(date.0)) {
            object.last_modified = date;
        }
        object
    }
}

impl fmt::Display for DatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatedStore({})", self.memory)
    }
}

#[async_trait]
impl ObjectStore for DatedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        if self.is_loose {
            options.mode = PutMode::Overwrite;
        }
        let result = self.memory.put_opts(location, payload, options).await?;
        self.date(location);
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // Dated by its start, which is earlier: such a file is never taken for younger than it is.
        self.date(location);
        self.memory.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.memory.get_opts(location, options).await?;
        result.meta = self.redate(result.meta);
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.memory.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.memory.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        self.memory.list(prefix).map_ok(move |object| store.redate(object)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut result = self.memory.list_with_delimiter(prefix).await?;
        result.objects = result.objects.into_iter().map(|object| self.redate(object)).collect();
        Ok(result)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.memory.copy_opts(from, to, options).await?;
        self.date(to);
        Ok(())
    }
}
