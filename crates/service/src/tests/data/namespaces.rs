//! Goal: namespaces are made, listed, described and deleted as the API says. Method: one index.

use lodgepole_api::ApiVersion;
use serde_json::{Value, json};

use super::{Bench, call, dense, index_with, refusal};

fn upserted(namespace: &str) -> Value {
    json!({"vectors": [{"id": "a", "values": [1, 2]}], "namespace": namespace})
}

#[tokio::test]
async fn a_namespace_is_made_once_and_visible_at_once() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    let schema = json!({"fields": {"b": {"filterable": true}, "a": {"filterable": true}}});
    let body = json!({"name": "n", "schema": schema});
    let made = call!(bench, index, create_namespace, body.clone()).unwrap();
    let wanted = json!({"name": "n", "record_count": 0, "schema": schema,
        "indexed_fields": {"fields": ["a", "b"]}});
    assert_eq!(made, wanted);
    let described = call!(bench, index, describe_namespace, json!({"namespace": "n"})).unwrap();
    assert_eq!(described, wanted);
    let (status, code, _) = refusal(call!(bench, index, create_namespace, body));
    assert_eq!((status, code), (409, 6));

    call!(bench, index, upsert, upserted("written")).unwrap();
    for name in ["written", "__default__"] {
        let refused = call!(bench, index, create_namespace, json!({ "name": name }));
        assert_eq!(refusal(refused), (409, 6, format!("Namespace '{name}' already exists")));
    }
    assert_eq!(refusal(call!(bench, index, create_namespace, json!({}))).0, 400);
}

#[tokio::test]
async fn counters_are_text_in_the_newest_version() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    call!(bench, index, upsert, upserted("n")).unwrap();
    let body = || json!({"namespace": "n"});
    let old = call!(at ApiVersion::V2026_04, bench, index, describe_namespace, body()).unwrap();
    assert_eq!(old, json!({"name": "n", "record_count": 1}));
    let new = call!(at ApiVersion::V2026_07, bench, index, describe_namespace, body()).unwrap();
    assert_eq!(new["record_count"], json!("1"));
    assert!(new["size_bytes"].as_str().unwrap().parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn unknown_namespaces_are_not_found_and_the_default_one_always_is() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    let not_found = (404, 5, "Namespace not found".to_owned());
    let unknown = || json!({"namespace": "unknown"});
    assert_eq!(refusal(call!(bench, index, describe_namespace, unknown())), not_found);
    assert_eq!(refusal(call!(bench, index, delete_namespace, unknown())), not_found);
    for name in ["", "__default__"] {
        let body = || json!({"namespace": name});
        let described = call!(bench, index, describe_namespace, body()).unwrap();
        assert_eq!(described, json!({"name": "__default__", "record_count": 0}));
        call!(bench, index, upsert, upserted(name)).unwrap();
        assert_eq!(call!(bench, index, delete_namespace, body()).unwrap(), json!({}));
        let described = call!(bench, index, describe_namespace, body()).unwrap();
        assert_eq!(described["record_count"], json!(0));
    }
}

#[tokio::test]
async fn a_listing_goes_page_by_page_and_counts_all() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    for name in ["b2", "a1", "b1", "b3", ""] {
        call!(bench, index, upsert, upserted(name)).unwrap();
    }
    let all = call!(bench, index, list_namespaces, json!({})).unwrap();
    let names = |page: &Value| -> Vec<String> {
        let namespaces = page["namespaces"].as_array().unwrap();
        namespaces.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&all), ["__default__", "a1", "b1", "b2", "b3"]);
    assert_eq!((&all["total_count"], all.get("pagination")), (&json!(5), None));

    let first = json!({"prefix": "b", "limit": 2});
    let first = call!(bench, index, list_namespaces, first).unwrap();
    assert_eq!((names(&first), &first["total_count"]), (vec!["b1".into(), "b2".into()], &json!(3)));
    let next = json!({"pagination_token": first["pagination"]["next"]});
    let next = call!(bench, index, list_namespaces, next).unwrap();
    assert_eq!((names(&next), &next["total_count"]), (vec!["b3".to_owned()], &json!(3)));
    assert_eq!(next.get("pagination"), None);
    let default = call!(bench, index, list_namespaces, json!({"prefix": "__d"})).unwrap();
    assert_eq!(names(&default), ["__default__"]);
}

#[tokio::test]
async fn a_deleted_namespace_takes_its_records_with_it() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    call!(bench, index, upsert, upserted("n")).unwrap();
    call!(bench, index, upsert, upserted("m")).unwrap();
    call!(bench, index, delete_namespace, json!({"namespace": "n"})).unwrap();
    assert_eq!(bench.count("i").await, 1);
    let fetched = call!(bench, index, fetch, json!({"ids": ["a"], "namespace": "n"})).unwrap();
    assert_eq!((&fetched["vectors"], &fetched["namespace"]), (&json!({}), &json!("n")));
    let deleted = call!(bench, index, delete, json!({"ids": ["a"], "namespace": "n"}));
    assert_eq!(refusal(deleted).0, 404);
    call!(bench, index, create_namespace, json!({"name": "n"})).unwrap();
    // An emptied namespace stays.
    call!(bench, index, delete, json!({"deleteAll": true, "namespace": "m"})).unwrap();
    let described = call!(bench, index, describe_namespace, json!({"namespace": "m"})).unwrap();
    assert_eq!(described, json!({"name": "m", "record_count": 0}));
}

#[tokio::test]
async fn a_namespace_without_a_schema_shows_that_of_its_index() {
    let bench = Bench::new().await;
    let schema = json!({"fields": {"n": {"filterable": true}}});
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1", "schema": schema}});
    let index = index_with(&bench, json!({ "spec": spec })).await;
    let made = call!(bench, index, create_namespace, json!({"name": "n"})).unwrap();
    assert_eq!(
        made,
        json!({"name": "n", "record_count": 0, "schema": schema,
            "indexed_fields": {"fields": ["n"]}})
    );
}

#[tokio::test]
async fn odd_names_are_namespaces_too() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    for name in ["..", "a/b", "%2F", "a b+c", "\u{1}", "'\"\\"] {
        call!(bench, index, upsert, upserted(name)).unwrap();
        let described = call!(bench, index, describe_namespace, json!({"namespace": name}));
        assert_eq!(described.unwrap()["name"], json!(name));
        let list = call!(bench, index, list, json!({"namespace": name})).unwrap();
        assert_eq!((&list["namespace"], &list["vectors"]), (&json!(name), &json!([{"id": "a"}])));
    }
    for name in ["ü", "a\0b"] {
        let (status, code, _) = refusal(call!(bench, index, upsert, upserted(name)));
        assert_eq!((status, code), (400, 3));
        let refused = call!(bench, index, describe_namespace, json!({"namespace": name}));
        assert_eq!(refusal(refused).0, 400);
    }
}
