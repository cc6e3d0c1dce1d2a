//! REST: method, path, query and JSON in; JSON out, and one page for Prometheus.
//!
//! An operation is one line in [`operations`]. What stands here is the same for all: finding the
//! operation, the version of the API, the body, and how errors are printed. Checking what a request
//! says is not done here, so that no transport can leave it out.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use lodgepole_api::{ApiError, ApiVersion, Operation, Plane, envelope};
use lodgepole_service::Transport;

use crate::front::{Arrival, Front, Reply};

mod metrics;
mod operations;
mod router;

use operations::Call;
use router::{NoRoute, route};

const JSON: &str = "application/json";

/// Answers one request whose caller has been let in.
pub(crate) async fn answer(front: &Front, arrival: Arrival, request: Request<Incoming>) -> Reply {
    let plane = arrival.target.plane();
    let version = ApiVersion::from_header(arrival.caller.version.as_deref());
    let (head, body) = request.into_parts();
    let reply = match prepare(arrival, &head) {
        Ok(call) => match perform(front, call, &head, body).await {
            Ok(reply) => reply,
            Err(error) => refuse(plane, error),
        },
        Err(reply) => {
            front.body().discard(body);
            reply
        }
    };
    reply.in_version(version.unwrap_or(ApiVersion::DEFAULT))
}

/// The error as the plane prints it.
pub(crate) fn refuse(plane: Plane, error: ApiError) -> Reply {
    let envelope = envelope::render(plane, &error);
    let status = StatusCode::from_u16(envelope.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = Reply::whole(status, envelope.content_type, Bytes::from(envelope.body));
    reply.error = Some(error);
    reply
}

/// Everything that can be found out without the body.
#[expect(clippy::result_large_err, reason = "the refusal is the reply itself, made once a request")]
fn prepare(arrival: Arrival, head: &Parts) -> Result<Call, Reply> {
    let plane = arrival.target.plane();
    let route = route(plane, &head.method, head.uri.path()).map_err(|why| nowhere(plane, &why))?;
    arrival.grant.permit(route.operation).map_err(|error| refuse(plane, error))?;
    let context = arrival.context(Transport::Rest).map_err(|error| refuse(plane, error))?;
    let index = match plane {
        Plane::Control => None,
        Plane::Data => Some(arrival.index().map_err(|error| refuse(plane, error))?),
    };
    let query = head.uri.query().map(str::to_owned);
    let service = arrival.service;
    let (body, certificate_days_left) = (Bytes::new(), None);
    Ok(Call { service, context, index, route, query, body, certificate_days_left })
}

async fn perform(
    front: &Front,
    mut call: Call,
    head: &Parts,
    body: Incoming,
) -> Result<Reply, ApiError> {
    let operation = call.route.operation;
    let sent = front.body().read(operation, body, 0).await?;
    let held = front.body().unpack(operation, &head.headers, sent)?;
    call.body = held.bytes;
    if operation == Operation::Metrics {
        call.certificate_days_left = front.certificate_days_left();
    }
    let share = held.share;
    let performed = Box::pin(operations::perform(call));
    let work = async move {
        let answer = performed.await;
        drop(share);
        answer
    };
    let answer = front.work().run(operation, work).await?;
    let status = StatusCode::from_u16(operation.success_status()).unwrap_or(StatusCode::OK);
    let is_empty = answer.body.is_empty();
    let mut reply = Reply::whole(status, answer.content_type, answer.body);
    if is_empty {
        // An empty text is not JSON, and some clients would try to read it.
        reply.http.headers_mut().remove(header::CONTENT_TYPE);
    }
    if let Some(position) = answer.position {
        position.mark(reply.http.headers_mut());
    }
    Ok(reply)
}

/// The reply to a request that no operation answers.
fn nowhere(plane: Plane, why: &NoRoute) -> Reply {
    use lodgepole_types::ErrorKind::NotFound;
    match why {
        NoRoute::UnknownPath => {
            refuse(plane, ApiError::new(NotFound, "There is no such path in the API"))
        }
        NoRoute::OtherPlane(Plane::Data) => refuse(
            plane,
            ApiError::new(
                NotFound,
                "This is the control plane. Send the request to the host of the index, which \
                 describing the index shows",
            ),
        ),
        NoRoute::OtherPlane(Plane::Control) => refuse(
            plane,
            ApiError::new(
                NotFound,
                "This is the host of an index. Send the request to the control plane",
            ),
        ),
        NoRoute::WrongMethod(allowed) => wrong_method(plane, &allowed.join(", ")),
    }
}

/// WHY by hand: 405 belongs to HTTP, not to the API, whose table of errors has no row for it.
fn wrong_method(plane: Plane, allowed: &str) -> Reply {
    let message = format!("The method is not allowed here. Allowed: {allowed}");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let body = match plane {
        Plane::Control => serde_json::json!({
            "status": status.as_u16(),
            "error": { "code": "INVALID_ARGUMENT", "message": message },
        }),
        Plane::Data => serde_json::json!({ "code": 3, "message": message, "details": [] }),
    };
    let mut reply = Reply::whole(status, JSON, Bytes::from(body.to_string()));
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        reply.http.headers_mut().insert(header::ALLOW, allowed);
    }
    reply.error = Some(ApiError::invalid(message));
    reply
}
