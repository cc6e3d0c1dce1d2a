//! A stream that gives up on silent peers.
//!
//! The stream knows from its [`Activity`] whether a request is in progress. While none is, it
//! limits the wait for the next byte: shortly once a request has begun to arrive, for longer
//! between requests. Writing is limited always. Reading the body of a request is limited where the
//! body is read, because only there it is known that somebody waits for it.
//!
//! INVARIANT: the time for a head runs from its first byte and is not prolonged by further bytes,
//! so sending one byte now and then does not keep a connection open. Who began a head and did not
//! end it is told so before the connection is closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use lodgepole_types::{BoxFuture, Clock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::TransportLimits;
use super::detect::Protocol;
use super::wire::Wire;

/// What a peer is told whose head does not end. hyper cannot say it: it knows of no request yet.
const HEAD_TIMEOUT_REPLY: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: 47\r\n\r\n\
    The head of the request did not arrive in time.";

/// How busy one connection is, shared by its stream and its requests.
#[derive(Debug, Default)]
pub(super) struct Activity {
    in_progress: AtomicUsize,
    begun: AtomicU64,
    /// The connection's task, while it reads nothing because a request is in progress.
    reader: AtomicWaker,
}

impl Activity {
    /// Notes that a request has begun; it lasts until the mark is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> RequestMark {
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        RequestMark(Arc::clone(self))
    }

    fn is_busy(&self) -> bool {
        self.in_progress.load(Ordering::Acquire) > 0
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }
}

/// A request in progress, until its reply is handed to the network.
#[derive(Debug)]
pub(super) struct RequestMark(Arc<Activity>);

impl Drop for RequestMark {
    fn drop(&mut self) {
        // WHY wake: the wait for the next request begins now, and nothing else may happen for long.
        if self.0.in_progress.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.reader.wake();
        }
    }
}

/// What a read waits for. The number of requests begun so far tells one wait from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Request { begun: u64 },
    RestOfHead { begun: u64 },
}

/// The stream.
pub(super) struct GuardedStream {
    inner: Wire,
    protocol: Protocol,
    activity: Arc<Activity>,
    clock: Arc<dyn Clock>,
    limits: TransportLimits,
    /// The number of requests begun when the first byte of the next one arrived.
    head_begun_at: Option<u64>,
    read_wait: Option<(Awaited, BoxFuture<'static, ()>)>,
    write_wait: Option<BoxFuture<'static, ()>>,
}

impl GuardedStream {
    /// Guards `inner`, on which `protocol` is spoken.
    pub(super) fn new(
        inner: Wire,
        protocol: Protocol,
        activity: Arc<Activity>,
        clock: Arc<dyn Clock>,
        limits: TransportLimits,
    ) -> Self {
        Self {
            inner,
            protocol,
            activity,
            clock,
            limits,
            head_begun_at: None,
            read_wait: None,
            write_wait: None,
        }
    }

    fn note_arrival(&mut self, byte_count: usize) {
        if byte_count > 0 && !self.activity.is_busy() {
            self.head_begun_at = Some(self.activity.begun());
        }
    }

    /// Nothing to read now: decides how long that may last.
    ///
    /// WHY not for HTTP/2: its control frames come between requests at any time, so bytes do not
    /// mean that a head has begun. There, pings find peers that are gone.
    fn poll_read_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.protocol == Protocol::Http2 {
            return Poll::Pending;
        }
        self.activity.reader.register(cx.waker());
        if self.activity.is_busy() {
            self.read_wait = None;
            return Poll::Pending;
        }
        let begun = self.activity.begun();
        let (awaited, limit) = if self.head_begun_at == Some(begun) {
            (Awaited::RestOfHead { begun }, self.limits.header_timeout)
        } else {
            (Awaited::Request { begun }, self.limits.idle_timeout)
        };
        if !matches!(&self.read_wait, Some((current, _)) if *current == awaited) {
            self.read_wait = Some((awaited, self.clock.sleep(limit)));
        }
        let Some((_, sleep)) = &mut self.read_wait else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        if matches!(awaited, Awaited::RestOfHead { .. }) {
            // Best effort: a peer that does not read either is not waited for.
            let _ = Pin::new(&mut self.inner).poll_write(cx, HEAD_TIMEOUT_REPLY);
            let _ = Pin::new(&mut self.inner).poll_flush(cx);
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Limits how long the peer may take nothing of what is written.
    fn limit_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_wait = None;
            return outcome;
        }
        let limit: Duration = self.limits.stall_timeout;
        let sleep = self.write_wait.get_or_insert_with(|| self.clock.sleep(limit));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let filled_before = buffer.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buffer) {
            Poll::Ready(outcome) => {
                this.note_arrival(buffer.filled().len() - filled_before);
                Poll::Ready(outcome)
            }
            Poll::Pending => this.poll_read_wait(cx),
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.limit_write(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.limit_write(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
