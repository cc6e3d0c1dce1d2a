//! Goal: both protocols are served on one port, silent peers are dropped, and stopping loses no
//! request. Method: real sockets on loopback, a handler that does as the path says, short limits.
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Version};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lodgepole_storage::SystemClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};

use super::*;

const HEADER_TIMEOUT: Duration = Duration::from_millis(150);
const IDLE_TIMEOUT: Duration = Duration::from_millis(600);
const LONG: Duration = Duration::from_secs(20);

/// `/now` answers at once, `/gate` when the gate opens, `/pair` when two requests are there.
#[derive(Debug)]
struct Paths {
    gate: Notify,
    arrived: Notify,
    pair: Barrier,
}

impl Handler for Paths {
    fn handle(
        self: Arc<Self>,
        _way: Way,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<ReplyBody>> {
        Box::pin(async move {
            self.arrived.notify_one();
            match request.uri().path() {
                "/gate" => self.gate.notified().await,
                "/pair" => {
                    self.pair.wait().await;
                }
                _ => {}
            }
            let text = format!("{:?} {}", request.version(), request.uri().path());
            Response::new(ReplyBody::new(Full::new(Bytes::from(text))))
        })
    }

    fn turn_away(
        self: Arc<Self>,
        _way: Way,
        _request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<ReplyBody>> {
        Box::pin(async {
            let reply = ReplyBody::new(Full::new(Bytes::from("too many")));
            Response::builder().status(503).header("connection", "close").body(reply).unwrap()
        })
    }
}

struct Running {
    listeners: Arc<Listeners>,
    paths: Arc<Paths>,
    address: SocketAddr,
}

async fn start(connections_max: u32) -> Running {
    let paths =
        Arc::new(Paths { gate: Notify::new(), arrived: Notify::new(), pair: Barrier::new(2) });
    let limits = TransportLimits {
        connections_max,
        header_timeout: HEADER_TIMEOUT,
        stall_timeout: LONG,
        idle_timeout: IDLE_TIMEOUT,
        tls_only: false,
    };
    let handler = Arc::clone(&paths);
    let clock = Arc::new(SystemClock::new());
    let listeners = Arc::new(Listeners::new(handler, clock, limits, None));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    listeners.adopt(socket).unwrap();
    Running { listeners, paths, address }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn http2(&self) -> hyper::client::conn::http2::SendRequest<Empty<Bytes>> {
        let stream = TokioIo::new(self.connect().await);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// What one read gives, as text.
async fn read_once(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let length = stream.read(&mut bytes).await.unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// Waits until the server closes the connection; how long that took.
async fn until_closed(stream: &mut TcpStream) -> Duration {
    let begun = now();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    begun.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "the test measures real sockets")]
fn now() -> Instant {
    Instant::now()
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    let uri = format!("http://localhost{path}");
    Request::builder().method(Method::GET).uri(uri).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn both_protocols_are_served_on_one_port() {
    let server = start(10).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/now").await;
    assert!(read_once(&mut stream).await.ends_with("HTTP/1.1 /now"));
    let reply = server.http2().await.send_request(request("/now")).await.unwrap();
    assert_eq!(reply.version(), Version::HTTP_2);
    assert_eq!(reply.collect().await.unwrap().to_bytes(), "HTTP/2.0 /now");
}

#[tokio::test]
async fn a_reply_leaves_in_one_piece() {
    let server = start(10).await;
    let mut stream = server.connect().await;
    for _ in 0..20 {
        ask(&mut stream, "/now").await;
        let reply = read_once(&mut stream).await;
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert!(reply.ends_with("\r\n\r\nHTTP/1.1 /now"), "head and body arrive together: {reply}");
    }
}

#[tokio::test]
async fn two_requests_are_answered_at_once_on_both_protocols() {
    let server = start(10).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    ask(&mut first, "/pair").await;
    ask(&mut second, "/pair").await;
    assert!(read_once(&mut first).await.contains("/pair"));
    assert!(read_once(&mut second).await.contains("/pair"));
    let mut http2 = server.http2().await;
    let (first, second) =
        (http2.send_request(request("/pair")), http2.send_request(request("/pair")));
    let (first, second) = tokio::join!(first, second);
    assert!(first.unwrap().status().is_success() && second.unwrap().status().is_success());
}

#[tokio::test]
async fn a_head_that_does_not_end_costs_the_connection() {
    let server = start(10).await;
    for sent in ["", "P", "PRI * HTTP/2.0\r\n", "GET /now HTTP/1.1\r\nHost: lo"] {
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let took = until_closed(&mut stream).await;
        assert!(took >= HEADER_TIMEOUT / 2 && took < IDLE_TIMEOUT, "{sent:?}: {took:?}");
    }
}

#[tokio::test]
async fn a_head_that_drips_costs_the_connection_too() {
    let server = start(10).await;
    let clock = SystemClock::new();
    let mut stream = server.connect().await;
    ask(&mut stream, "/now").await;
    read_once(&mut stream).await;
    let begun = now();
    let mut sent = 0;
    while stream.write_all(b"G").await.is_ok() {
        sent += 1;
        assert!(sent < 100, "the connection must be closed");
        lodgepole_types::Clock::sleep(&clock, Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() >= HEADER_TIMEOUT / 2);
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_longer() {
    let server = start(10).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        ask(&mut stream, "/now").await;
        read_once(&mut stream).await;
        lodgepole_types::Clock::sleep(&SystemClock::new(), 2 * HEADER_TIMEOUT).await;
    }
    ask(&mut stream, "/now").await;
    assert!(read_once(&mut stream).await.contains("/now"));
    let took = until_closed(&mut stream).await;
    assert!(took >= IDLE_TIMEOUT / 2 && took < LONG, "{took:?}");
}

#[tokio::test]
async fn a_request_in_progress_is_never_timed_out() {
    let server = start(10).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/gate").await;
    lodgepole_types::Clock::sleep(&SystemClock::new(), IDLE_TIMEOUT + HEADER_TIMEOUT).await;
    server.paths.gate.notify_one();
    assert!(read_once(&mut stream).await.ends_with("/gate"));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so_and_closed() {
    let server = start(1).await;
    let mut first = server.connect().await;
    ask(&mut first, "/gate").await;
    server.paths.arrived.notified().await;
    let mut second = server.connect().await;
    ask(&mut second, "/now").await;
    let mut reply = String::new();
    second.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 503 ") && reply.ends_with("too many"), "{reply}");
    server.paths.gate.notify_one();
    assert!(read_once(&mut first).await.ends_with("/gate"));
    drop(first);
    loop {
        let mut third = server.connect().await;
        ask(&mut third, "/now").await;
        if read_once(&mut third).await.ends_with("HTTP/1.1 /now") {
            break;
        }
    }
}

#[tokio::test]
async fn a_crowd_beyond_the_limit_is_closed_without_a_word_and_others_go_on() {
    let server = start(1).await;
    let mut first = server.connect().await;
    ask(&mut first, "/now").await;
    assert!(read_once(&mut first).await.ends_with("/now"));
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(server.connect().await);
    }
    ask(&mut first, "/now").await;
    assert!(read_once(&mut first).await.ends_with("/now"));
    let took = until_closed(crowd.last_mut().unwrap()).await;
    assert!(took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_answered_with_408() {
    let server = start(10).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /now HTTP/1.1\r\nHost: localhost\r\nX: ").await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 408 ") && reply.ends_with("in time."), "{reply}");
    let mut idle = server.connect().await;
    ask(&mut idle, "/now").await;
    read_once(&mut idle).await;
    let mut rest = String::new();
    idle.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "", "an idle connection is closed without a word");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = start(10).await;
    for (head, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000)), "414"),
        (format!("GET /now HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(140_000)), "431"),
        (format!("GET /now HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(200)), "431"),
    ] {
        let mut stream = server.connect().await;
        // The server may stop reading before all of it is sent.
        let _ = stream.write_all(head.as_bytes()).await;
        let reply = read_once(&mut stream).await;
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
    }
}

#[tokio::test]
async fn stopping_finishes_requests_in_progress_and_takes_no_new_ones() {
    let server = start(10).await;
    let mut busy = server.connect().await;
    let mut idle = server.connect().await;
    let mut silent = server.connect().await;
    let mut http2 = server.http2().await;
    ask(&mut idle, "/now").await;
    read_once(&mut idle).await;
    server.paths.arrived.notified().await;
    ask(&mut busy, "/gate").await;
    server.paths.arrived.notified().await;
    let streamed = tokio::spawn(http2.send_request(request("/gate")));
    server.paths.arrived.notified().await;

    let listeners = Arc::clone(&server.listeners);
    let stopping = tokio::spawn(async move { listeners.stop(LONG).await });
    assert!(until_closed(&mut idle).await < HEADER_TIMEOUT, "idle connections go at once");
    assert!(until_closed(&mut silent).await < HEADER_TIMEOUT, "so do silent ones");
    assert!(TcpStream::connect(server.address).await.is_err(), "nothing listens any more");
    server.paths.gate.notify_waiters();
    assert!(read_once(&mut busy).await.ends_with("/gate"));
    assert!(streamed.await.unwrap().unwrap().status().is_success());
    drop(http2);
    assert_eq!(stopping.await.unwrap(), Stopped::Clean);
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let server = start(10).await;
    let mut busy = server.connect().await;
    ask(&mut busy, "/gate").await;
    server.paths.arrived.notified().await;
    assert_eq!(server.listeners.stop(Duration::from_millis(50)).await, Stopped::CutOff);
    assert!(until_closed(&mut busy).await < HEADER_TIMEOUT);
}
