//! Requests about indexes, in both dialects.
//!
//! Fields are as loose as the checks in `parse` need them, so that a wrong value gets a message
//! that names it and not one about its JSON type. Unknown names are ignored where Pinecone ignores
//! them; where it refuses them, the type denies them or `parse` looks at the names first.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::capacity::ReadCapacityRequest;

/// Tags as sent; null and an empty text both remove the key in a change.
pub type TagsRequest = BTreeMap<String, Option<String>>;

/// Parameters of a model as sent.
pub type ModelParameters = Map<String, Value>;

/// Create an index, up to 2026-04.
#[derive(Debug, Clone, Deserialize)]
pub struct ClassicCreate {
    /// Name.
    pub name: String,
    /// Values of a dense vector; absent for a sparse index.
    pub dimension: Option<i64>,
    /// Metric; cosine when absent, dotproduct for a sparse index.
    pub metric: Option<String>,
    /// `dense` or `sparse`.
    pub vector_type: Option<String>,
    /// Where it runs.
    pub spec: ClassicSpec,
    /// `enabled` or `disabled`.
    pub deletion_protection: Option<String>,
    /// Tags.
    pub tags: Option<TagsRequest>,
}

/// Where a classic index runs: exactly one of the three.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassicSpec {
    /// A serverless index.
    pub serverless: Option<ServerlessSpec>,
    /// A pod index.
    pub pod: Option<PodSpecRequest>,
    /// Bring your own cloud.
    pub byoc: Option<ByocSpec>,
}

/// A serverless index.
#[derive(Debug, Clone, Deserialize)]
pub struct ServerlessSpec {
    /// Cloud.
    pub cloud: String,
    /// Region of that cloud.
    pub region: String,
    /// The collection to make it from.
    pub source_collection: Option<String>,
    /// Read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
    /// Selection of filterable metadata.
    pub schema: Option<Value>,
}

/// A pod index.
#[derive(Debug, Clone, Deserialize)]
pub struct PodSpecRequest {
    /// Environment.
    pub environment: String,
    /// Family and size.
    pub pod_type: String,
    /// Copies; 1 when absent.
    pub replicas: Option<i64>,
    /// Parts; 1 when absent.
    pub shards: Option<i64>,
    /// Pods in all; copies times parts when absent.
    pub pods: Option<i64>,
    /// Selection of filterable metadata.
    pub metadata_config: Option<Value>,
    /// The collection to make it from.
    pub source_collection: Option<String>,
}

/// An index in the user's own cloud.
#[derive(Debug, Clone, Deserialize)]
pub struct ByocSpec {
    /// Environment.
    pub environment: String,
    /// Read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
    /// Selection of filterable metadata.
    pub schema: Option<Value>,
}

/// Create an index, 2026-01.alpha and from 2026-07.
#[derive(Debug, Clone, Deserialize)]
pub struct SchemaCreate {
    /// Name; made by the server when absent.
    pub name: Option<String>,
    /// Fields.
    pub schema: SchemaRequest,
    /// Where it runs; in aws us-east-1 when absent.
    pub deployment: Option<DeploymentRequest>,
    /// Read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
    /// `enabled` or `disabled`.
    pub deletion_protection: Option<String>,
    /// Tags.
    pub tags: Option<TagsRequest>,
    /// The key that Pinecone would encrypt it with.
    pub cmek_id: Option<String>,
    /// The collection to make it from; 2026-01.alpha only.
    pub source_collection: Option<String>,
    /// Seen only to be refused by name.
    pub source_backup_id: Option<String>,
}

impl SchemaCreate {
    /// Every name that may stand at the top.
    pub(crate) const KEYS: &'static [&'static str] = &[
        "name",
        "schema",
        "deployment",
        "read_capacity",
        "deletion_protection",
        "tags",
        "cmek_id",
        "source_collection",
        "source_backup_id",
    ];
}

/// The fields of an index.
#[derive(Debug, Clone, Deserialize)]
pub struct SchemaRequest {
    /// Fields by name.
    pub fields: BTreeMap<String, FieldRequest>,
}

/// One field: the attributes of every kind. Which of them mean something depends on the kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldRequest {
    /// Kind.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Values of a dense vector.
    pub dimension: Option<i64>,
    /// Metric of a vector, or of the vectors that are made of text.
    pub metric: Option<String>,
    /// The model that turns text into vectors.
    pub model: Option<String>,
    /// Its parameters for queries.
    pub read_parameters: Option<ModelParameters>,
    /// Its parameters for records.
    pub write_parameters: Option<ModelParameters>,
    /// Seen only to be refused by name.
    pub description: Option<Value>,
    /// Read over: fields that can be filtered by are not declared here.
    pub filterable: Option<Value>,
    /// Read over: the kind of the field decides.
    pub full_text_search: Option<Value>,
}

/// Where an index runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "deployment_type", rename_all = "lowercase", deny_unknown_fields)]
pub enum DeploymentRequest {
    /// A serverless index.
    Managed {
        /// Cloud.
        cloud: String,
        /// Region of that cloud.
        region: String,
    },
    /// An index in the user's own cloud.
    Byoc {
        /// Environment.
        environment: String,
    },
    /// A pod index; 2026-01.alpha only.
    Pod {
        /// Environment.
        environment: String,
        /// Family and size.
        pod_type: String,
        /// Copies; 1 when absent.
        replicas: Option<i64>,
        /// Parts; 1 when absent.
        shards: Option<i64>,
    },
}

/// Create an index for a model, 2025-01 to 2026-04 and from 2026-07.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateForModel {
    /// Name.
    pub name: String,
    /// Cloud.
    pub cloud: String,
    /// Region of that cloud.
    pub region: String,
    /// The model.
    pub embed: EmbedRequest,
    /// `enabled` or `disabled`.
    pub deletion_protection: Option<String>,
    /// Tags.
    pub tags: Option<TagsRequest>,
    /// Selection of filterable metadata.
    pub schema: Option<Value>,
    /// Read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
}

/// A model and how it is used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedRequest {
    /// Its name.
    pub model: String,
    /// From `text` to the field of the records that holds it.
    pub field_map: BTreeMap<String, String>,
    /// Metric; the model's own when absent.
    pub metric: Option<String>,
    /// Values of a vector; the model's own when absent.
    pub dimension: Option<i64>,
    /// Its parameters for queries.
    pub read_parameters: Option<ModelParameters>,
    /// Its parameters for records.
    pub write_parameters: Option<ModelParameters>,
}

/// Create an index for a model, 2026-01.alpha.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlatCreateForModel {
    /// Name; made by the server when absent.
    pub name: Option<String>,
    /// Where it runs; in aws us-east-1 when absent.
    pub deployment: Option<DeploymentRequest>,
    /// The field of the records that holds the text.
    pub field: String,
    /// The model.
    pub model: String,
    /// Metric; the model's own when absent.
    pub metric: Option<String>,
    /// Parameters of the model for queries.
    pub read_parameters: Option<ModelParameters>,
    /// Parameters of the model for records.
    pub write_parameters: Option<ModelParameters>,
    /// Read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
    /// `enabled` or `disabled`.
    pub deletion_protection: Option<String>,
    /// Tags.
    pub tags: Option<TagsRequest>,
}

/// Change an index, in both dialects.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Configure {
    /// Classic: what changes by the kind of the index.
    pub spec: Option<ConfigureSpec>,
    /// Schema style: the read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
    /// `enabled` or `disabled`.
    pub deletion_protection: Option<String>,
    /// Tags to merge.
    pub tags: Option<TagsRequest>,
    /// Classic: the model and how it is used.
    pub embed: Option<EmbedChange>,
    /// Schema style: the size of a pod index.
    pub deployment: Option<PodChange>,
    /// Schema style: the parameters of the model.
    pub schema: Option<SchemaRequest>,
}

impl Configure {
    /// Every name that may stand at the top.
    pub(crate) const KEYS: &'static [&'static str] =
        &["spec", "read_capacity", "deletion_protection", "tags", "embed", "deployment", "schema"];
}

/// What changes by the kind of the index: one of the three.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigureSpec {
    /// For a serverless index.
    pub serverless: Option<CapacityChange>,
    /// For a pod index.
    pub pod: Option<PodChange>,
    /// For an index in the user's own cloud.
    pub byoc: Option<CapacityChange>,
}

/// What can change of an index without pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CapacityChange {
    /// Read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
}

/// What can change of a pod index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodChange {
    /// Read over: some clients name the kind again.
    pub deployment_type: Option<String>,
    /// Copies.
    pub replicas: Option<i64>,
    /// Family and size.
    pub pod_type: Option<String>,
}

/// What can change of the model of an index; or the model that a plain index is to get.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedChange {
    /// Its name.
    pub model: Option<String>,
    /// From `text` to the field of the records that holds it.
    pub field_map: Option<BTreeMap<String, String>>,
    /// Its parameters for queries.
    pub read_parameters: Option<ModelParameters>,
    /// Its parameters for records.
    pub write_parameters: Option<ModelParameters>,
}
