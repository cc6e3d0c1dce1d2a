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
    /// How addresses of indexes are written in the reply.
    pub hosts: IndexHosts,
    /// Names the request in logs and in the reply.
    pub request_id: String,
}

/// How a client reaches indexes, as its own request showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexHosts {
    /// What goes before the host: `http://`, `https://` or nothing.
    scheme: &'static str,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Ports { host: String },
    Names { suffix: String },
}

impl IndexHosts {
    /// Each index has a port on the host that the client called: a name, an IPv4 address, or an
    /// IPv6 address with or without brackets.
    #[must_use]
    pub fn on_ports_of(host: &str, scheme: &'static str) -> Self {
        let is_bare_v6 = host.contains(':') && !host.starts_with('[');
        let host = if is_bare_v6 { format!("[{host}]") } else { host.to_owned() };
        Self { scheme, place: Place::Ports { host } }
    }

    /// Each index has a host name of its own: its name, and `suffix` after it.
    #[must_use]
    pub fn named(suffix: String, scheme: &'static str) -> Self {
        Self { scheme, place: Place::Names { suffix } }
    }

    /// Where the data plane of `index` answers.
    #[must_use]
    pub fn host_of(&self, index: &Index) -> String {
        let scheme = self.scheme;
        match &self.place {
            Place::Ports { host } => format!("{scheme}{host}:{}", index.port),
            Place::Names { suffix } => format!("{scheme}{}{suffix}", index.config.name),
        }
    }
}

impl RequestContext {
    /// Where the data plane of `index` answers, as this client can reach it.
    #[must_use]
    pub fn host_of(&self, index: &Index) -> String {
        self.hosts.host_of(index)
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
