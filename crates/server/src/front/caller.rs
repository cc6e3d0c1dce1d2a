//! Who sent a request, as far as the reply depends on it.

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, header};

use lodgepole_api::ApiVersion;

/// What the reply depends on besides the operation.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The host that the caller asked for, without port: replies name it as the host of indexes.
    pub(crate) host_name: String,
    /// Whether the client cannot read hosts with a scheme.
    pub(crate) wants_bare_host: bool,
    /// The API version as sent.
    pub(crate) version: Option<String>,
    /// The id in logs and reply.
    pub(crate) request_id: String,
}

impl Caller {
    /// Reads a request's head.
    pub(crate) fn of<B>(request: &Request<B>, request_id: String) -> Self {
        let headers = request.headers();
        // WHY not as absent: a version that cannot be read must not become the default.
        let readable = |value: &HeaderValue| value.to_str().unwrap_or("unreadable").to_owned();
        let version = headers.get(ApiVersion::HEADER).map(readable);
        Self {
            host_name: host_name(request),
            wants_bare_host: is_java(headers),
            version,
            request_id,
        }
    }
}

/// The Java client adds the scheme itself, and breaks when it finds one.
fn is_java(headers: &HeaderMap) -> bool {
    text(headers, header::USER_AGENT.as_str()).is_some_and(|agent| agent.starts_with("lang=java"))
}

/// The name in `:authority` or `Host`, with the brackets of an IPv6 address, in lower case.
fn host_name<B>(request: &Request<B>) -> String {
    let from_header = || {
        let value = text(request.headers(), header::HOST.as_str())?;
        value.parse::<Authority>().ok()
    };
    let authority = request.uri().authority().cloned().or_else(from_header);
    let host = authority.as_ref().map(Authority::host).filter(|host| !host.is_empty());
    host.unwrap_or("localhost").to_ascii_lowercase()
}

/// A header that is not text is taken as absent.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    //! Goal: the host of the reply is the host of the request. Method: heads as clients send them.
    use super::*;

    fn caller(host: Option<&str>, uri: &str, agent: &str) -> Caller {
        let mut request = Request::builder().uri(uri).header(header::USER_AGENT, agent);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        Caller::of(&request.body(()).unwrap(), String::new())
    }

    #[test]
    fn the_host_name_loses_its_port_and_nothing_else() {
        for (host, name) in [
            ("localhost:5080", "localhost"),
            ("LocalHost", "localhost"),
            ("127.0.0.1:5080", "127.0.0.1"),
            ("[::1]:5080", "[::1]"),
            ("not a host", "localhost"),
        ] {
            assert_eq!(caller(Some(host), "/indexes", "x").host_name, name);
        }
        assert_eq!(caller(None, "http://db.example:1/x", "x").host_name, "db.example", "HTTP/2");
        assert_eq!(caller(None, "/x", "x").host_name, "localhost");
    }

    #[test]
    fn java_gets_bare_hosts() {
        assert!(caller(None, "/x", "lang=java; pineconeClientVersion=v6.2.0").wants_bare_host);
        assert!(!caller(None, "/x", "python-client-10.2.0").wants_bare_host);
    }
}
