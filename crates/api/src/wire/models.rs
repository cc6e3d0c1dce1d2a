//! Hosted models as the API lists them, and the calls that run one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ApiError;
use crate::query_string::pairs;

/// All models that were asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelList {
    /// Embedding models first.
    pub models: Vec<ModelReply>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReply {
    /// Name.
    pub model: &'static str,
    /// One or two sentences for people.
    pub short_description: &'static str,
    /// `embed` or `rerank`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `dense` or `sparse`; absent for a reranker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector_type: Option<&'static str>,
    /// Values of a vector when a call does not say; absent where there are no dense vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_dimension: Option<u32>,
    /// What it reads.
    pub modality: &'static str,
    /// Tokens of one input.
    pub max_sequence_length: u32,
    /// Inputs of one call.
    pub max_batch_size: u32,
    /// Who made it.
    pub provider_name: &'static str,
    /// Values that a vector can have; absent where there are no dense vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported_dimensions: Option<&'static [u32]>,
    /// Metrics; absent for a reranker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported_metrics: Option<Vec<&'static str>>,
    /// What a call can set.
    pub supported_parameters: Vec<ParameterReply>,
}

/// Something that a call to a model can set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParameterReply {
    /// Name.
    pub parameter: &'static str,
    /// `one_of` or `any`.
    #[serde(rename = "type")]
    pub rule: &'static str,
    /// Type of its values.
    pub value_type: &'static str,
    /// Whether every call must set it.
    pub required: bool,
    /// Its values, where they are few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_values: Option<Vec<Value>>,
    /// The value when a call does not set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// A call of a model, as far as it is read while no model can be installed.
#[derive(Debug, Clone, Deserialize)]
pub struct ModelCall {
    /// Name of the model.
    pub model: String,
}

/// Which models are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelFilter {
    /// `embed` or `rerank`.
    pub kind: Option<&'static str>,
    /// `dense` or `sparse`.
    pub vector_type: Option<&'static str>,
}

impl ModelFilter {
    /// Reads a query string; unknown names are ignored, as everywhere.
    ///
    /// # Errors
    /// `InvalidArgument` for another value than those above.
    pub fn from_query(query: Option<&str>) -> Result<Self, ApiError> {
        let mut filter = Self::default();
        for (name, value) in pairs(query.unwrap_or_default())? {
            match name.as_str() {
                "type" => filter.kind = Some(one_of("type", &value, ["embed", "rerank"])?),
                "vector_type" => {
                    filter.vector_type = Some(one_of("vector_type", &value, ["dense", "sparse"])?);
                }
                _ => {}
            }
        }
        Ok(filter)
    }
}

fn one_of(name: &str, value: &str, known: [&'static str; 2]) -> Result<&'static str, ApiError> {
    known.into_iter().find(|known| *known == value).ok_or_else(|| {
        ApiError::invalid(format!(
            "{name} must be '{}' or '{}', got '{}'",
            known[0],
            known[1],
            value.escape_default()
        ))
    })
}
