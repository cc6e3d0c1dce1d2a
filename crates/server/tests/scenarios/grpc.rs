//! The same requests over gRPC: the JSON of a scenario becomes the message, the reply becomes JSON.

use std::net::SocketAddr;

use http::uri::PathAndQuery;
use lodgepole_api::wire::aliases::{
    CreateNamespaceAliasRequest, DeleteNamespaceAliasRequest, DeleteNamespaceAliasResponse,
    DescribeNamespaceAliasRequest, ListNamespaceAliasesResponse, NamespaceAliasDescription,
    RepointNamespaceAliasRequest,
};
use lodgepole_api::wire::namespaces::{
    CreateNamespaceRequest, DeleteNamespaceRequest, DescribeNamespaceRequest,
    ListNamespacesResponse, NamespaceDescription,
};
use lodgepole_api::wire::vectors::{
    DeleteRequest, DeleteResponse, DescribeIndexStatsRequest, DescribeIndexStatsResponse,
    FetchByMetadataRequest, FetchByMetadataResponse, FetchResponse, ListResponse, QueryRequest,
    QueryResponse, UpdateRequest, UpdateResponse, UpsertRequest, UpsertResponse,
};
use lodgepole_api::{parse, query_string};
use percent_encoding::percent_decode_str;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::player::{NOT_SENT, VERSION_HEADER};

const ERROR_INFO_TYPE: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// What came back.
pub(crate) struct Reply {
    pub(crate) code: i32,
    pub(crate) headers: http::HeaderMap,
    /// The message, or `{"code", "message", "details"}` as REST would print it.
    pub(crate) body: Value,
}

/// A request of the data plane.
pub(crate) struct Call<'a> {
    pub(crate) to: SocketAddr,
    pub(crate) version: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) query: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// The gRPC method for a request of REST, and the name at the end of its path.
fn method_of<'a>(method: &str, path: &'a str) -> Option<(&'static str, &'a str)> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let whole = match (method, path) {
        ("POST", "/vectors/upsert") => "Upsert",
        ("POST", "/query") => "Query",
        ("GET", "/vectors/fetch") => "Fetch",
        ("POST" | "DELETE", "/vectors/delete") => "Delete",
        ("GET", "/vectors/list") => "List",
        ("POST" | "GET", "/describe_index_stats") => "DescribeIndexStats",
        ("POST", "/vectors/update") => "Update",
        ("POST", "/vectors/fetch_by_metadata") => "FetchByMetadata",
        ("POST", "/namespaces") => "CreateNamespace",
        ("GET", "/namespaces") => "ListNamespaces",
        ("POST", "/namespace-aliases") => "CreateNamespaceAlias",
        ("GET", "/namespace-aliases") => "ListNamespaceAliases",
        _ => return named_of(method, path),
    };
    Some((whole, ""))
}

/// The same for paths that end in a name.
fn named_of<'a>(method: &str, path: &'a str) -> Option<(&'static str, &'a str)> {
    let (parent, name) = path.rsplit_once('/')?;
    let whole = match (method, parent) {
        ("GET", "/namespaces") => "DescribeNamespace",
        ("DELETE", "/namespaces") => "DeleteNamespace",
        ("GET", "/namespace-aliases") => "DescribeNamespaceAlias",
        ("PATCH", "/namespace-aliases") => "RepointNamespaceAlias",
        ("DELETE", "/namespace-aliases") => "DeleteNamespaceAlias",
        _ => return None,
    };
    Some((whole, name))
}

/// Whether a request of REST has a method in gRPC.
pub(crate) fn has_method(method: &str, path: &str) -> bool {
    method_of(method, path).is_some()
}

/// Sends a request of REST over gRPC.
pub(crate) async fn send(method: &str, path: &str, call: &Call<'_>) -> Result<Reply, String> {
    let (method, name) = method_of(method, path).ok_or("no gRPC method")?;
    let name = percent_decode_str(name).decode_utf8().map_err(|error| error.to_string())?;
    match method {
        "Upsert" => unary::<_, UpsertResponse>(call, method, body::<UpsertRequest>(call)?).await,
        "Query" => unary::<_, QueryResponse>(call, method, body::<QueryRequest>(call)?).await,
        "Update" => unary::<_, UpdateResponse>(call, method, body::<UpdateRequest>(call)?).await,
        "Delete" => {
            let of_query = query_string::delete_request(call.query);
            let message = match call.body {
                [] => of_query.map_err(|error| error.to_string())?,
                _ => body::<DeleteRequest>(call)?,
            };
            unary::<_, DeleteResponse>(call, method, message).await
        }
        "DescribeIndexStats" => {
            let message = body::<DescribeIndexStatsRequest>(call)?;
            unary::<_, DescribeIndexStatsResponse>(call, method, message).await
        }
        "FetchByMetadata" => {
            let message = body::<FetchByMetadataRequest>(call)?;
            unary::<_, FetchByMetadataResponse>(call, method, message).await
        }
        "Fetch" => {
            let message = query_string::fetch_request(call.query).map_err(|e| e.to_string())?;
            unary::<_, FetchResponse>(call, method, message).await
        }
        "List" => {
            let message = query_string::list_request(call.query).map_err(|e| e.to_string())?;
            unary::<_, ListResponse>(call, method, message).await
        }
        _ => send_named(method, name.into_owned(), call).await,
    }
}

/// Sends a request about namespaces or aliases.
async fn send_named(method: &str, name: String, call: &Call<'_>) -> Result<Reply, String> {
    match method {
        "CreateNamespace" => {
            let message = body::<CreateNamespaceRequest>(call)?;
            unary::<_, NamespaceDescription>(call, method, message).await
        }
        "ListNamespaces" => {
            let message = query_string::list_namespaces_request(call.query);
            let message = message.map_err(|error| error.to_string())?;
            unary::<_, ListNamespacesResponse>(call, method, message).await
        }
        "DescribeNamespace" => {
            let message = DescribeNamespaceRequest { namespace: name };
            unary::<_, NamespaceDescription>(call, method, message).await
        }
        "DeleteNamespace" => {
            let message = DeleteNamespaceRequest { namespace: name };
            unary::<_, DeleteResponse>(call, method, message).await
        }
        "CreateNamespaceAlias" => {
            let message = body::<CreateNamespaceAliasRequest>(call)?;
            unary::<_, NamespaceAliasDescription>(call, method, message).await
        }
        "ListNamespaceAliases" => {
            let message = query_string::list_aliases_request(call.query);
            let message = message.map_err(|error| error.to_string())?;
            unary::<_, ListNamespaceAliasesResponse>(call, method, message).await
        }
        "DescribeNamespaceAlias" => {
            let message = DescribeNamespaceAliasRequest { alias_name: name };
            unary::<_, NamespaceAliasDescription>(call, method, message).await
        }
        "RepointNamespaceAlias" => {
            let sent = body::<RepointNamespaceAliasRequest>(call)?;
            let message = RepointNamespaceAliasRequest { alias_name: name, ..sent };
            unary::<_, NamespaceAliasDescription>(call, method, message).await
        }
        "DeleteNamespaceAlias" => {
            let message = DeleteNamespaceAliasRequest { alias_name: name };
            unary::<_, DeleteNamespaceAliasResponse>(call, method, message).await
        }
        other => Err(format!("no message types for {other}")),
    }
}

fn body<T: Default + DeserializeOwned>(call: &Call<'_>) -> Result<T, String> {
    parse::data_body(call.body)
        .map_err(|error| format!("no message has this body, mark the step [rest]: {error}"))
}

async fn unary<In, Out>(call: &Call<'_>, name: &str, message: In) -> Result<Reply, String>
where
    In: Message + 'static,
    Out: Message + Default + Serialize + 'static,
{
    let service = if name.contains("Alias") { "NamespaceAliasService" } else { "VectorService" };
    let channel = Endpoint::from_shared(format!("http://{}", call.to)).unwrap();
    let channel = channel.connect().await.map_err(|error| error.to_string())?;
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(1 << 30);
    client.ready().await.map_err(|error| error.to_string())?;
    let mut request = Request::new(message);
    let version = match call.headers.iter().any(|(name, _)| name == VERSION_HEADER) {
        true => NOT_SENT,
        false => call.version,
    };
    let version = (VERSION_HEADER.to_owned(), version.to_owned());
    let is_sent = |header: &&(String, String)| header.1 != NOT_SENT;
    for (name, value) in [&version].into_iter().chain(call.headers).filter(is_sent) {
        let name: tonic::metadata::MetadataKey<_> = name.parse().unwrap();
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    let path: PathAndQuery = format!("/{service}/{name}").parse().unwrap();
    match client.unary(request, path, ProstCodec::<In, Out>::default()).await {
        Ok(response) => {
            let headers = response.metadata().clone().into_headers();
            // By way of text, in which numbers of 32 bits are written short.
            let text = serde_json::to_vec(response.get_ref()).unwrap();
            let body = serde_json::from_slice(&text).unwrap();
            Ok(Reply { code: 0, headers, body })
        }
        Err(status) => Ok(refusal(&status)),
    }
}

/// A status as REST prints it. `details` hold what `google.rpc.Status` carries beside the message.
fn refusal(status: &Status) -> Reply {
    let code = i32::from(status.code());
    let details: Vec<Value> = RpcStatus::decode(status.details())
        .unwrap_or_default()
        .details
        .iter()
        .filter(|any| any.type_url == ERROR_INFO_TYPE)
        .filter_map(|any| ErrorInfo::decode(&*any.value).ok())
        .map(|info| {
            json!({
                "@type": ERROR_INFO_TYPE,
                "reason": info.reason,
                "domain": info.domain,
                "metadata": info.metadata,
            })
        })
        .collect();
    let body = json!({ "code": code, "message": status.message(), "details": details });
    Reply { code, headers: status.metadata().clone().into_headers(), body }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: std::collections::BTreeMap<String, String>,
}
