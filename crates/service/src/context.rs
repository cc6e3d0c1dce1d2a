//! What every operation is told about its request, and what data operations answer with.

use lodgepole_api::ApiVersion;
use lodgepole_types::{Index, Lsn};

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP with JSON.
    Rest,
    /// gRPC.
    Grpc,
}

/// What is known about a request besides its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// The version whose dialect the reply is in.
    pub version: ApiVersion,
    /// How it came.
    pub transport: Transport,
    /// The host that the client called, without port: a name, an IPv4 address, or an IPv6 address
    /// with or without brackets.
    pub host_name: String,
    /// Whether hosts in replies go without a scheme: for Java clients, or by a setting.
    pub bare_host: bool,
    /// Names the request in logs and in the reply.
    pub request_id: String,
}

impl RequestContext {
    /// Where the data plane of `index` answers, as this client can reach it: the host that it
    /// called, and the port of the index.
    #[must_use]
    pub fn host_of(&self, index: &Index) -> String {
        let scheme = if self.bare_host { "" } else { "http://" };
        let name = &self.host_name;
        if name.contains(':') && !name.starts_with('[') {
            format!("{scheme}[{name}]:{}", index.port)
        } else {
            format!("{scheme}{name}:{}", index.port)
        }
    }
}

/// The reply of a data operation.
#[derive(Debug, Clone, PartialEq)]
pub struct DataReply<T> {
    /// The message.
    pub message: T,
    /// For a write, its own position; for a read, the position up to which it saw everything.
    pub lsn: Lsn,
    /// Whether it was a write.
    pub wrote: bool,
}

impl<T> DataReply<T> {
    pub(crate) fn read(message: T, lsn: Lsn) -> Self {
        Self { message, lsn, wrote: false }
    }

    pub(crate) fn written(message: T, lsn: Lsn) -> Self {
        Self { message, lsn, wrote: true }
    }
}
