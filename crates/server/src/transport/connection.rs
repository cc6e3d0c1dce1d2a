//! One connection, from its first byte to its end.
//!
//! A reply leaves in one write: its body is in memory as a whole, so hyper gathers head and body
//! into one vectored write, and TCP_NODELAY sends it at once.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::detect::{Protocol, detect};
use super::listeners::{Shared, Stage};
use super::stream::{Activity, GuardedStream, RequestMark};
use super::wire::{Replayed, Wire};
use super::{Handler, ReplyBody, Way};

/// Longest head of a request. A fetch names up to 1,000 ids in its query string.
const HEAD_BYTES_MAX: u32 = 128 << 10;
/// Requests at once on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 256;
/// How often an HTTP/2 peer is asked whether it is still there.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(60);
/// How long it may take to answer.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What a peer is told that speaks HTTP where only TLS is spoken.
const TLS_ONLY_REPLY: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: 45\r\n\r\n\
    This server speaks TLS only: call it https://";

/// Whether a connection is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is.
    Served,
    /// There are too many: every request is answered with that.
    TurnedAway,
}

/// Serves one connection that arrived on the local `port` until it ends or the server stops.
pub(super) async fn serve(shared: Arc<Shared>, port: u16, stream: TcpStream, admission: Admission) {
    let mut stage = shared.stage.subscribe();
    let opened = tokio::select! {
        biased;
        _ = stage.wait_for(|stage| *stage != Stage::Running) => return,
        opened = open(&shared, stream) => opened,
        () = shared.clock.sleep(shared.limits.header_timeout) => return,
    };
    let (wire, protocol) = match opened {
        Ok(Some(opened)) => opened,
        Ok(None) => return,
        Err(error) => return tracing::debug!(port, %error, "a connection did not open"),
    };
    let way = Way { port, is_tls: matches!(wire, Wire::Tls(_)) };
    let activity = Arc::new(Activity::default());
    let stream = GuardedStream::new(
        wire,
        protocol,
        Arc::clone(&activity),
        Arc::clone(&shared.clock),
        shared.limits,
    );
    let handler = Arc::clone(&shared.handler);
    let service = service_fn(move |request| answer((&handler, admission), &activity, way, request));
    let outcome = match protocol {
        Protocol::Http1 => {
            let mut http = http1::Builder::new();
            http.header_read_timeout(None).max_header_size(HEAD_BYTES_MAX as usize);
            drive(http.serve_connection(TokioIo::new(stream), service), stage).await
        }
        Protocol::Http2 | Protocol::Tls => {
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new())
                .keep_alive_interval(HTTP2_PING_INTERVAL)
                .keep_alive_timeout(HTTP2_PING_TIMEOUT)
                .max_concurrent_streams(HTTP2_STREAMS_MAX)
                .max_header_list_size(HEAD_BYTES_MAX);
            drive(http.serve_connection(TokioIo::new(stream), service), stage).await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(port, %error, "connection ended early");
    }
}

/// Runs a connection; lets it finish its requests when the server drains, drops it when the server
/// gives up waiting.
async fn drive<C>(connection: C, mut stage: watch::Receiver<Stage>) -> Result<(), C::Error>
where
    C: GracefulConnection,
{
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        outcome = connection.as_mut() => return outcome,
        _ = stage.wait_for(|stage| *stage != Stage::Running) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        _ = stage.wait_for(|stage| *stage == Stage::GivenUp) => Ok(()),
    }
}

/// Finds out what is spoken, and does the handshake when it is TLS. `None` when there is nothing to
/// serve. Waits as long as the peer does: the caller limits the time.
async fn open(shared: &Shared, mut stream: TcpStream) -> std::io::Result<Option<(Wire, Protocol)>> {
    let Some((protocol, read)) = detect(&mut stream).await? else { return Ok(None) };
    let mut outer = Replayed { read, stream };
    match (protocol, &shared.tls) {
        (Protocol::Tls, Some(tls)) => {
            let mut stream = tls.acceptor().accept(outer).await?;
            let Some((protocol, read)) = detect(&mut stream).await? else { return Ok(None) };
            if protocol == Protocol::Tls {
                return Err(std::io::Error::other("TLS inside TLS"));
            }
            Ok(Some((Wire::Tls(Box::new(Replayed { read, stream })), protocol)))
        }
        (Protocol::Tls, None) => Err(std::io::Error::other("the client speaks TLS, which is off")),
        (Protocol::Http1, Some(_)) if shared.limits.tls_only => {
            outer.write_all(TLS_ONLY_REPLY).await?;
            outer.shutdown().await?;
            Ok(None)
        }
        (Protocol::Http2, Some(_)) if shared.limits.tls_only => {
            Err(std::io::Error::other("the client speaks no TLS, which tls_only demands"))
        }
        (Protocol::Http1 | Protocol::Http2, _) => Ok(Some((Wire::Plain(outer), protocol))),
    }
}

fn answer(
    (handler, admission): (&Arc<dyn Handler>, Admission),
    activity: &Arc<Activity>,
    way: Way,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<MarkedBody>, Infallible>> + use<> {
    let mark = activity.begin();
    let handler = Arc::clone(handler);
    let reply = match admission {
        Admission::Served => handler.handle(way, request),
        Admission::TurnedAway => handler.turn_away(way, request),
    };
    async move { Ok(reply.await.map(|inner| MarkedBody { inner, _mark: mark })) }
}

/// A reply's body that keeps its request in progress until it is dropped, after its last byte.
struct MarkedBody {
    inner: ReplyBody,
    _mark: RequestMark,
}

impl Body for MarkedBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
