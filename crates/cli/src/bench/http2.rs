//! A kept HTTP/2 connection that calls one gRPC method again and again, one call at a time.
//!
//! WHY by hand: as for HTTP/1.1, and because the program has no HTTP/2 client otherwise. The frames
//! are those of RFC 9113. Headers are written as RFC 7541 allows: in full the first time, which puts
//! them into the server's table, then as one byte each, as other clients do it. Headers of replies
//! are not read: a call has gone well when a message comes.
#![expect(clippy::big_endian_bytes, reason = "numbers in frames are big-endian")]

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length, type, flags and stream of a frame.
const HEAD_BYTES: usize = 9;
/// What gRPC puts before a message: a flag and its length.
const PREFIX_BYTES: usize = 5;
/// What a server accepts before it says otherwise: bytes of a frame, and bytes under way.
const FRAME_BYTES_MAX: usize = 16_384;
const WINDOW_BYTES: i64 = 65_535;
/// Replies are taken back from the window of the connection in such pieces.
const WINDOW_STEP_BYTES: u32 = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// The setting that says how much may be under way on a new stream.
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// The headers in the short form.
    headers: Vec<u8>,
    /// The headers of the next call.
    next_headers: Vec<u8>,
    next_stream: u32,
    request: Vec<u8>,
    /// What was read and not yet looked at.
    read: Vec<u8>,
    reply: Vec<u8>,
    unreturned_bytes: u32,
    windows: Windows,
}

/// Bytes that may still be sent.
#[derive(Debug)]
struct Windows {
    connection: i64,
    stream: i64,
    of_new_streams: i64,
}

impl Connection {
    /// Connects; `path` names the method.
    pub(super) async fn open(address: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut request = PREFACE.to_vec();
        frame(&mut request, SETTINGS, 0, 0, &[]);
        let (first, later) = headers(path, &address.to_string())?;
        Ok(Self {
            stream,
            headers: later,
            next_headers: first,
            next_stream: 1,
            request,
            read: Vec::new(),
            reply: Vec::new(),
            unreturned_bytes: 0,
            windows: Windows {
                connection: WINDOW_BYTES,
                stream: WINDOW_BYTES,
                of_new_streams: WINDOW_BYTES,
            },
        })
    }

    /// Calls the method with a message and reads the one that it answers.
    pub(super) async fn exchange(&mut self, message: &[u8]) -> anyhow::Result<&[u8]> {
        let stream = self.next_stream;
        self.next_stream += 2;
        if self.unreturned_bytes >= WINDOW_STEP_BYTES {
            let bytes = self.unreturned_bytes.to_be_bytes();
            frame(&mut self.request, WINDOW_UPDATE, 0, 0, &bytes);
            self.unreturned_bytes = 0;
        }
        frame(&mut self.request, HEADERS, END_HEADERS, stream, &self.next_headers);
        self.next_headers.clone_from(&self.headers);
        let mut data = vec![0; PREFIX_BYTES];
        data[1..].copy_from_slice(&u32::try_from(message.len())?.to_be_bytes());
        data.extend_from_slice(message);
        self.reply.clear();
        self.send(stream, &data).await?;
        while !self.read_frame(stream).await? {}
        let message = self.reply.get(PREFIX_BYTES..);
        message.context("the call was refused: no message came")
    }

    /// Sends the content of a call, in as many frames and as fast as the server takes them.
    async fn send(&mut self, stream: u32, data: &[u8]) -> anyhow::Result<()> {
        self.windows.stream = self.windows.of_new_streams;
        let mut rest = data;
        loop {
            let open = self.windows.connection.min(self.windows.stream);
            let length = usize::try_from(open).unwrap_or(0).min(rest.len()).min(FRAME_BYTES_MAX);
            if length == 0 {
                self.stream.write_all(&self.request).await?;
                self.request.clear();
                self.read_frame(stream).await?;
                continue;
            }
            let (now, later) = rest.split_at(length);
            let flags = if later.is_empty() { END_STREAM } else { 0 };
            frame(&mut self.request, DATA, flags, stream, now);
            let sent = i64::try_from(length)?;
            self.windows.connection -= sent;
            self.windows.stream -= sent;
            rest = later;
            if rest.is_empty() {
                self.stream.write_all(&self.request).await?;
                self.request.clear();
                return Ok(());
            }
        }
    }

    /// Reads one frame; true when it was the last of the stream.
    async fn read_frame(&mut self, stream: u32) -> anyhow::Result<bool> {
        let head = self.fill(HEAD_BYTES).await?;
        let &[a, b, c, kind, flags, ref id @ ..] = head else { bail!("a frame without head") };
        let id = id.try_into().map(u32::from_be_bytes)?;
        let length = u32::from_be_bytes([0, a, b, c]);
        let end = HEAD_BYTES + usize::try_from(length)?;
        self.fill(end).await?;
        let content = &self.read[HEAD_BYTES..end];
        match kind {
            DATA => {
                ensure!(id == stream, "data of another call");
                self.reply.extend_from_slice(content);
                self.unreturned_bytes += length;
            }
            // Sent with the next call, which is soon enough.
            SETTINGS if flags & ACK == 0 => {
                if let Some(bytes) = new_window(content) {
                    self.windows.stream += bytes - self.windows.of_new_streams;
                    self.windows.of_new_streams = bytes;
                }
                frame(&mut self.request, SETTINGS, ACK, 0, &[]);
            }
            WINDOW_UPDATE => {
                let more = i64::from(u32::from_be_bytes(content.try_into()?));
                match id {
                    0 => self.windows.connection += more,
                    // Those of earlier calls are of no use any more.
                    _ if id == stream => self.windows.stream += more,
                    _ => {}
                }
            }
            PING if flags & ACK == 0 => frame(&mut self.request, PING, ACK, 0, content),
            RST_STREAM | GOAWAY => bail!("the server has ended the call or the connection"),
            _ => {}
        }
        self.read.drain(..end);
        Ok(matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0)
    }

    /// Reads until so many bytes are there, and gives them.
    async fn fill(&mut self, length: usize) -> anyhow::Result<&[u8]> {
        while self.read.len() < length {
            let more = self.stream.read_buf(&mut self.read).await?;
            ensure!(more > 0, "the server has closed the connection");
        }
        Ok(&self.read[..length])
    }
}

fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    to.extend_from_slice(&length[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(content);
}

/// How much may be under way on a stream, when these settings say so.
fn new_window(settings: &[u8]) -> Option<i64> {
    let setting = settings.chunks_exact(6).find(|setting| setting[..2] == INITIAL_WINDOW_SIZE)?;
    Some(i64::from(u32::from_be_bytes(setting[2..].try_into().ok()?)))
}

/// The headers of a call: in full, and as they are written once the server knows them.
fn headers(path: &str, authority: &str) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    /// An entry of the table is named by its number with this bit.
    const INDEXED: u8 = 0x80;
    /// A text is added to the table under the name with this number, or under a new one.
    const ADDED: u8 = 0x40;
    /// `:method: POST` and `:scheme: http` of the static table, and the first entry behind it.
    const POST: u8 = 3;
    const HTTP: u8 = 6;
    const FIRST_ADDED: u8 = 62;
    // Numbers of names in the static table; 0 for names that are not in it.
    let added = [
        (4, ":path", path),
        (1, ":authority", authority),
        (31, "content-type", "application/grpc"),
        (0, "te", "trailers"),
        (0, "api-key", "bench"),
        (0, "x-pinecone-api-version", "2025-10"),
    ];
    let last = FIRST_ADDED - 1 + u8::try_from(added.len())?;
    let mut first = vec![INDEXED | POST, INDEXED | HTTP];
    let mut later = first.clone();
    for (place, (number, name, value)) in (0_u8..).zip(added) {
        first.push(ADDED | number);
        if number == 0 {
            text(&mut first, name)?;
        }
        text(&mut first, value)?;
        // The entry added last has the lowest number.
        later.push(INDEXED | (last - place));
    }
    Ok((first, later))
}

/// A text without compression, of up to 126 bytes.
fn text(to: &mut Vec<u8>, text: &str) -> anyhow::Result<()> {
    let length = u8::try_from(text.len()).ok().filter(|&length| length < 127);
    to.push(length.context("a header is too long")?);
    to.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Goal: frames and headers are the RFCs'. Method: bytes written out by hand.
    use super::*;

    #[test]
    fn a_frame_has_the_head_of_rfc_9113() {
        let mut bytes = Vec::new();
        frame(&mut bytes, DATA, END_STREAM, 5, b"xy");
        assert_eq!(bytes, [0, 0, 2, 0, 1, 0, 0, 0, 5, b'x', b'y']);
    }

    #[test]
    fn the_window_is_read_from_settings() {
        let settings = [0, 3, 0, 0, 0, 9, 0, 4, 0, 1, 0, 0];
        assert_eq!(new_window(&settings), Some(65_536));
        assert_eq!(new_window(&settings[..6]), None);
    }

    #[test]
    fn headers_are_written_in_full_once() {
        let (first, later) = headers("/S/M", "h:1").unwrap();
        let begin = [&[0x83, 0x86, 0x44, 4], &b"/S/M"[..], &[0x41, 3], b"h:1", &[0x5f, 16]];
        assert!(first.starts_with(&begin.concat()), "{first:x?}");
        let numbered = [67, 66, 65, 64, 63, 62].map(|number| 0x80 | number);
        assert_eq!(later, [&[0x83, 0x86][..], &numbered].concat());
    }
}
