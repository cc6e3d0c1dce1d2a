//! Which protocol a new connection speaks, from its first bytes.
//!
//! TLS opens with a record of the type handshake, 0x16 (RFC 8446, section 5.1), which is no letter
//! of any HTTP method. HTTP/2 with prior knowledge opens with a fixed text of 24 bytes (RFC 9113,
//! section 3.4), which no HTTP/1.1 request can open with. The bytes read here are handed on and read
//! again by the protocol. Inside TLS the same look decides between the two kinds of HTTP, whatever
//! was agreed on in the handshake: clients differ in what they offer there.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const TLS_HANDSHAKE: u8 = 0x16;

/// A protocol this server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1 or 1.0.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// TLS, with one of the others inside.
    Tls,
}

/// Reads until the protocol is known; `None` when the peer closed without a word. Waits as long as
/// the peer does: the caller limits the time.
pub(super) async fn detect<R: AsyncRead + Unpin>(
    stream: &mut R,
) -> io::Result<Option<(Protocol, BytesMut)>> {
    let mut read = BytesMut::with_capacity(HTTP2_PREFACE.len());
    loop {
        let mut rest = (&mut *stream).take((HTTP2_PREFACE.len() - read.len()) as u64);
        if rest.read_buf(&mut read).await? == 0 {
            return Ok((!read.is_empty()).then_some((Protocol::Http1, read)));
        }
        if read.first() == Some(&TLS_HANDSHAKE) {
            return Ok(Some((Protocol::Tls, read)));
        }
        if !HTTP2_PREFACE.starts_with(&read) {
            return Ok(Some((Protocol::Http1, read)));
        }
        if read.len() == HTTP2_PREFACE.len() {
            return Ok(Some((Protocol::Http2, read)));
        }
    }
}
