//! gRPC: the same messages in protobuf, over HTTP/2.
//!
//! The messages are the ones that REST reads, so nothing is converted and no code is generated: one
//! generic function serves every method of `api::GRPC_METHODS`. The body is read by the same bounded
//! reader as REST's, and taken out of its frame in `frame`, so that a caller's mistake is never
//! answered as a fault of ours.
//!
//! A deadline that the caller sends is kept: when it has passed, the call is answered with that.
//! What it changes may happen nevertheless.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use hyper::body::Incoming;
use lodgepole_api::{ApiError, ApiVersion, GRPC_METHODS, Operation, envelope};
use lodgepole_service::{DataReply, RequestContext, Service, Transport};
use lodgepole_types::{ErrorKind, Index};
use prost::Message;
use tonic::{Code, Status};

use crate::front::{Arrival, Front, Position, Reply, Share};

mod frame;

use frame::FRAME_BYTES;

const CONTENT_TYPE: &[u8] = b"application/grpc";

/// Whether a request speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    content_type.is_some_and(|value| value.starts_with(CONTENT_TYPE))
}

/// The error as a gRPC status, without a message before it.
pub(crate) fn refuse(error: ApiError) -> Reply {
    let http = status(&error).into_http();
    Reply { http, error: Some(error) }
}

/// Answers one request whose caller has been let in.
pub(crate) async fn answer(front: &Front, arrival: Arrival, request: Request<Incoming>) -> Reply {
    let version = ApiVersion::from_header(arrival.caller.version.as_deref());
    let limit = deadline(request.headers());
    let answered = dispatch(front, arrival, request);
    let reply = match limit {
        None => answered.await,
        Some(limit) => tokio::select! {
            biased;
            reply = answered => reply,
            () = front.clock().sleep(limit) => refuse(too_late()),
        },
    };
    reply.in_version(version.unwrap_or(ApiVersion::DEFAULT))
}

/// How long the caller waits, from `grpc-timeout`: up to eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    const DIGITS_MAX: usize = 8;
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = (is_number && digits.len() <= DIGITS_MAX).then(|| digits.parse().ok())??;
    match unit {
        "H" => Some(Duration::from_secs(60 * 60 * count)),
        "M" => Some(Duration::from_secs(60 * count)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn too_late() -> ApiError {
    ApiError::new(ErrorKind::DeadlineExceeded, "").caused_by("the caller's own limit has passed")
}

async fn dispatch(front: &Front, arrival: Arrival, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let Some(method) = GRPC_METHODS.iter().find(|method| method.path == path) else {
        front.body().discard(body);
        let http = Status::unimplemented(format!("There is no method {path}")).into_http();
        return Reply { http, error: None };
    };
    let operation = method.operation;
    let found = arrival
        .grant
        .permit(operation)
        .and_then(|()| Ok((arrival.context(Transport::Grpc)?, arrival.index()?)));
    let (context, index) = match found {
        Ok(found) => found,
        Err(error) => {
            front.body().discard(body);
            return refuse(error);
        }
    };
    let sent = match front.body().read(operation, body, FRAME_BYTES).await {
        Ok(held) => held,
        Err(error) => return refuse(error),
    };
    let held = match frame::open(front.body(), operation, &head.headers, sent) {
        Ok(held) => held,
        Err(refusal) => return *refusal,
    };
    let to = Addressee { service: arrival.service, context, index };
    serve(Call { front, operation, to, message: held.bytes, share: held.share }).await
}

/// What a message is handed to.
struct Addressee {
    service: Service,
    context: RequestContext,
    index: Arc<Index>,
}

/// One method call, its message still encoded.
struct Call<'a> {
    front: &'a Front,
    operation: Operation,
    to: Addressee,
    message: Bytes,
    /// The body's part of the budget.
    share: Share,
}

/// Hands a message to the operation of this name.
macro_rules! method {
    ($name:ident) => {
        |to: Addressee, message| async move {
            to.service.$name(&to.context, &to.index, message).await
        }
    };
}

/// Every method, one line each.
async fn serve(call: Call<'_>) -> Reply {
    match call.operation {
        Operation::Upsert => unary(call, method!(upsert)).await,
        Operation::Query => unary(call, method!(query)).await,
        Operation::Fetch => unary(call, method!(fetch)).await,
        Operation::Delete => unary(call, method!(delete)).await,
        Operation::List => unary(call, method!(list)).await,
        Operation::DescribeIndexStats => unary(call, method!(describe_index_stats)).await,
        Operation::Update => unary(call, method!(update)).await,
        Operation::FetchByMetadata => unary(call, method!(fetch_by_metadata)).await,
        Operation::CreateNamespace => unary(call, method!(create_namespace)).await,
        Operation::ListNamespaces => unary(call, method!(list_namespaces)).await,
        Operation::DescribeNamespace => unary(call, method!(describe_namespace)).await,
        Operation::DeleteNamespace => unary(call, method!(delete_namespace)).await,
        Operation::CreateNamespaceAlias => unary(call, method!(create_namespace_alias)).await,
        Operation::ListNamespaceAliases => unary(call, method!(list_namespace_aliases)).await,
        Operation::DescribeNamespaceAlias => unary(call, method!(describe_namespace_alias)).await,
        Operation::RepointNamespaceAlias => unary(call, method!(repoint_namespace_alias)).await,
        Operation::DeleteNamespaceAlias => unary(call, method!(delete_namespace_alias)).await,
        Operation::ListIndexes
        | Operation::CreateIndex
        | Operation::CreateIndexForModel
        | Operation::DescribeIndex
        | Operation::ConfigureIndex
        | Operation::DeleteIndex
        | Operation::CreateBackup
        | Operation::ListIndexBackups
        | Operation::ListProjectBackups
        | Operation::DescribeBackup
        | Operation::DeleteBackup
        | Operation::CreateIndexFromBackup
        | Operation::ListRestoreJobs
        | Operation::ListCollections
        | Operation::CreateCollection
        | Operation::DescribeCollection
        | Operation::DeleteCollection
        | Operation::ListModels
        | Operation::DescribeModel
        | Operation::Embed
        | Operation::Rerank
        | Operation::UpsertRecords
        | Operation::SearchRecords
        | Operation::Count
        | Operation::WarmUp
        | Operation::SearchState
        | Operation::Metrics
        | Operation::StartImport
        | Operation::ListImports
        | Operation::DescribeImport
        | Operation::CancelImport
        | Operation::CreateBackupSchedule
        | Operation::ListBackupSchedules
        | Operation::DescribeBackupSchedule
        | Operation::UpdateBackupSchedule
        | Operation::DeleteBackupSchedule
        | Operation::ListBackupScheduleHistory
        | Operation::DescribeRestoreJob => {
            refuse(ApiError::internal("the table of methods holds one of the control plane"))
        }
    }
}

/// Decodes the message, performs the operation, encodes what it answers.
async fn unary<In, Out, Performed>(
    call: Call<'_>,
    perform: impl FnOnce(Addressee, In) -> Performed + Send,
) -> Reply
where
    In: Message + Default + 'static,
    Out: Message + Default + 'static,
    Performed: Future<Output = Result<DataReply<Out>, ApiError>> + Send + 'static,
{
    let Call { front, operation, to, message, share } = call;
    let message = match In::decode(message) {
        Ok(message) => message,
        Err(error) => {
            return refuse(ApiError::invalid(format!("The message cannot be read: {error}")));
        }
    };
    let performed = Box::pin(perform(to, message));
    let work = async move {
        let answer = performed.await;
        drop(share);
        answer
    };
    match front.work().run(operation, work).await {
        Ok(reply) => {
            let mut http = frame::reply(&reply.message);
            Position::of(reply.lsn, reply.wrote).mark(http.headers_mut());
            Reply { http, error: None }
        }
        Err(error) => refuse(error),
    }
}

/// The error with its reason, which goes into `grpc-status-details-bin`.
fn status(error: &ApiError) -> Status {
    let code = Code::from_i32(error.kind().grpc_code());
    match envelope::grpc_details(error) {
        None => Status::new(code, error.message()),
        Some(details) => Status::with_details(code, error.message(), details.into()),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: deadlines are read as gRPC writes them. Method: texts by hand.
    use super::*;

    #[test]
    fn a_deadline_is_a_number_and_a_unit() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            deadline(&headers)
        };
        for (text, wanted) in [
            ("1H", Duration::from_secs(3_600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("0S", Duration::ZERO),
        ] {
            assert_eq!(read(text), Some(wanted), "{text}");
        }
        for text in ["", "S", "1", "1s", "-1S", "+1S", "123456789S", "1.5S", "\u{e9}"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(deadline(&HeaderMap::new()), None);
    }
}
