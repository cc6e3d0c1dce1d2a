//! A whole service in this process, on a folder of its own.
//!
//! The benchmark calls operations as the doors do, without sockets: what a connection costs is not
//! what is measured here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lodgepole_api::ApiVersion;
use lodgepole_api::parse::Rules;
use lodgepole_api::wire::search::SearchStateResponse;
use lodgepole_catalog::{Catalog, CatalogOptions, PortRange};
use lodgepole_engine::{Engine, EngineOptions};
use lodgepole_service::{IndexHosts, RequestContext, Service, ServiceParts, Transport};
use lodgepole_storage::local::LocalOptions;
use lodgepole_storage::{OsRng, Sources, Storage, StorageOptions, SystemClock};
use lodgepole_types::{Clock, Index, Rng};
use tokio::task::JoinHandle;

use crate::no_ports::NoPorts;

/// The state of the search structures has to stay as it is for so long: longer than the pause after
/// which segments are merged further.
const INDEX_QUIET: Duration = Duration::from_secs(6);
const INDEX_LOOK: Duration = Duration::from_millis(100);
const INDEX_TIMEOUT: Duration = Duration::from_secs(900);

/// How long a service that was stopped may hold its folder.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);
const RELEASE_LOOK: Duration = Duration::from_millis(5);

/// The service and its folder; the folder is removed with it.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) service: Service,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) context: RequestContext,
    /// Looks after budgets and builds segments.
    upkeep: JoinHandle<()>,
    folder: PathBuf,
}

fn storage(folder: &Path, clock: &Arc<dyn Clock>) -> anyhow::Result<Storage> {
    let rng: Arc<dyn Rng> = Arc::new(OsRng::new()?);
    let (local, options) = (LocalOptions::default(), StorageOptions::default());
    Ok(Storage::open_local(folder, local, Arc::clone(clock), rng, options)?)
}

impl Rig {
    /// Opens a service on a new folder below `parent`.
    pub(super) async fn open(parent: Option<&Path>) -> anyhow::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let folder = parent.join(format!("lodgepole-bench-{}", std::process::id()));
        Self::on(folder, EngineOptions::default()).await
    }

    /// Opens a service on a folder: what a start of the server does before it listens.
    pub(super) async fn on(folder: PathBuf, options: EngineOptions) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let storage = storage(&folder, &clock)?;
        let ports = PortRange::new(20_000, 29_999).context("no ports")?;
        let catalog = Catalog::open(&storage, CatalogOptions::new(ports)).await?;
        let engine = Engine::new(storage, options)?;
        let upkeep = tokio::spawn(Arc::clone(&engine).upkeep());
        let service = Service::new(ServiceParts {
            catalog,
            engine,
            clock: Arc::clone(&clock),
            rng: Arc::new(OsRng::new()?),
            ports: Arc::new(NoPorts),
            rules: Rules::default(),
            sources: Sources::default(),
        });
        let context = RequestContext {
            version: ApiVersion::DEFAULT,
            transport: Transport::Rest,
            hosts: IndexHosts::on_ports_of("localhost", "http://"),
            request_id: "bench".to_owned(),
        };
        Ok(Self { service, clock, context, upkeep, folder })
    }

    /// Stops the service and gives its folder, to be opened again.
    ///
    /// # Errors
    /// When something holds the folder for longer than [`RELEASE_TIMEOUT`].
    pub(super) async fn stop(self) -> anyhow::Result<PathBuf> {
        let Self { service, clock, upkeep, folder, .. } = self;
        service.shutdown().await;
        drop(service);
        // Between two pieces of work it sleeps for longer than a restart is to take.
        upkeep.abort();
        let _ = upkeep.await;
        // Tasks that the service has left behind end a moment later.
        let until = clock.elapsed() + RELEASE_TIMEOUT;
        loop {
            match storage(&folder, &clock) {
                Ok(_) => return Ok(folder),
                Err(error) if clock.elapsed() > until => return Err(error),
                Err(_) => clock.sleep(RELEASE_LOOK).await,
            }
        }
    }

    /// Where the data is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until nothing waits for the indexer, and merging has come to rest too.
    ///
    /// # Errors
    /// When that takes longer than [`INDEX_TIMEOUT`].
    pub(super) async fn indexed(&self, index: &Index) -> anyhow::Result<SearchStateResponse> {
        let until = self.elapsed() + INDEX_TIMEOUT;
        let mut before = self.service.search_state(&self.context, index);
        let mut quiet_since = self.elapsed();
        while self.elapsed() < until {
            self.clock.sleep(INDEX_LOOK).await;
            let state = self.service.search_state(&self.context, index);
            if state.waiting_namespaces > 0 || state != before {
                quiet_since = self.elapsed();
            }
            if self.elapsed() - quiet_since >= INDEX_QUIET {
                return Ok(state);
            }
            before = state;
        }
        anyhow::bail!("indexing has not come to rest: {before:?}")
    }

    /// The index of this name, found as a client finds it: by the host in its description.
    pub(super) fn index(&self, name: &str) -> anyhow::Result<Arc<Index>> {
        let described = serde_json::to_value(self.service.describe_index(&self.context, name)?)?;
        anyhow::ensure!(described["status"]["ready"] == true, "{name} is not ready");
        let host = described["host"].as_str().unwrap_or_default();
        let port = host.rsplit(':').next().and_then(|port| port.parse().ok());
        port.and_then(|port| self.service.index_by_port(port))
            .with_context(|| format!("{name} has no port"))
    }

    /// Time since some fixed moment.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Closes the service and removes the folder.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let folder = self.stop().await?;
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))
    }
}
