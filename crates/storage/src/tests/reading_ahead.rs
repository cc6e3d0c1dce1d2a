//! Goal: what a scan or a compaction reads ahead is some megabytes, however many files it reads.
//! Method: files whose keys interleave, so that all are read at once, in a store in memory that counts
//! what it has handed out of them, and what it was given.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use super::*;

const FILES: usize = 8;
const FILE_VALUES: usize = 128;
const VALUE_BYTES: usize = 64 << 10;
const MIB: i64 = 1 << 20;

/// Bytes handed out, less those taken in; and the most that this ever was.
#[derive(Debug, Default)]
struct Ahead {
    now: AtomicI64,
    most: AtomicI64,
}

impl Ahead {
    fn add(&self, bytes: i64) {
        let now = self.now.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn begin(&self) {
        self.now.store(0, Ordering::SeqCst);
        self.most.store(0, Ordering::SeqCst);
    }

    fn most(&self) -> i64 {
        self.most.load(Ordering::SeqCst)
    }
}

#[derive(Debug, Default)]
struct Counting {
    inner: InMemory,
    ahead: Arc<Ahead>,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

fn length(payload: &PutPayload) -> i64 {
    i64::try_from(payload.content_length()).unwrap()
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.ahead.add(-length(&payload));
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(CountingUpload { upload, ahead: Arc::clone(&self.ahead) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.inner.get_opts(location, options).await?;
        self.ahead.add(i64::try_from(found.range.end - found.range.start).unwrap());
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        self.ahead.add(i64::try_from(bytes).unwrap());
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountingUpload {
    upload: Box<dyn MultipartUpload>,
    ahead: Arc<Ahead>,
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.ahead.add(-length(&data));
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.upload.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

/// A database of files of 8 MiB each.
async fn interleaved(storage: &Storage, path: &DatabasePath) -> Database {
    let database = storage.open(path).await.unwrap();
    let rng = SeededRng::new(3);
    for file in 0..FILES {
        let mut batch = Batch::new();
        for number in 0..FILE_VALUES {
            let mut value = vec![0; VALUE_BYTES];
            rng.fill(&mut value);
            batch.put(format!("{number:04}-{file}").into_bytes(), value);
        }
        database.write(batch).await.unwrap().durable().await.unwrap();
        database.flush().await.unwrap();
    }
    database
}

fn counting() -> (Storage, Arc<Ahead>) {
    let store = Counting::default();
    let ahead = Arc::clone(&store.ahead);
    let options = StorageOptions { block_cache_bytes: 0, ..StorageOptions::default() };
    let (clock, rng) = (Arc::new(SystemClock::new()), Arc::new(SeededRng::new(1)));
    (Storage::on_store(Arc::new(store), clock, rng, options), ahead)
}

#[tokio::test]
async fn a_scan_reads_little_ahead_of_what_it_hands_out() {
    let (storage, ahead) = counting();
    // Of a clone, because its files are not merged while it is scanned.
    let (source, path) = (DatabasePath::new("s"), DatabasePath::new("t"));
    let database = interleaved(&storage, &source).await;
    let pin = database.checkpoint("backup-1").await.unwrap();
    database.close().await.unwrap();
    storage.clone_database(&path, &source, pin.id).await.unwrap();
    let clone = storage.open_existing(&path).await.unwrap();
    ahead.begin();
    let view = clone.view().unwrap();
    let mut scan = view.scan(prefix_range(b"")).await.unwrap();
    let mut entries = 0;
    while let Some(entry) = scan.next().await.unwrap() {
        ahead.add(-i64::try_from(entry.value.len()).unwrap());
        entries += 1;
    }
    assert_eq!(entries, FILES * FILE_VALUES);
    assert!(ahead.most() < 12 * MIB, "{} bytes ahead", ahead.most());
    assert!(ahead.most() > MIB, "nothing was read ahead: {}", ahead.most());
}

#[tokio::test]
async fn a_compaction_reads_little_ahead_of_what_it_writes() {
    let (storage, ahead) = counting();
    let database = interleaved(&storage, &DatabasePath::new("s")).await;
    ahead.begin();
    let wait_max = Duration::from_secs(60);
    assert!(database.compact_fully(storage.clock().as_ref(), wait_max).await.unwrap());
    // What is read ahead, and two parts of the file that is written: SlateDB's are 10 MiB.
    assert!(ahead.most() < 40 * MIB, "{} bytes ahead", ahead.most());
}
