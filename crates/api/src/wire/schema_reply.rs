//! An index in schema style: 2026-01.alpha, and from 2026-07.
//!
//! From 2026-07 a dense index reports both reserved fields, as Pinecone does; the clients take the
//! pair for a dense index. An index that was made for a model reports one field of text, named as
//! its records name it. Metadata that was selected as filterable follows as fields without a type.
//! The preview reports only fields with a type, because its clients drop an index with any other.

use std::collections::BTreeMap;

use lodgepole_types::{Deployment, EmbedConfig, Index, IndexConfig};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::capacity::ReadCapacityReply;
use super::index_reply::{READY, Status, tags};
use crate::ApiVersion;

/// The reserved field of dense vectors.
pub const DENSE_FIELD: &str = "_values";
/// The reserved field of sparse vectors.
pub const SPARSE_FIELD: &str = "_sparse_values";
/// What the map of fields of a model calls the text.
pub const TEXT_FIELD: &str = "text";

/// An index, 2026-01.alpha and from 2026-07.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SchemaIndex {
    name: String,
    host: String,
    status: Status,
    deployment: DeploymentReply,
    schema: SchemaReply,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_capacity: Option<ReadCapacityReply>,
    deletion_protection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_collection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_backup_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmek_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "deployment_type", rename_all = "lowercase")]
enum DeploymentReply {
    Managed {
        cloud: String,
        region: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        environment: Option<String>,
    },
    Pod {
        environment: String,
        pod_type: String,
        replicas: u32,
        shards: u32,
    },
    Byoc {
        environment: String,
    },
}

/// The fields of an index, by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SchemaReply {
    fields: Map<String, Value>,
}

impl SchemaIndex {
    pub(super) fn of(index: &Index, host: String, version: ApiVersion) -> Self {
        let config = &index.config;
        let has_capacity = !config.is_pod();
        Self {
            name: config.name.to_string(),
            host,
            status: READY,
            deployment: DeploymentReply::of(&config.deployment, version),
            schema: SchemaReply::of(config, version),
            read_capacity: has_capacity.then(|| ReadCapacityReply::of(&config.read_capacity)),
            deletion_protection: config.deletion_protection.as_str(),
            tags: tags(config),
            source_collection: index.source_collection.as_ref().map(ToString::to_string),
            source_backup_id: index.source_backup_id.map(|id| id.to_string()),
            cmek_id: config.cmek_id.clone(),
        }
    }
}

impl DeploymentReply {
    fn of(deployment: &Deployment, version: ApiVersion) -> Self {
        match deployment {
            Deployment::Serverless { cloud, region } => Self::Managed {
                cloud: cloud.clone(),
                region: region.clone(),
                environment: (!version.is_alpha()).then(|| format!("{region}-{cloud}")),
            },
            Deployment::Pod(pod) => Self::Pod {
                environment: pod.environment.clone(),
                pod_type: pod.pod_type.clone(),
                replicas: pod.replicas,
                shards: pod.shards,
            },
            Deployment::Byoc { environment } => Self::Byoc { environment: environment.clone() },
        }
    }
}

impl SchemaReply {
    /// Renders the fields of an index.
    #[must_use]
    pub fn of(config: &IndexConfig, version: ApiVersion) -> Self {
        let mut fields = match &config.embed {
            Some(embed) => text(embed, config, version),
            None => vectors(config, version),
        };
        if !version.is_alpha() {
            fields.extend(filterable(config));
        }
        Self { fields }
    }
}

fn vectors(config: &IndexConfig, version: ApiVersion) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(dense) = config.dense {
        let dense = json!({
            "type": "dense_vector",
            "dimension": dense.dimension,
            "metric": dense.metric.as_str(),
        });
        fields.insert(DENSE_FIELD.to_owned(), dense);
    }
    if !version.is_alpha() || config.dense.is_none() {
        fields.insert(SPARSE_FIELD.to_owned(), json!({ "type": "sparse_vector" }));
    }
    fields
}

fn text(embed: &EmbedConfig, config: &IndexConfig, version: ApiVersion) -> Map<String, Value> {
    let mut field = Map::new();
    field.insert("type".to_owned(), json!("semantic_text"));
    field.insert("model".to_owned(), json!(embed.model));
    field.insert("metric".to_owned(), json!(config.metric().as_str()));
    if let Some(dimension) = config.dimension().filter(|_| !version.is_alpha()) {
        field.insert("dimension".to_owned(), json!(dimension));
    }
    for (name, parameters) in
        [("read_parameters", &embed.read_parameters), ("write_parameters", &embed.write_parameters)]
    {
        if let Some(parameters) = parameters {
            field.insert(name.to_owned(), parameters.clone());
        }
    }
    let name = embed.field_map.get(TEXT_FIELD).map_or(TEXT_FIELD, String::as_str);
    [(name.to_owned(), Value::Object(field))].into_iter().collect()
}

/// The metadata that was selected as filterable, as untyped fields.
fn filterable(config: &IndexConfig) -> Map<String, Value> {
    let fields = config.metadata_schema.as_ref().and_then(|schema| schema.get("fields"));
    fields.and_then(Value::as_object).cloned().unwrap_or_default()
}
