//! Collections: static copies of pod indexes, the same in every version.

use lodgepole_types::{Backup, BackupStatus, Deployment};
use serde::{Deserialize, Serialize};

/// Create a collection.
#[derive(Debug, Clone, Deserialize)]
pub struct CreateCollection {
    /// Name.
    pub name: String,
    /// The index to copy.
    pub source: String,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionReply {
    name: String,
    status: &'static str,
    environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector_count: Option<u64>,
}

/// All collections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionList {
    /// By name.
    pub collections: Vec<CollectionReply>,
}

impl CollectionReply {
    /// Renders a collection; its content is the backup.
    #[must_use]
    pub fn of(content: &Backup) -> Self {
        let ready = content.status == BackupStatus::Ready;
        Self {
            status: content.status.as_str(),
            size: ready.then_some(content.size_bytes),
            vector_count: ready.then(|| content.record_count.min(i32::MAX.unsigned_abs().into())),
            ..Self::begun(content)
        }
    }

    /// Renders a collection as the answer to its creation: Pinecone's is never ready yet, and
    /// clients are written for that.
    #[must_use]
    pub fn begun(content: &Backup) -> Self {
        let environment = match &content.source.deployment {
            Deployment::Pod(pod) => pod.environment.clone(),
            other @ (Deployment::Serverless { .. } | Deployment::Byoc { .. }) => {
                format!("{}-{}", other.region(), other.cloud())
            }
        };
        Self {
            name: content.collection().map(ToString::to_string).unwrap_or_default(),
            status: BackupStatus::Initializing.as_str(),
            environment,
            dimension: content.source.dimension(),
            size: None,
            vector_count: None,
        }
    }
}
