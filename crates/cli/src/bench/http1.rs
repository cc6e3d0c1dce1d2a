//! A kept HTTP/1.1 connection that asks one thing again and again.
//!
//! WHY by hand: the load must cost much less than what it measures, so a request is a ready piece of
//! memory and of a reply only what is needed is read.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    call: String,
    address: SocketAddr,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Connection {
    /// Connects; `call` is method and path.
    pub(super) async fn open(address: SocketAddr, call: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (request, reply) = (Vec::new(), Vec::new());
        Ok(Self { stream, call: call.to_owned(), address, request, reply })
    }

    /// Sends a request and reads its reply's body; any status but success is an error.
    pub(super) async fn exchange(&mut self, body: &[u8]) -> anyhow::Result<&[u8]> {
        let (call, address, length) = (&self.call, self.address, body.len());
        let head = format!(
            "{call} HTTP/1.1\r\nhost: {address}\r\napi-key: bench\r\n\
             x-pinecone-api-version: 2025-10\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        self.request.clear();
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.reply.clear();
        let (begin, length) = loop {
            self.read().await?;
            let end = self.reply.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END);
            if let Some(end) = end {
                break (end + HEAD_END.len(), body_length(&self.reply[..end])?);
            }
        };
        while self.reply.len() < begin + length {
            self.read().await?;
        }
        let body = &self.reply[begin..];
        ensure!(body.len() == length, "more came than was announced");
        if !self.reply.starts_with(b"HTTP/1.1 2") {
            bail!("{}", String::from_utf8_lossy(&self.reply));
        }
        Ok(body)
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let length = self.stream.read_buf(&mut self.reply).await?;
        ensure!(length > 0, "the server has closed the connection");
        Ok(())
    }
}

fn body_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = str::from_utf8(head)?;
    let field = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    field.context("a reply without length")
}
