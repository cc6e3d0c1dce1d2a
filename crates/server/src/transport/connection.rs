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
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::detect::{Protocol, detect};
use super::listeners::{Shared, Stage};
use super::stream::{Activity, GuardedStream, RequestMark};
use super::{Handler, ReplyBody};

/// Longest head of a request. A fetch names up to 1,000 ids in its query string.
const HEAD_BYTES_MAX: u32 = 128 << 10;
/// Requests at once on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 256;
/// How often an HTTP/2 peer is asked whether it is still there.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(60);
/// How long it may take to answer.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves one connection that arrived on the local `port` until it ends or the server stops.
pub(super) async fn serve(shared: Arc<Shared>, port: u16, mut stream: TcpStream) {
    let mut stage = shared.stage.subscribe();
    let detected = tokio::select! {
        biased;
        _ = stage.wait_for(|stage| *stage != Stage::Running) => return,
        detected = detect(&mut stream) => detected,
        () = shared.clock.sleep(shared.limits.header_timeout) => return,
    };
    let Ok(Some(detected)) = detected else { return };
    let protocol = detected.0;
    let activity = Arc::new(Activity::default());
    let stream = GuardedStream::new(
        stream,
        detected,
        Arc::clone(&activity),
        Arc::clone(&shared.clock),
        shared.limits,
    );
    let handler = Arc::clone(&shared.handler);
    let service = service_fn(move |request| answer(&handler, &activity, port, request));
    let outcome = match protocol {
        Protocol::Http1 => {
            let mut http = http1::Builder::new();
            http.header_read_timeout(None).max_header_size(HEAD_BYTES_MAX as usize);
            drive(http.serve_connection(TokioIo::new(stream), service), stage).await
        }
        Protocol::Http2 => {
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

fn answer(
    handler: &Arc<dyn Handler>,
    activity: &Arc<Activity>,
    port: u16,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<MarkedBody>, Infallible>> + use<> {
    let mark = activity.begin();
    let reply = Arc::clone(handler).handle(port, request);
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
