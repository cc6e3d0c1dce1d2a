//! Goal: each version shows an index as its clients read it. Method: the whole reply as a literal.

use lodgepole_types::{
    BackupId, DedicatedCapacity, DeletionProtection, DenseField, IndexId, IndexName, Limits,
    Metric, ReadCapacity, SeededRng, Tags, Timestamp,
};

use super::*;

fn config() -> IndexConfig {
    let tags = [("team".to_owned(), "a".to_owned())].into();
    IndexConfig {
        name: IndexName::parse("movies").unwrap(),
        dense: DenseField { dimension: 3, metric: Metric::Cosine },
        deployment: Deployment::Serverless {
            cloud: "aws".to_owned(),
            region: "us-east-1".to_owned(),
        },
        read_capacity: ReadCapacity::OnDemand,
        deletion_protection: DeletionProtection::Disabled,
        tags: Tags::parse(tags, &Limits::default()).unwrap(),
        metadata_schema: Some(json!({"fields": {"genre": {"filterable": true}}})),
    }
}

fn index() -> Index {
    Index {
        id: IndexId::random(&SeededRng::new(1)),
        config: config(),
        created_at: Timestamp(0),
        port: 5081,
        source_backup_id: None,
    }
}

fn print(index: &Index, version: ApiVersion) -> String {
    let reply = IndexReply::of(index, "http://localhost:5081".to_owned(), version);
    serde_json::to_string(&reply).unwrap()
}

const CLASSIC: &str = r#"{"name":"movies","metric":"cosine","dimension":3,TYPE"host":"http://localhost:5081","spec":{"serverless":{"cloud":"aws","region":"us-east-1"CAPACITY}},"status":{"ready":true,"state":"Ready"},"deletion_protection":"disabled"TAGS}"#;

#[test]
fn the_classic_dialect_grows_with_the_versions() {
    let vector_type = r#""vector_type":"dense","#;
    let capacity = r#","read_capacity":{"mode":"OnDemand","status":{"state":"Ready"}},"schema":{"fields":{"genre":{"filterable":true}}}"#;
    let tags = r#","tags":{"team":"a"}"#;
    for (version, parts) in [
        (ApiVersion::V2024_07, ["", "", ""]),
        (ApiVersion::V2024_10, ["", "", tags]),
        (ApiVersion::V2025_01, [vector_type, "", tags]),
        (ApiVersion::V2025_04, [vector_type, "", tags]),
        (ApiVersion::V2025_10, [vector_type, capacity, tags]),
        (ApiVersion::V2026_04, [vector_type, capacity, tags]),
    ] {
        let wanted = CLASSIC
            .replace("TYPE", parts[0])
            .replace("CAPACITY", parts[1])
            .replace("TAGS", parts[2]);
        assert_eq!(print(&index(), version), wanted, "{version}");
    }
}

const SCHEMA: &str = r#"{"name":"movies","host":"http://localhost:5081","status":{"ready":true,"state":"Ready"},"deployment":{"deployment_type":"managed","cloud":"aws","region":"us-east-1","environment":"us-east-1-aws"},"schema":{"fields":{"_sparse_values":{"type":"sparse_vector"},"_values":{"dimension":3,"metric":"cosine","type":"dense_vector"},"genre":{"filterable":true}}},"read_capacity":{"mode":"OnDemand","status":{"state":"Ready"}},"deletion_protection":"disabled","tags":{"team":"a"}}"#;

const ALPHA: &str = r#"{"name":"movies","host":"http://localhost:5081","status":{"ready":true,"state":"Ready"},"deployment":{"deployment_type":"managed","cloud":"aws","region":"us-east-1"},"schema":{"fields":{"_values":{"dimension":3,"metric":"cosine","type":"dense_vector"}}},"read_capacity":{"mode":"OnDemand","status":{"state":"Ready"}},"deletion_protection":"disabled","tags":{"team":"a"}}"#;

#[test]
fn the_schema_style_reports_fields_and_deployment() {
    for version in [ApiVersion::V2026_07, ApiVersion::Unstable] {
        assert_eq!(print(&index(), version), SCHEMA);
    }
    assert_eq!(print(&index(), ApiVersion::V2026_01Alpha), ALPHA);
}

#[test]
fn dedicated_capacity_protection_and_origin_are_reported() {
    let mut index = index();
    let backup = BackupId::random(&SeededRng::new(2));
    index.source_backup_id = Some(backup);
    index.config.tags = Tags::default();
    index.config.metadata_schema = None;
    index.config.deletion_protection = DeletionProtection::Enabled;
    index.config.read_capacity = ReadCapacity::Dedicated(DedicatedCapacity {
        node_type: "b1".to_owned(),
        replicas: 2,
        shards: 1,
    });
    let capacity = r#""read_capacity":{"mode":"Dedicated","dedicated":{"node_type":"b1","scaling":"Manual","manual":{"replicas":2,"shards":1}},"status":{"state":"Ready","current_replicas":2,"current_shards":1}}"#;
    let text = print(&index, ApiVersion::V2026_07);
    let end =
        format!(r#"{capacity},"deletion_protection":"enabled","source_backup_id":"{backup}"}}"#);
    assert!(text.ends_with(&end), "{text}");
    let text = print(&index, ApiVersion::V2025_10);
    assert!(
        text.contains(capacity) && !text.contains("backup") && !text.contains("tags"),
        "{text}"
    );
}

#[test]
fn no_reply_holds_a_null() {
    for version in ApiVersion::ALL {
        assert!(!print(&index(), version).contains("null"));
    }
}
