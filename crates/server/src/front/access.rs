//! Who may call, and what: the first check of every request, before its body is read.
//!
//! On a loopback address any key is accepted until the first one is made, and none is needed, because
//! only programs on this machine can call, and some integrations forget the key in some calls. A
//! browser is such a program too, and runs what any web page says: a request that a page caused is
//! let in only with a key, which a page cannot send without having been asked for it. From the first
//! key on, only keys that were made and not revoked are accepted, everywhere. On any other address the server does not start without
//! a key, unless the operator says that everybody may read and delete everything.
//!
//! INVARIANT: what is not known to be allowed is refused. A role is asked about each operation, and
//! an operation that may change something counts as a change.

use std::net::SocketAddr;
use std::path::Path;

use http::HeaderMap;
use lodgepole_api::{ApiError, ENDPOINTS, Endpoint, Method, Operation, Plane};
use lodgepole_service::{KeyState, Role, Service};
use lodgepole_types::ErrorKind;

use super::work::changes_something;

/// The header, and gRPC metadata key, that carries the API key.
const API_KEY: &str = "api-key";

/// The rule for accepting requests while no key is in use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    /// Only programs on this machine can call.
    is_local: bool,
    /// The operator said that any key will do.
    insecure: bool,
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Everything: no key has been made.
    Everything,
    /// What the role of its key allows.
    Role(Role),
}

/// The address is reachable by others and nothing protects it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, and there is no API key yet. Make one with \
     `lodgepole keys create --data-dir {data_dir}` and start again, or listen on 127.0.0.1, or pass \
     --insecure-no-auth to accept any key from anybody who can reach the address"
)]
pub(crate) struct Unprotected {
    address: SocketAddr,
    data_dir: String,
}

impl Access {
    /// The rule for a server on this address.
    pub(crate) fn new(listen: SocketAddr, insecure: bool) -> Self {
        Self { is_local: listen.ip().is_loopback(), insecure }
    }

    /// Whether a server may start, given the keys it has.
    ///
    /// # Errors
    /// [`Unprotected`] for an address beyond this machine without a key in use, unless the operator
    /// insists.
    pub(crate) fn check(
        self,
        state: KeyState,
        (address, data_dir): (SocketAddr, &Path),
    ) -> Result<(), Unprotected> {
        if self.is_local || self.insecure || state == KeyState::InUse {
            return Ok(());
        }
        Err(Unprotected { address, data_dir: data_dir.display().to_string() })
    }

    /// Lets a request in, or not.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub(crate) fn admit(self, headers: &HeaderMap, service: &Service) -> Result<Grant, ApiError> {
        let refused = || ApiError::new(ErrorKind::Unauthenticated, "Invalid API key");
        let key = key_in(headers);
        let is_open = match service.key_state() {
            KeyState::InUse => {
                let key = key.and_then(|key| service.authenticate(key)).ok_or_else(refused)?;
                return Ok(Grant::Role(key.role));
            }
            KeyState::Never if self.is_local => key.is_some() || !is_from_page(headers),
            KeyState::Never => self.insecure && key.is_some(),
            // WHY not open again: whoever revoked the last key wanted it to stop working.
            KeyState::Revoked => self.insecure && key.is_some(),
        };
        if is_open { Ok(Grant::Everything) } else { Err(refused()) }
    }

    /// Whether a request shows anything that may be a key, while it cannot be checked.
    pub(crate) fn shows_key(headers: &HeaderMap) -> bool {
        key_in(headers).is_some()
    }
}

/// Whether a web page caused the request: browsers add these headers, and pages cannot take them
/// away (Fetch Standard, sections 3.1 and 2.2.2; Fetch Metadata, section 2).
fn is_from_page(headers: &HeaderMap) -> bool {
    ["origin", "sec-fetch-site", "referer"].into_iter().any(|name| headers.contains_key(name))
}

fn key_in(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(API_KEY).map(http::HeaderValue::as_bytes).filter(|key| !key.is_empty())
}

impl Grant {
    /// Whether this operation is allowed.
    ///
    /// # Errors
    /// `PermissionDenied`, naming the permission.
    pub(crate) fn permit(self, operation: Operation) -> Result<(), ApiError> {
        let Self::Role(role) = self else { return Ok(()) };
        let Some(row) = ENDPOINTS.iter().find(|row| row.operation == operation) else {
            return Err(ApiError::internal("an operation without a row in the table of endpoints"));
        };
        if allows(role, row.plane, changes_something(operation)) {
            return Ok(());
        }
        let message = format!("Access denied: Permission {} is required", permission(row));
        Err(ApiError::new(ErrorKind::PermissionDenied, message))
    }
}

fn allows(role: Role, plane: Plane, is_change: bool) -> bool {
    match role {
        Role::ProjectEditor => true,
        Role::ProjectViewer => !is_change,
        Role::ControlPlaneEditor => plane == Plane::Control,
        Role::ControlPlaneViewer => plane == Plane::Control && !is_change,
        Role::DataPlaneEditor => plane == Plane::Data,
        Role::DataPlaneViewer => plane == Plane::Data && !is_change,
    }
}

/// The name of the permission that a row needs, made from the row: plane, resource and action, such
/// as `control::backups::list`.
fn permission(row: &Endpoint) -> String {
    let plane = match row.plane {
        Plane::Control => "control",
        Plane::Data => "data",
    };
    let parts: Vec<&str> = row.path.split('/').filter(|part| !part.is_empty()).collect();
    let is_parameter = |part: &&str| part.starts_with('{');
    let names: Vec<&str> = parts.iter().copied().filter(|part| !is_parameter(part)).collect();
    let about_one = parts.last().is_some_and(is_parameter);
    let resource = names.last().copied().unwrap_or("project");
    let (resource, action) = match (row.plane, row.method, names.as_slice()) {
        // The data plane's calls are named after what they do: /vectors/upsert, /query.
        (Plane::Data, _, [resource, action]) if !about_one => (*resource, *action),
        (Plane::Data, Method::Post | Method::Get, [action]) if !about_one && parts.len() == 1 => {
            ("index", *action)
        }
        (_, Method::Get, _) => (resource, if about_one { "describe" } else { "list" }),
        (_, Method::Post, _) => (resource, "create"),
        (_, Method::Patch, _) => (resource, "update"),
        (_, Method::Delete, _) => (resource, "delete"),
    };
    format!("{plane}::{}::{}", resource.replace('-', "_"), action.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    //! Goal: nobody is let in or allowed something by accident. Method: addresses, headers, and
    //! every role with every row of the table of endpoints.
    use super::*;

    #[test]
    fn other_machines_are_let_in_only_with_keys_or_when_told_so() {
        let local = ["127.0.0.1:5080", "127.8.9.1:1", "[::1]:5080"];
        let open = ["0.0.0.0:5080", "[::]:5080", "192.168.1.2:5080"];
        let check = |address: &str, insecure, state| {
            let address = address.parse().unwrap();
            Access::new(address, insecure).check(state, (address, Path::new("/d")))
        };
        for address in local {
            assert!(check(address, false, KeyState::Never).is_ok(), "{address}");
        }
        for address in open {
            for state in [KeyState::Never, KeyState::Revoked] {
                let refused = check(address, false, state).unwrap_err().to_string();
                assert!(refused.contains("--insecure-no-auth"), "{refused}");
                assert!(refused.contains("lodgepole keys create --data-dir /d"), "{refused}");
            }
            assert!(check(address, false, KeyState::InUse).is_ok(), "{address}");
            assert!(check(address, true, KeyState::Never).is_ok(), "{address}");
        }
    }

    #[test]
    fn an_empty_key_is_none() {
        let mut headers = HeaderMap::new();
        assert!(!Access::shows_key(&headers));
        headers.insert("Api-Key", http::HeaderValue::from_static(""));
        assert!(!Access::shows_key(&headers));
        headers.insert("Api-Key", http::HeaderValue::from_static("any"));
        assert!(Access::shows_key(&headers));
    }

    #[test]
    fn a_request_that_a_web_page_caused_is_recognised() {
        assert!(!is_from_page(&HeaderMap::new()));
        for name in ["Origin", "Sec-Fetch-Site", "Referer"] {
            let mut headers = HeaderMap::new();
            headers.insert(
                http::HeaderName::try_from(name).unwrap(),
                http::HeaderValue::from_static("x"),
            );
            assert!(is_from_page(&headers), "{name}");
        }
    }

    #[test]
    fn a_role_allows_its_plane_and_a_viewer_changes_nothing() {
        for row in ENDPOINTS {
            let change = changes_something(row.operation);
            let control = row.plane == Plane::Control;
            for (role, wanted) in [
                (Role::ProjectEditor, true),
                (Role::ProjectViewer, !change),
                (Role::ControlPlaneEditor, control),
                (Role::ControlPlaneViewer, control && !change),
                (Role::DataPlaneEditor, !control),
                (Role::DataPlaneViewer, !control && !change),
            ] {
                let permitted = Grant::Role(role).permit(row.operation);
                assert_eq!(permitted.is_ok(), wanted, "{role:?} {:?}", row.operation);
                if let Err(error) = permitted {
                    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                    assert!(error.message().starts_with("Access denied: Permission "), "{error}");
                }
            }
            assert!(Grant::Everything.permit(row.operation).is_ok());
            if matches!(row.method, Method::Patch | Method::Delete) {
                assert!(change, "{:?}", row.operation);
            }
        }
    }

    #[test]
    fn permissions_are_named_after_what_they_allow() {
        let name = |operation| {
            permission(ENDPOINTS.iter().find(|row| row.operation == operation).unwrap())
        };
        assert_eq!(name(Operation::ListProjectBackups), "control::backups::list");
        assert_eq!(name(Operation::ListIndexBackups), "control::backups::list");
        assert_eq!(name(Operation::CreateIndex), "control::indexes::create");
        assert_eq!(name(Operation::ConfigureIndex), "control::indexes::update");
        assert_eq!(name(Operation::DescribeRestoreJob), "control::restore_jobs::describe");
        assert_eq!(name(Operation::Upsert), "data::vectors::upsert");
        assert_eq!(name(Operation::Query), "data::index::query");
    }
}
