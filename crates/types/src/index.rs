//! One model of an index, whatever the API version that created it.
//!
//! The API renders it in two dialects: classic (`dimension`, `metric`, `spec`; up to 2026-04) and
//! schema style (`schema`, `deployment`; 2026-01.alpha and 2026-07). Invariant: what describes the
//! data (dimension and metric) never changes after creation.

use serde::{Deserialize, Serialize};

use crate::{BackupId, IndexId, IndexName, Metric, Tags, Timestamp};

/// What a user asks for when creating an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexConfig {
    /// Unique among the indexes that exist.
    pub name: IndexName,
    /// The dense vectors of its records.
    pub dense: DenseField,
    /// Where the index is said to run; kept and echoed.
    pub deployment: Deployment,
    /// How much hardware is said to read it; kept and echoed.
    pub read_capacity: ReadCapacity,
    /// Whether it may be deleted.
    pub deletion_protection: DeletionProtection,
    /// Free labels.
    pub tags: Tags,
    /// The selection of filterable metadata, echoed exactly as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_schema: Option<serde_json::Value>,
}

/// Dense vectors of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenseField {
    /// Values a vector has, 1 to 20,000.
    pub dimension: u32,
    /// How nearness is scored.
    pub metric: Metric,
}

/// Where an index is said to run. Lodgepole runs it here; the words are kept for the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deployment {
    /// Pinecone's serverless indexes, "managed" in schema style.
    Serverless {
        /// `aws`, `gcp` or `azure`.
        cloud: String,
        /// A region of that cloud.
        region: String,
    },
}

impl Deployment {
    /// The cloud that backups of the index name.
    #[must_use]
    pub fn cloud(&self) -> &str {
        match self {
            Self::Serverless { cloud, .. } => cloud,
        }
    }

    /// The region that backups of the index name.
    #[must_use]
    pub fn region(&self) -> &str {
        match self {
            Self::Serverless { region, .. } => region,
        }
    }
}

/// How much hardware is said to read an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ReadCapacity {
    /// Shared.
    #[default]
    OnDemand,
    /// Own read nodes.
    Dedicated(DedicatedCapacity),
}

/// The parameters of dedicated read nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DedicatedCapacity {
    /// `b1` or `t1`.
    pub node_type: String,
    /// Copies.
    pub replicas: u32,
    /// Parts, at least 1.
    pub shards: u32,
}

/// Whether an index may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum DeletionProtection {
    /// It may.
    #[default]
    Disabled,
    /// Deleting it is refused until the protection is taken away.
    Enabled,
}

impl DeletionProtection {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
        }
    }

    /// Reads the name in the API; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "disabled" => Some(Self::Disabled),
            "enabled" => Some(Self::Enabled),
            _ => None,
        }
    }
}

/// An index that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Its identity; also the folder of its data.
    pub id: IndexId,
    /// What was asked for, with later changes.
    pub config: IndexConfig,
    /// When it was created.
    pub created_at: Timestamp,
    /// The port its data plane listens on.
    pub port: u16,
    /// The backup it was made from, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_backup_id: Option<BackupId>,
}
