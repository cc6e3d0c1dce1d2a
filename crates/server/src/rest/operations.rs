//! Every REST operation, one line each.
//!
//! The table of endpoints has decided which operation is meant; here its parts are handed to the
//! service and what comes back is printed.

use std::sync::Arc;

use bytes::Bytes;
use lodgepole_api::parse::data_body;
use lodgepole_api::{ApiError, Operation, PageQuery, query_string};
use lodgepole_service::{DataReply, RequestContext, Service};
use lodgepole_types::Index;
use serde::Serialize;

use super::router::Route;
use crate::front::Position;

/// One operation to perform.
#[derive(Debug)]
pub(super) struct Call {
    /// What performs it.
    pub(super) service: Service,
    /// What it is told about the request.
    pub(super) context: RequestContext,
    /// The index, on the data plane.
    pub(super) index: Option<Arc<Index>>,
    /// Which operation, and the parameter in its path.
    pub(super) route: Route,
    /// The query string.
    pub(super) query: Option<String>,
    /// The body, empty when there is none.
    pub(super) body: Bytes,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Answer {
    /// JSON, or nothing.
    pub(super) body: Bytes,
    /// On the data plane, where the reply stands in the order of writes.
    pub(super) position: Option<Position>,
}

/// Performs one operation.
pub(super) async fn perform(call: Call) -> Result<Answer, ApiError> {
    let Call { service, context: ctx, route, query, body, .. } = &call;
    let name = route.parameter.as_str();
    let page = || PageQuery::from_query(query.as_deref());
    match route.operation {
        Operation::ListIndexes => json(&service.list_indexes(ctx)),
        Operation::CreateIndex => json(&service.create_index(ctx, body).await?),
        Operation::DescribeIndex => json(&service.describe_index(ctx, name)?),
        Operation::ConfigureIndex => json(&service.configure_index(ctx, name, body).await?),
        Operation::DeleteIndex => done(service.delete_index(ctx, name).await?),
        Operation::CreateBackup => json(&service.create_backup(ctx, name, body).await?),
        Operation::ListIndexBackups => json(&service.list_index_backups(ctx, name, &page()?)?),
        Operation::ListProjectBackups => json(&service.list_project_backups(ctx, &page()?)?),
        Operation::DescribeBackup => json(&service.describe_backup(ctx, name)?),
        Operation::DeleteBackup => done(service.delete_backup(ctx, name).await?),
        Operation::CreateIndexFromBackup => {
            json(&service.create_index_from_backup(ctx, name, body).await?)
        }
        Operation::ListRestoreJobs => json(&service.list_restore_jobs(ctx, &page()?)?),
        Operation::DescribeRestoreJob => json(&service.describe_restore_job(ctx, name)?),
        Operation::Upsert => data(&service.upsert(ctx, call.index()?, data_body(body)?).await?),
        Operation::Query => data(&service.query(ctx, call.index()?, data_body(body)?).await?),
        Operation::Fetch => {
            let request = query_string::fetch_request(query.as_deref())?;
            data(&service.fetch(ctx, call.index()?, request).await?)
        }
        Operation::Delete => {
            let request = if body.is_empty() {
                query_string::delete_request(query.as_deref())?
            } else {
                data_body(body)?
            };
            data(&service.delete(ctx, call.index()?, request).await?)
        }
        Operation::List => {
            let request = query_string::list_request(query.as_deref())?;
            data(&service.list(ctx, call.index()?, request).await?)
        }
        Operation::DescribeIndexStats => {
            data(&service.describe_index_stats(ctx, call.index()?, data_body(body)?).await?)
        }
    }
}

impl Call {
    fn index(&self) -> Result<&Index, ApiError> {
        self.index.as_deref().ok_or_else(|| ApiError::internal("no index on the data plane"))
    }
}

fn json(message: &impl Serialize) -> Result<Answer, ApiError> {
    let body = serde_json::to_vec(message).map_err(ApiError::internal)?;
    Ok(Answer { body: body.into(), position: None })
}

fn data<T: Serialize>(reply: &DataReply<T>) -> Result<Answer, ApiError> {
    let position = Position::of(reply.lsn, reply.wrote);
    Ok(Answer { position: Some(position), ..json(&reply.message)? })
}

/// A success that has nothing to say.
fn done((): ()) -> Result<Answer, ApiError> {
    Ok(Answer { body: Bytes::new(), position: None })
}
