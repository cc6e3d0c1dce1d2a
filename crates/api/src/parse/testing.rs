//! Indexes for tests.

use lodgepole_types::{
    DeletionProtection, DenseField, Deployment, IndexConfig, IndexName, Metric, PodSpec,
    ReadCapacity, Tags,
};

/// A dense index of two dimensions with the metric cosine.
pub(super) fn dense() -> IndexConfig {
    of(Some(DenseField { dimension: 2, metric: Metric::Cosine }))
}

/// A dense index of two dimensions that takes sparse values too.
pub(super) fn hybrid() -> IndexConfig {
    of(Some(DenseField { dimension: 2, metric: Metric::DotProduct }))
}

/// A sparse index.
pub(super) fn sparse() -> IndexConfig {
    of(None)
}

/// A pod index of two dimensions.
pub(super) fn pod() -> IndexConfig {
    let spec = PodSpec {
        environment: "us-east1-gcp".to_owned(),
        pod_type: "p1.x1".to_owned(),
        replicas: 1,
        shards: 1,
        pods: 1,
        metadata_config: None,
    };
    IndexConfig { deployment: Deployment::Pod(spec), ..dense() }
}

fn of(dense: Option<DenseField>) -> IndexConfig {
    IndexConfig {
        name: IndexName::parse("i").unwrap(),
        dense,
        deployment: Deployment::Serverless {
            cloud: "aws".to_owned(),
            region: "us-east-1".to_owned(),
        },
        read_capacity: ReadCapacity::OnDemand,
        deletion_protection: DeletionProtection::Disabled,
        tags: Tags::default(),
        metadata_schema: None,
        embed: None,
        cmek_id: None,
    }
}
