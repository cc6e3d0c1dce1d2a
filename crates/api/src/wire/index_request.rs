//! Requests about indexes, in both dialects.
//!
//! Fields are as loose as the checks in `parse` need them, so that a wrong value gets a message
//! that names it and not one about its JSON type. Unknown names are ignored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::capacity::ReadCapacityRequest;

/// Tags as sent; null and an empty text both remove the key in a change.
pub type TagsRequest = BTreeMap<String, Option<String>>;

/// Create an index, up to 2026-04.
#[derive(Debug, Clone, Deserialize)]
pub struct ClassicCreate {
    /// Name.
    pub name: String,
    /// Values of a dense vector.
    pub dimension: Option<i64>,
    /// Metric; cosine when absent.
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
pub struct ClassicSpec {
    /// The kind that is served.
    pub serverless: Option<ServerlessSpec>,
    /// Seen only to be refused by name.
    pub pod: Option<Value>,
    /// Seen only to be refused by name.
    pub byoc: Option<Value>,
}

/// A serverless index.
#[derive(Debug, Clone, Deserialize)]
pub struct ServerlessSpec {
    /// Cloud.
    pub cloud: String,
    /// Region of that cloud.
    pub region: String,
    /// Seen only to be refused by name.
    pub source_collection: Option<String>,
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
    /// Seen only to be refused by name.
    pub cmek_id: Option<String>,
    /// Seen only to be refused by name.
    pub source_collection: Option<String>,
    /// Seen only to be refused by name.
    pub source_backup_id: Option<String>,
}

/// The fields of an index.
#[derive(Debug, Clone, Deserialize)]
pub struct SchemaRequest {
    /// Fields by name.
    pub fields: BTreeMap<String, FieldRequest>,
}

/// One field. Attributes of kinds that are not served are not read.
#[derive(Debug, Clone, Deserialize)]
pub struct FieldRequest {
    /// Kind.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Values of a dense vector.
    pub dimension: Option<i64>,
    /// Metric of a dense vector.
    pub metric: Option<String>,
}

/// Where an index runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "deployment_type", rename_all = "lowercase")]
pub enum DeploymentRequest {
    /// The kind that is served.
    Managed {
        /// Cloud.
        cloud: String,
        /// Region of that cloud.
        region: String,
    },
    /// Seen only to be refused by name.
    Byoc {},
    /// Seen only to be refused by name.
    Pod {},
}

/// Change an index, in both dialects.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Configure {
    /// Classic: where the read capacity stands.
    pub spec: Option<ConfigureSpec>,
    /// Schema style: the read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
    /// `enabled` or `disabled`.
    pub deletion_protection: Option<String>,
    /// Tags to merge.
    pub tags: Option<TagsRequest>,
    /// Seen only to be refused by name.
    pub embed: Option<Value>,
    /// Seen only to be refused by name.
    pub deployment: Option<Value>,
    /// Seen only to be refused by name.
    pub schema: Option<Value>,
}

/// The classic place of the read capacity.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ConfigureSpec {
    /// For a serverless index.
    pub serverless: Option<ConfigureServerless>,
    /// Seen only to be refused by name.
    pub pod: Option<Value>,
    /// Seen only to be refused by name.
    pub byoc: Option<Value>,
}

/// What can change of a serverless index.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ConfigureServerless {
    /// Read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
}
