//! Reading the body of a request: bounded in size, in time and in memory.
//!
//! Three bounds hold at once: bytes of one body, also after decompression; the pause between two of
//! its pieces; and the bytes of all bodies in memory together ([`Budget`]). The budget is never
//! waited for, because requests that each hold a part of it would wait for one another: who does
//! not fit is told to come again.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use lodgepole_api::{ApiError, Operation};
use lodgepole_types::{Clock, ErrorKind};

/// Bytes read and thrown away of a request that was refused before its body was read, when the
/// caller is known.
///
/// WHY at all: closing the connection in the middle of a body makes the client see a broken
/// connection, which it retries, in place of the refusal.
const DISCARDED_BYTES_MAX: usize = 64 << 20;
/// The same when the caller showed no key: enough for a client that forgot it, no gift to others.
const DISCARDED_BYTES_MAX_STRANGER: usize = 64 << 10;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);
/// A body grows by at least this many bytes at a time while it is decompressed.
const UNPACK_STEP_BYTES: usize = 64 << 10;

/// Memory for the bodies of all requests in progress.
#[derive(Debug)]
pub(crate) struct Budget {
    left_bytes: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { left_bytes: AtomicUsize::new(bytes) })
    }

    /// Nothing taken yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), bytes: 0 }
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// Takes more of the budget.
    ///
    /// # Errors
    /// `Unavailable` when not enough is left.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let take = |left: usize| left.checked_sub(bytes);
        let order = Ordering::Relaxed;
        self.budget.left_bytes.fetch_update(order, order, take).map_err(|left| {
            let cause =
                format!("request_buffer_bytes is used up: {left} bytes left, {bytes} asked");
            ApiError::new(ErrorKind::Unavailable, "").caused_by(cause)
        })?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left_bytes.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// A body in memory.
#[derive(Debug)]
pub(crate) struct Held {
    /// The bytes.
    pub(crate) bytes: Bytes,
    /// Their part of the budget. Kept as long as what was decoded from them.
    pub(crate) share: Share,
}

/// How long bodies may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BytesMax {
    /// Of records that are put in.
    pub(crate) upsert: usize,
    /// Of everything else.
    pub(crate) request: usize,
}

impl BytesMax {
    fn of(self, operation: Operation) -> usize {
        let puts_records = matches!(operation, Operation::Upsert | Operation::UpsertRecords);
        if puts_records { self.upsert } else { self.request }
    }
}

/// What bounds the reading of a body.
#[derive(Debug)]
pub(crate) struct BodyReader {
    /// Longest body, before and after decompression.
    pub(crate) bytes_max: BytesMax,
    /// Longest pause between two pieces.
    pub(crate) stall_timeout: Duration,
    /// Memory for all bodies.
    pub(crate) budget: Arc<Budget>,
    /// Measures the pauses.
    pub(crate) clock: Arc<dyn Clock>,
}

impl BodyReader {
    /// Reads a whole body as it was sent; `extra` bytes of framing do not count.
    ///
    /// # Errors
    /// `PayloadTooLarge`, `Unavailable` when memory for bodies is used up, `InvalidArgument` when
    /// the body does not arrive in full. What is left of the body is then thrown away.
    pub(crate) async fn read(
        &self,
        operation: Operation,
        mut body: Incoming,
        extra: usize,
    ) -> Result<Held, ApiError> {
        match self.read_all(&mut body, self.bytes_max.of(operation), extra).await {
            Ok(held) => Ok(held),
            Err(error) => {
                self.discard(body);
                Err(error)
            }
        }
    }

    /// Undoes `Content-Encoding`.
    ///
    /// # Errors
    /// `InvalidArgument` for damaged data and encodings other than gzip, `PayloadTooLarge`,
    /// `Unavailable` when memory for bodies is used up.
    pub(crate) fn unpack(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        packed: Held,
    ) -> Result<Held, ApiError> {
        let encoding = headers.get(header::CONTENT_ENCODING).map(http::HeaderValue::as_bytes);
        match encoding {
            None | Some(b"" | b"identity") => Ok(packed),
            Some(b"gzip" | b"x-gzip") => self.gunzip(operation, &packed.bytes),
            Some(other) => Err(ApiError::invalid(format!(
                "Content-Encoding '{}' is not supported: send gzip or none",
                other.escape_ascii()
            ))),
        }
    }

    /// Throws the body of a refused request away.
    pub(crate) fn discard(&self, body: Incoming) {
        self.discard_up_to(body, DISCARDED_BYTES_MAX);
    }

    /// Throws the body of a stranger's request away.
    pub(crate) fn discard_from_stranger(&self, body: Incoming) {
        self.discard_up_to(body, DISCARDED_BYTES_MAX_STRANGER);
    }

    async fn read_all(
        &self,
        body: &mut Incoming,
        message_bytes_max: usize,
        extra: usize,
    ) -> Result<Held, ApiError> {
        let bytes_max = message_bytes_max.saturating_add(extra);
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > bytes_max {
            return Err(too_large(message_bytes_max));
        }
        let mut share = self.budget.share();
        let mut bytes = BytesMut::new();
        share.grow(announced)?;
        bytes.reserve(announced);
        while let Some(piece) = self.next_piece(body).await? {
            let length = bytes.len() + piece.len();
            if length > bytes_max {
                return Err(too_large(message_bytes_max));
            }
            share.grow(length.saturating_sub(share.bytes))?;
            bytes.extend_from_slice(&piece);
        }
        Ok(Held { bytes: bytes.freeze(), share })
    }

    async fn next_piece(&self, body: &mut Incoming) -> Result<Option<Bytes>, ApiError> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = body.frame() => frame,
                () = self.clock.sleep(self.stall_timeout) => {
                    let waited_s = self.stall_timeout.as_secs();
                    return Err(ApiError::invalid(format!(
                        "The body did not arrive in full: nothing came for {waited_s} s"
                    )));
                }
            };
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
                Some(Err(error)) => {
                    return Err(
                        ApiError::invalid("The body did not arrive in full").caused_by(error)
                    );
                }
            }
        }
    }

    /// Decompresses. WHY a limited reader: a few kilobytes of gzip can stand for gigabytes.
    ///
    /// # Errors
    /// As [`BodyReader::unpack`].
    pub(crate) fn gunzip(&self, operation: Operation, packed: &[u8]) -> Result<Held, ApiError> {
        let bytes_max = self.bytes_max.of(operation);
        let mut share = self.budget.share();
        let mut bytes = Vec::new();
        let mut decoder = MultiGzDecoder::new(packed);
        loop {
            let length = bytes.len();
            share.grow(UNPACK_STEP_BYTES)?;
            let step = (&mut decoder).take(UNPACK_STEP_BYTES as u64).read_to_end(&mut bytes);
            step.map_err(|error| ApiError::invalid("The body is not valid gzip").caused_by(error))?;
            if bytes.len() > bytes_max {
                return Err(too_large(bytes_max));
            }
            if bytes.len() < length + UNPACK_STEP_BYTES {
                return Ok(Held { bytes: bytes.into(), share });
            }
        }
    }

    fn discard_up_to(&self, mut body: Incoming, bytes_max: usize) {
        if body.is_end_stream() {
            return;
        }
        let timeout = self.clock.sleep(DISCARD_TIMEOUT);
        tokio::spawn(async move {
            let mut left = bytes_max;
            let discarded = async {
                while let Some(Ok(frame)) = body.frame().await {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    let Some(rest) = left.checked_sub(length) else { return };
                    left = rest;
                }
            };
            tokio::select! {
                biased;
                () = timeout => {}
                () = discarded => {}
            }
        });
    }
}

fn too_large(bytes_max: usize) -> ApiError {
    let message = format!(
        "The request is larger than {bytes_max} bytes, the most that is taken for this operation. \
         Send less at once"
    );
    ApiError::new(ErrorKind::PayloadTooLarge, message)
}

#[cfg(test)]
mod tests {
    //! Goal: memory stays bounded whatever arrives. Method: bodies made by hand.
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use lodgepole_types::ManualClock;

    use super::*;

    fn reader(bytes_max: usize, budget_bytes: usize) -> BodyReader {
        BodyReader {
            bytes_max: BytesMax { upsert: bytes_max, request: 2 * bytes_max },
            stall_timeout: Duration::from_secs(1),
            budget: Budget::new(budget_bytes),
            clock: Arc::new(ManualClock::new(Duration::ZERO)),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(reader: &BodyReader, encoding: &str, bytes: Vec<u8>) -> Result<Held, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        let held = Held { bytes: bytes.into(), share: reader.budget.share() };
        reader.unpack(Operation::Upsert, &headers, held)
    }

    #[test]
    fn gzip_is_undone() {
        let reader = reader(1 << 20, 1 << 20);
        for length in [0, 1, UNPACK_STEP_BYTES - 1, UNPACK_STEP_BYTES, UNPACK_STEP_BYTES + 1] {
            let bytes = vec![7_u8; length];
            assert_eq!(unpack(&reader, "gzip", gzip(&bytes)).unwrap().bytes, bytes);
        }
        assert_eq!(unpack(&reader, "identity", vec![1]).unwrap().bytes, vec![1]);
    }

    #[test]
    fn a_bomb_is_refused_before_it_fills_the_memory() {
        let reader = reader(1 << 20, 4 << 20);
        let error = unpack(&reader, "gzip", gzip(&vec![0_u8; 64 << 20])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PayloadTooLarge);
        assert_eq!(reader.budget.left_bytes.load(Ordering::Relaxed), 4 << 20, "given back");
    }

    #[test]
    fn what_does_not_fit_the_budget_is_sent_away() {
        let reader = reader(1 << 20, 100 << 10);
        let error = unpack(&reader, "gzip", gzip(&vec![0_u8; 500 << 10])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(reader.budget.left_bytes.load(Ordering::Relaxed), 100 << 10, "given back");
    }

    #[test]
    fn damaged_and_unknown_encodings_are_the_callers_fault() {
        let reader = reader(1 << 20, 1 << 20);
        let mut damaged = gzip(b"some text that is long enough to be cut");
        damaged.truncate(15);
        for (encoding, bytes) in [("gzip", damaged), ("br", vec![1])] {
            let error = unpack(&reader, encoding, bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{encoding}");
        }
    }
}
