//! Goal: a frame is read as gRPC writes it, and a broken one is the caller's fault. Method: frames
//! by hand.
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use lodgepole_types::ManualClock;

use super::*;
use crate::front::{Budget, BytesMax};

fn reader() -> BodyReader {
    BodyReader {
        bytes_max: BytesMax { upsert: 1 << 20, request: 1 << 20 },
        stall_timeout: Duration::from_secs(1),
        budget: Budget::new(4 << 20),
        clock: Arc::new(ManualClock::new(Duration::ZERO)),
    }
}

#[expect(clippy::big_endian_bytes, reason = "the byte order of the protocol")]
fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The message, or the status that is answered.
fn read(encoding: Option<&str>, bytes: Vec<u8>) -> Result<Bytes, String> {
    let reader = reader();
    let mut headers = HeaderMap::new();
    if let Some(encoding) = encoding {
        headers.insert(ENCODING, encoding.parse().unwrap());
    }
    let sent = Held { bytes: bytes.into(), share: reader.budget.share() };
    match open(&reader, Operation::Query, &headers, sent) {
        Ok(held) => Ok(held.bytes),
        Err(reply) => Err(reply.http.headers()["grpc-status"].to_str().unwrap().to_owned()),
    }
}

#[test]
fn messages_come_out_of_their_frames() {
    assert_eq!(read(None, frame(0, b"abc")).unwrap(), "abc");
    assert_eq!(read(Some("gzip"), frame(0, b"abc")).unwrap(), "abc", "the flag decides");
    assert_eq!(read(Some("gzip"), frame(1, &gzip(b"abc"))).unwrap(), "abc");
    assert_eq!(read(None, frame(0, b"")).unwrap(), "");
}

#[test]
fn broken_frames_are_the_callers_fault() {
    let invalid = Err("3".to_owned());
    let mut cut = frame(0, b"abc");
    cut.pop();
    let twice = [frame(0, b"a"), frame(0, b"b")].concat();
    for bytes in [vec![], vec![0, 0, 0], cut, twice, frame(2, b"abc"), frame(1, b"abc")] {
        assert_eq!(read(None, bytes.clone()), invalid, "{bytes:?}");
    }
    assert_eq!(read(Some("gzip"), frame(1, b"no gzip")), invalid);
    assert_eq!(read(Some("zstd"), frame(1, b"abc")), Err("12".to_owned()));
    let bomb = gzip(&vec![0; 64 << 20]);
    assert_eq!(read(Some("gzip"), frame(1, &bomb)), Err("11".to_owned()));
}
