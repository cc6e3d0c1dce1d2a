//! Who may call: the first check of every request, before its body is read.
//!
//! This release has no keys of its own yet. On a loopback address any key is accepted, because only
//! programs on this machine can call; a request without a key is refused all the same, so that a
//! client that forgot it finds out here and not in production. On any other address the server does
//! not start, unless the operator says that everybody may read and delete everything.

use std::net::SocketAddr;

use http::HeaderMap;

/// The header, and gRPC metadata key, that carries the API key.
const API_KEY: &str = "api-key";

/// The rule for accepting requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access(());

/// The address is reachable by others and nothing protects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, and this release cannot check API keys yet. Listen on \
     127.0.0.1, or pass --insecure-no-auth to accept any key from anybody who can reach the address"
)]
pub(crate) struct Unprotected(SocketAddr);

impl Access {
    /// The rule for a server on this address.
    ///
    /// # Errors
    /// [`Unprotected`] for an address beyond this machine, unless `insecure`.
    pub(crate) fn for_address(listen: SocketAddr, insecure: bool) -> Result<Self, Unprotected> {
        if listen.ip().is_loopback() || insecure { Ok(Self(())) } else { Err(Unprotected(listen)) }
    }

    /// Whether a request with these headers may go on.
    pub(crate) fn permits(self, headers: &HeaderMap) -> bool {
        let Self(()) = self;
        headers.get(API_KEY).is_some_and(|key| !key.is_empty())
    }
}

#[cfg(test)]
mod tests {
    //! Goal: nobody is let in by accident. Method: addresses and headers, one case a rule.
    use super::*;

    #[test]
    fn other_machines_are_let_in_only_when_told_so() {
        let local = ["127.0.0.1:5080", "127.8.9.1:1", "[::1]:5080"];
        let open = ["0.0.0.0:5080", "[::]:5080", "192.168.1.2:5080"];
        for address in local {
            assert!(Access::for_address(address.parse().unwrap(), false).is_ok(), "{address}");
        }
        for address in open {
            let refused = Access::for_address(address.parse().unwrap(), false).unwrap_err();
            assert!(refused.to_string().contains("--insecure-no-auth"), "{refused}");
            assert!(Access::for_address(address.parse().unwrap(), true).is_ok(), "{address}");
        }
    }

    #[test]
    fn a_request_needs_a_key() {
        let access = Access::for_address("127.0.0.1:1".parse().unwrap(), false).unwrap();
        let mut headers = HeaderMap::new();
        assert!(!access.permits(&headers));
        headers.insert("Api-Key", http::HeaderValue::from_static(""));
        assert!(!access.permits(&headers));
        headers.insert("Api-Key", http::HeaderValue::from_static("any"));
        assert!(access.permits(&headers));
    }
}
