//! Tests of the data plane as a whole: JSON in, JSON out, on indexes of every kind.

mod aliases;
mod filters;
mod namespaces;
mod sparse;
mod updates;

use std::sync::Arc;

use lodgepole_types::Index;
use serde_json::{Value, json};

use super::{Bench, ctx};

/// Calls an operation with a message in JSON; answers the reply in JSON.
macro_rules! call {
    ($bench:expr, $index:expr, $operation:ident, $body:expr) => {
        crate::tests::data::call!(at lodgepole_api::ApiVersion::V2025_10, $bench, $index, $operation, $body)
    };
    (at $version:expr, $bench:expr, $index:expr, $operation:ident, $body:expr) => {{
        let request = serde_json::from_value($body).unwrap();
        let reply =
            $bench.service.$operation(&crate::tests::at($version), &$index, request).await;
        reply.map(|reply| crate::tests::to_json(&reply.message))
    }};
}
use call;

/// An index of two dimensions with the parts that are given.
async fn index_with(bench: &Bench, parts: Value) -> Arc<Index> {
    let mut body = super::index_body("i");
    for (name, part) in parts.as_object().unwrap() {
        if part.is_null() {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = part.clone();
        }
    }
    bench.service.create_index(&ctx(), body.to_string().as_bytes()).await.unwrap();
    bench.index("i")
}

async fn dense(bench: &Bench) -> Arc<Index> {
    index_with(bench, json!({})).await
}

async fn hybrid(bench: &Bench) -> Arc<Index> {
    index_with(bench, json!({"metric": "dotproduct"})).await
}

async fn sparse(bench: &Bench) -> Arc<Index> {
    index_with(bench, json!({"dimension": null, "vector_type": "sparse", "metric": "dotproduct"}))
        .await
}

/// Status, gRPC code and message of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, lodgepole_api::ApiError>) -> (u16, i32, String) {
    let error = result.unwrap_err();
    (error.kind().http_status(), error.kind().grpc_code(), error.message().to_owned())
}

/// The ids of the matches, in order.
fn ids(reply: &Value) -> Vec<&str> {
    let matches = reply["matches"].as_array().unwrap();
    matches.iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}
