//! REST: the main job, and every refusal that HTTP itself decides.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Running, host, request, send, send_http2};

fn two_records() -> Value {
    json!({ "namespace": "n", "vectors": [
        { "id": "a/1", "values": [1, 0, 0], "metadata": { "k": "v" } },
        { "id": "b", "values": [0, 1, 0.4] },
    ]})
}

#[tokio::test]
async fn an_index_made_from_a_backup_holds_what_the_backup_held() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let upsert = send(index, request(Method::POST, index, "/vectors/upsert", &two_records())).await;
    assert_eq!(upsert.json(), json!({ "upsertedCount": 2 }));
    let backup = server.control(Method::POST, "/indexes/first/backups", json!({})).await;
    assert_eq!((backup.status, &backup.json()["status"]), (StatusCode::OK, &json!("Ready")));
    let delete = json!({ "ids": ["b"], "namespace": "n" });
    let delete = send(index, request(Method::POST, index, "/vectors/delete", &delete)).await;
    assert_eq!((delete.status, delete.json()), (StatusCode::OK, json!({})));

    let path = format!("/backups/{}/create-index", backup.json()["backup_id"].as_str().unwrap());
    let made = server.control(Method::POST, &path, json!({ "name": "second" })).await;
    assert_eq!(made.status, StatusCode::ACCEPTED);
    let described = server.control(Method::GET, "/indexes/second", Value::Null).await.json();
    assert_eq!(described["status"]["ready"], true);
    let second = host(&described);
    let fetch = "/vectors/fetch?ids=a%2F1&ids=b&ids=c&namespace=n";
    let fetched = send(second, request(Method::GET, second, fetch, &Value::Null)).await.json();
    assert_eq!(fetched["vectors"]["a/1"]["metadata"], json!({ "k": "v" }));
    assert_eq!(fetched["vectors"]["b"]["values"], json!([0.0, 1.0, 0.4]));
    assert_eq!(fetched["vectors"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn replies_name_their_request_version_and_place_in_the_order_of_writes() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let mut upsert = request(Method::POST, index, "/vectors/upsert", &two_records());
    upsert.headers_mut().insert("X-Request-Id", HeaderValue::from_static("mine-1"));
    upsert.headers_mut().insert("X-Pinecone-Api-Version", HeaderValue::from_static("2026-04"));
    let upsert = send(index, upsert).await;
    assert_eq!(upsert.header("x-pinecone-request-id"), "mine-1");
    assert_eq!(upsert.header("x-pinecone-api-version"), "2026-04");
    let lsn: u64 = upsert.header("x-pinecone-request-lsn").parse().unwrap();
    assert_eq!(upsert.header("x-pinecone-lsn-committed"), lsn.to_string());
    let query = json!({ "vector": [1, 0, 0], "topK": 1, "namespace": "n" });
    let query = send(index, request(Method::POST, index, "/query", &query)).await;
    assert_eq!(query.json()["matches"][0]["id"], "a/1");
    let seen: u64 = query.header("x-pinecone-max-indexed-lsn").parse().unwrap();
    assert!(seen >= lsn, "a read sees every write that was acknowledged before it");
    assert_eq!(query.header("x-pinecone-lsn-reconciled"), seen.to_string());
    assert_eq!(query.header("x-pinecone-request-id").len(), 32, "a fresh id");
}

#[tokio::test]
async fn a_web_page_without_a_key_is_refused_before_anything_else() {
    let server = Running::start().await;
    let index = server.index("first").await;
    for (to, path, text) in [
        (server.address, "/indexes", "Invalid API key"),
        (server.address, "/nothing", "Invalid API key"),
        (index, "/query", "Unauthorized"),
    ] {
        let mut refused = request(Method::POST, to, path, &json!("of no operation's shape"));
        refused.headers_mut().remove("api-key");
        refused.headers_mut().insert("origin", HeaderValue::from_static("https://example.com"));
        refused.headers_mut().insert("x-pinecone-api-version", HeaderValue::from_static("bad"));
        let answer = send(to, refused).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, text.as_bytes()));
        assert!(answer.header("content-type").starts_with("text/plain"));
    }
    // A program on this machine needs none as long as no key was made.
    let mut program = request(Method::GET, server.address, "/indexes", &Value::Null);
    program.headers_mut().remove("api-key");
    assert_eq!(send(server.address, program).await.status, StatusCode::OK);
    for path in ["/health/live", "/health/ready"] {
        let mut open = request(Method::GET, server.address, path, &Value::Null);
        open.headers_mut().remove("api-key");
        assert_eq!(send(server.address, open).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn the_body_of_a_stranger_is_not_waited_for() {
    let server = Running::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /indexes HTTP/1.1\r\nHost: localhost\r\nOrigin: https://example.com\r\n\
                Content-Length: 1073741824\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = vec![0; 12];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply, b"HTTP/1.1 401");
    let sent = tokio::spawn(async move {
        let mut sent = 0_usize;
        while stream.write_all(&[b'x'; 64 << 10]).await.is_ok() {
            sent += 64 << 10;
        }
        sent
    });
    assert!(sent.await.unwrap() < 64 << 20, "the connection is closed, not fed");
}

#[tokio::test]
async fn paths_methods_and_versions_are_checked_in_the_spelling_of_the_plane() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let unknown = server.control(Method::GET, "/nothing", Value::Null).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json()["error"]["code"], "NOT_FOUND");
    let wrong = server.control(Method::PUT, "/indexes", Value::Null).await;
    assert_eq!(
        (wrong.status, &wrong.json()["status"]),
        (StatusCode::METHOD_NOT_ALLOWED, &405.into())
    );
    assert_eq!(wrong.header("allow"), "GET, POST");
    let other = server.control(Method::POST, "/query", json!({})).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let unknown = send(index, request(Method::GET, index, "/nothing", &Value::Null)).await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (StatusCode::NOT_FOUND, &5.into()));
    let mut version = request(Method::GET, server.address, "/indexes", &Value::Null);
    version.headers_mut().insert("X-Pinecone-Api-Version", HeaderValue::from_static("invalid"));
    let version = send(server.address, version).await;
    assert_eq!((version.status, &version.json()["status"]), (StatusCode::BAD_REQUEST, &400.into()));
    let broken = send(index, request(Method::POST, index, "/query", &json!("{"))).await;
    assert_eq!((broken.status, &broken.json()["code"]), (StatusCode::BAD_REQUEST, &3.into()));
}

#[tokio::test]
async fn bodies_are_bounded_also_when_they_are_compressed() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let large = json!({ "text": "x".repeat(2 << 20) });
    let large = send(index, request(Method::POST, index, "/vectors/upsert", &large)).await;
    assert_eq!((large.status, &large.json()["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &11.into()));

    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        Full::new(Bytes::from(encoder.finish().unwrap()))
    };
    let packed = |body| {
        let mut packed = request(Method::POST, index, "/vectors/upsert", &Value::Null);
        packed.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        *packed.body_mut() = body;
        packed
    };
    let bomb = send(index, packed(gzip(&vec![b' '; 100 << 20]))).await;
    assert_eq!(bomb.status, StatusCode::PAYLOAD_TOO_LARGE);
    let good = send(index, packed(gzip(two_records().to_string().as_bytes()))).await;
    assert_eq!(good.json(), json!({ "upsertedCount": 2 }));
}

#[tokio::test]
async fn rest_is_served_over_http2_too() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let body = two_records();
    let answer = send_http2(index, request(Method::POST, index, "/vectors/upsert", &body)).await;
    assert_eq!(answer.json(), json!({ "upsertedCount": 2 }));
    let list = request(Method::GET, server.address, "/indexes", &Value::Null);
    let list = send_http2(server.address, list).await.json();
    let address = format!("http://{index}");
    assert_eq!(list["indexes"][0]["host"], address, "the host comes from :authority");
}

#[tokio::test]
async fn java_gets_hosts_without_a_scheme() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let mut java = request(Method::GET, server.address, "/indexes/first", &Value::Null);
    let agent = HeaderValue::from_static("lang=java; pineconeClientVersion=v6.2.0");
    java.headers_mut().insert("user-agent", agent);
    assert_eq!(send(server.address, java).await.json()["host"], index.to_string());
}
