//! gRPC: the same messages in protobuf, over HTTP/2.
//!
//! The messages are the ones that REST reads, so nothing is converted and no code is generated: one
//! generic function serves every method of `api::GRPC_METHODS`. The body is read by the same bounded
//! reader as REST's before tonic sees it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::Full;
use hyper::body::Incoming;
use lodgepole_api::{ApiError, ApiVersion, GRPC_METHODS, Operation};
use lodgepole_service::{DataReply, RequestContext, Service, Transport};
use lodgepole_types::Index;
use parking_lot::Mutex;
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::server::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::front::{Arrival, Front, Position, Reply, Share};

const CONTENT_TYPE: &[u8] = b"application/grpc";
/// What gRPC puts before a message: a flag and its length.
const FRAME_BYTES: usize = 5;

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
    let reply = dispatch(front, arrival, request).await;
    reply.in_version(version.unwrap_or(ApiVersion::DEFAULT))
}

async fn dispatch(front: &Front, arrival: Arrival, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let Some(method) = GRPC_METHODS.iter().find(|method| method.path == path) else {
        front.body().discard(body);
        let http = Status::unimplemented(format!("There is no method {path}")).into_http();
        return Reply { http, error: None };
    };
    let found = arrival.context(Transport::Grpc).and_then(|ctx| Ok((ctx, arrival.index()?)));
    let (context, index) = match found {
        Ok(found) => found,
        Err(error) => {
            front.body().discard(body);
            return refuse(error);
        }
    };
    let mut held = match front.body().read(body, FRAME_BYTES).await {
        Ok(held) => held,
        Err(error) => return refuse(error),
    };
    // WHY: tonic bounds what it decompresses, but does not count it.
    if head.headers.contains_key("grpc-encoding")
        && let Err(error) = held.share.grow(front.body().bytes_max)
    {
        return refuse(error);
    }
    let to = Addressee { service: arrival.service, context, index };
    let request = Request::from_parts(head, Full::new(held.bytes));
    serve(Call { front, operation: method.operation, to, request, share: held.share }).await
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
    request: Request<Full<Bytes>>,
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
        Operation::ListIndexes
        | Operation::CreateIndex
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
    let Call { front, operation, to, request, share } = call;
    let outcome = Mutex::new((None, None));
    let mut once = Some((perform, to, share));
    let service = tower::service_fn(|request: tonic::Request<In>| {
        let (once, outcome) = (once.take(), &outcome);
        async move {
            let Some((perform, to, share)) = once else {
                return Err(Status::internal("one message was expected"));
            };
            let performed = Box::pin(perform(to, request.into_inner()));
            let work = async move {
                let answer = performed.await;
                drop(share);
                answer
            };
            match front.work().run(operation, work).await {
                Ok(reply) => {
                    outcome.lock().0 = Some(Position::of(reply.lsn, reply.wrote));
                    Ok(tonic::Response::new(reply.message))
                }
                Err(error) => {
                    let status = status(&error);
                    outcome.lock().1 = Some(error);
                    Err(status)
                }
            }
        }
    });
    let mut http = Grpc::new(ProstCodec::<Out, In>::default())
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(front.body().bytes_max)
        .unary(service, request)
        .await;
    let (position, error) = outcome.into_inner();
    if let Some(position) = position {
        Position::mark(position, http.headers_mut());
    }
    Reply { http, error }
}

fn status(error: &ApiError) -> Status {
    Status::new(Code::from_i32(error.kind().grpc_code()), error.message())
}
