//! Goal: aliases are read through, never written through, and every refusal has its reason.
//! Method: one index with two namespaces.

use lodgepole_api::{ApiError, ApiVersion};
use serde_json::{Value, json};

use super::{Bench, dense, ids};

/// Calls in the version that has aliases.
macro_rules! newest {
    ($bench:expr, $index:expr, $operation:ident, $body:expr) => {
        super::call!(at ApiVersion::V2026_07, $bench, $index, $operation, $body)
    };
}

/// Two namespaces with one record each, and an alias of the first.
macro_rules! prepared {
    ($bench:expr, $index:expr) => {
        for name in ["v1", "v2"] {
            let vectors = json!([{"id": name, "values": [1, 2], "metadata": {"k": 1}}]);
            newest!($bench, $index, upsert, json!({"vectors": vectors, "namespace": name})).unwrap();
        }
        let alias = json!({"name": "live", "target_namespace": "v1"});
        newest!($bench, $index, create_namespace_alias, alias).unwrap();
    };
}

/// Status, reason, and the target that the metadata names.
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (u16, &'static str, Option<String>) {
    let error = result.unwrap_err();
    let because = error.reason().unwrap();
    let target = because.metadata.get("target_namespace").cloned();
    (error.kind().http_status(), because.reason.as_str(), target)
}

fn target(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[tokio::test]
async fn reads_go_through_an_alias_and_name_its_target() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    prepared!(bench, index);
    for wanted in ["v1", "v2"] {
        let query = json!({"topK": 1, "vector": [1, 2], "namespace": "live"});
        let reply = newest!(bench, index, query, query).unwrap();
        assert_eq!((ids(&reply), &reply["namespace"]), (vec![wanted], &json!(wanted)));
        let fetch = json!({"ids": ["v1", "v2"], "namespace": "live"});
        let reply = newest!(bench, index, fetch, fetch).unwrap();
        assert_eq!(reply["namespace"], json!(wanted));
        assert!(reply["vectors"][wanted].is_object());
        let reply = newest!(bench, index, list, json!({"namespace": "live"})).unwrap();
        assert_eq!(
            (&reply["vectors"], &reply["namespace"]),
            (&json!([{"id": wanted}]), &json!(wanted))
        );
        let body = json!({"filter": {"k": 1}, "namespace": "live"});
        let reply = newest!(bench, index, fetch_by_metadata, body.clone()).unwrap();
        assert!(reply["vectors"][wanted].is_object() && reply["namespace"] == json!(wanted));
        let reply = newest!(bench, index, count, body).unwrap();
        assert_eq!(reply, json!({"count": 1, "namespace": wanted}));
        // Older versions read through it too.
        let old = super::call!(bench, index, list, json!({"namespace": "live"})).unwrap();
        assert_eq!(old["vectors"], json!([{"id": wanted}]));

        let repoint = json!({"alias_name": "live", "target_namespace": "v2"});
        let reply = newest!(bench, index, repoint_namespace_alias, repoint).unwrap();
        assert_eq!((&reply["name"], &reply["target_namespace"]), (&json!("live"), &json!("v2")));
    }
    let stats = newest!(bench, index, describe_index_stats, json!({})).unwrap();
    assert_eq!(stats["totalVectorCount"], json!(2));
    assert_eq!(stats["namespaces"].as_object().unwrap().len(), 2);
    let listed = newest!(bench, index, list_namespaces, json!({})).unwrap();
    assert_eq!(listed["total_count"], json!(2));
}

#[tokio::test]
async fn writes_under_an_alias_are_refused() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    prepared!(bench, index);
    let upsert = json!({"vectors": [{"id": "x", "values": [1, 2]}], "namespace": "live"});
    let in_use = (409, "NAME_IN_USE_BY_ALIAS", target("v1"));
    assert_eq!(refused(newest!(bench, index, upsert, upsert)), in_use);
    let no_write = (400, "WRITE_TO_ALIAS", target("v1"));
    for body in [
        json!({"id": "v1", "values": [3, 4], "namespace": "live"}),
        json!({"filter": {"k": 1}, "setMetadata": {"k": 2}, "namespace": "live"}),
        json!({"filter": {"k": 1}, "dryRun": true, "namespace": "live"}),
    ] {
        assert_eq!(refused(newest!(bench, index, update, body)), no_write);
    }
    for body in [
        json!({"ids": ["v1"], "namespace": "live"}),
        json!({"deleteAll": true, "namespace": "live"}),
        json!({"filter": {"k": 1}, "namespace": "live"}),
    ] {
        assert_eq!(refused(newest!(bench, index, delete, body)), no_write);
    }
    let create = json!({"name": "live"});
    assert_eq!(refused(newest!(bench, index, create_namespace, create)), in_use);
    let no_namespace = (400, "NAMESPACE_OPERATION_ON_ALIAS", target("v1"));
    let live = || json!({"namespace": "live"});
    assert_eq!(refused(newest!(bench, index, describe_namespace, live())), no_namespace);
    assert_eq!(refused(newest!(bench, index, delete_namespace, live())), no_namespace);
    assert_eq!(bench.count("i").await, 2);
}

#[tokio::test]
async fn aliases_and_namespaces_keep_out_of_each_others_way() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    prepared!(bench, index);
    let create = |name: &str, target: &str| json!({"name": name, "target_namespace": target});
    for (body, wanted) in [
        (create("live", "v2"), (409, "ALIAS_ALREADY_EXISTS", target("v1"))),
        (create("v2", "v1"), (409, "NAME_IN_USE_BY_NAMESPACE", None)),
        (create("new", "none"), (400, "TARGET_NAMESPACE_NOT_FOUND", target("none"))),
        (create("new", "live"), (400, "TARGET_IS_ALIAS", target("live"))),
        (create("new", ""), (400, "TARGET_NAMESPACE_REQUIRED", None)),
        (create("a/b", "v1"), (400, "ALIAS_NAME_INVALID", None)),
    ] {
        assert_eq!(refused(newest!(bench, index, create_namespace_alias, body)), wanted);
    }
    let repoint =
        |name: &str, target: &str| json!({"alias_name": name, "target_namespace": target});
    for (body, wanted) in [
        (repoint("live", "none"), (400, "TARGET_NAMESPACE_NOT_FOUND", target("none"))),
        (repoint("live", "live"), (400, "TARGET_IS_ALIAS", target("live"))),
        (repoint("none", "v1"), (404, "ALIAS_NOT_FOUND", None)),
    ] {
        assert_eq!(refused(newest!(bench, index, repoint_namespace_alias, body)), wanted);
    }
    let not_found = (404, "ALIAS_NOT_FOUND", None);
    let none = || json!({"alias_name": "none"});
    assert_eq!(refused(newest!(bench, index, describe_namespace_alias, none())), not_found);
    assert_eq!(refused(newest!(bench, index, delete_namespace_alias, none())), not_found);

    let v1 = || json!({"namespace": "v1"});
    let targeted = (400, "NAMESPACE_TARGETED_BY_ALIAS", None);
    assert_eq!(refused(newest!(bench, index, delete_namespace, v1())), targeted);
    let deleted = newest!(bench, index, delete_namespace_alias, json!({"alias_name": "live"}));
    assert_eq!(deleted.unwrap(), json!({}));
    newest!(bench, index, delete_namespace, v1()).unwrap();
    // The default namespace can be a target, and always exists.
    let made = newest!(bench, index, create_namespace_alias, create("d", "__default__")).unwrap();
    assert_eq!(made["target_namespace"], json!("__default__"));
}

#[tokio::test]
async fn aliases_are_described_and_listed() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    prepared!(bench, index);
    for (name, target) in [("b2", "v2"), ("b1", "v1"), ("a1", "v2")] {
        let body = json!({"name": name, "target_namespace": target});
        newest!(bench, index, create_namespace_alias, body).unwrap();
    }
    let one = newest!(bench, index, describe_namespace_alias, json!({"alias_name": "b1"})).unwrap();
    assert_eq!((&one["name"], &one["target_namespace"]), (&json!("b1"), &json!("v1")));
    assert!(one["created_at"].as_str().unwrap().ends_with('Z'));

    let list = |body: Value| {
        let (service, index) = (bench.service.clone(), std::sync::Arc::clone(&index));
        async move {
            let request = serde_json::from_value(body).unwrap();
            let context = crate::tests::at(ApiVersion::V2026_07);
            let page = service.list_namespace_aliases(&context, &index, request).await.unwrap();
            let page = crate::tests::to_json(&page.message);
            let aliases = page["namespace_aliases"].as_array().unwrap();
            let names: Vec<_> =
                aliases.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
            (names.join(" "), page["total_count"].clone(), page["pagination"]["next"].clone())
        }
    };
    let none = Value::Null;
    let all = ("a1 b1 b2 live".to_owned(), json!(4), none.clone());
    assert_eq!(list(json!({})).await, all);
    let (names, total, token) = list(json!({"prefix": "b", "limit": 1})).await;
    assert_eq!((names.as_str(), total), ("b1", json!(2)));
    let next = list(json!({"pagination_token": token})).await;
    assert_eq!(next, ("b2".to_owned(), json!(2), none.clone()));
    let of_v2 = list(json!({"target_namespace": "v2"})).await;
    assert_eq!(of_v2, ("a1 b2".to_owned(), json!(2), none));
}

#[tokio::test]
async fn older_versions_cannot_manage_aliases() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    let old = super::call!(bench, index, list_namespace_aliases, json!({}));
    assert_eq!(refused(old), (400, "API_VERSION_TOO_OLD", None));
}

#[tokio::test]
async fn aliases_are_in_backups() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    prepared!(bench, index);
    let backup = bench.backup("i").await;
    bench.restore(&backup, "copy").await.unwrap();
    let copy = bench.index("copy");
    let reply = newest!(bench, copy, list, json!({"namespace": "live"})).unwrap();
    assert_eq!(reply["vectors"], json!([{"id": "v1"}]));
}
