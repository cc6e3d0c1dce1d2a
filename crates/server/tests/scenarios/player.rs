//! Plays a scenario against a server of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use lodgepole_server::settings::IndexPorts;
use lodgepole_server::{Components, Server, Settings};
use lodgepole_storage::local::LocalOptions;
use lodgepole_storage::{OsRng, SystemClock};
use lodgepole_types::{Clock, ErrorKind};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::grpc;
use crate::script::{Answer, Body, Script, Step};
use crate::values::{Kept, compare, fill};

/// The dialect in which the index of a scenario is created.
const FURNISHING_VERSION: &str = "2025-10";
/// Paths of the control plane start with one of these.
const CONTROL_PATHS: [&str; 9] = [
    "/indexes",
    "/collections",
    "/backups",
    "/restore-jobs",
    "/backup-schedules",
    "/models",
    "/embed",
    "/rerank",
    "/health",
];

pub(crate) const VERSION_HEADER: &str = "x-pinecone-api-version";
/// The value of a header that a step leaves out.
pub(crate) const NOT_SENT: &str = "<none>";
/// How often is asked for an answer that comes `eventually`: 20 seconds long.
const TRIES_MAX: u32 = 400;
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How requests of the data plane go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Rest,
    Grpc,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
        }
    }
}

/// An answer from either transport.
struct Found {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// Plays it once.
pub(crate) fn play(script: &Script, version: &str, transport: Transport) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(Box::pin(run(script, version, transport)))
}

async fn run(script: &Script, version: &str, transport: Transport) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let components = Components {
        clock: Arc::clone(&clock),
        rng: Arc::new(OsRng::new().map_err(|error| error.to_string())?),
        disk: LocalOptions::default(),
    };
    let mut kept = Kept::new();
    kept.insert("folder".to_owned(), Value::String(folder.path().display().to_string()));
    kept.insert("files".to_owned(), Value::String(crate::folder().display().to_string()));
    let settings = settings(folder.path(), script, &kept)?;
    let server = Box::pin(Server::start(settings, components)).await;
    let server = server.map_err(|error| error.to_string())?;
    let control = server.address();
    let mut player = Player { clock, control, data: None, version, transport, kept };
    let outcome = player.perform(script).await;
    server.stop().await;
    outcome
}

/// Settings for a server of its own, with those that the scenario asks for.
fn settings(data_dir: &Path, script: &Script, kept: &Kept) -> Result<Settings, String> {
    static SERVERS: AtomicU16 = AtomicU16::new(0);
    // Tests run one after the other on few threads, so ranges may be used again after a while.
    let first = 10_000 + 20 * (SERVERS.fetch_add(1, Ordering::Relaxed) % 400);
    let settings = Settings {
        data_dir: data_dir.join("data"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        index_ports: IndexPorts::Range { first, last: first + 19 },
        log_level: "error".to_owned(),
        ..Settings::default()
    };
    let mut settings = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    for (name, value) in &script.settings {
        let value = value.as_str().map_or(value.clone(), |text| fill(text, kept).into());
        settings[name] = value;
    }
    serde_json::from_value(settings).map_err(|error| format!("settings: {error}"))
}

struct Player<'a> {
    clock: Arc<dyn Clock>,
    control: SocketAddr,
    /// The data plane of the index that was created last.
    data: Option<SocketAddr>,
    version: &'a str,
    transport: Transport,
    kept: Kept,
}

impl Player<'_> {
    async fn perform(&mut self, script: &Script) -> Result<(), String> {
        if let Some(index) = &script.index {
            let body = Bytes::from(index.to_string());
            let version = FURNISHING_VERSION;
            let made = rest(self.control, "POST", "/indexes", version, &[], body).await?;
            if made.status != 201 {
                return Err(format!("the index was refused: {:?}", made.body));
            }
            self.note_host(&made);
        }
        let (version, transport) = (self.version, self.transport);
        let fits = |step: &&Step| step.is_in(version) && step.is_over(transport);
        for step in script.steps.iter().filter(fits) {
            let Some(wanted) = step.answer_in(self.version) else {
                return Err(format!("'{}' expects nothing in {}", step.title, self.version));
            };
            for tries in 1.. {
                let found = self.send(step).await.map_err(|e| format!("'{}': {e}", step.title))?;
                match self.check(step, wanted, &found) {
                    Ok(()) => break,
                    Err(_) if step.may_be_late() && tries < TRIES_MAX => {
                        self.clock.sleep(RETRY_PAUSE).await;
                    }
                    Err(problem) => return Err(problem),
                }
            }
        }
        Ok(())
    }

    fn note_host(&mut self, found: &Found) {
        let body: Value = serde_json::from_slice(&found.body).unwrap_or_default();
        let host = body["host"].as_str().and_then(|host| host.strip_prefix("http://"));
        self.data = host.and_then(|host| host.parse().ok()).or(self.data);
    }

    async fn send(&mut self, step: &Step) -> Result<Found, String> {
        let path = fill(&step.path, &self.kept);
        let body = fill(&step.body, &self.kept);
        let is_control = CONTROL_PATHS.iter().any(|start| path.starts_with(start));
        let to = if is_control { Some(self.control) } else { self.data };
        let to = to.ok_or("there is no index yet")?;
        let over_grpc = self.transport == Transport::Grpc
            && !step.is_rest_only()
            && grpc::has_method(&step.method, &path);
        if over_grpc {
            let headers = with_key(&step.headers);
            let (bare, query) = match path.split_once('?') {
                Some((bare, query)) => (bare, Some(query)),
                None => (path.as_str(), None),
            };
            let body = body.as_bytes();
            let call = grpc::Call { to, version: self.version, headers: &headers, query, body };
            let reply = grpc::send(&step.method, bare, &call).await?;
            let status = http_status(&reply);
            let body = Bytes::from(reply.body.to_string());
            return Ok(Found { status, headers: reply.headers, body });
        }
        let body = Bytes::from(body);
        let found = rest(to, &step.method, &path, self.version, &step.headers, body).await?;
        let is_index = match (step.method.as_str(), path.strip_prefix("/indexes")) {
            ("POST", Some("" | "/create-for-model")) => true,
            ("GET", Some(name)) => name.rfind('/') == Some(0),
            _ => false,
        };
        if is_index && found.status < 300 {
            self.note_host(&found);
        }
        Ok(found)
    }

    fn check(&mut self, step: &Step, wanted: &Answer, found: &Found) -> Result<(), String> {
        let at = &step.title;
        if found.status != wanted.status {
            return Err(format!(
                "'{at}' was answered {}, expected {}: {:?}",
                found.status, wanted.status, found.body
            ));
        }
        for (name, pattern) in &wanted.headers {
            let value = found.headers.get(name).ok_or_else(|| format!("'{at}': no {name}"))?;
            let value = Value::String(value.to_str().unwrap_or_default().to_owned());
            let pattern = Value::String(pattern.clone());
            compare(&format!("'{at}': {name}"), &pattern, &value, &mut self.kept)?;
        }
        match &wanted.body {
            Body::Empty if found.body.is_empty() => Ok(()),
            Body::Empty => Err(format!("'{at}' was answered with a body: {:?}", found.body)),
            Body::Text(text) if found.body == *text => Ok(()),
            Body::Text(text) => Err(format!("'{at}' was answered {:?}, not {text}", found.body)),
            Body::Json(wanted) => {
                let body: Value = serde_json::from_slice(&found.body)
                    .map_err(|_| format!("'{at}': not JSON: {:?}", found.body))?;
                compare(&format!("'{at}': body"), wanted, &body, &mut self.kept)
                    .map_err(|problem| format!("{problem}\n  in {body}"))
            }
        }
    }
}

/// The status that REST would have, by the table of kinds of error. Several kinds share a code of
/// gRPC; the first of the table is the usual one.
fn http_status(reply: &grpc::Reply) -> u16 {
    if reply.code == 0 {
        return 200;
    }
    let mut kinds = ErrorKind::ALL.iter();
    kinds.find(|kind| kind.grpc_code() == reply.code).map_or(500, |kind| kind.http_status())
}

/// The step's headers with a key, unless it has one.
fn with_key(headers: &[(String, String)]) -> Vec<(String, String)> {
    let mut headers = headers.to_vec();
    if !headers.iter().any(|(name, _)| name == "api-key") {
        headers.push(("api-key".to_owned(), "any".to_owned()));
    }
    headers
}

async fn rest(
    to: SocketAddr,
    method: &str,
    path: &str,
    version: &str,
    headers: &[(String, String)],
    body: Bytes,
) -> Result<Found, String> {
    let stream = TcpStream::connect(to).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", to.to_string());
    let headers = with_key(headers);
    if !headers.iter().any(|(name, _)| name == VERSION_HEADER) {
        request = request.header(VERSION_HEADER, version);
    }
    for (name, value) in headers.iter().filter(|(_, value)| value != NOT_SENT) {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Found { status: head.status.as_u16(), headers: head.headers, body })
}
