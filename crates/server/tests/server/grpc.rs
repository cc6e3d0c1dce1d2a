//! gRPC: the same messages, statuses in place of HTTP's.

use std::net::SocketAddr;

use http::uri::PathAndQuery;
use lodgepole_api::wire::vectors::{
    FetchRequest, FetchResponse, UpsertRequest, UpsertResponse, Vector,
};
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::client::{Running, request, send_http2};

struct Client {
    grpc: tonic::client::Grpc<Channel>,
}

impl Client {
    async fn connect(to: SocketAddr) -> Self {
        let channel = Endpoint::from_shared(format!("http://{to}")).unwrap().connect().await;
        Self { grpc: tonic::client::Grpc::new(channel.unwrap()) }
    }

    async fn call<In, Out>(&mut self, method: &str, message: In) -> Result<Response<Out>, Status>
    where
        In: Message + 'static,
        Out: Message + Default + 'static,
    {
        let mut request = Request::new(message);
        request.metadata_mut().insert("api-key", "any".parse().unwrap());
        self.send(method, request).await
    }

    async fn send<In, Out>(
        &mut self,
        method: &str,
        request: Request<In>,
    ) -> Result<Response<Out>, Status>
    where
        In: Message + 'static,
        Out: Message + Default + 'static,
    {
        let path: PathAndQuery = format!("/VectorService/{method}").parse().unwrap();
        self.grpc.ready().await.unwrap();
        self.grpc.unary(request, path, ProstCodec::<In, Out>::default()).await
    }
}

fn upsert(dimension: usize, count: usize) -> UpsertRequest {
    let vector = |i: usize| Vector {
        id: format!("id-{i}"),
        values: vec![1.0; dimension],
        ..Vector::default()
    };
    UpsertRequest { vectors: (0..count).map(vector).collect(), namespace: "n".to_owned() }
}

fn fetch() -> FetchRequest {
    FetchRequest { ids: vec!["id-0".to_owned()], namespace: "n".to_owned() }
}

#[tokio::test]
async fn a_record_goes_in_and_comes_out() {
    let server = Running::start().await;
    let mut client = Client::connect(server.index("first").await).await;
    let stored = client.call::<_, UpsertResponse>("Upsert", upsert(3, 2)).await.unwrap();
    let lsn = stored.metadata().get("x-pinecone-request-lsn").unwrap().to_str().unwrap();
    assert!(lsn.parse::<u64>().unwrap() > 0);
    assert!(stored.metadata().contains_key("x-pinecone-request-id"));
    assert_eq!(stored.metadata().get("x-pinecone-lsn-committed").unwrap(), lsn);
    let took = stored.metadata().get("x-pinecone-response-duration-ms").unwrap();
    assert!(took.to_str().unwrap().parse::<u64>().is_ok());
    assert_eq!(stored.get_ref().upserted_count, 2);
    let fetched = client.call::<_, FetchResponse>("Fetch", fetch()).await.unwrap();
    assert_eq!(fetched.get_ref().vectors["id-0"].values, [1.0; 3]);
    assert!(fetched.metadata().contains_key("x-pinecone-max-indexed-lsn"));
    assert!(fetched.metadata().contains_key("x-pinecone-lsn-reconciled"));
}

#[tokio::test]
async fn compressed_messages_are_read_and_bounded() {
    let server = Running::start().await;
    let mut client = Client::connect(server.index("first").await).await;
    client.grpc = client.grpc.send_compressed(CompressionEncoding::Gzip);
    let stored = client.call::<_, UpsertResponse>("Upsert", upsert(3, 2)).await.unwrap();
    assert_eq!(stored.get_ref().upserted_count, 2);
    let bomb = client.call::<_, UpsertResponse>("Upsert", upsert(1_000_000, 1)).await.unwrap_err();
    assert_eq!(bomb.code(), Code::OutOfRange, "{bomb}");
}

#[tokio::test]
async fn refusals_are_statuses() {
    let server = Running::start().await;
    let mut client = Client::connect(server.index("first").await).await;
    let wrong = client.call::<_, UpsertResponse>("Upsert", upsert(2, 1)).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    assert_eq!(wrong.message(), "Vector dimension 2 does not match the dimension of the index 3");
    let large = client.call::<_, UpsertResponse>("Upsert", upsert(1_000_000, 1)).await;
    assert_eq!(large.unwrap_err().code(), Code::OutOfRange);
    let unknown = client.call::<_, UpsertResponse>("Nothing", upsert(3, 1)).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
    let mut page = Request::new(fetch());
    page.metadata_mut().insert("origin", "https://example.com".parse().unwrap());
    let no_key = client.send::<_, FetchResponse>("Fetch", page).await.unwrap_err();
    assert_eq!(no_key.code(), Code::Unauthenticated);
    let mut control = Client::connect(server.address).await;
    let elsewhere = control.call::<_, FetchResponse>("Fetch", fetch()).await.unwrap_err();
    assert_eq!(elsewhere.code(), Code::NotFound);
    let mut version = Request::new(fetch());
    version.metadata_mut().insert("api-key", "any".parse().unwrap());
    version.metadata_mut().insert("x-pinecone-api-version", "invalid".parse().unwrap());
    let version = client.send::<_, FetchResponse>("Fetch", version).await.unwrap_err();
    assert_eq!(version.code(), Code::InvalidArgument);
}

#[tokio::test]
#[expect(clippy::big_endian_bytes, reason = "the byte order of the protocol")]
async fn a_deadline_of_the_caller_is_kept() {
    let server = Running::start().await;
    let index = server.index("first").await;
    // By hand: tonic's client gives up by itself.
    let message = upsert(3, 1).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    let frame = [&[0], &length.to_be_bytes()[..], &message].concat();
    let path = "/VectorService/Upsert";
    let mut late = request(http::Method::POST, index, path, &serde_json::Value::Null);
    late.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    late.headers_mut().insert("grpc-timeout", "0n".parse().unwrap());
    *late.body_mut() = http_body_util::Full::new(frame.into());
    assert_eq!(send_http2(index, late).await.header("grpc-status"), "4");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_the_callers_fault() {
    let server = Running::start().await;
    let mut client = Client::connect(server.index("first").await).await;
    // Field 1 of this message is a number, that of an upsert a message.
    #[derive(Clone, PartialEq, Message)]
    struct Other {
        #[prost(uint64, tag = "1")]
        number: u64,
    }
    let wrong = client.call::<_, UpsertResponse>("Upsert", Other { number: 7 }).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument, "{wrong}");
    assert!(wrong.message().contains("cannot be read"), "{wrong}");
}
