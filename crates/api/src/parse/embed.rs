//! Checks an index for a model: its creation, in all three forms, and changes of it.
//!
//! Which models there are is known elsewhere; the checks ask for a [`ModelShape`]. What a request
//! says is kept, so that the index can be described; whether the model is installed does not matter
//! here.

use std::collections::BTreeMap;

use lodgepole_types::{DenseField, EmbedConfig, IndexConfig, Metric, Rng};
use serde_json::Value;

use super::capacity::new_capacity;
use super::create::{fits, new_tags, protection};
use super::create_schema::{deployment, new_name};
use super::{Rules, control_body, metadata_schema, new_index_name};
use crate::wire::index_request::{
    CreateForModel, EmbedChange, EmbedRequest, FlatCreateForModel, ModelParameters,
};
use crate::wire::schema_reply::TEXT_FIELD;
use crate::{ApiError, ApiVersion};

/// What the vectors of a model are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelVectors {
    /// A value for every dimension.
    Dense {
        /// Values of a vector when a request does not say.
        default: u32,
        /// Values that a vector can have.
        supported: &'static [u32],
    },
    /// Values for some dimensions.
    Sparse,
    /// None: it does something else.
    None,
}

/// What must be known of a model to make an index for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelShape {
    /// What its vectors are like.
    pub vectors: ModelVectors,
    /// Metrics of its vectors, the default first.
    pub metrics: &'static [Metric],
}

/// Answers the shape of the model of a name, if there is such a model.
pub type Models<'a> = &'a (dyn Fn(&str) -> Option<ModelShape> + Sync);

/// Reads `POST /indexes/create-for-model`. The preview's flat form is read at that version; a body
/// in the other form is read there too.
///
/// # Errors
/// `Unprocessable` for a body of another shape or with unknown names, `NotFound` for an unknown
/// model or region, otherwise `InvalidArgument`.
pub fn create_index_for_model(
    body: &[u8],
    version: ApiVersion,
    rules: &Rules,
    models: Models<'_>,
    rng: &dyn Rng,
) -> Result<IndexConfig, ApiError> {
    let flat = version.is_alpha() && {
        let parts: BTreeMap<String, Value> = control_body(body)?;
        !parts.contains_key("embed")
    };
    let config = if flat {
        flat_form(control_body(body)?, rules, models, rng)?
    } else {
        embed_form(control_body(body)?, rules, models)?
    };
    fits(config, &rules.limits)
}

fn embed_form(
    request: CreateForModel,
    rules: &Rules,
    models: Models<'_>,
) -> Result<IndexConfig, ApiError> {
    let name = new_index_name(&request.name)?;
    let (dense, embed) = embed(request.embed, models)?;
    Ok(IndexConfig {
        name,
        dense,
        deployment: rules.regions.check(request.cloud, request.region)?,
        read_capacity: new_capacity(request.read_capacity)?,
        deletion_protection: protection(request.deletion_protection.as_deref())?,
        tags: new_tags(request.tags, rules)?,
        metadata_schema: request.schema.map(metadata_schema::check).transpose()?,
        embed: Some(embed),
        cmek_id: None,
    })
}

fn flat_form(
    request: FlatCreateForModel,
    rules: &Rules,
    models: Models<'_>,
    rng: &dyn Rng,
) -> Result<IndexConfig, ApiError> {
    let name = new_name(request.name.as_deref(), rng)?;
    let (dense, embed) = embed(
        EmbedRequest {
            model: request.model,
            field_map: [(TEXT_FIELD.to_owned(), request.field)].into(),
            metric: request.metric,
            dimension: None,
            read_parameters: request.read_parameters,
            write_parameters: request.write_parameters,
        },
        models,
    )?;
    let deployment = deployment(request.deployment, rules)?;
    if matches!(deployment, lodgepole_types::Deployment::Pod(_)) {
        return Err(not_on_pods());
    }
    Ok(IndexConfig {
        name,
        dense,
        deployment,
        read_capacity: new_capacity(request.read_capacity)?,
        deletion_protection: protection(request.deletion_protection.as_deref())?,
        tags: new_tags(request.tags, rules)?,
        metadata_schema: None,
        embed: Some(embed),
        cmek_id: None,
    })
}

/// Checks the use of a model and says which vectors it makes; no dense ones for a sparse model.
pub(super) fn embed(
    request: EmbedRequest,
    models: Models<'_>,
) -> Result<(Option<DenseField>, EmbedConfig), ApiError> {
    let model = request.model;
    let shape = shape(&model, models)?;
    let metric = match request.metric.as_deref() {
        None => shape.metrics.first().copied().unwrap_or_default(),
        Some(text) => Metric::parse(text)
            .ok_or_else(|| ApiError::invalid("Metric must be cosine, euclidean, or dotproduct."))?,
    };
    if !shape.metrics.contains(&metric) {
        return Err(ApiError::invalid(format!(
            "Model {model} does not support metric '{}'. Supported: {}",
            metric.as_str(),
            listed(shape.metrics.iter().map(|metric| metric.as_str()))
        )));
    }
    let dense = match shape.vectors {
        ModelVectors::Dense { default, supported } => {
            let wanted = request.dimension.unwrap_or(i64::from(default));
            let dimension = supported.iter().copied().find(|known| i64::from(*known) == wanted);
            let dimension = dimension.ok_or_else(|| {
                ApiError::invalid(format!(
                    "Model {model} does not support dimension {wanted}. Supported: {}",
                    listed(supported.iter())
                ))
            })?;
            Some(DenseField { dimension, metric })
        }
        ModelVectors::Sparse | ModelVectors::None => {
            if request.dimension.is_some() {
                return Err(ApiError::invalid(format!(
                    "dimension must not be given: model {model} makes sparse vectors"
                )));
            }
            None
        }
    };
    let embed = EmbedConfig {
        model,
        field_map: field_map(request.field_map)?,
        read_parameters: request.read_parameters.map(Value::Object),
        write_parameters: request.write_parameters.map(Value::Object),
    };
    Ok((dense, embed))
}

/// Lays a change of the model over an index: gives a plain index a model that fits its vectors, or
/// changes how the model that it has is used.
pub(super) fn changed_embed(
    change: &EmbedChange,
    config: &IndexConfig,
    models: Models<'_>,
) -> Result<EmbedConfig, ApiError> {
    let change = change.clone();
    if let Some(before) = &config.embed {
        if change.model.as_ref().is_some_and(|model| *model != before.model) {
            return Err(ApiError::invalid(format!(
                "The model of an index cannot be changed. This one has {}",
                before.model
            )));
        }
        let mut after = before.clone();
        if let Some(fields) = change.field_map {
            after.field_map = field_map(fields)?;
        }
        set(&mut after.read_parameters, change.read_parameters);
        set(&mut after.write_parameters, change.write_parameters);
        return Ok(after);
    }
    if config.is_pod() {
        return Err(not_on_pods());
    }
    let missing = |what: &str| {
        ApiError::invalid(format!("embed.{what} is required: this index has no model yet"))
    };
    let model = change.model.ok_or_else(|| missing("model"))?;
    let fields = change.field_map.ok_or_else(|| missing("field_map"))?;
    let request = EmbedRequest {
        model,
        field_map: fields,
        metric: Some(config.metric().as_str().to_owned()),
        dimension: config.dimension().map(i64::from),
        read_parameters: change.read_parameters,
        write_parameters: change.write_parameters,
    };
    let (dense, embed) = embed(request, models)?;
    if dense != config.dense {
        return Err(ApiError::invalid(format!(
            "Model {} does not make {} vectors, which this index holds",
            embed.model,
            config.vector_type()
        )));
    }
    Ok(embed)
}

fn shape(model: &str, models: Models<'_>) -> Result<ModelShape, ApiError> {
    let shape =
        models(model).ok_or_else(|| ApiError::not_found("Model", &model.escape_default()))?;
    if shape.vectors == ModelVectors::None {
        return Err(ApiError::invalid(format!(
            "Model {model} does not make vectors, so no index can be made for it"
        )));
    }
    Ok(shape)
}

fn field_map(fields: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ApiError> {
    let known = fields.keys().all(|name| name == TEXT_FIELD);
    match fields.get(TEXT_FIELD) {
        Some(field) if known && !field.is_empty() && !field.starts_with(['_', '$']) => Ok(fields),
        Some(_) if known => {
            Err(ApiError::invalid("The name of a field must not be empty or start with '_' or '$'"))
        }
        _ => Err(ApiError::invalid(
            "field_map must map 'text', and nothing else, to the field that holds the text",
        )),
    }
}

fn set(place: &mut Option<Value>, parameters: Option<ModelParameters>) {
    if let Some(parameters) = parameters {
        *place = Some(Value::Object(parameters));
    }
}

fn not_on_pods() -> ApiError {
    ApiError::invalid("A pod index cannot have a model. Use a serverless index")
}

fn listed<T: ToString>(values: impl Iterator<Item = T>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
