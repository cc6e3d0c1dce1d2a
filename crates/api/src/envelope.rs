//! How an error is printed in JSON.
//!
//! Two shapes, one per plane. The control plane has no `message` at the top: clients up to
//! TypeScript 8 would then show only that. A 401 is plain text on both planes. Status and code come
//! from the table in `types::ErrorKind`.

use lodgepole_types::ErrorKind;
use serde::Serialize;

use crate::{ApiError, Plane};

/// An error as a REST reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// HTTP status.
    pub status: u16,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

#[derive(Serialize)]
struct Control<'a> {
    status: u16,
    error: ControlError<'a>,
}

#[derive(Serialize)]
struct ControlError<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    code: i32,
    message: &'a str,
    details: [(); 0],
}

/// The error as the plane prints it.
#[must_use]
pub fn render(plane: Plane, error: &ApiError) -> Envelope {
    if error.kind() == ErrorKind::Unauthenticated {
        return unauthenticated(plane);
    }
    let (code, status, grpc) = error.kind().codes();
    let message = error.message();
    let body = match plane {
        Plane::Control => json(&Control { status, error: ControlError { code, message } }),
        Plane::Data => json(&Data { code: grpc, message, details: [] }),
    };
    Envelope { status, content_type: "application/json", body }
}

/// The reply to a missing or wrong key, which says no more than that.
fn unauthenticated(plane: Plane) -> Envelope {
    let body = match plane {
        Plane::Control => "Invalid API key",
        Plane::Data => "Unauthorized",
    };
    Envelope {
        status: ErrorKind::Unauthenticated.http_status(),
        content_type: "text/plain; charset=utf-8",
        body: body.to_owned(),
    }
}

/// Printing these cannot fail: there is no map with odd keys and no number that is not finite.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    //! Goal: the exact bodies that clients read. Method: literals.
    use super::*;

    #[test]
    fn the_control_plane_nests_the_error() {
        let reply = render(Plane::Control, &ApiError::not_found("Index", &"movies"));
        assert_eq!(reply.status, 404);
        assert_eq!(
            reply.body,
            r#"{"status":404,"error":{"code":"NOT_FOUND","message":"Index movies not found."}}"#
        );
    }

    #[test]
    fn the_data_plane_prints_an_rpc_status() {
        let reply = render(Plane::Data, &ApiError::invalid("too \"long\""));
        assert_eq!(reply.status, 400);
        assert_eq!(reply.body, r#"{"code":3,"message":"too \"long\"","details":[]}"#);
    }

    #[test]
    fn a_missing_key_is_plain_text() {
        let error = ApiError::new(ErrorKind::Unauthenticated, "key 123 is unknown");
        for (plane, body) in [(Plane::Control, "Invalid API key"), (Plane::Data, "Unauthorized")] {
            let reply = render(plane, &error);
            assert_eq!((reply.status, reply.body.as_str()), (401, body));
            assert!(reply.content_type.starts_with("text/plain"));
        }
    }
}
