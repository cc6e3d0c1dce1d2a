//! Sources in S3 and in what speaks its protocol.
//!
//! Credentials come from the environment of the server (`AWS_ACCESS_KEY_ID` and so on). Without any,
//! requests go unsigned, which is what public buckets want. WHY not ask the machine's metadata
//! service then: on most machines there is none, and every import would wait for it; naming it in
//! `AWS_METADATA_ENDPOINT` turns it on.
//!
//! The name of a bucket never becomes part of a host name (path-style addresses), so a URI cannot
//! send the server's credentials anywhere but to the configured address.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, RetryConfig};
use tokio::runtime::Handle;

use super::{SourceError, SourceFile, SourceOptions, changed, is_wanted};

/// How long one request may take to connect, and to be answered in full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts that the client makes by itself, and how long it goes on with them. Callers repeat too.
const RETRIES_MAX: usize = 2;
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);
/// The region that Amazon's own tools assume.
const REGION_DEFAULT: &str = "us-east-1";
/// Lengths that the name of a bucket may have.
const NAME_LENGTHS: std::ops::RangeInclusive<usize> = 3..=63;

/// A folder of a bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    name: String,
    prefix: Path,
    store: Arc<AmazonS3>,
}

/// An object that is being read.
#[derive(Debug)]
pub(super) struct BucketFile {
    store: Arc<AmazonS3>,
    location: Path,
    listed: SourceFile,
    runtime: Handle,
}

impl Bucket {
    /// Reads what follows `s3://`.
    pub(super) fn find(rest: &str, options: &SourceOptions) -> Result<Self, SourceError> {
        let refuse = |text: String| SourceError::Refused(text);
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if !NAME_LENGTHS.contains(&name.len()) || !name.bytes().all(plain) {
            let name = name.escape_default();
            return Err(refuse(format!("'{name}' is not the name of a bucket")));
        }
        let prefix = Path::parse(prefix.trim_end_matches('/'))
            .map_err(|error| refuse(format!("The path of the s3:// URI is not valid: {error}")))?;
        // Without this, the first TLS connection of a process that has not chosen would panic. An
        // error means that one is chosen already.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        let store = builder(name, options)
            .build()
            .map_err(|error| refuse(format!("The settings for S3 are not valid: {error}")))?;
        Ok(Self { name: name.to_owned(), prefix, store: Arc::new(store) })
    }

    pub(super) async fn list(&self, files_max: usize) -> Result<Vec<SourceFile>, SourceError> {
        let mut objects = self.store.list(Some(&self.prefix));
        let mut files = Vec::new();
        while let Some(object) = objects.try_next().await.map_err(|error| self.failed(error))? {
            let Some(parts) = object.location.prefix_match(&self.prefix) else { continue };
            let parts: Vec<_> = parts.map(|part| part.as_ref().to_owned()).collect();
            if !parts.last().is_some_and(|name| is_wanted(name)) {
                continue;
            }
            if files.len() == files_max {
                return Err(SourceError::TooManyFiles(files_max));
            }
            let version = object.e_tag.unwrap_or_default();
            files.push(SourceFile { path: parts.join("/"), bytes: object.size, version });
        }
        Ok(files)
    }

    pub(super) fn open(&self, listed: &SourceFile) -> io::Result<BucketFile> {
        // WHY parsed: building a path from parts would encode what the listing gave as it is.
        let location = Path::parse(format!("{}/{}", self.prefix, listed.path));
        Ok(BucketFile {
            store: Arc::clone(&self.store),
            location: location.map_err(io::Error::other)?,
            listed: listed.clone(),
            runtime: Handle::current(),
        })
    }

    fn failed(&self, error: object_store::Error) -> SourceError {
        let name = &self.name;
        let message = match Refusal::of(&error) {
            Some(Refusal::NotFound) => format!("Bucket \"{name}\" was not found"),
            Some(Refusal::Denied) => format!(
                "Access to bucket \"{name}\" was denied. The server reads it with the \
                 credentials in its environment"
            ),
            None => format!("Bucket \"{name}\" could not be reached"),
        };
        SourceError::unreachable(message, error)
    }
}

/// What the service said, where the caller can do something about it.
enum Refusal {
    NotFound,
    Denied,
}

impl Refusal {
    /// WHY by text: a failed listing has one kind of error, whatever the service answered.
    fn of(error: &object_store::Error) -> Option<Self> {
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            if text.contains("NoSuchBucket") || text.contains("404 Not Found") {
                return Some(Self::NotFound);
            }
            if text.contains("403 Forbidden") || text.contains("401 Unauthorized") {
                return Some(Self::Denied);
            }
            cause = error.source();
        }
        None
    }
}

fn builder(name: &str, options: &SourceOptions) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(name)
        .with_virtual_hosted_style_request(false)
        .with_retry(RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        });
    if let Some(region) = &options.s3_region {
        builder = builder.with_region(region);
    } else if builder.get_config_value(&AmazonS3ConfigKey::Region).is_none() {
        builder = builder.with_region(REGION_DEFAULT);
    }
    let mut client =
        ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(REQUEST_TIMEOUT);
    if let Some(endpoint) = &options.s3_endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        client = client.with_allow_http(endpoint.starts_with("http://"));
    }
    let has_credentials = [
        AmazonS3ConfigKey::AccessKeyId,
        AmazonS3ConfigKey::WebIdentityTokenFile,
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
        AmazonS3ConfigKey::MetadataEndpoint,
    ]
    .iter()
    .any(|key| builder.get_config_value(key).is_some());
    builder.with_client_options(client).with_skip_signature(!has_credentials)
}

impl BucketFile {
    pub(super) fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let end = start.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let version = Some(self.listed.version.clone()).filter(|version| !version.is_empty());
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..end)),
            if_match: version,
            ..GetOptions::default()
        };
        let get = async { self.store.get_opts(&self.location, options).await?.bytes().await };
        self.runtime.block_on(get).map_err(|error| {
            use object_store::Error as E;
            if matches!(error, E::NotFound { .. } | E::Precondition { .. }) {
                changed(&self.listed.path)
            } else {
                io::Error::other(error)
            }
        })
    }
}
