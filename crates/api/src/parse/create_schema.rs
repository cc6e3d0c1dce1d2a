//! Checks the creation of an index in schema style: 2026-01.alpha, and from 2026-07.
//!
//! Served are the two reserved fields of vectors, and the preview's field of text, which is an
//! index for a model. Fields of documents are refused by name until documents are served.

use lodgepole_types::{
    DenseField, Deployment, EmbedConfig, IndexConfig, IndexName, ReadCapacity, Rng,
};

use super::capacity::new_capacity;
use super::create::{NewIndex, dense_field, metric, new_tags, protection};
use super::embed::{Models, embed};
use super::pod::{environment, new_pod};
use super::regions::Regions;
use super::{Rules, control_body, new_index_name, refuse_unknown_names};
use crate::wire::index_request::{
    DeploymentRequest, EmbedRequest, FieldRequest, PodSpecRequest, SchemaCreate, SchemaRequest,
};
use crate::wire::schema_reply::{DENSE_FIELD, SPARSE_FIELD, TEXT_FIELD};
use crate::{ApiError, ApiVersion};

pub(super) fn read(
    body: &[u8],
    version: ApiVersion,
    rules: &Rules,
    models: Models<'_>,
    rng: &dyn Rng,
) -> Result<NewIndex, ApiError> {
    if version.refuses_unknown_names() {
        refuse_unknown_names(body, SchemaCreate::KEYS)?;
    }
    let request: SchemaCreate = control_body(body)?;
    let not_from = request.source_backup_id.is_some()
        || (request.source_collection.is_some() && !version.is_alpha());
    if not_from {
        return Err(ApiError::invalid(
            "Creating an index from collection or backup is not yet supported. Call \
             POST /backups/{backup_id}/create-index for a backup",
        ));
    }
    let vectors = Vectors::read(request.schema, version, rules, models)?;
    let deployment = deployment(request.deployment, rules)?;
    let asked_capacity = request.read_capacity.is_some();
    let read_capacity = new_capacity(request.read_capacity)?;
    match &deployment {
        Deployment::Pod(_) if asked_capacity => {
            return Err(ApiError::invalid("A pod index has no read_capacity"));
        }
        Deployment::Pod(_) if vectors.dense.is_none() || vectors.embed.is_some() => {
            return Err(ApiError::invalid("A pod index must have dense vectors and no model"));
        }
        Deployment::Byoc { .. }
            if !version.is_alpha() && read_capacity == ReadCapacity::OnDemand =>
        {
            return Err(ApiError::invalid(
                "A deployment of type 'byoc' needs read_capacity with mode 'Dedicated'",
            ));
        }
        Deployment::Serverless { .. } | Deployment::Pod(_) | Deployment::Byoc { .. } => {}
    }
    let config = IndexConfig {
        name: new_name(request.name.as_deref(), rng)?,
        dense: vectors.dense,
        deployment,
        read_capacity,
        deletion_protection: protection(request.deletion_protection.as_deref())?,
        tags: new_tags(request.tags, rules)?,
        metadata_schema: None,
        embed: vectors.embed,
        cmek_id: request.cmek_id,
    };
    Ok(NewIndex { config, source_collection: request.source_collection })
}

/// Reads the name of a new index, or makes one.
pub(super) fn new_name(name: Option<&str>, rng: &dyn Rng) -> Result<IndexName, ApiError> {
    match name {
        Some(name) => new_index_name(name),
        None => {
            let made = format!("index-{:016x}", rng.next_u64());
            IndexName::parse(&made).map_err(ApiError::internal)
        }
    }
}

/// Reads where an index runs.
pub(super) fn deployment(
    request: Option<DeploymentRequest>,
    rules: &Rules,
) -> Result<Deployment, ApiError> {
    match request {
        None => Ok(Regions::preset()),
        Some(DeploymentRequest::Managed { cloud, region }) => rules.regions.check(cloud, region),
        Some(DeploymentRequest::Byoc { environment: name }) => {
            Ok(Deployment::Byoc { environment: environment(name)? })
        }
        Some(DeploymentRequest::Pod { environment, pod_type, replicas, shards }) => {
            let spec = PodSpecRequest {
                environment,
                pod_type,
                replicas,
                shards,
                pods: None,
                metadata_config: None,
                source_collection: None,
            };
            new_pod(spec, &rules.limits).map(Deployment::Pod)
        }
    }
}

/// What the fields of a schema say about vectors.
struct Vectors {
    dense: Option<DenseField>,
    embed: Option<EmbedConfig>,
}

impl Vectors {
    fn read(
        schema: SchemaRequest,
        version: ApiVersion,
        rules: &Rules,
        models: Models<'_>,
    ) -> Result<Self, ApiError> {
        let (mut dense, mut sparse, mut text) = (None, false, None);
        for (name, field) in schema.fields {
            match (name.as_str(), field.kind.as_deref()) {
                (DENSE_FIELD | SPARSE_FIELD, _) if field.description.is_some() => {
                    return Err(ApiError::invalid(format!(
                        "The reserved field '{name}' must not have a description"
                    )));
                }
                (DENSE_FIELD, Some("dense_vector")) => dense = Some(declared(&field, rules)?),
                (SPARSE_FIELD, Some("sparse_vector")) => {
                    // Its only metric is implied; the preview's clients name it.
                    metric(field.metric.as_deref())?;
                    sparse = true;
                }
                (_, Some("semantic_text")) if version.is_alpha() && text.is_none() => {
                    text = Some((name, field));
                }
                (_, kind) => return Err(not_served(&name, kind)),
            }
        }
        match text {
            Some(_) if dense.is_some() || sparse => Err(ApiError::invalid(
                "A schema with a field of type 'semantic_text' can have no other field of vectors",
            )),
            Some((name, field)) => {
                let (dense, embed) = embed(embed_request(name, field)?, models)?;
                Ok(Self { dense, embed: Some(embed) })
            }
            None if dense.is_some() || sparse => Ok(Self { dense, embed: None }),
            None => Err(ApiError::invalid("schema must declare at least one vector field")),
        }
    }
}

fn declared(field: &FieldRequest, rules: &Rules) -> Result<DenseField, ApiError> {
    let missing = |name: &str| ApiError::undecodable(&format!("missing field `{name}`"));
    let dimension = field.dimension.ok_or_else(|| missing("dimension"))?;
    let metric = field.metric.as_deref().ok_or_else(|| missing("metric"))?;
    dense_field(dimension, Some(metric), rules)
}

fn embed_request(name: String, field: FieldRequest) -> Result<EmbedRequest, ApiError> {
    let model = field.model.ok_or_else(|| ApiError::undecodable(&"missing field `model`"))?;
    Ok(EmbedRequest {
        model,
        field_map: [(TEXT_FIELD.to_owned(), name)].into(),
        metric: field.metric,
        dimension: field.dimension,
        read_parameters: field.read_parameters,
        write_parameters: field.write_parameters,
    })
}

fn not_served(name: &str, kind: Option<&str>) -> ApiError {
    ApiError::invalid(format!(
        "Schema field '{}' of type '{}' is not served by this release of Lodgepole. It serves the \
         fields '{DENSE_FIELD}' (dense_vector) and '{SPARSE_FIELD}' (sparse_vector); for text, call \
         POST /indexes/create-for-model",
        name.escape_default(),
        kind.unwrap_or("none").escape_default()
    ))
}
