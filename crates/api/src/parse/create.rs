//! Checks the creation of an index, in both dialects, into one configuration.

use lodgepole_types::{
    DeletionProtection, DenseField, Deployment, IndexConfig, Limits, Metric, Rng, Tags,
};

use super::capacity::new_capacity;
use super::embed::Models;
use super::pod::{environment, new_pod};
use super::{
    Rules, control_body, create_schema, deletion_protection, metadata_schema, new_index_name, tags,
};
use crate::wire::index_request::{
    ByocSpec, ClassicCreate, ClassicSpec, ServerlessSpec, TagsRequest,
};
use crate::{ApiError, ApiVersion};

/// An index to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIndex {
    /// What it is to be.
    pub config: IndexConfig,
    /// The collection that its records come from, as named in the request.
    pub source_collection: Option<String>,
}

/// Reads `POST /indexes`. An index without a name, which the schema style allows, gets one from
/// `rng`.
///
/// # Errors
/// `Unprocessable` for a body of another shape, `NotFound` for an unknown region or model,
/// `Forbidden` for too many pods, otherwise `InvalidArgument`.
pub fn create_index(
    body: &[u8],
    version: ApiVersion,
    rules: &Rules,
    models: Models<'_>,
    rng: &dyn Rng,
) -> Result<NewIndex, ApiError> {
    let new = if version.schema_style() {
        create_schema::read(body, version, rules, models, rng)?
    } else {
        classic(control_body(body)?, rules)?
    };
    Ok(NewIndex { config: fits(new.config, &rules.limits)?, ..new })
}

fn classic(request: ClassicCreate, rules: &Rules) -> Result<NewIndex, ApiError> {
    let name = new_index_name(&request.name)?;
    let dense = vectors(&request, rules)?;
    let place = Place::read(request.spec, rules)?;
    if dense.is_none() && matches!(place.deployment, Deployment::Pod(_)) {
        return Err(ApiError::invalid("A sparse index cannot be a pod index. Use spec.serverless"));
    }
    let config = IndexConfig {
        name,
        dense,
        deployment: place.deployment,
        read_capacity: new_capacity(place.read_capacity)?,
        deletion_protection: protection(request.deletion_protection.as_deref())?,
        tags: new_tags(request.tags, rules)?,
        metadata_schema: place.schema.map(metadata_schema::check).transpose()?,
        embed: None,
        cmek_id: None,
    };
    Ok(NewIndex { config, source_collection: place.source_collection })
}

/// The vectors of a classic index; `None` for a sparse one.
fn vectors(request: &ClassicCreate, rules: &Rules) -> Result<Option<DenseField>, ApiError> {
    match request.vector_type.as_deref() {
        None | Some("dense") => {
            let dimension = request.dimension.ok_or_else(|| {
                ApiError::invalid("dimension is required for an index of dense vectors")
            })?;
            dense_field(dimension, request.metric.as_deref(), rules).map(Some)
        }
        Some("sparse") => {
            if request.dimension.is_some() {
                return Err(ApiError::invalid(
                    "dimension must not be given for an index of sparse vectors",
                ));
            }
            if !matches!(metric(request.metric.as_deref())?, None | Some(Metric::DotProduct)) {
                return Err(ApiError::invalid(
                    "The metric of an index of sparse vectors must be dotproduct",
                ));
            }
            Ok(None)
        }
        Some(other) => Err(ApiError::invalid(format!(
            "vector_type must be 'dense' or 'sparse', got '{}'",
            other.escape_default()
        ))),
    }
}

/// What a classic spec says.
struct Place {
    deployment: Deployment,
    read_capacity: Option<crate::wire::capacity::ReadCapacityRequest>,
    schema: Option<serde_json::Value>,
    source_collection: Option<String>,
}

impl Place {
    fn read(spec: ClassicSpec, rules: &Rules) -> Result<Self, ApiError> {
        match spec {
            ClassicSpec { serverless: Some(spec), pod: None, byoc: None } => {
                let ServerlessSpec { cloud, region, source_collection, read_capacity, schema } =
                    spec;
                let deployment = rules.regions.check(cloud, region)?;
                Ok(Self { deployment, read_capacity, schema, source_collection })
            }
            ClassicSpec { serverless: None, pod: Some(mut spec), byoc: None } => {
                let source_collection = spec.source_collection.take();
                let deployment = Deployment::Pod(new_pod(spec, &rules.limits)?);
                Ok(Self { deployment, read_capacity: None, schema: None, source_collection })
            }
            ClassicSpec { serverless: None, pod: None, byoc: Some(spec) } => {
                let ByocSpec { environment: name, read_capacity, schema } = spec;
                let deployment = Deployment::Byoc { environment: environment(name)? };
                Ok(Self { deployment, read_capacity, schema, source_collection: None })
            }
            _ => Err(ApiError::invalid("spec must hold exactly one of serverless, pod and byoc")),
        }
    }
}

/// Reads a metric, if one is given.
pub(super) fn metric(text: Option<&str>) -> Result<Option<Metric>, ApiError> {
    let read = |text: &str| {
        Metric::parse(text)
            .ok_or_else(|| ApiError::invalid("Metric must be cosine, euclidean, or dotproduct."))
    };
    text.map(read).transpose()
}

/// Reads the dense vectors of an index.
pub(super) fn dense_field(
    dimension: i64,
    metric_text: Option<&str>,
    rules: &Rules,
) -> Result<DenseField, ApiError> {
    let max = rules.limits.dimension_max;
    let metric = metric(metric_text)?.unwrap_or_default();
    let dimension = u32::try_from(dimension)
        .ok()
        .filter(|dimension| (1..=max).contains(dimension))
        .ok_or_else(|| {
            ApiError::invalid(format!("dimension must be between 1 and {max}, got {dimension}"))
        })?;
    Ok(DenseField { dimension, metric })
}

/// Reads the protection of a new index.
pub(super) fn protection(text: Option<&str>) -> Result<DeletionProtection, ApiError> {
    text.map(deletion_protection).transpose().map(Option::unwrap_or_default)
}

/// Reads the tags of a new index.
pub(super) fn new_tags(request: Option<TagsRequest>, rules: &Rules) -> Result<Tags, ApiError> {
    Tags::parse(tags(request.unwrap_or_default()), &rules.limits)
        .map_err(|error| ApiError::invalid(error.0))
}

/// Refuses a definition that is too large to be kept in memory with all others.
pub(super) fn fits(config: IndexConfig, limits: &Limits) -> Result<IndexConfig, ApiError> {
    let bytes = serde_json::to_vec(&config).map_err(ApiError::internal)?.len();
    if bytes > limits.index_definition_bytes_max {
        return Err(ApiError::invalid(format!(
            "The definition of the index takes {bytes} bytes, the limit is {}",
            limits.index_definition_bytes_max
        )));
    }
    Ok(config)
}

#[cfg(test)]
mod tests;
