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
use lodgepole_catalog::{Catalog, CatalogOptions, PortRange};
use lodgepole_engine::{Engine, EngineOptions};
use lodgepole_service::{
    IndexHosts, PortBinder, PortError, RequestContext, Service, ServiceParts, Transport,
};
use lodgepole_storage::local::LocalOptions;
use lodgepole_storage::{OsRng, Sources, Storage, StorageOptions, SystemClock};
use lodgepole_types::{BoxFuture, Clock, Index, Rng};

/// The service and its folder; the folder is removed with it.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) service: Service,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) context: RequestContext,
    folder: PathBuf,
}

/// Nobody calls from outside, so no port is opened.
#[derive(Debug)]
struct NoPorts;

impl PortBinder for NoPorts {
    fn bind(&self, _port: u16) -> BoxFuture<'_, Result<(), PortError>> {
        Box::pin(async { Ok(()) })
    }

    fn release(&self, _port: u16) {}
}

impl Rig {
    /// Opens a service on a new folder below `parent`.
    pub(super) async fn open(parent: Option<&Path>) -> anyhow::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let folder = parent.join(format!("lodgepole-bench-{}", std::process::id()));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let rng: Arc<dyn Rng> = Arc::new(OsRng::new()?);
        let storage = Storage::open_local(
            &folder,
            LocalOptions::default(),
            Arc::clone(&clock),
            Arc::clone(&rng),
            StorageOptions::default(),
        )?;
        let ports = PortRange::new(20_000, 29_999).context("no ports")?;
        let catalog = Catalog::open(&storage, CatalogOptions::new(ports)).await?;
        let engine = Engine::new(storage, EngineOptions::default())?;
        tokio::spawn(Arc::clone(&engine).upkeep());
        let service = Service::new(ServiceParts {
            catalog,
            engine,
            clock: Arc::clone(&clock),
            rng,
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
        Ok(Self { service, clock, context, folder })
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
        self.service.shutdown().await;
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder.display()))
    }
}
