//! A store in memory whose writes can be made to fail, before or after they took place.

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;
use futures::stream::BoxStream;
use lodgepole_storage::object_store::memory::InMemory;
use lodgepole_storage::object_store::path::Path;
use lodgepole_storage::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Writes {
    /// It takes place.
    #[default]
    Work,
    /// It does not take place, and fails.
    Refused,
    /// It takes place, and yet its caller is told that it failed.
    AnswerLost,
}

#[derive(Debug, Default)]
pub(crate) struct FailingStore {
    inner: InMemory,
    writes: Mutex<Writes>,
}

impl FailingStore {
    /// From now on.
    pub(crate) fn set(&self, writes: Writes) {
        *self.writes.lock().unwrap() = writes;
    }

    fn writes(&self) -> Writes {
        *self.writes.lock().unwrap()
    }
}

fn failure() -> Error {
    Error::Generic { store: "failing", source: "the test made this write fail".into() }
}

impl fmt::Display for FailingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailingStore")
    }
}

#[async_trait]
impl ObjectStore for FailingStore {
    async fn put_opts(&self, at: &Path, data: PutPayload, how: PutOptions) -> Result<PutResult> {
        let writes = self.writes();
        if writes == Writes::Refused {
            return Err(failure());
        }
        let put = self.inner.put_opts(at, data, how).await;
        if writes == Writes::AnswerLost { Err(failure()) } else { put }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if self.writes() != Writes::Work {
            return Err(failure());
        }
        self.inner.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(at, how).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(at, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, how: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, how).await
    }
}
