//! What every request passes, on every port, before REST and gRPC part.
//!
//! The order is the point: health first (no key), then the key, then where the request goes, then
//! what the key allows, then the body, so that nothing of a stranger's request is read or looked up.
//! Every reply carries the id of its request. Errors are logged here, once, with that id.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use lodgepole_api::{ApiError, ApiVersion, Plane};
use lodgepole_service::{IndexHosts, RequestContext, Service, Transport};
use lodgepole_types::{BoxFuture, Clock, ErrorKind, Index, Rng};
use parking_lot::RwLock;

mod access;
mod body;
mod caller;
mod domain;
mod reply;
mod work;

pub(crate) use access::{Access, Grant, Unprotected};
pub(crate) use body::Budget;
pub(crate) use body::{BodyReader, BytesMax, Held, Share};
pub(crate) use caller::Caller;
pub(crate) use domain::Domain;
use domain::Named;
pub(crate) use reply::{Position, Reply};
pub(crate) use work::Work;

use crate::settings::HostFormat;
use crate::tls::Tls;
use crate::transport::{Handler, ReplyBody, Way};
use crate::{grpc, rest};

/// How long a caller should wait that came while there were too many connections.
const TURNED_AWAY_RETRY_AFTER_S: u16 = 1;
/// How long a caller should wait for whom there is no room: on the disk, or in the queue of imports.
/// Neither ends within moments.
const LIMITED_RETRY_AFTER_S: u16 = 5;

/// Everything that answering a request needs.
#[derive(Debug)]
pub(crate) struct Front {
    /// Absent while the server starts and after it has stopped.
    open: RwLock<Option<Open>>,
    access: Access,
    control_port: u16,
    host_format: HostFormat,
    body: BodyReader,
    work: Work,
    tls: Option<Arc<Tls>>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

/// What is known once the data is open.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    /// What performs operations.
    pub(crate) service: Service,
    /// The domain below which indexes have host names, if they have.
    pub(crate) domain: Option<Arc<Domain>>,
}

/// What the operator decided about requests.
#[derive(Debug, Clone)]
pub(crate) struct FrontOptions {
    /// Who may call.
    pub(crate) access: Access,
    /// The port that serves the control plane; the others serve indexes.
    pub(crate) control_port: u16,
    /// How hosts are written in replies.
    pub(crate) host_format: HostFormat,
    /// Longest bodies.
    pub(crate) bytes_max: BytesMax,
    /// Memory for all bodies together.
    pub(crate) request_buffer_bytes: usize,
    /// Longest pause in the middle of a body.
    pub(crate) stall_timeout: Duration,
    /// The certificate that is shown, if there is one.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// One request on its way, without its body.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// What is running.
    pub(crate) service: Service,
    /// Who sent it and how.
    pub(crate) caller: Caller,
    /// Where it is to be answered.
    pub(crate) target: Target,
    /// What its key allows.
    pub(crate) grant: Grant,
    /// How hosts are written in the reply.
    hosts: IndexHosts,
}

/// What a request is addressed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Indexes, backups and restore jobs.
    ControlPlane,
    /// The records of the index on this port.
    IndexOnPort(u16),
    /// The records of the index of this name.
    IndexNamed(String),
    /// The records of an index that there cannot be.
    NoIndex,
}

impl Arrival {
    /// The index that the request is for.
    ///
    /// # Errors
    /// `NotFound` when no index is served here, as on the port of a deleted index.
    pub(crate) fn index(&self) -> Result<Arc<Index>, ApiError> {
        let index = match &self.target {
            Target::ControlPlane | Target::NoIndex => None,
            Target::IndexOnPort(port) => self.service.index_by_port(*port),
            Target::IndexNamed(name) => self.service.index_by_name(name),
        };
        index.ok_or_else(|| {
            ApiError::new(
                ErrorKind::NotFound,
                "No index is served at this address. Describe the index to learn its host",
            )
        })
    }

    /// What the operation is told about the request.
    ///
    /// # Errors
    /// `InvalidArgument` when the API version is none.
    pub(crate) fn context(&self, transport: Transport) -> Result<RequestContext, ApiError> {
        Ok(RequestContext {
            version: ApiVersion::from_header(self.caller.version.as_deref())?,
            transport,
            hosts: self.hosts.clone(),
            request_id: self.caller.request_id.clone(),
        })
    }
}

impl Target {
    /// The plane it belongs to.
    pub(crate) fn plane(&self) -> Plane {
        match self {
            Self::ControlPlane => Plane::Control,
            Self::IndexOnPort(_) | Self::IndexNamed(_) | Self::NoIndex => Plane::Data,
        }
    }
}

impl Front {
    /// A front without a service: it answers health checks, and 503 to everything else.
    pub(crate) fn new(options: FrontOptions, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let body = BodyReader {
            bytes_max: options.bytes_max,
            stall_timeout: options.stall_timeout,
            budget: Budget::new(options.request_buffer_bytes),
            clock: Arc::clone(&clock),
        };
        Self {
            open: RwLock::new(None),
            access: options.access,
            control_port: options.control_port,
            host_format: options.host_format,
            body,
            work: Work::default(),
            tls: options.tls,
            clock,
            rng,
        }
    }

    /// Days for which the certificate in use is still valid; `None` without TLS.
    pub(crate) fn certificate_days_left(&self) -> Option<i64> {
        self.tls.as_ref().map(|tls| tls.days_left())
    }

    /// Begins to answer.
    pub(crate) fn open(&self, open: Open) {
        *self.open.write() = Some(open);
    }

    /// Stops answering; returns when no operation is running any more, also none whose caller has
    /// gone away.
    pub(crate) async fn close(&self) {
        *self.open.write() = None;
        self.work.finished().await;
    }

    /// Reads bodies.
    pub(crate) fn body(&self) -> &BodyReader {
        &self.body
    }

    /// Runs operations.
    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    /// The clock that deadlines are measured by.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Where a request goes: the one place that decides it. `host` is what the caller asked for,
    /// without its port.
    fn target(&self, port: u16, host: &str, domain: Option<&Domain>) -> Target {
        if port != self.control_port {
            return Target::IndexOnPort(port);
        }
        match domain.and_then(|domain| domain.named(host)) {
            None => Target::ControlPlane,
            Some(Named::Index(name)) => Target::IndexNamed(name.to_owned()),
            Some(Named::Nothing) => Target::NoIndex,
        }
    }

    /// How hosts are written in the reply: as the caller can use them.
    fn hosts(&self, way: Way, caller: &Caller, domain: Option<&Domain>) -> IndexHosts {
        let is_bare = match self.host_format {
            // Clients dial TLS when there is no scheme; so does whoever uses names of the domain.
            HostFormat::Auto => way.is_tls || domain.is_some(),
            HostFormat::Url => false,
            HostFormat::Bare => true,
        };
        let scheme = match (is_bare || caller.wants_bare_host, way.is_tls) {
            (true, _) => "",
            (false, true) => "https://",
            (false, false) => "http://",
        };
        match domain {
            Some(domain) => IndexHosts::named(domain.suffix(), scheme),
            None => IndexHosts::on_ports_of(&caller.host_name, scheme),
        }
    }

    async fn answer(&self, way: Way, request_id: &str, request: Request<Incoming>) -> Reply {
        if let Some(reply) = self.health(&request) {
            return reply;
        }
        let is_grpc = grpc::is_grpc(request.headers());
        let caller = Caller::of(&request, request_id.to_owned());
        let open = self.open.read().clone();
        let domain = open.as_ref().and_then(|open| open.domain.as_deref());
        let target = self.target(way.port, &caller.host_name, domain);
        let admitted = match &open {
            Some(open) => self.access.admit(request.headers(), &open.service),
            // The keys are not known yet, or not any more.
            None if Access::shows_key(request.headers()) => {
                Err(ApiError::new(ErrorKind::Unavailable, "").caused_by("starting or stopping"))
            }
            None => Err(ApiError::new(ErrorKind::Unauthenticated, "Invalid API key")),
        };
        let (open, grant) = match (&open, admitted) {
            (Some(open), Ok(grant)) => (open, grant),
            (_, refused) => {
                self.body.discard_from_stranger(request.into_body());
                let error = refused.err().unwrap_or_else(|| ApiError::internal("no service"));
                return refuse(is_grpc, target.plane(), error);
            }
        };
        let hosts = self.hosts(way, &caller, domain);
        let arrival = Arrival { service: open.service.clone(), caller, target, grant, hosts };
        if is_grpc {
            grpc::answer(self, arrival, request).await
        } else {
            rest::answer(self, arrival, request).await
        }
    }

    /// `/health/live`: the process answers. `/health/ready`: everything acknowledged is readable.
    fn health(&self, request: &Request<Incoming>) -> Option<Reply> {
        let (status, text) = match request.uri().path() {
            "/health/live" => (StatusCode::OK, "live"),
            "/health/ready" => match &*self.open.read() {
                Some(open) if open.service.is_writable() => (StatusCode::OK, "ready"),
                _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
            },
            _ => return None,
        };
        Some(Reply::plain(status, text))
    }

    /// The id the caller gave, if it is fit for logs, else a fresh one.
    fn request_id(&self, headers: &HeaderMap) -> String {
        const LENGTH_MAX: usize = 64;
        let given = ["x-pinecone-request-id", "x-request-id"].into_iter().find_map(|name| {
            let text = headers.get(name)?.to_str().ok()?;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            let short = !text.is_empty() && text.len() <= LENGTH_MAX;
            (short && text.bytes().all(fits)).then(|| text.to_owned())
        });
        given.unwrap_or_else(|| format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64()))
    }
}

impl Handler for Front {
    fn handle(
        self: Arc<Self>,
        way: Way,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<ReplyBody>> {
        Box::pin(async move {
            let begun = self.clock.elapsed();
            let request_id = self.request_id(request.headers());
            let call = format!("{} {}", request.method(), request.uri().path());
            let is_grpc = grpc::is_grpc(request.headers());
            let answer = AssertUnwindSafe(self.answer(way, &request_id, request)).catch_unwind();
            let reply = answer.await.unwrap_or_else(|_| {
                let plane = self.target(way.port, "", None).plane();
                refuse(is_grpc, plane, ApiError::internal("it panicked"))
            });
            let took = self.clock.elapsed().saturating_sub(begun);
            log(&reply, &request_id, &call, took);
            let mut http = reply.http;
            let is_limited = |error: &ApiError| error.kind() == ErrorKind::RateLimited;
            if reply.error.as_ref().is_some_and(is_limited) {
                http.headers_mut().insert(header::RETRY_AFTER, LIMITED_RETRY_AFTER_S.into());
            }
            reply::mark(http.headers_mut(), &request_id, took);
            http
        })
    }

    fn turn_away(
        self: Arc<Self>,
        way: Way,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<ReplyBody>> {
        Box::pin(async move {
            let request_id = self.request_id(request.headers());
            let is_grpc = grpc::is_grpc(request.headers());
            let may_close = request.version() < http::Version::HTTP_2;
            self.body.discard_from_stranger(request.into_body());
            let error = ApiError::new(ErrorKind::Unavailable, "").caused_by("too many connections");
            let plane = self.target(way.port, "", None).plane();
            let mut http = refuse(is_grpc, plane, error).http;
            let headers = http.headers_mut();
            headers.insert(header::RETRY_AFTER, TURNED_AWAY_RETRY_AFTER_S.into());
            if may_close {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            reply::mark(headers, &request_id, Duration::ZERO);
            http
        })
    }
}

/// The error as the transport and the plane print it.
fn refuse(is_grpc: bool, plane: Plane, error: ApiError) -> Reply {
    if is_grpc { grpc::refuse(error) } else { rest::refuse(plane, error) }
}

/// Writes the one log line of a request. The caller's mistakes are for debugging; ours are for the
/// operator, with their causes.
fn log(reply: &Reply, request_id: &str, call: &str, took: Duration) {
    let status = reply.http.status().as_u16();
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let Some(error) = &reply.error else {
        tracing::debug!(request_id, call, status, took_us, "answered");
        return;
    };
    let cause = causes(error);
    match error.kind() {
        ErrorKind::Internal | ErrorKind::DataLoss => {
            tracing::error!(request_id, call, took_us, %error, cause, "request failed");
        }
        ErrorKind::Unavailable | ErrorKind::DeadlineExceeded => {
            tracing::warn!(request_id, call, took_us, %error, cause, "request failed");
        }
        // WHY without the message: it quotes the request, and records have no place in a log. The
        // caller has it, and finds this line by the id of the request.
        ErrorKind::InvalidArgument | ErrorKind::Unprocessable => {
            let code = error.kind().codes().0;
            tracing::debug!(request_id, call, took_us, code, "request refused");
        }
        ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::PermissionDenied
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::FailedPrecondition
        | ErrorKind::PayloadTooLarge
        | ErrorKind::RateLimited => {
            tracing::debug!(request_id, call, took_us, %error, cause, "request refused");
        }
    }
}

/// The causes below an error, outermost first.
fn causes(error: &ApiError) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
