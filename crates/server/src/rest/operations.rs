//! Every REST operation, one line each.
//!
//! The table of endpoints has decided which operation is meant; here its parts are handed to the
//! service and what comes back is printed.

use std::sync::Arc;

use bytes::Bytes;
use lodgepole_api::parse::data_body;
use lodgepole_api::wire::aliases::{
    DeleteNamespaceAliasRequest, DescribeNamespaceAliasRequest, RepointNamespaceAliasRequest,
};
use lodgepole_api::wire::models::ModelFilter;
use lodgepole_api::wire::namespaces::{DeleteNamespaceRequest, DescribeNamespaceRequest};
use lodgepole_api::{ApiError, Operation, PageQuery, query_string};
use lodgepole_service::{DataReply, RequestContext, Service};
use lodgepole_types::Index;
use serde::Serialize;

use super::router::Route;
use super::{JSON, metrics};
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
    /// For the metrics: how long the certificate in use is still valid.
    pub(super) certificate_days_left: Option<i64>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Answer {
    /// The reply, or nothing.
    pub(super) body: Bytes,
    /// What it is written in.
    pub(super) content_type: &'static str,
    /// On the data plane, where the reply stands in the order of writes.
    pub(super) position: Option<Position>,
}

/// Performs one operation.
pub(super) async fn perform(call: Call) -> Result<Answer, ApiError> {
    let Call { service, context: ctx, route, body, .. } = &call;
    let name = route.parameter.as_str();
    let page = || call.page();
    match route.operation {
        Operation::ListIndexes => json(&service.list_indexes(ctx)),
        Operation::CreateIndex => json(&service.create_index(ctx, body).await?),
        Operation::CreateIndexForModel => json(&service.create_index_for_model(ctx, body).await?),
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
        Operation::CreateBackupSchedule
        | Operation::ListBackupSchedules
        | Operation::DescribeBackupSchedule
        | Operation::UpdateBackupSchedule
        | Operation::DeleteBackupSchedule
        | Operation::ListBackupScheduleHistory => schedules(&call).await,
        Operation::ListRestoreJobs => json(&service.list_restore_jobs(ctx, &page()?)?),
        Operation::DescribeRestoreJob => json(&service.describe_restore_job(ctx, name)?),
        Operation::Metrics => Ok(Answer {
            body: metrics::page(&service.search_states(ctx).await?, call.certificate_days_left)
                .into(),
            content_type: metrics::CONTENT_TYPE,
            position: None,
        }),
        Operation::ListCollections => json(&service.list_collections(ctx)),
        Operation::CreateCollection => json(&service.create_collection(ctx, body).await?),
        Operation::DescribeCollection => json(&service.describe_collection(ctx, name)?),
        Operation::DeleteCollection => done(service.delete_collection(ctx, name).await?),
        Operation::ListModels | Operation::DescribeModel | Operation::Embed | Operation::Rerank => {
            models(&call)
        }
        Operation::UpsertRecords
        | Operation::SearchRecords
        | Operation::StartImport
        | Operation::ListImports
        | Operation::DescribeImport
        | Operation::CancelImport
        | Operation::Upsert
        | Operation::Query
        | Operation::Fetch
        | Operation::Delete
        | Operation::List
        | Operation::DescribeIndexStats
        | Operation::Update
        | Operation::FetchByMetadata
        | Operation::Count
        | Operation::WarmUp
        | Operation::SearchState => records(&call).await,
        Operation::CreateNamespace
        | Operation::ListNamespaces
        | Operation::DescribeNamespace
        | Operation::DeleteNamespace
        | Operation::CreateNamespaceAlias
        | Operation::ListNamespaceAliases
        | Operation::DescribeNamespaceAlias
        | Operation::RepointNamespaceAlias
        | Operation::DeleteNamespaceAlias => namespaces(&call).await,
    }
}

/// Operations on backup schedules.
#[expect(clippy::wildcard_enum_match_arm, reason = "the caller hands over only these")]
async fn schedules(call: &Call) -> Result<Answer, ApiError> {
    let Call { service, context: ctx, route, body, .. } = call;
    let name = route.parameter.as_str();
    let page = || call.page();
    match route.operation {
        Operation::CreateBackupSchedule => {
            json(&service.create_backup_schedule(ctx, name, body).await?)
        }
        Operation::ListBackupSchedules => {
            json(&service.list_backup_schedules(ctx, name, &page()?)?)
        }
        Operation::DescribeBackupSchedule => json(&service.describe_backup_schedule(ctx, name)?),
        Operation::UpdateBackupSchedule => {
            json(&service.update_backup_schedule(ctx, name, body).await?)
        }
        Operation::DeleteBackupSchedule => done(service.delete_backup_schedule(ctx, name).await?),
        Operation::ListBackupScheduleHistory => {
            json(&service.list_backup_schedule_history(ctx, name, &page()?)?)
        }
        other => Err(ApiError::internal(format!("{other:?} is another kind of operation"))),
    }
}

/// Operations on hosted models.
#[expect(clippy::wildcard_enum_match_arm, reason = "the caller hands over only these")]
fn models(call: &Call) -> Result<Answer, ApiError> {
    let Call { service, context: ctx, route, query, body, .. } = call;
    let name = route.parameter.as_str();
    match route.operation {
        Operation::ListModels => {
            json(&service.list_models(ctx, &ModelFilter::from_query(query.as_deref())?))
        }
        Operation::DescribeModel => json(&service.describe_model(ctx, name)?),
        Operation::Embed => match service.embed(ctx, body)? {},
        Operation::Rerank => match service.rerank(ctx, body)? {},
        other => Err(ApiError::internal(format!("{other:?} is another kind of operation"))),
    }
}

/// Operations on the records of an index, and imports of records.
#[expect(clippy::wildcard_enum_match_arm, reason = "the caller hands over only these")]
async fn records(call: &Call) -> Result<Answer, ApiError> {
    let Call { service, context: ctx, route, query, body, .. } = call;
    let name = route.parameter.as_str();
    match route.operation {
        Operation::UpsertRecords => match service.upsert_records(ctx, call.index()?)? {},
        Operation::SearchRecords => match service.search_records(ctx, call.index()?)? {},
        Operation::StartImport => {
            json(&service.start_import(ctx, call.index()?, data_body(body)?).await?)
        }
        Operation::ListImports => json(&service.list_imports(ctx, call.index()?, &call.page()?)?),
        Operation::DescribeImport => json(&service.describe_import(ctx, call.index()?, name)?),
        Operation::CancelImport => json(&service.cancel_import(ctx, call.index()?, name).await?),
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
        Operation::Update => data(&service.update(ctx, call.index()?, data_body(body)?).await?),
        Operation::FetchByMetadata => {
            data(&service.fetch_by_metadata(ctx, call.index()?, data_body(body)?).await?)
        }
        Operation::Count => data(&service.count(ctx, call.index()?, data_body(body)?).await?),
        Operation::WarmUp => data(&service.warm_up(ctx, call.index()?, data_body(body)?).await?),
        Operation::SearchState => json(&service.search_state(ctx, call.index()?)),
        other => Err(ApiError::internal(format!("{other:?} is another kind of operation"))),
    }
}

/// Operations on namespaces and their aliases.
#[expect(clippy::wildcard_enum_match_arm, reason = "the caller hands over only these")]
async fn namespaces(call: &Call) -> Result<Answer, ApiError> {
    let Call { service, context: ctx, route, query, body, .. } = call;
    let name = route.parameter.as_str();
    match route.operation {
        Operation::CreateNamespace => {
            data(&service.create_namespace(ctx, call.index()?, data_body(body)?).await?)
        }
        Operation::ListNamespaces => {
            let request = query_string::list_namespaces_request(query.as_deref())?;
            data(&service.list_namespaces(ctx, call.index()?, request).await?)
        }
        Operation::DescribeNamespace => {
            let request = DescribeNamespaceRequest { namespace: name.to_owned() };
            data(&service.describe_namespace(ctx, call.index()?, request).await?)
        }
        Operation::DeleteNamespace => {
            let request = DeleteNamespaceRequest { namespace: name.to_owned() };
            data(&service.delete_namespace(ctx, call.index()?, request).await?)
        }
        Operation::CreateNamespaceAlias => {
            data(&service.create_namespace_alias(ctx, call.index()?, data_body(body)?).await?)
        }
        Operation::ListNamespaceAliases => {
            let request = query_string::list_aliases_request(query.as_deref())?;
            data(&service.list_namespace_aliases(ctx, call.index()?, request).await?)
        }
        Operation::DescribeNamespaceAlias => {
            let request = DescribeNamespaceAliasRequest { alias_name: name.to_owned() };
            data(&service.describe_namespace_alias(ctx, call.index()?, request).await?)
        }
        Operation::RepointNamespaceAlias => {
            // The name in the path is the one that counts.
            let request =
                RepointNamespaceAliasRequest { alias_name: name.to_owned(), ..data_body(body)? };
            data(&service.repoint_namespace_alias(ctx, call.index()?, request).await?)
        }
        Operation::DeleteNamespaceAlias => {
            let request = DeleteNamespaceAliasRequest { alias_name: name.to_owned() };
            data(&service.delete_namespace_alias(ctx, call.index()?, request).await?)
        }
        other => Err(ApiError::internal(format!("{other:?} is another kind of operation"))),
    }
}

impl Call {
    fn page(&self) -> Result<PageQuery, ApiError> {
        PageQuery::from_query(self.query.as_deref())
    }

    fn index(&self) -> Result<&Index, ApiError> {
        self.index.as_deref().ok_or_else(|| ApiError::internal("no index on the data plane"))
    }
}

fn json(message: &impl Serialize) -> Result<Answer, ApiError> {
    let body = serde_json::to_vec(message).map_err(ApiError::internal)?;
    Ok(Answer { body: body.into(), content_type: JSON, position: None })
}

fn data<T: Serialize>(reply: &DataReply<T>) -> Result<Answer, ApiError> {
    let position = Position::of(reply.lsn, reply.wrote);
    Ok(Answer { position: Some(position), ..json(&reply.message)? })
}

/// A success that has nothing to say.
fn done((): ()) -> Result<Answer, ApiError> {
    Ok(Answer { body: Bytes::new(), content_type: JSON, position: None })
}
