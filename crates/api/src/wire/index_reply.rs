//! An index as each version shows it.
//!
//! One internal model, two dialects. Classic (up to 2026-04): `dimension`, `metric`, `spec`, each
//! part from the version that introduced it. Schema style (2026-01.alpha, from 2026-07): `schema`
//! and `deployment` (see `schema_reply`).
//!
//! An old version must be able to read a list that holds indexes which it does not know, because
//! its clients give up the whole list otherwise. So before 2025-01 a sparse index has dimension 0,
//! and before 2025-04 an index in the user's own cloud is shown as serverless.

use std::collections::BTreeMap;

use lodgepole_types::{Deployment, EmbedConfig, Index, IndexConfig, PodSpec};
use serde::Serialize;
use serde_json::Value;

use super::capacity::ReadCapacityReply;
use super::schema_reply::SchemaIndex;
use crate::ApiVersion;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector_type: Option<&'static str>,
    host: String,
    spec: ClassicSpec,
    status: Status,
    deletion_protection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed: Option<EmbedReply>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ClassicSpec {
    Serverless(Serverless),
    Pod(Pod),
    Byoc(Byoc),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Serverless {
    cloud: String,
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_capacity: Option<ReadCapacityReply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_collection: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Pod {
    environment: String,
    pod_type: String,
    replicas: u32,
    shards: u32,
    pods: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_config: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_collection: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Byoc {
    environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_capacity: Option<ReadCapacityReply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct EmbedReply {
    model: String,
    metric: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<u32>,
    vector_type: &'static str,
    field_map: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_parameters: Option<Value>,
}

/// Whether an index can be used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Status {
    ready: bool,
    state: &'static str,
}

/// WHY constant: an index can be used from the moment its creation is answered (DESIGN, section 5),
/// and it cannot be seen before.
pub(super) const READY: Status = Status { ready: true, state: "Ready" };

impl IndexReply {
    /// Renders `index` in the dialect of `version`; `host` is where its data plane answers.
    #[must_use]
    pub fn of(index: &Index, host: String, version: ApiVersion) -> Self {
        if version.schema_style() {
            Self::Schema(Box::new(SchemaIndex::of(index, host, version)))
        } else {
            Self::Classic(Box::new(ClassicIndex::of(index, host, version)))
        }
    }
}

impl ClassicIndex {
    fn of(index: &Index, host: String, version: ApiVersion) -> Self {
        let config = &index.config;
        let sparse_dimension = (!version.has_vector_type()).then_some(0);
        let embed = config.embed.as_ref().filter(|_| version.has_vector_type());
        Self {
            name: config.name.to_string(),
            metric: config.metric().as_str(),
            dimension: config.dimension().or(sparse_dimension),
            vector_type: version.has_vector_type().then_some(config.vector_type()),
            host,
            spec: ClassicSpec::of(index, version),
            status: READY,
            deletion_protection: config.deletion_protection.as_str(),
            tags: tags(config).filter(|_| version.has_tags()),
            embed: embed.map(|embed| EmbedReply::of(embed, config, version)),
        }
    }
}

impl ClassicSpec {
    fn of(index: &Index, version: ApiVersion) -> Self {
        let config = &index.config;
        let has_capacity = version.has_read_capacity();
        let read_capacity = has_capacity.then(|| ReadCapacityReply::of(&config.read_capacity));
        let schema = config.metadata_schema.clone().filter(|_| has_capacity);
        let source_collection = index.source_collection.as_ref().map(ToString::to_string);
        match &config.deployment {
            Deployment::Pod(PodSpec {
                environment,
                pod_type,
                replicas,
                shards,
                pods,
                metadata_config,
            }) => Self::Pod(Pod {
                environment: environment.clone(),
                pod_type: pod_type.clone(),
                replicas: *replicas,
                shards: *shards,
                pods: *pods,
                metadata_config: metadata_config.clone(),
                source_collection,
            }),
            Deployment::Byoc { environment } if version.knows_byoc() => {
                Self::Byoc(Byoc { environment: environment.clone(), read_capacity, schema })
            }
            place @ (Deployment::Serverless { .. } | Deployment::Byoc { .. }) => {
                Self::Serverless(Serverless {
                    cloud: place.cloud().to_owned(),
                    region: place.region().to_owned(),
                    read_capacity,
                    schema,
                    source_collection: source_collection.filter(|_| version.knows_byoc()),
                })
            }
        }
    }
}

impl EmbedReply {
    fn of(embed: &EmbedConfig, config: &IndexConfig, version: ApiVersion) -> Self {
        Self {
            model: embed.model.clone(),
            metric: config.metric().as_str(),
            dimension: config.dimension().filter(|_| version.embed_names_dimension()),
            vector_type: config.vector_type(),
            field_map: embed.field_map.clone(),
            read_parameters: embed.read_parameters.clone(),
            write_parameters: embed.write_parameters.clone(),
        }
    }
}

/// Tags; absent when there is none.
pub(super) fn tags(config: &IndexConfig) -> Option<BTreeMap<String, String>> {
    (!config.tags.is_empty()).then(|| config.tags.as_map().clone())
}

#[cfg(test)]
mod tests;
