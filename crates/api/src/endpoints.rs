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
    Upsert,
    Query,
    Fetch,
    Delete,
    List,
    DescribeIndexStats,
}

impl Operation {
    /// The HTTP status of success. Where specification and clients disagree, the clients win.
    #[must_use]
    pub fn success_status(self) -> u16 {
        match self {
            Self::CreateIndex => 201,
            Self::DeleteIndex | Self::DeleteBackup | Self::CreateIndexFromBackup => 202,
            Self::ListIndexes
            | Self::DescribeIndex
            | Self::ConfigureIndex
            | Self::CreateBackup
            | Self::ListIndexBackups
            | Self::ListProjectBackups
            | Self::DescribeBackup
            | Self::ListRestoreJobs
            | Self::DescribeRestoreJob
            | Self::Upsert
            | Self::Query
            | Self::Fetch
            | Self::Delete
            | Self::List
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

use ApiVersion::{V2024_07, V2025_04};
use Method::{Delete, Get, Patch, Post};

/// Every REST endpoint.
pub const ENDPOINTS: &[Endpoint] = &[
    control(Operation::ListIndexes, Get, "/indexes", V2024_07),
    control(Operation::CreateIndex, Post, "/indexes", V2024_07),
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
    data(Operation::Upsert, Post, "/vectors/upsert"),
    data(Operation::Query, Post, "/query"),
    data(Operation::Fetch, Get, "/vectors/fetch"),
    data(Operation::Delete, Post, "/vectors/delete"),
    data(Operation::Delete, Delete, "/vectors/delete"),
    data(Operation::List, Get, "/vectors/list"),
    data(Operation::DescribeIndexStats, Post, "/describe_index_stats"),
    data(Operation::DescribeIndexStats, Get, "/describe_index_stats"),
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
        assert_eq!(rest, grpc);
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
