//! The table of everything that can be called.
//!
//! The router is built from [`ENDPOINTS`], the gRPC service from [`GRPC_METHODS`]; a path stands
//! nowhere else. What is missing from the table is answered 404. Versions are informative: an
//! operation is served to older versions too, because no client calls what its version lacks.

use crate::ApiVersion;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are HTTP's")]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

/// Which of the two services an operation belongs to. It decides the host, the spelling of errors
/// and the headers of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Indexes, backups and restore jobs; one port for all.
    Control,
    /// The records of one index; one port per index.
    Data,
}

/// An operation, whatever the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the API's reference")]
pub enum Operation {
    ListIndexes,
    CreateIndex,
    CreateIndexForModel,
    DescribeIndex,
    ConfigureIndex,
    DeleteIndex,
    CreateBackup,
    ListIndexBackups,
    ListProjectBackups,
    DescribeBackup,
    DeleteBackup,
    CreateIndexFromBackup,
    ListRestoreJobs,
    DescribeRestoreJob,
    Metrics,
    CreateBackupSchedule,
    ListBackupSchedules,
    DescribeBackupSchedule,
    UpdateBackupSchedule,
    DeleteBackupSchedule,
    ListBackupScheduleHistory,
    ListCollections,
    CreateCollection,
    DescribeCollection,
    DeleteCollection,
    ListModels,
    DescribeModel,
    Embed,
    Rerank,
    UpsertRecords,
    SearchRecords,
    StartImport,
    ListImports,
    DescribeImport,
    CancelImport,
    Upsert,
    Query,
    Fetch,
    Delete,
    List,
    DescribeIndexStats,
    Update,
    FetchByMetadata,
    Count,
    WarmUp,
    SearchState,
    CreateNamespace,
    ListNamespaces,
    DescribeNamespace,
    DeleteNamespace,
    CreateNamespaceAlias,
    ListNamespaceAliases,
    DescribeNamespaceAlias,
    RepointNamespaceAlias,
    DeleteNamespaceAlias,
}

impl Operation {
    /// The HTTP status of success. Where specification and clients disagree, the clients win.
    #[must_use]
    pub fn success_status(self) -> u16 {
        match self {
            Self::CreateIndex
            | Self::CreateIndexForModel
            | Self::CreateCollection
            | Self::UpsertRecords => 201,
            Self::DeleteIndex
            | Self::DeleteBackup
            | Self::DeleteCollection
            | Self::CreateIndexFromBackup => 202,
            Self::DeleteBackupSchedule => 204,
            Self::ListIndexes
            | Self::DescribeIndex
            | Self::ConfigureIndex
            | Self::CreateBackup
            | Self::ListIndexBackups
            | Self::ListProjectBackups
            | Self::DescribeBackup
            | Self::ListRestoreJobs
            | Self::DescribeRestoreJob
            | Self::Metrics
            | Self::CreateBackupSchedule
            | Self::ListBackupSchedules
            | Self::DescribeBackupSchedule
            | Self::UpdateBackupSchedule
            | Self::ListBackupScheduleHistory
            | Self::ListCollections
            | Self::DescribeCollection
            | Self::ListModels
            | Self::DescribeModel
            | Self::Embed
            | Self::Rerank
            | Self::SearchRecords
            | Self::StartImport
            | Self::ListImports
            | Self::DescribeImport
            | Self::CancelImport
            | Self::Upsert
            | Self::Query
            | Self::Fetch
            | Self::Delete
            | Self::List
            | Self::Update
            | Self::FetchByMetadata
            | Self::Count
            | Self::WarmUp
            | Self::SearchState
            | Self::CreateNamespace
            | Self::ListNamespaces
            | Self::DescribeNamespace
            | Self::DeleteNamespace
            | Self::CreateNamespaceAlias
            | Self::ListNamespaceAliases
            | Self::DescribeNamespaceAlias
            | Self::RepointNamespaceAlias
            | Self::DeleteNamespaceAlias
            | Self::DescribeIndexStats => 200,
        }
    }
}

/// A row: one method on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// What it calls.
    pub operation: Operation,
    /// HTTP method.
    pub method: Method,
    /// Path, with parameters in braces.
    pub path: &'static str,
    /// Where it is served.
    pub plane: Plane,
    /// The first version that has it.
    pub since: ApiVersion,
}

const fn control(
    operation: Operation,
    method: Method,
    path: &'static str,
    since: ApiVersion,
) -> Endpoint {
    Endpoint { operation, method, path, plane: Plane::Control, since }
}

const fn data(operation: Operation, method: Method, path: &'static str) -> Endpoint {
    Endpoint { operation, method, path, plane: Plane::Data, since: V2024_07 }
}

const fn data_since(
    operation: Operation,
    method: Method,
    path: &'static str,
    since: ApiVersion,
) -> Endpoint {
    Endpoint { operation, method, path, plane: Plane::Data, since }
}

use ApiVersion::{V2024_07, V2024_10, V2025_01, V2025_04, V2025_10, V2026_07};
use Method::{Delete, Get, Patch, Post};

/// Every REST endpoint.
pub const ENDPOINTS: &[Endpoint] = &[
    control(Operation::ListIndexes, Get, "/indexes", V2024_07),
    control(Operation::CreateIndex, Post, "/indexes", V2024_07),
    control(Operation::CreateIndexForModel, Post, "/indexes/create-for-model", V2025_01),
    control(Operation::DescribeIndex, Get, "/indexes/{index_name}", V2024_07),
    control(Operation::ConfigureIndex, Patch, "/indexes/{index_name}", V2024_07),
    control(Operation::DeleteIndex, Delete, "/indexes/{index_name}", V2024_07),
    control(Operation::CreateBackup, Post, "/indexes/{index_name}/backups", V2025_04),
    control(Operation::ListIndexBackups, Get, "/indexes/{index_name}/backups", V2025_04),
    control(Operation::ListProjectBackups, Get, "/backups", V2025_04),
    control(Operation::DescribeBackup, Get, "/backups/{backup_id}", V2025_04),
    control(Operation::DeleteBackup, Delete, "/backups/{backup_id}", V2025_04),
    control(Operation::CreateIndexFromBackup, Post, "/backups/{backup_id}/create-index", V2025_04),
    control(Operation::ListRestoreJobs, Get, "/restore-jobs", V2025_04),
    control(Operation::DescribeRestoreJob, Get, "/restore-jobs/{job_id}", V2025_04),
    // Ours: for Prometheus.
    control(Operation::Metrics, Get, "/metrics", V2024_07),
    control(
        Operation::CreateBackupSchedule,
        Post,
        "/indexes/{index_name}/backup-schedules",
        V2026_07,
    ),
    control(
        Operation::ListBackupSchedules,
        Get,
        "/indexes/{index_name}/backup-schedules",
        V2026_07,
    ),
    control(Operation::DescribeBackupSchedule, Get, "/backup-schedules/{schedule_id}", V2026_07),
    control(Operation::UpdateBackupSchedule, Patch, "/backup-schedules/{schedule_id}", V2026_07),
    control(Operation::DeleteBackupSchedule, Delete, "/backup-schedules/{schedule_id}", V2026_07),
    control(
        Operation::ListBackupScheduleHistory,
        Get,
        "/backup-schedules/{schedule_id}/history",
        V2026_07,
    ),
    control(Operation::ListCollections, Get, "/collections", V2024_07),
    control(Operation::CreateCollection, Post, "/collections", V2024_07),
    control(Operation::DescribeCollection, Get, "/collections/{collection_name}", V2024_07),
    control(Operation::DeleteCollection, Delete, "/collections/{collection_name}", V2024_07),
    control(Operation::ListModels, Get, "/models", V2025_04),
    control(Operation::DescribeModel, Get, "/models/{model_name}", V2025_04),
    control(Operation::Embed, Post, "/embed", V2024_07),
    control(Operation::Rerank, Post, "/rerank", V2024_10),
    data_since(Operation::UpsertRecords, Post, "/records/namespaces/{namespace}/upsert", V2025_01),
    data_since(Operation::SearchRecords, Post, "/records/namespaces/{namespace}/search", V2025_01),
    data_since(Operation::StartImport, Post, "/bulk/imports", V2024_10),
    data_since(Operation::ListImports, Get, "/bulk/imports", V2024_10),
    data_since(Operation::DescribeImport, Get, "/bulk/imports/{import_id}", V2024_10),
    data_since(Operation::CancelImport, Delete, "/bulk/imports/{import_id}", V2024_10),
    data(Operation::Upsert, Post, "/vectors/upsert"),
    data(Operation::Query, Post, "/query"),
    data(Operation::Fetch, Get, "/vectors/fetch"),
    data(Operation::Delete, Post, "/vectors/delete"),
    data(Operation::Delete, Delete, "/vectors/delete"),
    data(Operation::List, Get, "/vectors/list"),
    data(Operation::DescribeIndexStats, Post, "/describe_index_stats"),
    data(Operation::DescribeIndexStats, Get, "/describe_index_stats"),
    data(Operation::Update, Post, "/vectors/update"),
    data_since(Operation::FetchByMetadata, Post, "/vectors/fetch_by_metadata", V2025_10),
    // Ours: Pinecone counts nothing by filter.
    data(Operation::Count, Post, "/vectors/count"),
    // Ours: Pinecone shows nothing of its search structures.
    data(Operation::WarmUp, Post, "/vectors/warm-up"),
    data(Operation::SearchState, Get, "/search-state"),
    data_since(Operation::CreateNamespace, Post, "/namespaces", V2025_10),
    data_since(Operation::ListNamespaces, Get, "/namespaces", V2025_04),
    data_since(Operation::DescribeNamespace, Get, "/namespaces/{namespace}", V2025_04),
    data_since(Operation::DeleteNamespace, Delete, "/namespaces/{namespace}", V2025_04),
    data_since(Operation::CreateNamespaceAlias, Post, "/namespace-aliases", V2026_07),
    data_since(Operation::ListNamespaceAliases, Get, "/namespace-aliases", V2026_07),
    data_since(Operation::DescribeNamespaceAlias, Get, "/namespace-aliases/{alias_name}", V2026_07),
    data_since(
        Operation::RepointNamespaceAlias,
        Patch,
        "/namespace-aliases/{alias_name}",
        V2026_07,
    ),
    data_since(
        Operation::DeleteNamespaceAlias,
        Delete,
        "/namespace-aliases/{alias_name}",
        V2026_07,
    ),
];

/// A row of the gRPC service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcMethod {
    /// What it calls.
    pub operation: Operation,
    /// The HTTP/2 path. Pinecone's proto file has no package.
    pub path: &'static str,
}

const fn grpc(operation: Operation, path: &'static str) -> GrpcMethod {
    GrpcMethod { operation, path }
}

/// Every gRPC method, all on the data plane.
pub const GRPC_METHODS: &[GrpcMethod] = &[
    grpc(Operation::Upsert, "/VectorService/Upsert"),
    grpc(Operation::Query, "/VectorService/Query"),
    grpc(Operation::Fetch, "/VectorService/Fetch"),
    grpc(Operation::Delete, "/VectorService/Delete"),
    grpc(Operation::List, "/VectorService/List"),
    grpc(Operation::DescribeIndexStats, "/VectorService/DescribeIndexStats"),
    grpc(Operation::Update, "/VectorService/Update"),
    grpc(Operation::FetchByMetadata, "/VectorService/FetchByMetadata"),
    grpc(Operation::CreateNamespace, "/VectorService/CreateNamespace"),
    grpc(Operation::ListNamespaces, "/VectorService/ListNamespaces"),
    grpc(Operation::DescribeNamespace, "/VectorService/DescribeNamespace"),
    grpc(Operation::DeleteNamespace, "/VectorService/DeleteNamespace"),
    grpc(Operation::CreateNamespaceAlias, "/NamespaceAliasService/CreateNamespaceAlias"),
    grpc(Operation::ListNamespaceAliases, "/NamespaceAliasService/ListNamespaceAliases"),
    grpc(Operation::DescribeNamespaceAlias, "/NamespaceAliasService/DescribeNamespaceAlias"),
    grpc(Operation::RepointNamespaceAlias, "/NamespaceAliasService/RepointNamespaceAlias"),
    grpc(Operation::DeleteNamespaceAlias, "/NamespaceAliasService/DeleteNamespaceAlias"),
];

#[cfg(test)]
mod tests {
    //! Goal: the table is one function from call to operation. Method: look for double rows.
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_method_and_path_stands_twice() {
        let calls: HashSet<_> = ENDPOINTS.iter().map(|row| (row.method, row.path)).collect();
        assert_eq!(calls.len(), ENDPOINTS.len());
        let paths: HashSet<_> = GRPC_METHODS.iter().map(|row| row.path).collect();
        assert_eq!(paths.len(), GRPC_METHODS.len());
    }

    #[test]
    fn every_data_operation_is_on_both_transports() {
        let rest: HashSet<_> = ENDPOINTS
            .iter()
            .filter(|row| row.plane == Plane::Data)
            .map(|row| row.operation)
            .collect();
        let grpc: HashSet<_> = GRPC_METHODS.iter().map(|row| row.operation).collect();
        // Text and imports are for REST only, as with Pinecone; the last three are ours.
        let rest_only = HashSet::from([
            Operation::UpsertRecords,
            Operation::SearchRecords,
            Operation::StartImport,
            Operation::ListImports,
            Operation::DescribeImport,
            Operation::CancelImport,
            Operation::Count,
            Operation::WarmUp,
            Operation::SearchState,
        ]);
        assert_eq!(rest.difference(&grpc).copied().collect::<HashSet<_>>(), rest_only);
        assert!(grpc.is_subset(&rest));
    }

    #[test]
    fn every_path_starts_with_a_slash_and_closes_its_braces() {
        for row in ENDPOINTS {
            assert!(row.path.starts_with('/'), "{}", row.path);
            let count = |brace| row.path.matches(brace).count();
            assert_eq!(count('{'), count('}'), "{}", row.path);
        }
    }
}
