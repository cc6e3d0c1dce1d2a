//! A running server and small clients for it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lodgepole_server::settings::IndexPorts;
use lodgepole_server::{Components, Ended, Server, Settings, StartError};
use lodgepole_storage::local::LocalOptions;
use lodgepole_storage::{OsRng, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A server on a free port.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
    settings: Settings,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Settings for a test: any control port, and ports for indexes that no other test has and that the
/// system does not give to outgoing connections, so that an index finds its port free again.
pub(crate) fn settings(data_dir: &Path) -> Settings {
    static SERVERS: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 10).unwrap();
    let server = SERVERS.fetch_add(1, Ordering::Relaxed);
    let first = 20_000 + 1_000 * process + 10 * server;
    Settings {
        data_dir: data_dir.to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        index_ports: IndexPorts::Range { first, last: first + 9 },
        log_level: "warn".to_owned(),
        request_bytes_max: 1 << 20,
        ..Settings::default()
    }
}

pub(crate) async fn start_with(settings: Settings) -> Result<Server, StartError> {
    let components = Components {
        clock: Arc::new(SystemClock::new()),
        rng: Arc::new(OsRng::new().unwrap()),
        disk: LocalOptions::default(),
    };
    Box::pin(Server::start(settings, components)).await
}

impl Running {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        Self::start_in(folder, settings).await
    }

    async fn start_in(folder: tempfile::TempDir, settings: Settings) -> Self {
        let server = start_with(settings.clone()).await.unwrap();
        Self { address: server.address(), server, folder, settings }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops the server and starts another on the same data.
    pub(crate) async fn restart(self) -> Self {
        assert_eq!(self.server.stop().await, Ended::Clean);
        Self::start_in(self.folder, self.settings).await
    }

    /// A request to the control plane.
    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> Answer {
        send(self.address, request(method, self.address, path, &body)).await
    }

    /// Makes an index of three dimensions; where its data plane is.
    pub(crate) async fn index(&self, name: &str) -> SocketAddr {
        let body = json!({
            "name": name, "dimension": 3, "metric": "euclidean",
            "spec": { "serverless": { "cloud": "aws", "region": "us-east-1" } },
        });
        let answer = self.control(Method::POST, "/indexes", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        host(&answer.json())
    }
}

/// The address in an index model.
pub(crate) fn host(index: &Value) -> SocketAddr {
    index["host"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap()
}

/// A request with a key; `null` sends no body.
pub(crate) fn request(
    method: Method,
    to: SocketAddr,
    path: &str,
    body: &Value,
) -> Request<Full<Bytes>> {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    Request::builder()
        .method(method)
        .uri(format!("http://{to}{path}"))
        .header("host", to.to_string())
        .header("api-key", "any")
        .body(Full::new(body))
        .unwrap()
}

/// Sends one request over HTTP/1.1.
pub(crate) async fn send(to: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    // HTTP/1.1 wants the path alone in its first line.
    let (mut head, body) = request.into_parts();
    head.uri = head.uri.path_and_query().unwrap().as_str().parse().unwrap();
    answer(sender.send_request(Request::from_parts(head, body)).await.unwrap()).await
}

/// Sends one request over HTTP/2 with prior knowledge.
pub(crate) async fn send_http2(to: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    answer(sender.send_request(request).await.unwrap()).await
}

pub(crate) async fn answer(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}
