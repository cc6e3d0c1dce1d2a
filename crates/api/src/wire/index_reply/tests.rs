//! Goal: each version shows an index as its clients read it. Method: the whole reply as a literal.

use lodgepole_types::{
    BackupId, DedicatedCapacity, DeletionProtection, DenseField, Deployment, IndexId, IndexName,
    Limits, Metric, ReadCapacity, SeededRng, Tags, Timestamp,
};
use serde_json::json;

use super::*;

fn config() -> IndexConfig {
    let tags = [("team".to_owned(), "a".to_owned())].into();
    IndexConfig {
        name: IndexName::parse("movies").unwrap(),
        dense: Some(DenseField { dimension: 3, metric: Metric::Cosine }),
        deployment: Deployment::Serverless {
            cloud: "aws".to_owned(),
            region: "us-east-1".to_owned(),
        },
        read_capacity: ReadCapacity::OnDemand,
        deletion_protection: DeletionProtection::Disabled,
        tags: Tags::parse(tags, &Limits::default()).unwrap(),
        metadata_schema: Some(json!({"fields": {"genre": {"filterable": true}}})),
        embed: None,
        cmek_id: None,
    }
}

fn index() -> Index {
    Index {
        id: IndexId::random(&SeededRng::new(1)),
        config: config(),
        created_at: Timestamp(0),
        port: 5081,
        source_backup_id: None,
        source_collection: None,
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

fn pod() -> Index {
    let mut index = index();
    index.config.metadata_schema = None;
    index.config.tags = Tags::default();
    index.config.deployment = Deployment::Pod(PodSpec {
        environment: "us-east1-gcp".to_owned(),
        pod_type: "p1.x1".to_owned(),
        replicas: 1,
        shards: 1,
        pods: 1,
        metadata_config: Some(json!({"indexed": ["genre"]})),
    });
    index.source_collection = Some(IndexName::parse("films").unwrap());
    index
}

#[test]
fn pods_and_their_collection_are_reported() {
    let spec = r#""vector_type":"dense","host":"http://localhost:5081","spec":{"pod":{"environment":"us-east1-gcp","pod_type":"p1.x1","replicas":1,"shards":1,"pods":1,"metadata_config":{"indexed":["genre"]},"source_collection":"films"}},"#;
    let text = print(&pod(), ApiVersion::V2025_10);
    assert!(text.contains(spec), "{text}");
    let text = print(&pod(), ApiVersion::V2026_01Alpha);
    let deployment = r#""deployment":{"deployment_type":"pod","environment":"us-east1-gcp","pod_type":"p1.x1","replicas":1,"shards":1},"#;
    assert!(text.contains(deployment) && !text.contains("read_capacity"), "{text}");
    assert!(text.ends_with(r#""source_collection":"films"}"#), "{text}");
}

fn byoc() -> Index {
    let mut index = index();
    index.config.deployment = Deployment::Byoc { environment: "aws-mine".to_owned() };
    index.config.cmek_id = Some("k".to_owned());
    index
}

#[test]
fn own_clouds_are_serverless_to_versions_that_do_not_know_them() {
    let spec = |version| {
        let text = print(&byoc(), version);
        let spec = text.split_once(r#""spec":"#).unwrap().1.split_once(r#","status""#).unwrap().0;
        spec.to_owned()
    };
    let old = r#"{"serverless":{"cloud":"aws","region":"aws-mine"}}"#;
    assert_eq!(spec(ApiVersion::V2025_01), old);
    assert_eq!(spec(ApiVersion::V2025_04), r#"{"byoc":{"environment":"aws-mine"}}"#);
    assert!(spec(ApiVersion::V2025_10).contains(r#""read_capacity":{"mode":"OnDemand""#));
    let text = print(&byoc(), ApiVersion::V2026_07);
    let deployment = r#"{"deployment_type":"byoc","environment":"aws-mine"}"#;
    assert!(text.contains(deployment) && text.ends_with(r#""cmek_id":"k"}"#), "{text}");
}

fn sparse() -> Index {
    let mut index = index();
    index.config.dense = None;
    index.config.metadata_schema = None;
    index
}

#[test]
fn a_sparse_index_has_no_dimension_but_for_old_versions() {
    let text = print(&sparse(), ApiVersion::V2025_01);
    assert!(text.contains(r#""metric":"dotproduct","vector_type":"sparse""#), "{text}");
    assert!(print(&sparse(), ApiVersion::V2024_07).contains(r#""dimension":0,"#));
    for version in [ApiVersion::V2026_01Alpha, ApiVersion::V2026_07] {
        let fields = r#""fields":{"_sparse_values":{"type":"sparse_vector"}}"#;
        assert!(print(&sparse(), version).contains(fields));
    }
}

fn embedding() -> Index {
    let mut index = index();
    index.config.embed = Some(EmbedConfig {
        model: "m".to_owned(),
        field_map: [("text".to_owned(), "chunk-text".to_owned())].into(),
        read_parameters: None,
        write_parameters: Some(json!({"truncate": "END"})),
    });
    index
}

#[test]
fn a_model_is_reported_in_both_dialects() {
    let embed = r#""embed":{"model":"m","metric":"cosine","dimension":3,"vector_type":"dense","field_map":{"text":"chunk-text"},"write_parameters":{"truncate":"END"}}}"#;
    assert!(print(&embedding(), ApiVersion::V2025_10).ends_with(embed));
    let embed = r#""embed":{"model":"m","metric":"cosine","vector_type":"dense","#;
    assert!(print(&embedding(), ApiVersion::V2025_01).contains(embed));
    assert!(!print(&embedding(), ApiVersion::V2024_10).contains("embed"));
    let fields = r#""fields":{"chunk-text":{"dimension":3,"metric":"cosine","model":"m","type":"semantic_text","write_parameters":{"truncate":"END"}},"genre":{"filterable":true}}"#;
    assert!(print(&embedding(), ApiVersion::V2026_07).contains(fields));
    let fields = r#""fields":{"chunk-text":{"metric":"cosine","model":"m","type":"semantic_text","write_parameters":{"truncate":"END"}}}"#;
    assert!(print(&embedding(), ApiVersion::V2026_01Alpha).contains(fields));
}

#[test]
fn no_reply_holds_a_null() {
    for index in [index(), pod(), byoc(), sparse(), embedding()] {
        for version in ApiVersion::ALL {
            assert!(!print(&index, version).contains("null"));
        }
    }
}
