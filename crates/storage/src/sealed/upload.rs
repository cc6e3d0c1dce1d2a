//! Uploads in parts, with the seal at their end.
//!
//! The last part is held back until the upload is completed, because stores take a short part only
//! as the last one, and the seal belongs to it.

use std::fmt;

use async_trait::async_trait;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::seal::Sealer;

pub(super) struct SealedUpload {
    upload: Box<dyn MultipartUpload>,
    sealer: Sealer,
    held: Option<PutPayload>,
}

impl SealedUpload {
    pub(super) fn new(upload: Box<dyn MultipartUpload>, sealer: Sealer) -> Self {
        Self { upload, sealer, held: None }
    }
}

impl fmt::Debug for SealedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedUpload").field("upload", &self.upload).finish_non_exhaustive()
    }
}

#[async_trait]
impl MultipartUpload for SealedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.sealer.add(&data);
        match self.held.replace(data) {
            Some(ready) => self.upload.put_part(ready),
            None => Box::pin(async { Ok(()) }),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let last = self.sealer.close(self.held.take().unwrap_or_default());
        self.upload.put_part(last).await?;
        self.upload.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}
