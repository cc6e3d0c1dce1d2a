//! Records that are fixed by their number, for benchmarks that need no real data.
//!
//! Their values are drawn evenly from -1 to 1: nothing is like anything else, which is the worst that
//! a search can be given. The nearest record to a vector is the record that has it.

use std::ops::Range;
use std::sync::Arc;

use lodgepole_api::wire::vectors::{UpsertRequest, Vector};
use lodgepole_service::{RequestContext, Service};
use lodgepole_types::{Index, Rng as _, SeededRng};

use super::rig::Rig;

/// Values of each vector.
pub(super) const DIMENSION: usize = 384;

/// Makes an index for such records.
pub(super) async fn create_index(rig: &Rig, name: &str) -> anyhow::Result<Arc<Index>> {
    let body = format!(
        r#"{{"name":"{name}","dimension":{DIMENSION},"metric":"cosine",
            "spec":{{"serverless":{{"cloud":"aws","region":"us-east-1"}}}}}}"#
    );
    rig.service.create_index(&rig.context, body.as_bytes()).await?;
    rig.index(name)
}

/// Writes the records with these numbers into a namespace, in one request.
pub(super) async fn upsert(
    service: &Service,
    context: &RequestContext,
    index: &Index,
    (namespace, numbers): (&str, Range<usize>),
) -> anyhow::Result<()> {
    let vectors = numbers
        .map(|number| Vector {
            id: id(number),
            values: vector(number),
            metadata: None,
            sparse_values: None,
        })
        .collect();
    let request = UpsertRequest { vectors, namespace: namespace.to_owned() };
    service.upsert(context, index, request).await?;
    Ok(())
}

/// The id of a record.
pub(super) fn id(number: usize) -> String {
    format!("record-{number:08}")
}

/// The vector of a record.
pub(super) fn vector(number: usize) -> Vec<f32> {
    let rng = SeededRng::new(number as u64);
    (0..DIMENSION)
        .map(|_| {
            let bits = u16::try_from(rng.next_u64() >> 48).unwrap_or(0);
            f32::from(bits) / 32_768.0 - 1.0
        })
        .collect()
}
