//! How an error is printed in JSON.
//!
//! Two shapes, one per plane. The control plane has no `message` at the top: clients up to
//! TypeScript 8 would then show only that. A 401 is plain text on both planes. Status and code come
//! from the table in `types::ErrorKind`.

use lodgepole_types::ErrorKind;
use prost::Message as _;
use serde::Serialize;

use crate::wire::rpc_status::{DOMAIN, ERROR_INFO_TYPE, ErrorInfo, RpcStatus};
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
    details: Vec<Detail>,
}

/// A detail by protobuf's JSON rules: the name of its type stands among its fields.
#[derive(Serialize)]
struct Detail {
    #[serde(rename = "@type")]
    type_url: &'static str,
    #[serde(flatten)]
    info: ErrorInfo,
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
        Plane::Data => {
            let detail = |info| Detail { type_url: ERROR_INFO_TYPE, info };
            let details = info(error).map(detail).into_iter().collect();
            json(&Data { code: grpc, message, details })
        }
    };
    Envelope { status, content_type: "application/json", body }
}

/// What gRPC sends in `grpc-status-details-bin`; `None` when the error has no reason.
#[must_use]
pub fn grpc_details(error: &ApiError) -> Option<Vec<u8>> {
    let info = info(error)?;
    let status = RpcStatus {
        code: error.kind().grpc_code(),
        message: error.message().to_owned(),
        details: vec![info.to_detail()],
    };
    Some(status.encode_to_vec())
}

fn info(error: &ApiError) -> Option<ErrorInfo> {
    let because = error.reason()?;
    Some(ErrorInfo {
        reason: because.reason.as_str().to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: because.metadata.clone(),
    })
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
    fn a_reason_is_in_the_details_on_both_transports() {
        let error = ApiError::not_found("Alias", &"a")
            .because(crate::Reason::AliasNotFound, &[("alias_name", "a")]);
        let reply = render(Plane::Data, &error);
        assert_eq!(
            reply.body,
            r#"{"code":5,"message":"Alias a not found.","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"ALIAS_NOT_FOUND","domain":"pinecone.io","metadata":{"alias_name":"a"}}]}"#
        );
        let status = RpcStatus::decode(&*grpc_details(&error).unwrap()).unwrap();
        assert_eq!((status.code, status.message.as_str()), (5, "Alias a not found."));
        assert_eq!(status.details[0].type_url, ERROR_INFO_TYPE);
        let info = ErrorInfo::decode(&*status.details[0].value).unwrap();
        assert_eq!(
            (info.reason.as_str(), info.metadata["alias_name"].as_str()),
            ("ALIAS_NOT_FOUND", "a")
        );
        assert_eq!(grpc_details(&ApiError::invalid("x")), None);
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
