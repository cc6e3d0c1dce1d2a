//! One model of an index, whatever the API version that created it.
//!
//! The API renders it in two dialects: classic (`dimension`, `metric`, `spec`; up to 2026-04) and
//! schema style (`schema`, `deployment`; 2026-01.alpha and 2026-07). Invariant: what describes the
//! data (dimension and metric) never changes after creation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{BackupId, IndexId, IndexName, Metric, Tags, Timestamp};

/// What a user asks for when creating an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexConfig {
    /// Unique among the indexes that exist.
    pub name: IndexName,
    /// The dense vectors of its records; absent in a sparse index, whose metric is dotproduct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<DenseField>,
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
    /// The model that turns text into the vectors of its records, for an index made for a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<EmbedConfig>,
    /// The key that Pinecone would encrypt it with; kept and echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmek_id: Option<String>,
}

impl IndexConfig {
    /// How nearness is scored.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.dense.map_or(Metric::DotProduct, |dense| dense.metric)
    }

    /// Values that a dense vector has; none in a sparse index.
    #[must_use]
    pub fn dimension(&self) -> Option<u32> {
        self.dense.map(|dense| dense.dimension)
    }

    /// `dense` or `sparse`, as the API names the kind of its vectors.
    #[must_use]
    pub fn vector_type(&self) -> &'static str {
        if self.dense.is_some() { "dense" } else { "sparse" }
    }

    /// Whether sparse values can be upserted and searched for.
    #[must_use]
    pub fn takes_sparse(&self) -> bool {
        self.metric() == Metric::DotProduct
    }

    /// Whether it was created with a pod spec, which decides some rules of the API.
    #[must_use]
    pub fn is_pod(&self) -> bool {
        matches!(self.deployment, Deployment::Pod(_))
    }
}

/// How text becomes the vectors of an index that was made for a model. Kept as sent; which models
/// are installed is another matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbedConfig {
    /// Name of the hosted model.
    pub model: String,
    /// From the names that the API knows (`text`) to the fields of the user's records.
    pub field_map: BTreeMap<String, String>,
    /// Parameters of the model for queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_parameters: Option<serde_json::Value>,
    /// Parameters of the model for records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_parameters: Option<serde_json::Value>,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deployment {
    /// Pinecone's serverless indexes, "managed" in schema style.
    Serverless {
        /// `aws`, `gcp` or `azure`.
        cloud: String,
        /// A region of that cloud.
        region: String,
    },
    /// A pod index: served like any other, with the API's rules for pods.
    Pod(PodSpec),
    /// Bring your own cloud.
    Byoc {
        /// Name of the environment.
        environment: String,
    },
}

/// What a pod index was asked to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodSpec {
    /// Such as `us-east1-gcp`.
    pub environment: String,
    /// Family and size, `p1.x1`; a family without a size is kept as sent.
    pub pod_type: String,
    /// Copies.
    pub replicas: u32,
    /// Parts.
    pub shards: u32,
    /// Pods in all.
    pub pods: u32,
    /// The selection of filterable metadata, echoed exactly as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_config: Option<serde_json::Value>,
}

impl Deployment {
    /// The cloud that backups of the index name. An environment ends in its cloud where it follows
    /// Pinecone's pattern; any other counts as aws.
    #[must_use]
    pub fn cloud(&self) -> &str {
        match self {
            Self::Serverless { cloud, .. } => cloud,
            Self::Pod(PodSpec { environment, .. }) | Self::Byoc { environment } => {
                split_environment(environment).1
            }
        }
    }

    /// The region that backups of the index name.
    #[must_use]
    pub fn region(&self) -> &str {
        match self {
            Self::Serverless { region, .. } => region,
            Self::Pod(PodSpec { environment, .. }) | Self::Byoc { environment } => {
                split_environment(environment).0
            }
        }
    }
}

/// Region and cloud of an environment such as `us-east1-gcp`.
fn split_environment(environment: &str) -> (&str, &str) {
    match environment.rsplit_once('-') {
        Some((region, cloud)) if ["aws", "gcp", "azure"].contains(&cloud) => (region, cloud),
        _ => (environment, "aws"),
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
    /// The collection it was made from, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_collection: Option<IndexName>,
}
