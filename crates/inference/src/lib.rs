//! Text to vectors, and rerank scores.
//!
//! So far the crate holds the model catalogue and nothing else: what each model is called, what it
//! produces, and which parameters it takes. That is enough to describe models and to create an
//! index for one; no model can be run yet, and nothing here pretends to. Invariant: what a row
//! cannot mean, such as a reranker with a dimension, it cannot say (see [`ModelKind`]).
#![forbid(unsafe_code)]

mod models;

pub use models::{
    Dimensions, ModelInfo, ModelKind, Parameter, ParameterRule, ParameterValue, VectorType, model,
    models,
};
