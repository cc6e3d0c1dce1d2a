//! Connections: listening, telling protocols apart, time limits, and stopping.
//!
//! The layer knows HTTP/1.1 and HTTP/2 with prior knowledge, in clear text and in TLS, all on every
//! port, and nothing about the API: requests go to a [`Handler`]. Invariants: no more connections
//! than allowed are served, and those beyond are told so; a peer that goes silent costs its
//! connection and nothing else; after [`Listeners::stop`] returns no request is in progress.
//!
//! hyper's own protocol detection and header timeout are not used: the first waits for ever for a
//! peer that sends nothing, the second also cuts off idle connections that clients keep for reuse.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use lodgepole_types::BoxFuture;

mod connection;
mod detect;
mod listeners;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use listeners::{Listeners, Stopped};

/// The body of a reply: JSON in one piece, or gRPC frames with trailers.
pub(crate) type ReplyBody = tonic::body::Body;

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// The local port.
    pub(crate) port: u16,
    /// Whether it was encrypted.
    pub(crate) is_tls: bool,
}

/// What answers requests. Must not panic: a panic ends the connection and every other request on
/// it.
pub(crate) trait Handler: fmt::Debug + Send + Sync + 'static {
    /// Answers a request.
    fn handle(
        self: Arc<Self>,
        way: Way,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<ReplyBody>>;

    /// Answers a request on a connection beyond the limit: with that, quickly.
    fn turn_away(
        self: Arc<Self>,
        way: Way,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<ReplyBody>>;
}

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransportLimits {
    /// Connections served at once, over all ports.
    pub connections_max: u32,
    /// From the first byte of a request to the end of its head.
    pub header_timeout: Duration,
    /// Between two pieces of a reply that the peer takes.
    pub stall_timeout: Duration,
    /// Between two requests on a kept connection.
    pub idle_timeout: Duration,
    /// Whether requests in clear text are refused; matters only when TLS is on.
    pub tls_only: bool,
}
