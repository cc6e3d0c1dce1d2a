//! Opens a data folder that no server uses, for commands that look into it themselves.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use lodgepole_api::parse::Rules;
use lodgepole_catalog::{Catalog, CatalogOptions, PortRange};
use lodgepole_engine::{Engine, EngineOptions};
use lodgepole_server::operator::Verification;
use lodgepole_service::{AuditDepth, Service, ServiceParts};
use lodgepole_storage::local::LocalOptions;
use lodgepole_storage::{OsRng, Sources, Storage, StorageOptions, SystemClock};
use lodgepole_types::{Clock, Rng};

use crate::keys::explained;
use crate::no_ports::NoPorts;
use crate::output::complain;

/// A service over a data folder, which is locked until it is shut down.
///
/// # Errors
/// When a server holds the folder, or what is in it cannot be opened.
pub(crate) async fn open(data_dir: &Path) -> anyhow::Result<Service> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let rng: Arc<dyn Rng> = Arc::new(OsRng::new()?);
    let (disk, options) = (LocalOptions::default(), StorageOptions::default());
    let opened = Storage::open_local(data_dir, disk, Arc::clone(&clock), Arc::clone(&rng), options);
    let storage = opened.map_err(|error| explained(error, data_dir))?;
    // The ports do not matter: none is opened.
    let ports = PortRange::new(1, u16::MAX).context("no ports")?;
    let catalog = Catalog::open(&storage, CatalogOptions::new(ports));
    let catalog = catalog.await.context("the catalog cannot be opened")?;
    Ok(Service::new(ServiceParts {
        catalog,
        engine: Engine::new(storage, EngineOptions::default())?,
        clock,
        rng,
        ports: Arc::new(NoPorts),
        rules: Rules::default(),
        sources: Sources::default(),
    }))
}

/// Looks for damage, and tells on stderr how far it is.
///
/// # Errors
/// When it could not be made to the end; damage is in what it found.
pub(crate) async fn verify(service: &Service, deep: bool) -> anyhow::Result<Verification> {
    let depth = if deep { AuditDepth::Deep } else { AuditDepth::Quick };
    let progress = |whose: &str, read: u64| match read {
        0 => complain(&format!("looking through {whose}")),
        read => complain(&format!("looking through {whose}: {read} records")),
    };
    let report = Box::pin(service.verify(depth, &progress, std::future::pending())).await;
    let report = report.map_err(|error| anyhow::anyhow!(error.message().to_owned()))?;
    Ok(Verification::from(report))
}
