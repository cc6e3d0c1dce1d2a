//! Namespaces and their aliases over both transports: names in paths, and reasons in details.

use std::net::SocketAddr;

use http::{HeaderValue, Method, StatusCode};
use lodgepole_api::wire::aliases::{
    CreateNamespaceAliasRequest, DescribeNamespaceAliasRequest, NamespaceAliasDescription,
};
use lodgepole_api::wire::namespaces::{CreateNamespaceRequest, NamespaceDescription};
use lodgepole_api::wire::rpc_status::{ERROR_INFO_TYPE, ErrorInfo, RpcStatus};
use lodgepole_api::wire::vectors::{UpdateRequest, UpdateResponse, UpsertRequest, UpsertResponse};
use prost::Message;
use serde_json::{Value, json};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::client::{Answer, Running, request, send};

/// A REST call in the version that has aliases.
async fn rest(to: SocketAddr, method: Method, path: &str, body: Value) -> Answer {
    let mut request = request(method, to, path, &body);
    request.headers_mut().insert("X-Pinecone-Api-Version", HeaderValue::from_static("2026-07"));
    send(to, request).await
}

/// A gRPC call in the version that has aliases.
async fn grpc<In, Out>(
    to: SocketAddr,
    path: &'static str,
    message: In,
) -> Result<Response<Out>, Status>
where
    In: Message + 'static,
    Out: Message + Default + 'static,
{
    let channel = Endpoint::from_shared(format!("http://{to}")).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = Request::new(message);
    request.metadata_mut().insert("api-key", "any".parse().unwrap());
    request.metadata_mut().insert("x-pinecone-api-version", "2026-07".parse().unwrap());
    let codec = ProstCodec::<In, Out>::default();
    client.unary(request, http::uri::PathAndQuery::from_static(path), codec).await
}

#[tokio::test]
async fn names_in_paths_are_decoded_and_refused_where_they_are_wrong() {
    let server = Running::start().await;
    let index = server.index("first").await;
    for name in ["a/b", "..", "a b", "100%", "a+b", "é"] {
        let made = rest(index, Method::POST, "/namespaces", json!({ "name": name })).await;
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/namespaces/{encoded}");
        let described = rest(index, Method::GET, &path, Value::Null).await;
        if name.is_ascii() {
            assert_eq!(made.status, StatusCode::OK, "{name}");
            assert_eq!(described.json()["name"], name);
            let deleted = rest(index, Method::DELETE, &path, Value::Null).await;
            assert_eq!((deleted.status, deleted.json()), (StatusCode::OK, json!({})));
            let gone = rest(index, Method::GET, &path, Value::Null).await;
            assert_eq!((gone.status, &gone.json()["code"]), (StatusCode::NOT_FOUND, &json!(5)));
        } else {
            assert_eq!(made.status, StatusCode::BAD_REQUEST);
            assert_eq!(described.status, StatusCode::BAD_REQUEST);
        }
    }
    let null = rest(index, Method::GET, "/namespaces/a%00b", Value::Null).await;
    assert_eq!(null.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_refusal_about_an_alias_gives_its_reason_on_both_transports() {
    let server = Running::start().await;
    let index = server.index("first").await;
    rest(index, Method::POST, "/namespaces", json!({"name": "v1"})).await;
    let body = json!({"name": "live", "target_namespace": "v1"});
    let made = rest(index, Method::POST, "/namespace-aliases", body.clone()).await;
    assert_eq!((made.status, &made.json()["target_namespace"]), (StatusCode::OK, &json!("v1")));
    let again = rest(index, Method::POST, "/namespace-aliases", body).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let detail = &again.json()["details"][0];
    assert_eq!(detail["reason"], "ALIAS_ALREADY_EXISTS");
    assert_eq!(detail["metadata"]["target_namespace"], "v1");

    let request =
        CreateNamespaceAliasRequest { name: "live".to_owned(), target_namespace: "v1".to_owned() };
    let path = "/NamespaceAliasService/CreateNamespaceAlias";
    let refused = grpc::<_, NamespaceAliasDescription>(index, path, request).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    let status = RpcStatus::decode(refused.details()).unwrap();
    assert_eq!((status.code, status.message.as_str()), (6, refused.message()));
    assert_eq!(status.details[0].type_url, ERROR_INFO_TYPE);
    let info = ErrorInfo::decode(&*status.details[0].value).unwrap();
    assert_eq!(
        (info.reason.as_str(), &*info.metadata["target_namespace"]),
        ("ALIAS_ALREADY_EXISTS", "v1")
    );

    let odd = rest(index, Method::GET, "/namespace-aliases?limit=1&page=2", Value::Null).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
    let listed = rest(index, Method::GET, "/namespace-aliases?prefix=l", Value::Null).await;
    assert_eq!(listed.json()["namespace_aliases"][0]["name"], "live");
    let patch = json!({"target_namespace": "__default__"});
    let moved = rest(index, Method::PATCH, "/namespace-aliases/live", patch).await;
    assert_eq!(moved.json()["target_namespace"], "__default__");
    let deleted = rest(index, Method::DELETE, "/namespace-aliases/live", Value::Null).await;
    assert_eq!((deleted.status, deleted.json()), (StatusCode::OK, json!({})));
    let gone = rest(index, Method::GET, "/namespace-aliases/live", Value::Null).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert_eq!(gone.json()["details"][0]["reason"], "ALIAS_NOT_FOUND");
    let path = "/NamespaceAliasService/DescribeNamespaceAlias";
    let request = DescribeNamespaceAliasRequest { alias_name: "live".to_owned() };
    let gone = grpc::<_, NamespaceAliasDescription>(index, path, request).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn namespaces_and_updates_work_over_grpc() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let create = CreateNamespaceRequest { name: "n".to_owned(), schema: None };
    let path = "/VectorService/CreateNamespace";
    let made = grpc::<_, NamespaceDescription>(index, path, create.clone()).await.unwrap();
    assert_eq!((made.get_ref().name.as_str(), made.get_ref().record_count), ("n", 0));
    let again = grpc::<_, NamespaceDescription>(index, path, create).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    let upsert: UpsertRequest = serde_json::from_value(json!({"namespace": "n", "vectors": [
        {"id": "a", "values": [1, 2, 3], "metadata": {"k": 1}}]}))
    .unwrap();
    grpc::<_, UpsertResponse>(index, "/VectorService/Upsert", upsert).await.unwrap();
    let update: UpdateRequest = serde_json::from_value(
        json!({"namespace": "n", "filter": {"k": 1}, "setMetadata": {"k": 2}}),
    )
    .unwrap();
    let path = "/VectorService/Update";
    let updated = grpc::<_, UpdateResponse>(index, path, update.clone()).await.unwrap();
    assert_eq!(updated.get_ref().matched_records, Some(1));
    let updated = grpc::<_, UpdateResponse>(index, path, update).await.unwrap();
    assert_eq!(updated.get_ref().matched_records, Some(0));
    let fetched = rest(index, Method::GET, "/vectors/fetch?ids=a&namespace=n", Value::Null).await;
    assert_eq!(fetched.json()["vectors"]["a"]["metadata"], json!({"k": 2}));
}
