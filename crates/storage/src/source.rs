//! Where bulk imports read from: folders of this machine and buckets.
//!
//! A [`Source`] lists the Parquet files below a URI and reads ranges of them. It reads foreign data
//! and never writes. Invariants:
//!
//! - a file of this machine is read only if its real place, all links followed, is below a folder
//!   that the operator allows;
//! - all ranges of a file come from one version of it: a file that changes while it is read becomes
//!   unreadable, it never yields a mixture.
//!
//! Finding a [`Source`] touches nothing, so that a request can be answered at once.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use lodgepole_types::{Classify, ErrorKind};

mod bucket;
mod folder;
#[cfg(test)]
mod tests;

use bucket::{Bucket, BucketFile};
use folder::{Folder, OpenFile};

/// The end of the names that count; everything else is passed over.
const FILE_SUFFIX: &str = ".parquet";

/// What an operator can set about sources.
#[derive(Debug, Clone, Default)]
pub struct SourceOptions {
    /// Folders whose files may be imported; absolute. None is allowed by default: whoever may call
    /// the API could otherwise read every file that the server can.
    pub folders: Vec<PathBuf>,
    /// Address of an S3-compatible service, such as `http://127.0.0.1:9000`; absent for Amazon's.
    pub s3_endpoint: Option<String>,
    /// Region of the buckets; absent for the one in the environment, or else `us-east-1`.
    pub s3_region: Option<String>,
}

/// Finds sources. Cloning it is cheap.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    options: Arc<SourceOptions>,
}

/// Why a source cannot be used. The text is for the caller of the API.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The URI names nothing that can be imported from, or that may be.
    #[error("{0}")]
    Refused(String),
    /// Nothing was found, or nothing could be reached; that may change.
    #[error("{message}")]
    Unreachable {
        /// What the caller is told.
        message: String,
        /// What the log is told.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// There are more files than an import may have.
    #[error("more than {0} files were found")]
    TooManyFiles(usize),
}

impl SourceError {
    fn unreachable(
        message: String,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unreachable { message, source: Some(source.into()) }
    }
}

impl Classify for SourceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(_) | Self::TooManyFiles(_) => ErrorKind::InvalidArgument,
            Self::Unreachable { .. } => ErrorKind::Unavailable,
        }
    }
}

/// A file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its place below the URI, with `/` between the parts.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Changes when its content does.
    pub version: String,
}

/// A place that can be imported from.
#[derive(Debug, Clone)]
pub struct Source {
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Folder(Folder),
    Bucket(Bucket),
}

/// An open file of a source. Its methods block: call them where blocking is allowed, on a thread
/// that is not one of the runtime's workers.
#[derive(Debug)]
pub struct SourceReader {
    open: Open,
    bytes: u64,
}

#[derive(Debug)]
enum Open {
    File(OpenFile),
    Object(BucketFile),
}

impl Sources {
    /// With these settings.
    #[must_use]
    pub fn new(options: SourceOptions) -> Self {
        Self { options: Arc::new(options) }
    }

    /// The place that a URI names. Nothing is looked up.
    ///
    /// # Errors
    /// [`SourceError::Refused`] when the URI is malformed, its kind is not served, or the operator
    /// does not allow the folder.
    pub fn find(&self, uri: &str) -> Result<Source, SourceError> {
        let place = match uri.split_once("://") {
            Some(("file", rest)) => Place::Folder(Folder::find(rest, &self.options.folders)?),
            Some(("s3", rest)) => Place::Bucket(Bucket::find(rest, &self.options)?),
            _ => {
                return Err(SourceError::Refused(format!(
                    "Imports from '{}' are not served here. Copy the files to an S3-compatible \
                     store (s3://), or to a folder of the server (file://)",
                    uri.escape_default()
                )));
            }
        };
        Ok(Source { place })
    }
}

impl Source {
    /// All Parquet files below the URI, by path.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`] when it cannot be listed now, [`SourceError::Refused`] when a
    /// link leads out of what the operator allows, [`SourceError::TooManyFiles`] above `files_max`.
    pub async fn list(&self, files_max: usize) -> Result<Vec<SourceFile>, SourceError> {
        let mut files = match &self.place {
            Place::Folder(folder) => {
                let folder = folder.clone();
                let list = move || folder.list(files_max);
                let listed = tokio::task::spawn_blocking(list).await;
                listed.map_err(|error| SourceError::unreachable(String::new(), error))??
            }
            Place::Bucket(bucket) => bucket.list(files_max).await?,
        };
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Opens a file that was listed. Call it inside a runtime; see [`SourceReader`] for where.
    ///
    /// # Errors
    /// `NotFound` when the file is gone or has changed since; others when it cannot be read now.
    pub fn open(&self, file: &SourceFile) -> io::Result<SourceReader> {
        let open = match &self.place {
            Place::Folder(folder) => Open::File(folder.open(file)?),
            Place::Bucket(bucket) => Open::Object(bucket.open(file)?),
        };
        Ok(SourceReader { open, bytes: file.bytes })
    }
}

impl SourceReader {
    /// Length of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads exactly `length` bytes from `start`.
    ///
    /// # Errors
    /// `NotFound` when the file is gone or has changed since it was listed; others when it cannot
    /// be read now.
    pub fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
        match &self.open {
            Open::File(file) => file.read(start, length),
            Open::Object(object) => object.read(start, length),
        }
    }
}

/// The error of a file that is not the one that was listed.
fn changed(path: &str) -> io::Error {
    let text = format!("file \"{path}\" was changed or removed while it was imported");
    io::Error::new(io::ErrorKind::NotFound, text)
}

fn is_wanted(name: &str) -> bool {
    name.ends_with(FILE_SUFFIX)
}
