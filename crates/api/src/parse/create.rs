//! Checks the creation of an index, in both dialects, into one configuration.

use lodgepole_types::{DenseField, Deployment, IndexConfig, IndexName, Metric, Rng, Tags};

use super::capacity::new_capacity;
use super::{Rules, control_body, deletion_protection, metadata_schema, new_index_name, tags};
use crate::wire::index_reply::{DENSE_FIELD, SPARSE_FIELD};
use crate::wire::index_request::{
    ClassicCreate, ClassicSpec, DeploymentRequest, FieldRequest, SchemaCreate, SchemaRequest,
    ServerlessSpec, TagsRequest,
};
use crate::{ApiError, ApiVersion};

use super::regions::Regions;

/// Reads `POST /indexes`. An index without a name, which the schema style allows, gets one from
/// `rng`.
///
/// # Errors
/// `Unprocessable` for a body of another shape, `NotFound` for an unknown region, otherwise
/// `InvalidArgument`.
pub fn create_index(
    body: &[u8],
    version: ApiVersion,
    rules: &Rules,
    rng: &dyn Rng,
) -> Result<IndexConfig, ApiError> {
    if version.schema_style() {
        schema_style(control_body(body)?, rules, rng)
    } else {
        classic(control_body(body)?, rules)
    }
}

fn classic(request: ClassicCreate, rules: &Rules) -> Result<IndexConfig, ApiError> {
    let name = new_index_name(&request.name)?;
    match request.vector_type.as_deref() {
        None | Some("dense") => {}
        Some("sparse") => return Err(ApiError::not_served("Sparse indexes")),
        Some(other) => {
            return Err(ApiError::invalid(format!(
                "vector_type must be 'dense' or 'sparse', got '{}'",
                other.escape_default()
            )));
        }
    }
    let dense = dense_field(request.dimension, request.metric.as_deref(), rules)?;
    let spec = serverless(request.spec)?;
    Ok(IndexConfig {
        name,
        dense,
        deployment: rules.regions.check(spec.cloud, spec.region)?,
        read_capacity: new_capacity(spec.read_capacity)?,
        deletion_protection: protection(request.deletion_protection.as_deref())?,
        tags: new_tags(request.tags, rules)?,
        metadata_schema: spec.schema.map(metadata_schema::check).transpose()?,
    })
}

fn schema_style(
    request: SchemaCreate,
    rules: &Rules,
    rng: &dyn Rng,
) -> Result<IndexConfig, ApiError> {
    for (given, what) in [
        (request.cmek_id.is_some(), "Customer-managed encryption keys (cmek_id)"),
        (request.source_collection.is_some(), "Collections (source_collection)"),
    ] {
        if given {
            return Err(ApiError::not_served(what));
        }
    }
    if request.source_backup_id.is_some() {
        return Err(ApiError::invalid(
            "source_backup_id is not accepted here. Call POST /backups/{backup_id}/create-index",
        ));
    }
    let name = match request.name.as_deref() {
        Some(name) => new_index_name(name)?,
        None => made_name(rng)?,
    };
    Ok(IndexConfig {
        name,
        dense: dense_of_schema(request.schema, rules)?,
        deployment: deployment(request.deployment, rules)?,
        read_capacity: new_capacity(request.read_capacity)?,
        deletion_protection: protection(request.deletion_protection.as_deref())?,
        tags: new_tags(request.tags, rules)?,
        metadata_schema: None,
    })
}

/// A name for an index that was created without one.
fn made_name(rng: &dyn Rng) -> Result<IndexName, ApiError> {
    IndexName::parse(&format!("index-{:016x}", rng.next_u64())).map_err(ApiError::internal)
}

fn dense_of_schema(schema: SchemaRequest, rules: &Rules) -> Result<DenseField, ApiError> {
    let mut dense = None;
    let mut sparse = false;
    for (name, field) in schema.fields {
        match (name.as_str(), field.kind.as_deref()) {
            (DENSE_FIELD, Some("dense_vector")) => dense = Some(field),
            (SPARSE_FIELD, Some("sparse_vector")) => sparse = true,
            (_, kind) => {
                return Err(ApiError::invalid(format!(
                    "Schema field '{}' of type '{}' is not served by this release of Lodgepole. \
                     It serves the fields '{DENSE_FIELD}' (dense_vector) and '{SPARSE_FIELD}' \
                     (sparse_vector)",
                    name.escape_default(),
                    kind.unwrap_or("none").escape_default()
                )));
            }
        }
    }
    match dense {
        Some(FieldRequest { dimension, metric, .. }) => {
            dense_field(dimension, metric.as_deref(), rules)
        }
        None if sparse => Err(ApiError::not_served("Sparse indexes")),
        None => Err(ApiError::invalid("schema must declare at least one vector field")),
    }
}

fn dense_field(
    dimension: Option<i64>,
    metric: Option<&str>,
    rules: &Rules,
) -> Result<DenseField, ApiError> {
    let max = rules.limits.dimension_max;
    let dimension =
        dimension.ok_or_else(|| ApiError::invalid("dimension is required for a dense index"))?;
    let metric = metric
        .map_or(Some(Metric::default()), Metric::parse)
        .ok_or_else(|| ApiError::invalid("Metric must be cosine, euclidean, or dotproduct."))?;
    let dimension = u32::try_from(dimension)
        .ok()
        .filter(|dimension| (1..=max).contains(dimension))
        .ok_or_else(|| {
            ApiError::invalid(format!("dimension must be between 1 and {max}, got {dimension}"))
        })?;
    Ok(DenseField { dimension, metric })
}

fn serverless(spec: ClassicSpec) -> Result<ServerlessSpec, ApiError> {
    match spec {
        ClassicSpec { serverless: Some(spec), pod: None, byoc: None } => {
            if spec.source_collection.is_some() {
                return Err(ApiError::not_served("Collections (source_collection)"));
            }
            Ok(spec)
        }
        ClassicSpec { serverless: None, pod: Some(_), byoc: None } => {
            Err(ApiError::not_served("Pod indexes (spec.pod)"))
        }
        ClassicSpec { serverless: None, pod: None, byoc: Some(_) } => {
            Err(ApiError::not_served("Bring-your-own-cloud indexes (spec.byoc)"))
        }
        _ => Err(ApiError::invalid("spec must hold exactly one of serverless, pod and byoc")),
    }
}

fn deployment(request: Option<DeploymentRequest>, rules: &Rules) -> Result<Deployment, ApiError> {
    match request {
        None => Ok(Regions::preset()),
        Some(DeploymentRequest::Managed { cloud, region }) => rules.regions.check(cloud, region),
        Some(DeploymentRequest::Pod {}) => Err(ApiError::not_served("Pod deployments")),
        Some(DeploymentRequest::Byoc {}) => {
            Err(ApiError::not_served("Bring-your-own-cloud deployments"))
        }
    }
}

/// Reads the protection of a new index.
pub(super) fn protection(
    text: Option<&str>,
) -> Result<lodgepole_types::DeletionProtection, ApiError> {
    text.map(deletion_protection).transpose().map(Option::unwrap_or_default)
}

/// Reads the tags of a new index.
pub(super) fn new_tags(request: Option<TagsRequest>, rules: &Rules) -> Result<Tags, ApiError> {
    Tags::parse(tags(request.unwrap_or_default()), &rules.limits)
        .map_err(|error| ApiError::invalid(error.0))
}

#[cfg(test)]
mod tests;
