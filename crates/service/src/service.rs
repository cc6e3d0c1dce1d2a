//! The service itself: its parts, and how a change is run to its end.

use std::future::Future;
use std::sync::Arc;

use lodgepole_api::ApiError;
use lodgepole_api::parse::Rules;
use lodgepole_catalog::{Catalog, CatalogError};
use lodgepole_engine::{Engine, ShardRef};
use lodgepole_storage::Sources;
use lodgepole_types::{Clock, ErrorKind, Index, Rng, Timestamp};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::PortBinder;
use crate::imports::Imports;
use crate::rowless::Rowless;
use crate::running::Running;
use crate::undelivered::{Turns, Undelivered};

/// Changes of the catalog at one time; more are refused with "try again".
const CHANGES_MAX: u16 = 10_000;

/// What a service is made of.
#[derive(Debug, Clone)]
pub struct ServiceParts {
    /// What exists.
    pub catalog: Catalog,
    /// The data.
    pub engine: Arc<Engine>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub rng: Arc<dyn Rng>,
    /// Who opens ports.
    pub ports: Arc<dyn PortBinder>,
    /// What requests are checked against.
    pub rules: Rules,
    /// Where imports come from.
    pub sources: Sources,
    /// How many batches the imports of a test may stage.
    #[cfg(test)]
    pub(crate) import_batches: Arc<Semaphore>,
}

/// All operations. Cloning it is cheap and shares it.
#[derive(Debug, Clone)]
pub struct Service {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) catalog: Catalog,
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) ports: Arc<dyn PortBinder>,
    pub(crate) rules: Rules,
    pub(crate) started_at: Timestamp,
    pub(crate) running: Running,
    pub(crate) imports: Imports,
    pub(crate) undelivered: Undelivered,
    pub(crate) rowless: Rowless,
    pub(crate) restore_turns: Turns,
    pub(crate) port_turn: Mutex<()>,
    /// Every change holds one permit; the shutdown takes them all and closes it.
    gate: Arc<Semaphore>,
}

impl Service {
    /// A service over its parts. Call [`Service::settle`] and [`Service::open_ports`] before the
    /// first request.
    #[must_use]
    pub fn new(parts: ServiceParts) -> Self {
        let started_at = parts.clock.now();
        let imports = Imports::new(parts.sources);
        #[cfg(test)]
        let imports = imports.held_by(parts.import_batches);
        let shared = Shared {
            catalog: parts.catalog,
            engine: parts.engine,
            clock: parts.clock,
            rng: parts.rng,
            ports: parts.ports,
            rules: parts.rules,
            started_at,
            running: Running::default(),
            imports,
            undelivered: Undelivered::default(),
            rowless: Rowless::default(),
            restore_turns: Turns::default(),
            port_turn: Mutex::default(),
            gate: Arc::new(Semaphore::new(usize::from(CHANGES_MAX))),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The index whose data plane `port` is at this moment.
    #[must_use]
    pub fn index_by_port(&self, port: u16) -> Option<Arc<Index>> {
        self.shared.catalog.index_by_port(port)
    }

    /// Whether changes are taken. `false` means that the process has to be started again.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.shared.catalog.is_writable()
    }

    /// Opens the ports of all indexes. An index whose port another program holds gets another. The
    /// ports of indexes that are gone are opened too, where they can be: a client that still calls
    /// one is told that there is nothing, instead of hanging on a dead address.
    ///
    /// # Errors
    /// When no port can be opened for an index, or the catalog fails.
    pub async fn open_ports(&self) -> Result<(), ApiError> {
        for index in self.shared.catalog.indexes() {
            self.shared.open_port(index).await?;
        }
        for port in self.shared.catalog.contents().freed_ports() {
            if let Err(refused) = self.shared.ports.bind(port).await {
                tracing::debug!(error = %refused, "a freed port stays closed");
            }
        }
        Ok(())
    }

    /// Waits for the changes that were begun, refuses new ones, then flushes and closes everything.
    pub async fn shutdown(&self) {
        self.shared.imports.stop_all().await;
        let gate = &self.shared.gate;
        // An error means that it is closed already.
        let _all = gate.acquire_many(u32::from(CHANGES_MAX)).await;
        gate.close();
        self.shared.engine.shutdown().await;
        if let Err(error) = self.shared.catalog.close().await {
            tracing::warn!(%error, "the catalog did not close cleanly");
        }
    }

    /// Runs a change as a task of its own: a caller that hangs up must not leave half of it.
    pub(crate) async fn run_whole<T, F>(
        &self,
        change: impl FnOnce(Arc<Shared>) -> F,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ApiError>> + Send + 'static,
    {
        let pass = self.begin()?;
        let change = change(Arc::clone(&self.shared));
        let task = tokio::spawn(async move {
            let _pass = pass;
            change.await
        });
        task.await.map_err(ApiError::internal)?
    }

    /// Leave to change something.
    pub(crate) fn begin(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        // After a failed change of the catalog nothing can be finished until a restart.
        if !self.shared.catalog.is_writable() {
            return Err(CatalogError::Poisoned.into());
        }
        Arc::clone(&self.shared.gate)
            .try_acquire_owned()
            .map_err(|error| ApiError::new(ErrorKind::Unavailable, "").caused_by(error))
    }
}

/// The shard of an index.
pub(crate) fn shard_of(index: &Index) -> ShardRef {
    ShardRef { index: index.id, dense: index.config.dense }
}

/// Logs a failure that somebody else will clean up after.
pub(crate) fn log_left_over(what: &str, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "{what} failed; the next round of cleaning up does it");
}
