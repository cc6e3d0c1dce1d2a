//! Changes run in tasks of their own.
//!
//! A connection that breaks drops what it was waiting for. A change must not stop halfway for that,
//! so it goes on in its task. Reading is given up, because nobody wants the answer; it has no task,
//! because handing it to another thread costs a quick query half as much again. A panic inside an
//! operation becomes an ordinary error. INVARIANT: [`Work::finished`] returns only when no operation
//! is running, whoever has stopped waiting for it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use lodgepole_api::{ApiError, Operation};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// Runs operations, and knows when the last has ended.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Every operation holds it for reading.
    running: Arc<RwLock<()>>,
}

impl Work {
    /// Runs one operation to its end.
    ///
    /// # Errors
    /// Those of the operation; `Internal` when it panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: Operation,
        future: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        let running: OwnedRwLockReadGuard<()> = Arc::clone(&self.running).read_owned().await;
        if !changes_something(operation) {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            return outcome.unwrap_or_else(|_| Err(ApiError::internal("the operation panicked")));
        }
        let task = tokio::spawn(async move {
            let outcome = future.await;
            drop(running);
            outcome
        });
        task.await.unwrap_or_else(|failure| Err(ApiError::internal(failure)))
    }

    /// Waits until no operation is running.
    pub(crate) async fn finished(&self) {
        drop(self.running.write().await);
    }
}

/// Whether it is a change: it then goes on without its caller, and viewers may not ask for it.
pub(super) fn changes_something(operation: Operation) -> bool {
    match operation {
        Operation::CreateIndex
        | Operation::CreateIndexForModel
        | Operation::CreateCollection
        | Operation::DeleteCollection
        | Operation::UpsertRecords
        | Operation::ConfigureIndex
        | Operation::DeleteIndex
        | Operation::CreateBackup
        | Operation::CreateBackupSchedule
        | Operation::UpdateBackupSchedule
        | Operation::DeleteBackupSchedule
        | Operation::DeleteBackup
        | Operation::CreateIndexFromBackup
        | Operation::StartImport
        | Operation::CancelImport
        | Operation::Upsert
        | Operation::Update
        | Operation::CreateNamespace
        | Operation::DeleteNamespace
        | Operation::CreateNamespaceAlias
        | Operation::RepointNamespaceAlias
        | Operation::DeleteNamespaceAlias
        | Operation::Delete => true,
        Operation::ListIndexes
        | Operation::DescribeIndex
        | Operation::ListIndexBackups
        | Operation::ListProjectBackups
        | Operation::ListBackupSchedules
        | Operation::DescribeBackupSchedule
        | Operation::ListBackupScheduleHistory
        | Operation::DescribeBackup
        | Operation::ListRestoreJobs
        | Operation::DescribeRestoreJob
        | Operation::ListCollections
        | Operation::DescribeCollection
        | Operation::ListModels
        | Operation::DescribeModel
        | Operation::Embed
        | Operation::Rerank
        | Operation::SearchRecords
        | Operation::ListImports
        | Operation::DescribeImport
        | Operation::Query
        | Operation::Fetch
        | Operation::List
        | Operation::FetchByMetadata
        | Operation::Count
        | Operation::WarmUp
        | Operation::SearchState
        | Operation::Metrics
        | Operation::ListNamespaces
        | Operation::DescribeNamespace
        | Operation::ListNamespaceAliases
        | Operation::DescribeNamespaceAlias
        | Operation::DescribeIndexStats => false,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: changes survive their caller, panics become errors. Method: operations that wait for a
    //! signal, and callers that are dropped.
    use lodgepole_types::ErrorKind;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_change_goes_on_without_its_caller_and_is_waited_for() {
        let work = Work::default();
        let (begun, has_begun) = oneshot::channel();
        let (go, may_go) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let operation = work.run(Operation::Upsert, async move {
            begun.send(()).unwrap();
            may_go.await.unwrap();
            done.send(()).unwrap();
            Ok(())
        });
        tokio::select! {
            biased;
            _ = operation => panic!("it cannot end yet"),
            begun = has_begun => begun.unwrap(),
        }
        go.send(()).unwrap();
        work.finished().await;
        is_done.await.unwrap();
    }

    #[tokio::test]
    async fn a_read_ends_with_its_caller() {
        let work = Work::default();
        let (begun, has_begun) = oneshot::channel();
        let (held, is_dropped) = oneshot::channel::<()>();
        let operation = work.run(Operation::Query, async move {
            begun.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(held);
            Ok(())
        });
        tokio::select! {
            biased;
            _ = operation => panic!("it cannot end"),
            begun = has_begun => begun.unwrap(),
        }
        assert!(is_dropped.await.is_err(), "the operation was dropped");
        work.finished().await;
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let work = Work::default();
        for operation in [Operation::Upsert, Operation::Query] {
            let future =
                async move { if operation == Operation::Fetch { Ok(()) } else { panic!("boom") } };
            let error = work.run(operation, future).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(!error.message().contains("boom"));
        }
        work.finished().await;
    }
}
