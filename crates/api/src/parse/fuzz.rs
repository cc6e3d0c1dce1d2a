//! Goal: no request can end a thread, or cost time or memory out of proportion. Method: valid requests
//! of every kind, mutated; what is accepted is also looked at for what it must be.

use lodgepole_types::{Filter, Limits, SeededRng, StoredMetadata, Struct};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[path = "../../../types/src/fuzz.rs"]
mod inputs;

use self::inputs::fuzz;
use super::testing::{dense, hybrid, pod, sparse};
use super::*;
use crate::query_string::{
    delete_request, fetch_request, list_aliases_request, list_namespaces_request, list_request,
};
use crate::wire::aliases::{CreateNamespaceAliasRequest, RepointNamespaceAliasRequest};
use crate::wire::imports::StartImportRequest;
use crate::wire::namespaces::CreateNamespaceRequest;
use crate::wire::vectors::{
    CountRequest, DeleteRequest, DescribeIndexStatsRequest, FetchByMetadataRequest, FetchRequest,
    ListRequest, QueryRequest, UpdateRequest, UpsertRequest,
};
use crate::{ApiVersion, PageQuery};

const FILTERS: &[&str] = &[
    r#"{"a":{"$eq":1}}"#,
    r#"{"$and":[{"a":{"$in":["x","ü",3]}},{"$or":[{"b":{"$exists":true}},{"c":{"$nin":[1.5]}}]}]}"#,
    r#"{"$not":{"year":{"$gte":2020,"$lt":2024}}}"#,
    r#"{"text":"plain","flag":false,"n":-0.0}"#,
];

const UPSERTS: &[&str] = &[
    r#"{"vectors":[{"id":"a","values":[0.5,-1e-3],"metadata":{"t":["x","y"],"n":3,"b":true}}],"namespace":"n"}"#,
    r#"{"vectors":[{"id":"b","values":[1,2],"sparseValues":{"indices":[7,4294967295],"values":[1.5,2]}}]}"#,
    r#"{"vectors":[{"id":"c","sparse_values":{"indices":[1],"values":[1]}}],"namespace":""}"#,
];

const QUERIES: &[&str] = &[
    r#"{"vector":[0.1,0.2],"topK":3,"filter":{"a":{"$eq":1}},"includeValues":true,"includeMetadata":true}"#,
    r#"{"id":"a","top_k":10000,"namespace":"__default__","scanFactor":2.5,"maxCandidates":100}"#,
    r#"{"vector":[1,0],"sparseVector":{"indices":[3],"values":[0.5]},"topK":1}"#,
];

const UPDATES: &[&str] = &[
    r#"{"id":"a","values":[1,2],"setMetadata":{"a":null,"b":["x"]}}"#,
    r#"{"filter":{"a":{"$gt":1}},"setMetadata":{"z":1},"dryRun":true}"#,
];

const DELETES: &[&str] =
    &[r#"{"ids":["a","b"]}"#, r#"{"deleteAll":true,"namespace":"n"}"#, r#"{"filter":{"a":1}}"#];

/// Bodies of the control plane.
const CONTROL: &[&str] = &[
    r#"{"name":"i","dimension":3,"metric":"cosine","spec":{"serverless":{"cloud":"aws","region":"us-east-1"}},"tags":{"a":"b"},"deletion_protection":"enabled"}"#,
    r#"{"name":"p","dimension":3,"spec":{"pod":{"environment":"us-east1-gcp","pod_type":"p1.x2","replicas":2,"metadata_config":{"indexed":["a"]}}}}"#,
    r#"{"name":"s","vector_type":"sparse","metric":"dotproduct","spec":{"serverless":{"cloud":"aws","region":"us-east-1"}}}"#,
    r#"{"name":"x","deployment":{"deployment_type":"managed","cloud":"aws","region":"us-east-1"},"schema":{"fields":{"_values":{"type":"dense_vector","dimension":3,"metric":"cosine"}}}}"#,
    r#"{"name":"m","cloud":"aws","region":"us-east-1","embed":{"model":"multilingual-e5-large","field_map":{"text":"t"}}}"#,
    r#"{"deletion_protection":"disabled","tags":{"a":""},"spec":{"pod":{"replicas":3}}}"#,
    r#"{"name":"nightly","description":"for the fuzzer"}"#,
    r#"{"name":"c","source":"p"}"#,
    r#"{"name":"daily","schedule":{"type":"time_based","frequency":"daily"},"retention":{"expire_after_days":7}}"#,
];

fn corpus(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A message that was accepted prints as something that reads back as the same message, in JSON and in
/// protobuf.
fn decoded<T>(body: &[u8]) -> Option<T>
where
    T: Default + DeserializeOwned + Serialize + Message + PartialEq + std::fmt::Debug,
{
    let message: T = data_body(body).ok()?;
    let bytes = message.encode_to_vec();
    match T::decode(bytes.as_slice()) {
        Ok(read) => assert_eq!(read, message, "protobuf"),
        // Protobuf allows fewer levels than JSON.
        Err(error) => assert!(error.to_string().contains("recursion limit"), "{error}"),
    }
    let json = serde_json::to_vec(&message).unwrap();
    assert_eq!(data_body::<T>(&json).unwrap(), message, "{}", json.escape_ascii());
    Some(message)
}

/// The same message from protobuf.
fn parsed_message<T: Default + Message>(bytes: &[u8]) -> Option<T> {
    T::decode(bytes).ok()
}

fn encoded<T>(texts: &[&str]) -> Vec<Vec<u8>>
where
    T: Default + DeserializeOwned + Message,
{
    texts.iter().map(|text| data_body::<T>(text.as_bytes()).unwrap().encode_to_vec()).collect()
}

fn limits() -> Limits {
    Limits::default()
}

/// Every index must be able to refuse it.
fn on_every_index<T>(mut check: impl FnMut(&lodgepole_types::IndexConfig) -> Option<T>) -> bool {
    [dense(), hybrid(), sparse(), pod()].iter().filter_map(&mut check).count() > 0
}

fn upsert_of(request: &UpsertRequest) -> bool {
    on_every_index(|index| {
        let upsert = upsert(request.clone(), index, &limits()).ok()?;
        for record in &upsert.records {
            assert!(record.values.iter().all(|value| value.is_finite()));
            let stored = record.metadata.to_stored();
            let read = StoredMetadata::new(&stored).to_metadata().unwrap();
            assert_eq!(read, record.metadata, "metadata reads back as it was stored");
        }
        Some(())
    })
}

fn query_of(request: &QueryRequest) -> bool {
    on_every_index(|index| query(request.clone(), index, ApiVersion::V2025_10, &limits()).ok())
}

#[test]
fn bodies_of_upserts() {
    fuzz("upsert body", &corpus(UPSERTS), |body| {
        decoded::<UpsertRequest>(body).is_some_and(|request| upsert_of(&request))
    });
}

#[test]
fn bodies_of_queries() {
    fuzz("query body", &corpus(QUERIES), |body| {
        decoded::<QueryRequest>(body).is_some_and(|request| query_of(&request))
    });
}

#[test]
fn bodies_of_the_other_data_operations() {
    let more = [
        r#"{"name":"n","schema":{"fields":{"a":{"filterable":true}}}}"#,
        r#"{"uri":"s3://bucket/path","errorMode":{"onError":"continue"}}"#,
        r#"{"aliasName":"x","targetNamespace":"n"}"#,
        r#"{"filter":{"a":1},"limit":3,"paginationToken":"e30="}"#,
    ];
    let corpus = corpus(&[UPDATES, DELETES, FILTERS, &more].concat());
    fuzz("other bodies", &corpus, |body| {
        let limits = limits();
        let mut accepted = false;
        if let Some(request) = decoded::<UpdateRequest>(body) {
            accepted |= on_every_index(|index| update(request.clone(), index, &limits).ok());
        }
        let deleted = decoded::<DeleteRequest>(body);
        accepted |= deleted.is_some_and(|request| delete(request, &limits).is_ok());
        let fetched = data_body::<FetchByMetadataRequest>(body).ok();
        accepted |= fetched.is_some_and(|request| fetch_by_metadata(request, &limits).is_ok());
        let counted = data_body::<CountRequest>(body).ok();
        accepted |= counted.is_some_and(|request| count(request, &limits).is_ok());
        let made = data_body::<CreateNamespaceRequest>(body).ok();
        accepted |= made.is_some_and(|request| create_namespace(request).is_ok());
        let started = data_body::<StartImportRequest>(body).ok();
        accepted |= started.is_some_and(|request| start_import(request, &limits).is_ok());
        let alias = data_body::<CreateNamespaceAliasRequest>(body).ok();
        accepted |= alias.is_some_and(|request| create_alias(request).is_ok());
        let alias = data_body::<RepointNamespaceAliasRequest>(body).ok();
        accepted |= alias.is_some_and(|request| repoint_alias(request).is_ok());
        if let Ok(request) = data_body::<DescribeIndexStatsRequest>(body) {
            accepted |= on_every_index(|index| stats(&request, index, &limits).ok());
        }
        accepted
    });
}

#[test]
fn bodies_of_the_control_plane() {
    let (rules, rng) = (Rules::default(), SeededRng::new(1));
    fuzz("control bodies", &corpus(CONTROL), |body| {
        let mut accepted = false;
        for version in ApiVersion::ALL {
            accepted |= configure_index(body, version).is_ok();
            accepted |= create_index(body, version, &rules, &no_models, &rng).is_ok();
            accepted |= create_index_for_model(body, version, &rules, &no_models, &rng).is_ok();
            accepted |= create_backup(body, version, &rules.limits).is_ok();
            accepted |= create_index_from_backup(body, version, &rules).is_ok();
        }
        accepted |= create_collection(body).is_ok();
        accepted |= create_schedule(body, &rules.limits).is_ok();
        accepted | update_schedule(body, &rules.limits).is_ok()
    });
}

#[test]
fn filters_in_json_and_protobuf() {
    let metadata: Struct = data_body(br#"{"a":1,"b":"x","year":2021,"text":"plain"}"#).unwrap();
    let metadata = lodgepole_types::Metadata::parse(metadata, &limits()).unwrap().to_stored();
    let mut corpus = corpus(FILTERS);
    corpus.extend(encoded::<Struct>(FILTERS));
    fuzz("filter", &corpus, |bytes| {
        let sources = [data_body::<Struct>(bytes).ok(), parsed_message::<Struct>(bytes)];
        let mut accepted = false;
        for source in sources.into_iter().flatten() {
            let Ok(filter) = Filter::parse(&source, &limits()) else { continue };
            accepted = true;
            let _ = filter.matches(StoredMetadata::new(&metadata));
            // Anything may stand where metadata should be.
            let _ = filter.matches(StoredMetadata::new(bytes));
        }
        accepted
    });
}

#[test]
fn messages_of_grpc() {
    let mut corpus = encoded::<UpsertRequest>(UPSERTS);
    corpus.extend(encoded::<QueryRequest>(QUERIES));
    corpus.extend(encoded::<UpdateRequest>(UPDATES));
    corpus.extend(encoded::<DeleteRequest>(DELETES));
    fuzz("protobuf", &corpus, |bytes| {
        let limits = limits();
        let mut accepted = false;
        if let Some(request) = parsed_message::<UpsertRequest>(bytes) {
            let again = UpsertRequest::decode(request.encode_to_vec().as_slice()).unwrap();
            assert_eq!(again.encode_to_vec(), request.encode_to_vec());
            accepted |= upsert_of(&request);
        }
        accepted |= parsed_message(bytes).is_some_and(|request| query_of(&request));
        if let Some(request) = parsed_message::<UpdateRequest>(bytes) {
            accepted |= on_every_index(|index| update(request.clone(), index, &limits).ok());
        }
        let deleted = parsed_message::<DeleteRequest>(bytes);
        accepted |= deleted.is_some_and(|request| delete(request, &limits).is_ok());
        let fetched = parsed_message::<FetchRequest>(bytes);
        accepted |= fetched.is_some_and(|request| fetch(request, &limits).is_ok());
        let listed = parsed_message::<ListRequest>(bytes);
        accepted | listed.is_some_and(|request| list(request, &limits).is_ok())
    });
}

#[test]
fn query_strings_and_tokens() {
    let id = lodgepole_types::RecordId::parse("last").unwrap();
    let tokens = [next_page("pre", &id).next, next_namespaces_page("", "n").next];
    let mut corpus: Vec<Vec<u8>> = tokens
        .iter()
        .map(|token| format!("limit=5&prefix=&paginationToken={token}").into_bytes())
        .collect();
    corpus.push(b"ids=a&ids=b%20c&namespace=%C3%BC&deleteAll=true&limit=10".to_vec());
    corpus.push(b"limit=2&pagination_token=eyJsaW1pdCI6Miwib2Zmc2V0IjoyfQ==".to_vec());
    fuzz("query string", &corpus, |bytes| {
        let limits = limits();
        let text = String::from_utf8_lossy(bytes);
        let text = Some(text.as_ref());
        let mut accepted = false;
        accepted |= list_request(text).is_ok_and(|request| list(request, &limits).is_ok());
        let listed = list_namespaces_request(text);
        accepted |= listed.is_ok_and(|request| list_namespaces(request, &limits).is_ok());
        let listed = list_aliases_request(text);
        accepted |= listed.is_ok_and(|request| list_aliases(request, &limits).is_ok());
        accepted |= fetch_request(text).is_ok_and(|request| fetch(request, &limits).is_ok());
        accepted |= delete_request(text).is_ok_and(|request| delete(request, &limits).is_ok());
        if let Ok(query) = PageQuery::from_query(text) {
            let page = query.page(ApiVersion::V2025_10, &limits);
            if let Ok(page) = page {
                accepted = true;
                let _ = page.cut(vec![0; 7]);
            }
            import_page(&query, &limits).ok();
        }
        accepted
    });
}

fn no_models(_: &str) -> Option<ModelShape> {
    None
}
