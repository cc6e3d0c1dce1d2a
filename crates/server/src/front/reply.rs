//! Replies, and the headers that both transports put on them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use lodgepole_api::{ApiError, ApiVersion};
use lodgepole_types::Lsn;

use crate::transport::ReplyBody;

/// Where the reply of the data plane stands in the order of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// The write got this Lsn.
    Wrote(Lsn),
    /// The read saw everything up to this Lsn.
    Saw(Lsn),
}

impl Position {
    /// The position of a reply at `lsn`.
    pub(crate) fn of(lsn: Lsn, wrote: bool) -> Self {
        if wrote { Self::Wrote(lsn) } else { Self::Saw(lsn) }
    }

    /// Names the position in both spellings that clients look for.
    pub(crate) fn mark(self, headers: &mut HeaderMap) {
        let (lsn, names) = match self {
            Self::Wrote(lsn) => (lsn, ["x-pinecone-request-lsn", "x-pinecone-lsn-committed"]),
            Self::Saw(lsn) => (lsn, ["x-pinecone-max-indexed-lsn", "x-pinecone-lsn-reconciled"]),
        };
        for name in names {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(lsn.0));
        }
    }
}

/// Names the request and how long it took, on every reply of both transports. Time is in whole
/// milliseconds, under both names that clients look for.
pub(super) fn mark(headers: &mut HeaderMap, request_id: &str, took: Duration) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-pinecone-request-id"), id);
    }
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    for name in ["x-pinecone-request-latency-ms", "x-pinecone-response-duration-ms"] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(took_ms));
    }
}

/// A reply, with the error it stands for.
#[derive(Debug)]
pub(crate) struct Reply {
    /// What is sent.
    pub(crate) http: Response<ReplyBody>,
    /// What is logged.
    pub(crate) error: Option<ApiError>,
}

impl Reply {
    /// A reply with a body in one piece.
    pub(crate) fn whole(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let mut http = Response::new(ReplyBody::new(Full::new(body)));
        *http.status_mut() = status;
        http.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { http, error: None }
    }

    /// Plain text, for people and load balancers.
    pub(crate) fn plain(status: StatusCode, text: &'static str) -> Self {
        Self::whole(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
    }

    /// Names the version in whose dialect the reply is written.
    pub(crate) fn in_version(mut self, version: ApiVersion) -> Self {
        let name = HeaderName::from_static(ApiVersion::HEADER);
        self.http.headers_mut().insert(name, HeaderValue::from_static(version.as_str()));
        self
    }
}
