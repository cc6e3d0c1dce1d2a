//! Limits: what is too much is refused with a clear answer, and never with a fault of ours.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::Full;
use lodgepole_server::Settings;
use lodgepole_storage::SystemClock;
use lodgepole_types::Clock as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Running, request, send, send_http2, settings, start_with};

fn raw(to: std::net::SocketAddr, path: &str, body: String) -> http::Request<Full<Bytes>> {
    let mut request = request(Method::POST, to, path, &Value::Null);
    *request.body_mut() = Full::new(Bytes::from(body));
    request
}

#[tokio::test]
async fn an_upsert_has_a_limit_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        upsert_bytes_max: 10_000,
        request_bytes_max: 100_000,
        ..settings(folder.path())
    };
    let server = start_with(settings).await.unwrap();
    let control = server.address();
    let create = json!({
        "name": "a", "dimension": 2, "metric": "cosine",
        "spec": { "serverless": { "cloud": "aws", "region": "us-east-1" } },
    });
    let made = send(control, request(Method::POST, control, "/indexes", &create)).await.json();
    let index = crate::client::host(&made);
    let padding = " ".repeat(20_000);
    let upsert = format!("{{\"vectors\":[{{\"id\":\"a\",\"values\":[1,2]}}]{padding}}}");
    let refused = send(index, raw(index, "/vectors/upsert", upsert)).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("10000 bytes"), "{message}");
    let query = format!("{{\"vector\":[1,2],\"topK\":1{padding}}}");
    assert_eq!(send(index, raw(index, "/query", query)).await.status, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn deep_json_is_refused_on_both_planes_and_in_every_place() {
    let server = Running::start().await;
    let index = server.index("first").await;
    for depth in [200, 100_000] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let (open_map, close_map) = ("{\"a\":".repeat(depth), "}".repeat(depth));
        for (to, path, body) in [
            (server.address, "/indexes", open.clone()),
            (server.address, "/indexes", format!("{{\"name\":{open}{close}}}")),
            (server.address, "/indexes", format!("{{\"ignored\":{open}{close}}}")),
            (index, "/query", open.clone()),
            (index, "/query", format!("{{\"ignored\":{open_map}1{close_map}}}")),
            (
                index,
                "/query",
                format!("{{\"vector\":[1,2,3],\"topK\":1,\"filter\":{open_map}1{close_map}}}"),
            ),
            (index, "/vectors/upsert", format!("{{\"vectors\":{open}{close}}}")),
            (
                index,
                "/vectors/upsert",
                format!(
                    "{{\"vectors\":[{{\"id\":\"a\",\"values\":[1,2,3],\"metadata\":{open_map}1{close_map}}}]}}"
                ),
            ),
        ] {
            let short: String = body.chars().take(40).collect();
            let answer = send(to, raw(to, path, body)).await;
            assert!(answer.status.is_client_error(), "{path} {short}: {}", answer.status);
            assert!(!answer.json().to_string().is_empty());
        }
    }
    let list = server.control(Method::GET, "/indexes", Value::Null).await;
    assert_eq!(list.status, StatusCode::OK, "it goes on");
}

#[tokio::test]
async fn a_slow_head_is_answered_with_408_and_a_slow_body_with_400() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { header_timeout_s: 1, stall_timeout_s: 1, ..settings(folder.path()) };
    let server = start_with(settings).await.unwrap();
    for (sent, status) in [
        ("POST /indexes HTTP/1.1\r\nHost: localhost\r\nApi-Key: a\r\n", "408"),
        (
            "POST /indexes HTTP/1.1\r\nHost: localhost\r\nApi-Key: a\r\nContent-Length: 9\r\n\r\n{",
            "400",
        ),
    ] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut reply = vec![0; 12];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(String::from_utf8(reply).unwrap(), format!("HTTP/1.1 {status}"));
    }
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_when_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { connections_max: 1, ..settings(folder.path()) };
    let server = start_with(settings).await.unwrap();
    let held = TcpStream::connect(server.address()).await.unwrap();
    SystemClock::new().sleep(Duration::from_millis(50)).await;
    let to = server.address();
    let list = || request(Method::GET, to, "/indexes", &Value::Null);
    let refused = send(to, list()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.json()["error"]["code"], "UNAVAILABLE");
    let mut grpc = list();
    grpc.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    assert_eq!(send_http2(to, grpc).await.header("grpc-status"), "14");
    drop(held);
    for _ in 0..100 {
        SystemClock::new().sleep(Duration::from_millis(20)).await;
        if send(to, list()).await.status == StatusCode::OK {
            return;
        }
    }
    panic!("the place was not given back");
}
