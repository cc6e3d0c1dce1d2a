//! Hosted models: what there is to know about them, and the operations that would run one.
//!
//! The list is that of the `inference` crate. No model can be installed yet, so every operation on
//! text is refused with the name of the model that it needs.

use lodgepole_api::ApiError;
use lodgepole_api::parse::{ModelShape, ModelVectors, control_body};
use lodgepole_api::wire::models::{ModelCall, ModelFilter, ModelList, ModelReply, ParameterReply};
use lodgepole_inference::{
    ModelInfo, ModelKind, Parameter, ParameterRule, ParameterValue, VectorType, model, models,
};
use lodgepole_types::Index;
use serde_json::Value;

use crate::RequestContext;
use crate::service::Service;

/// An operation on text that never has an answer yet.
type NoAnswer = Result<std::convert::Infallible, ApiError>;

impl Service {
    /// Lists the hosted models, all of them or those of a kind.
    #[must_use]
    pub fn list_models(&self, _ctx: &RequestContext, filter: &ModelFilter) -> ModelList {
        let wanted = models().iter().filter(|model| {
            filter.kind.is_none_or(|kind| kind == model.type_name())
                && filter.vector_type.is_none_or(|wanted| {
                    model.vector_type().is_some_and(|found| found.as_str() == wanted)
                })
        });
        ModelList { models: wanted.map(reply).collect() }
    }

    /// Describes a hosted model.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn describe_model(
        &self,
        _ctx: &RequestContext,
        name: &str,
    ) -> Result<ModelReply, ApiError> {
        known(name).map(reply)
    }

    /// Would make vectors of texts.
    ///
    /// # Errors
    /// Always: `Unprocessable`, `NotFound` for an unknown model, otherwise `InvalidArgument`.
    pub fn embed(&self, _ctx: &RequestContext, body: &[u8]) -> NoAnswer {
        let call: ModelCall = control_body(body)?;
        let model = known(&call.model)?;
        if model.vector_type().is_none() {
            return Err(ApiError::invalid(format!("Model {} does not make vectors", model.name)));
        }
        Err(not_installed(model.name))
    }

    /// Would score documents against a query.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn rerank(&self, _ctx: &RequestContext, body: &[u8]) -> NoAnswer {
        let call: ModelCall = control_body(body)?;
        let model = known(&call.model)?;
        if !matches!(model.kind, ModelKind::Rerank) {
            return Err(ApiError::invalid(format!("Model {} is no reranker", model.name)));
        }
        Err(not_installed(model.name))
    }

    /// Would store records whose text a model turns into vectors.
    ///
    /// # Errors
    /// Always `InvalidArgument`, which names the model.
    pub fn upsert_records(&self, _ctx: &RequestContext, index: &Index) -> NoAnswer {
        Err(no_text(index, "POST /vectors/upsert"))
    }

    /// Would search for records near a text.
    ///
    /// # Errors
    /// Always `InvalidArgument`, which names the model.
    pub fn search_records(&self, _ctx: &RequestContext, index: &Index) -> NoAnswer {
        Err(no_text(index, "POST /query"))
    }
}

/// What must be known of a model to make an index for it.
pub(crate) fn model_shape(name: &str) -> Option<ModelShape> {
    let model = model(name)?;
    let vectors = match model.kind {
        ModelKind::EmbedDense { dimensions, .. } => {
            ModelVectors::Dense { default: dimensions.default, supported: dimensions.supported }
        }
        ModelKind::EmbedSparse => ModelVectors::Sparse,
        ModelKind::Rerank => ModelVectors::None,
    };
    Some(ModelShape { vectors, metrics: model.metrics() })
}

fn known(name: &str) -> Result<&'static ModelInfo, ApiError> {
    model(name).ok_or_else(|| ApiError::not_found("Model", &name.escape_default()))
}

fn not_installed(model: &str) -> ApiError {
    ApiError::invalid(format!(
        "Model '{model}' is not installed on this server. This release of Lodgepole cannot run \
         models: make the vectors in the client"
    ))
}

fn no_text(index: &Index, instead: &str) -> ApiError {
    match &index.config.embed {
        Some(embed) => ApiError::invalid(format!(
            "Model '{}' of this index is not installed on this server. Make the vectors in the \
             client and call {instead}",
            embed.model
        )),
        None => ApiError::invalid(format!(
            "This index was not created for a model, so it takes no text. Call {instead}"
        )),
    }
}

fn reply(model: &ModelInfo) -> ModelReply {
    let metrics = model.vector_type().map(|_| model.metrics());
    ModelReply {
        model: model.name,
        short_description: model.short_description,
        kind: model.type_name(),
        vector_type: model.vector_type().map(VectorType::as_str),
        default_dimension: model.dimensions().map(|dimensions| dimensions.default),
        modality: model.modality,
        max_sequence_length: model.sequence_tokens_max,
        max_batch_size: model.batch_inputs_max,
        provider_name: model.provider,
        supported_dimensions: model.dimensions().map(|dimensions| dimensions.supported),
        supported_metrics: metrics.map(|all| all.iter().map(|metric| metric.as_str()).collect()),
        supported_parameters: model.parameters.iter().map(parameter).collect(),
    }
}

fn parameter(parameter: &Parameter) -> ParameterReply {
    let allowed_values = match parameter.rule {
        ParameterRule::OneOf(values) => Some(values.iter().map(|value| json(*value)).collect()),
        ParameterRule::AnyBoolean => None,
    };
    ParameterReply {
        parameter: parameter.name,
        rule: parameter.rule.as_str(),
        value_type: parameter.rule.value_type(),
        required: parameter.required,
        allowed_values,
        default: parameter.default.map(json),
    }
}

fn json(value: ParameterValue) -> Value {
    match value {
        ParameterValue::Text(text) => text.into(),
        ParameterValue::Integer(number) => number.into(),
        ParameterValue::Boolean(truth) => truth.into(),
    }
}
