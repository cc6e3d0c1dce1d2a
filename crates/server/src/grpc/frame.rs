//! The frame around a gRPC message: one byte that says whether it is compressed, and its length.
//!
//! Every call here is unary, so a body is one frame, and it is in memory as a whole. WHY not tonic's
//! own reading of it: that answers a broken frame, broken gzip and a message that is no protobuf
//! with INTERNAL, as if the server had failed, and does not count what it decompresses.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body_util::{BodyExt as _, Full};
use lodgepole_api::{ApiError, Operation};
use prost::Message;
use tonic::Status;

use super::refuse;
use crate::front::{BodyReader, Held, Reply};
use crate::transport::ReplyBody;

/// What stands before a message.
pub(super) const FRAME_BYTES: usize = 5;

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip,identity");

/// Takes the message out of its frame, and decompresses it.
pub(super) fn open(
    reader: &BodyReader,
    operation: Operation,
    headers: &HeaderMap,
    sent: Held,
) -> Result<Held, Box<Reply>> {
    let invalid = |what: &str| Box::new(refuse(ApiError::invalid(what)));
    let Some((frame, message)) = sent.bytes.split_first_chunk::<FRAME_BYTES>() else {
        return Err(invalid("The call carries no message"));
    };
    let [flag, length @ ..] = *frame;
    #[expect(clippy::big_endian_bytes, reason = "the byte order of the protocol")]
    let length = u32::from_be_bytes(length);
    if usize::try_from(length) != Ok(message.len()) {
        return Err(invalid("The call carries not one message, or not all of it"));
    }
    let encoding = headers.get(ENCODING).map_or(&b"identity"[..], HeaderValue::as_bytes);
    match (flag, encoding) {
        (0, _) => Ok(Held { bytes: sent.bytes.slice(FRAME_BYTES..), share: sent.share }),
        (1, b"gzip") => reader.gunzip(operation, message).map_err(|error| Box::new(refuse(error))),
        (1, b"identity") => Err(invalid("The message is compressed, but grpc-encoding is missing")),
        (1, other) => {
            let text = format!("grpc-encoding '{}' is not supported", other.escape_ascii());
            let mut http = Status::unimplemented(text).into_http();
            http.headers_mut().insert(ACCEPT_ENCODING, ACCEPTED);
            Err(Box::new(Reply { http, error: None }))
        }
        _ => Err(invalid("The frame of the message is damaged")),
    }
}

/// A success: the message in its frame, and the status after it.
pub(super) fn reply(message: &impl Message) -> Response<ReplyBody> {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME_BYTES + length);
    frame.put_u8(0);
    // No reply comes near 4 GiB: pages and top_k are bounded.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut frame);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(frame)).with_trailers(async move { Some(Ok(trailers)) });
    let mut http = Response::new(ReplyBody::new(body));
    let headers = http.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(ACCEPT_ENCODING, ACCEPTED);
    http
}

#[cfg(test)]
mod tests;
