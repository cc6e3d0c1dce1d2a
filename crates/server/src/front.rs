//! What every request passes, on every port, before REST and gRPC part.
//!
//! The order is the point: health first (no key), then the key, then where the request goes, then
//! the body, so that nothing of a stranger's request is read or looked up. Every reply carries the
//! id of its request. Errors are logged here, once, with that id.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use lodgepole_api::{ApiError, ApiVersion, Plane};
use lodgepole_service::{RequestContext, Service, Transport};
use lodgepole_types::{BoxFuture, Clock, ErrorKind, Index, Rng};
use parking_lot::RwLock;

mod access;
mod body;
mod caller;
mod reply;
mod work;

pub(crate) use access::{Access, Unprotected};
use body::Budget;
pub(crate) use body::{BodyReader, Share};
pub(crate) use caller::Caller;
pub(crate) use reply::{Position, Reply};
pub(crate) use work::Work;

use crate::settings::HostFormat;
use crate::transport::{Handler, ReplyBody};
use crate::{grpc, rest};

/// The header of replies, and gRPC metadata key, with the id of the request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-pinecone-request-id");

/// Everything that answering a request needs.
#[derive(Debug)]
pub(crate) struct Front {
    /// Absent while the server starts and after it has stopped.
    service: RwLock<Option<Service>>,
    access: Access,
    control_port: u16,
    host_format: HostFormat,
    body: BodyReader,
    work: Work,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

/// What the operator decided about requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrontOptions {
    /// Who may call.
    pub(crate) access: Access,
    /// The port that serves the control plane; the others serve indexes.
    pub(crate) control_port: u16,
    /// How hosts are written in replies.
    pub(crate) host_format: HostFormat,
    /// Longest body.
    pub(crate) request_bytes_max: usize,
    /// Memory for all bodies together.
    pub(crate) request_buffer_bytes: usize,
    /// Longest pause in the middle of a body.
    pub(crate) stall_timeout: Duration,
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
}

/// What a request is addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Indexes, backups and restore jobs.
    ControlPlane,
    /// The records of the index on this port.
    IndexOnPort(u16),
}

impl Arrival {
    /// The index that the request is for.
    ///
    /// # Errors
    /// `NotFound` when no index is served here, as on the port of a deleted index.
    pub(crate) fn index(&self) -> Result<Arc<Index>, ApiError> {
        let index = match self.target {
            Target::ControlPlane => None,
            Target::IndexOnPort(port) => self.service.index_by_port(port),
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
            host_name: self.caller.host_name.clone(),
            bare_host: self.caller.bare_host,
            request_id: self.caller.request_id.clone(),
        })
    }
}

impl Target {
    /// The plane it belongs to.
    pub(crate) fn plane(self) -> Plane {
        match self {
            Self::ControlPlane => Plane::Control,
            Self::IndexOnPort(_) => Plane::Data,
        }
    }
}

impl Front {
    /// A front without a service: it answers health checks, and 503 to everything else.
    pub(crate) fn new(options: FrontOptions, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let body = BodyReader {
            bytes_max: options.request_bytes_max,
            stall_timeout: options.stall_timeout,
            budget: Budget::new(options.request_buffer_bytes),
            clock: Arc::clone(&clock),
        };
        Self {
            service: RwLock::new(None),
            access: options.access,
            control_port: options.control_port,
            host_format: options.host_format,
            body,
            work: Work::default(),
            clock,
            rng,
        }
    }

    /// Begins to answer with this service.
    pub(crate) fn open(&self, service: Service) {
        *self.service.write() = Some(service);
    }

    /// Stops answering; returns when no operation is running any more, also none whose caller has
    /// gone away.
    pub(crate) async fn close(&self) {
        *self.service.write() = None;
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

    /// Where a request that arrived on a port goes: the one place that decides it. `_host` is the
    /// host that the caller asked for, without its port.
    fn target(&self, port: u16, _host: &str) -> Target {
        if port == self.control_port { Target::ControlPlane } else { Target::IndexOnPort(port) }
    }

    async fn answer(&self, port: u16, request_id: &str, request: Request<Incoming>) -> Reply {
        if let Some(reply) = self.health(&request) {
            return reply;
        }
        let is_grpc = grpc::is_grpc(request.headers());
        let caller = Caller::of(&request, self.host_format, request_id.to_owned());
        let target = self.target(port, &caller.host_name);
        let service = self.service.read().clone();
        let admitted = if self.access.permits(request.headers()) {
            service.ok_or_else(|| {
                ApiError::new(ErrorKind::Unavailable, "").caused_by("starting or stopping")
            })
        } else {
            Err(ApiError::new(ErrorKind::Unauthenticated, "Invalid API key"))
        };
        let service = match admitted {
            Ok(service) => service,
            Err(error) => {
                self.body.discard_from_stranger(request.into_body());
                return if is_grpc {
                    grpc::refuse(error)
                } else {
                    rest::refuse(target.plane(), error)
                };
            }
        };
        let arrival = Arrival { service, caller, target };
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
            "/health/ready" => match &*self.service.read() {
                Some(service) if service.is_writable() => (StatusCode::OK, "ready"),
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
        port: u16,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<ReplyBody>> {
        Box::pin(async move {
            let begun = self.clock.elapsed();
            let request_id = self.request_id(request.headers());
            let call = format!("{} {}", request.method(), request.uri().path());
            let answer = AssertUnwindSafe(self.answer(port, &request_id, request)).catch_unwind();
            let reply = answer.await.unwrap_or_else(|_| {
                rest::refuse(self.target(port, "").plane(), ApiError::internal("it panicked"))
            });
            let took = self.clock.elapsed().saturating_sub(begun);
            log(&reply, &request_id, &call, took);
            let mut http = reply.http;
            if let Ok(id) = HeaderValue::from_str(&request_id) {
                http.headers_mut().insert(REQUEST_ID, id);
            }
            http
        })
    }
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
        ErrorKind::InvalidArgument
        | ErrorKind::Unprocessable
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
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
