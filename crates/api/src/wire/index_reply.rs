//! An index as each version shows it.
//!
//! One internal model, two dialects. Classic (up to 2026-04): `dimension`, `metric`, `spec`, each
//! part from the version that introduced it. Schema style (2026-01.alpha, from 2026-07): `schema`
//! and `deployment`. From 2026-07 a dense index reports both reserved fields, as Pinecone does;
//! the clients take the pair for a dense index. The preview reports exactly what was declared, and
//! only fields with a type, because its clients drop an index with any other.

use std::collections::BTreeMap;

use lodgepole_types::{Deployment, Index, IndexConfig};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::capacity::ReadCapacityReply;
use crate::ApiVersion;

/// The reserved field of dense vectors.
pub const DENSE_FIELD: &str = "_values";
/// The reserved field of sparse vectors.
pub const SPARSE_FIELD: &str = "_sparse_values";

/// An index.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum IndexReply {
    /// Up to 2026-04.
    Classic(Box<ClassicIndex>),
    /// 2026-01.alpha and from 2026-07.
    Schema(Box<SchemaIndex>),
}

/// All indexes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndexList {
    /// By name.
    pub indexes: Vec<IndexReply>,
}

/// An index, up to 2026-04.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassicIndex {
    name: String,
    metric: &'static str,
    dimension: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector_type: Option<&'static str>,
    host: String,
    spec: ClassicSpec,
    status: Status,
    deletion_protection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct ClassicSpec {
    serverless: Serverless,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Serverless {
    cloud: String,
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_capacity: Option<ReadCapacityReply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Status {
    ready: bool,
    state: &'static str,
}

/// WHY constant: an index can be used from the moment its creation is answered (DESIGN, section 5),
/// and it cannot be seen before.
const READY: Status = Status { ready: true, state: "Ready" };

/// An index, 2026-01.alpha and from 2026-07.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SchemaIndex {
    name: String,
    host: String,
    status: Status,
    deployment: DeploymentReply,
    schema: SchemaReply,
    read_capacity: ReadCapacityReply,
    deletion_protection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_backup_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct DeploymentReply {
    deployment_type: &'static str,
    cloud: String,
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
}

/// The fields of an index, by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SchemaReply {
    fields: Map<String, Value>,
}

impl IndexReply {
    /// Renders `index` in the dialect of `version`; `host` is where its data plane answers.
    #[must_use]
    pub fn of(index: &Index, host: String, version: ApiVersion) -> Self {
        if version.schema_style() {
            Self::Schema(Box::new(SchemaIndex::of(index, host, version)))
        } else {
            Self::Classic(Box::new(ClassicIndex::of(&index.config, host, version)))
        }
    }
}

impl ClassicIndex {
    fn of(config: &IndexConfig, host: String, version: ApiVersion) -> Self {
        let Deployment::Serverless { cloud, region } = &config.deployment;
        let has_capacity = version.has_read_capacity();
        Self {
            name: config.name.to_string(),
            metric: config.dense.metric.as_str(),
            dimension: config.dense.dimension,
            vector_type: version.has_vector_type().then_some("dense"),
            host,
            spec: ClassicSpec {
                serverless: Serverless {
                    cloud: cloud.clone(),
                    region: region.clone(),
                    read_capacity: has_capacity
                        .then(|| ReadCapacityReply::of(&config.read_capacity)),
                    schema: config.metadata_schema.clone().filter(|_| has_capacity),
                },
            },
            status: READY,
            deletion_protection: config.deletion_protection.as_str(),
            tags: tags(config).filter(|_| version.has_tags()),
        }
    }
}

impl SchemaIndex {
    fn of(index: &Index, host: String, version: ApiVersion) -> Self {
        let config = &index.config;
        let Deployment::Serverless { cloud, region } = &config.deployment;
        Self {
            name: config.name.to_string(),
            host,
            status: READY,
            deployment: DeploymentReply {
                deployment_type: "managed",
                cloud: cloud.clone(),
                region: region.clone(),
                environment: (!version.is_alpha()).then(|| format!("{region}-{cloud}")),
            },
            schema: SchemaReply::of(config, version),
            read_capacity: ReadCapacityReply::of(&config.read_capacity),
            deletion_protection: config.deletion_protection.as_str(),
            tags: tags(config),
            source_backup_id: index.source_backup_id.map(|id| id.to_string()),
        }
    }
}

impl SchemaReply {
    /// Renders the fields of an index.
    #[must_use]
    pub fn of(config: &IndexConfig, version: ApiVersion) -> Self {
        let mut fields = Map::new();
        let dense = json!({
            "type": "dense_vector",
            "dimension": config.dense.dimension,
            "metric": config.dense.metric.as_str(),
        });
        fields.insert(DENSE_FIELD.to_owned(), dense);
        if !version.is_alpha() {
            fields.insert(SPARSE_FIELD.to_owned(), json!({ "type": "sparse_vector" }));
            fields.extend(filterable(config));
        }
        Self { fields }
    }
}

/// The metadata that was selected as filterable, as untyped fields.
fn filterable(config: &IndexConfig) -> Map<String, Value> {
    let fields = config.metadata_schema.as_ref().and_then(|schema| schema.get("fields"));
    fields.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Tags; absent when there is none.
pub(super) fn tags(config: &IndexConfig) -> Option<BTreeMap<String, String>> {
    (!config.tags.is_empty()).then(|| config.tags.as_map().clone())
}

#[cfg(test)]
mod tests;
