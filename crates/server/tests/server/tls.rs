//! TLS on every port, next to requests in clear text; certificates exchanged while it runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lodgepole_server::settings::TlsMode;
use lodgepole_server::tls::Authority;
use lodgepole_server::{Ended, Settings};
use lodgepole_storage::SystemClock;
use lodgepole_storage::files::{self, Readers};
use lodgepole_types::Clock as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Answer, answer, request, send, settings, start_with};

/// Opens TLS to a server whose authority is trusted, and agrees on a protocol.
async fn connect(
    to: SocketAddr,
    authority: &Path,
    name: &str,
    protocol: &str,
) -> Result<TlsStream<TcpStream>, std::io::Error> {
    let mut roots = RootCertStore::empty();
    let pem = files::read(authority).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(to).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    Ok(stream)
}

/// Sends one request over HTTP/1.1 in TLS.
async fn send_https(to: SocketAddr, authority: &Path, request: Request<Full<Bytes>>) -> Answer {
    let stream = connect(to, authority, "localhost", "http/1.1").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    head.uri = head.uri.path_and_query().unwrap().as_str().parse().unwrap();
    answer(sender.send_request(Request::from_parts(head, body)).await.unwrap()).await
}

/// Sends one request over HTTP/2 in TLS; its answer and trailers.
async fn send_h2(
    to: SocketAddr,
    authority: &Path,
    request: Request<Full<Bytes>>,
) -> (StatusCode, Bytes, HeaderMap) {
    let stream = connect(to, authority, "127.0.0.1", "h2").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let reply = sender.send_request(request).await.unwrap();
    let status = reply.status();
    let body = reply.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    (status, body.to_bytes(), trailers)
}

fn authority(settings: &Settings) -> PathBuf {
    Authority::certificate_path(&settings.tls_folder())
}

fn create_index() -> Value {
    json!({
        "name": "songs", "dimension": 2, "metric": "cosine",
        "spec": { "serverless": { "cloud": "aws", "region": "us-east-1" } },
    })
}

#[tokio::test]
async fn every_port_speaks_tls_and_clear_text_and_replies_name_hosts_as_they_were_called() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { tls: TlsMode::Local, ..settings(folder.path()) };
    let ca = authority(&settings);
    let server = start_with(settings).await.unwrap();
    let control = server.address();
    let lines = server.ready_line();
    assert!(lines.starts_with("lodgepole ") && lines.contains("control plane https://"), "{lines}");
    let path = std::fs::canonicalize(&ca).unwrap().display().to_string();
    assert!(lines.matches(&path).count() >= 3 && lines.contains("NODE_EXTRA_CA_CERTS="), "{lines}");

    let body = create_index();
    let made = request(Method::POST, control, "/indexes", &body);
    let made = send_https(control, &ca, made).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let bare = made.json()["host"].as_str().unwrap().to_owned();
    let index: SocketAddr = bare.parse().expect("bare: every client dials TLS then");
    let plain = request(Method::GET, control, "/indexes/songs", &Value::Null);
    assert_eq!(send(control, plain).await.json()["host"], format!("http://{index}"));

    let upsert = json!({ "vectors": [{ "id": "a", "values": [1, 2] }] });
    let upsert = request(Method::POST, index, "/vectors/upsert", &upsert);
    let (status, body, _) = send_h2(index, &ca, upsert).await;
    assert_eq!(
        (status, &*body),
        (StatusCode::OK, &br#"{"upsertedCount":1}"#[..]),
        "REST in HTTP/2"
    );
    let mut stats = request(Method::POST, index, "/VectorService/DescribeIndexStats", &Value::Null);
    stats.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    *stats.body_mut() = Full::new(Bytes::from_static(&[0; 5]));
    let (status, body, trailers) = send_h2(index, &ca, stats).await;
    assert_eq!((status, &trailers["grpc-status"]), (StatusCode::OK, &"0".parse().unwrap()));
    assert!(body.len() > 5, "gRPC");
    assert_eq!(server.stop().await, Ended::Clean);
}

#[tokio::test]
async fn clear_text_is_refused_where_only_tls_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { tls: TlsMode::Local, tls_only: true, ..settings(folder.path()) };
    let ca = authority(&settings);
    let server = start_with(settings).await.unwrap();
    let control = server.address();
    let mut stream = TcpStream::connect(control).await.unwrap();
    stream.write_all(b"GET /indexes HTTP/1.1\r\nHost: x\r\nApi-Key: k\r\n\r\n").await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 400 ") && reply.ends_with("https://"), "{reply}");
    let list = request(Method::GET, control, "/indexes", &Value::Null);
    assert_eq!(send_https(control, &ca, list).await.status, StatusCode::OK);
    assert_eq!(server.stop().await, Ended::Clean);
}

#[tokio::test]
async fn a_client_that_speaks_tls_to_a_server_without_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let with = Settings { tls: TlsMode::Local, ..settings(folder.path()) };
    drop(Authority::open(&with.tls_folder(), SystemClock::new().now()).unwrap());
    let server = start_with(settings(folder.path())).await.unwrap();
    assert!(connect(server.address(), &authority(&with), "localhost", "h2").await.is_err());
    let mut garbage = TcpStream::connect(server.address()).await.unwrap();
    garbage.write_all(b"\x16\x03\x01\xff\xff garbage").await.unwrap();
    let mut rest = Vec::new();
    let _ = garbage.read_to_end(&mut rest).await;
    let list = request(Method::GET, server.address(), "/indexes", &Value::Null);
    assert_eq!(send(server.address(), list).await.status, StatusCode::OK, "others go on");
}

#[tokio::test]
async fn new_files_are_shown_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemClock::new().now();
    let ca = folder.path().join("ca");
    let issuer = Authority::open(&ca, now).unwrap();
    let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    let write = |name: &str| {
        let issued = issuer.issue_file(&[name.to_owned()], now).unwrap();
        files::replace(&certificate, issued.certificate.as_bytes(), Readers::Everybody).unwrap();
        files::replace(&key, issued.key.as_bytes(), Readers::Owner).unwrap();
    };
    write("first.example");
    let settings = Settings {
        tls_cert: certificate.clone(),
        tls_key: key.clone(),
        ..settings(&folder.path().join("data"))
    };
    let server = start_with(settings.clone()).await.unwrap();
    let root = Authority::certificate_path(&ca);
    let shows = async |name: &str| connect(server.address(), &root, name, "h2").await.is_ok();
    assert!(shows("first.example").await && !shows("second.example").await);
    write("second.example");
    let asked = {
        let data_dir = settings.data_dir.clone();
        let question = lodgepole_server::operator::Question::ReloadTls;
        tokio::task::spawn_blocking(move || lodgepole_server::operator::ask(&data_dir, &question))
    };
    let reply = asked.await.unwrap().unwrap();
    assert_eq!(reply, Some(lodgepole_server::operator::Reply::Done));
    assert!(shows("second.example").await && !shows("first.example").await);
    assert_eq!(server.stop().await, Ended::Clean);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        tls_cert: folder.path().join("none.pem"),
        tls_key: folder.path().join("none.key"),
        ..settings(&folder.path().join("data"))
    };
    let error = start_with(settings).await.unwrap_err().to_string();
    assert!(error.contains("none.pem") && error.lines().count() == 1, "{error}");
    assert!(!folder.path().join("data").exists(), "the data was not touched");
}
