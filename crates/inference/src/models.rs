//! The model catalogue, as data.
//!
//! The rows are the hosted models of Pinecone's API that clients ask for by name, with the values
//! that its `GET /models` answers. Clients compare some of the texts exactly, so the descriptions of
//! multilingual-e5-large and pinecone-rerank-v0 are the service's own.

use lodgepole_types::Metric;

/// What is known about one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelInfo {
    /// The name in the API. Unique.
    pub name: &'static str,
    /// One sentence or two for people.
    pub short_description: &'static str,
    /// What it makes of its input.
    pub kind: ModelKind,
    /// What its input is; `text` for all of them.
    pub modality: &'static str,
    /// Tokens of one input that it can take in.
    pub sequence_tokens_max: u32,
    /// Inputs of one call.
    pub batch_inputs_max: u32,
    /// Who made it.
    pub provider: &'static str,
    /// What a call can set.
    pub parameters: &'static [Parameter],
}

/// What a model makes of its input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ModelKind {
    /// Dense vectors.
    EmbedDense {
        /// Their lengths.
        dimensions: Dimensions,
        /// Metrics that its vectors are made for, never empty. The first is the default of an index
        /// that is created for the model.
        metrics: &'static [Metric],
    },
    /// Sparse vectors; their metric is always the dot product.
    EmbedSparse,
    /// Scores of records against a query.
    Rerank,
}

/// The lengths of vectors that a dense model can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// The length unless a call asks for another one; one of `supported`.
    pub default: u32,
    /// All lengths, ascending.
    pub supported: &'static [u32],
}

/// The kind of vector that an embedding model makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorType {
    /// A value for every dimension.
    Dense,
    /// Values for some dimensions.
    Sparse,
}

impl VectorType {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Sparse => "sparse",
        }
    }
}

/// Something that a call to a model can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// The name in the API.
    pub name: &'static str,
    /// Which values it takes.
    pub rule: ParameterRule,
    /// Whether every call must set it.
    pub required: bool,
    /// The value when a call does not set it. A required parameter has none.
    pub default: Option<ParameterValue>,
}

/// Which values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterRule {
    /// One of these, all of one type, never empty.
    OneOf(&'static [ParameterValue]),
    /// True or false.
    AnyBoolean,
}

impl ParameterRule {
    /// The name of the rule in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneOf(_) => "one_of",
            Self::AnyBoolean => "any",
        }
    }

    /// The type of the values, as the API names it.
    #[must_use]
    pub fn value_type(self) -> &'static str {
        match self {
            Self::OneOf(values) => values.first().map_or("string", |value| value.type_name()),
            Self::AnyBoolean => "boolean",
        }
    }

    /// Whether it takes `value`.
    #[must_use]
    pub fn allows(self, value: ParameterValue) -> bool {
        match self {
            Self::OneOf(values) => values.contains(&value),
            Self::AnyBoolean => matches!(value, ParameterValue::Boolean(_)),
        }
    }
}

/// A value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterValue {
    /// Text.
    Text(&'static str),
    /// A whole number.
    Integer(u32),
    /// True or false.
    Boolean(bool),
}

impl ParameterValue {
    fn type_name(self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Integer(_) => "integer",
            Self::Boolean(_) => "boolean",
        }
    }
}

impl ModelInfo {
    /// `embed` or `rerank`, as the API names it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            ModelKind::EmbedDense { .. } | ModelKind::EmbedSparse => "embed",
            ModelKind::Rerank => "rerank",
        }
    }

    /// The kind of vectors it makes; `None` for a reranker.
    #[must_use]
    pub fn vector_type(&self) -> Option<VectorType> {
        match self.kind {
            ModelKind::EmbedDense { .. } => Some(VectorType::Dense),
            ModelKind::EmbedSparse => Some(VectorType::Sparse),
            ModelKind::Rerank => None,
        }
    }

    /// The lengths of its vectors, where it makes dense ones.
    #[must_use]
    pub fn dimensions(&self) -> Option<Dimensions> {
        match self.kind {
            ModelKind::EmbedDense { dimensions, .. } => Some(dimensions),
            ModelKind::EmbedSparse | ModelKind::Rerank => None,
        }
    }

    /// The metrics that its vectors are made for, the default first; none for a reranker.
    #[must_use]
    pub fn metrics(&self) -> &'static [Metric] {
        match self.kind {
            ModelKind::EmbedDense { metrics, .. } => metrics,
            ModelKind::EmbedSparse => &[Metric::DotProduct],
            ModelKind::Rerank => &[],
        }
    }

    /// The parameter of this name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

/// All models, embedding ones first, in a fixed order.
#[must_use]
pub fn models() -> &'static [ModelInfo] {
    MODELS
}

/// The model of this name.
#[must_use]
pub fn model(name: &str) -> Option<&'static ModelInfo> {
    MODELS.iter().find(|model| model.name == name)
}

const INPUT_TYPE: Parameter = Parameter {
    name: "input_type",
    rule: ParameterRule::OneOf(&[ParameterValue::Text("query"), ParameterValue::Text("passage")]),
    required: true,
    default: None,
};

const TRUNCATE: Parameter = Parameter {
    name: "truncate",
    rule: ParameterRule::OneOf(&[ParameterValue::Text("END"), ParameterValue::Text("NONE")]),
    required: false,
    default: Some(ParameterValue::Text("END")),
};

const MODELS: &[ModelInfo] = &[
    ModelInfo {
        name: "multilingual-e5-large",
        short_description: "A high-performance dense embedding model trained on a mixture of \
                            multilingual datasets. It works well on messy data and short queries \
                            expected to return medium-length passages of text (1-2 paragraphs)",
        kind: ModelKind::EmbedDense {
            dimensions: Dimensions { default: 1024, supported: &[1024] },
            metrics: &[Metric::Cosine, Metric::Euclidean],
        },
        modality: "text",
        sequence_tokens_max: 507,
        batch_inputs_max: 96,
        provider: "Microsoft",
        parameters: &[INPUT_TYPE, TRUNCATE],
    },
    ModelInfo {
        name: "llama-text-embed-v2",
        short_description: "A dense embedding model for retrieval over long texts in many \
                            languages, with a choice of vector lengths",
        kind: ModelKind::EmbedDense {
            dimensions: Dimensions { default: 1024, supported: &[384, 512, 768, 1024, 2048] },
            metrics: &[Metric::Cosine, Metric::DotProduct],
        },
        modality: "text",
        sequence_tokens_max: 2048,
        batch_inputs_max: 96,
        provider: "NVIDIA",
        parameters: &[
            INPUT_TYPE,
            TRUNCATE,
            Parameter {
                name: "dimension",
                rule: ParameterRule::OneOf(&[
                    ParameterValue::Integer(384),
                    ParameterValue::Integer(512),
                    ParameterValue::Integer(768),
                    ParameterValue::Integer(1024),
                    ParameterValue::Integer(2048),
                ]),
                required: false,
                default: Some(ParameterValue::Integer(1024)),
            },
        ],
    },
    ModelInfo {
        name: "pinecone-sparse-english-v0",
        short_description: "A sparse embedding model for keyword and hybrid search in English",
        kind: ModelKind::EmbedSparse,
        modality: "text",
        sequence_tokens_max: 512,
        batch_inputs_max: 96,
        provider: "Pinecone",
        parameters: &[
            INPUT_TYPE,
            TRUNCATE,
            Parameter {
                name: "max_tokens_per_sequence",
                rule: ParameterRule::OneOf(&[
                    ParameterValue::Integer(512),
                    ParameterValue::Integer(2048),
                ]),
                required: false,
                default: Some(ParameterValue::Integer(512)),
            },
            Parameter {
                name: "return_tokens",
                rule: ParameterRule::AnyBoolean,
                required: false,
                default: Some(ParameterValue::Boolean(false)),
            },
        ],
    },
    ModelInfo {
        name: "bge-reranker-v2-m3",
        short_description: "A multilingual reranking model for messy data and short queries",
        kind: ModelKind::Rerank,
        modality: "text",
        sequence_tokens_max: 1024,
        batch_inputs_max: 100,
        provider: "BAAI",
        parameters: &[TRUNCATE],
    },
    ModelInfo {
        name: "pinecone-rerank-v0",
        short_description: "A state of the art reranking model that out-performs competitors on \
                            widely accepted benchmarks. It can handle chunks up to 512 tokens \
                            (1-2 paragraphs)",
        kind: ModelKind::Rerank,
        modality: "text",
        sequence_tokens_max: 512,
        batch_inputs_max: 100,
        provider: "Pinecone",
        parameters: &[TRUNCATE],
    },
];

#[cfg(test)]
mod tests;
