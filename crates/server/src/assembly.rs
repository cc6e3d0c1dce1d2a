//! Puts the layers below together, and keeps their chores running.
//!
//! The only place in this crate that opens storage, catalog and engine. Order on the way up:
//! storage (which locks the folder), catalog, engine, service. Keys are looked at
//! as soon as they are there: an unprotected server opens nothing. Then what a crash cut off is put
//! right and the ports of indexes are opened, and only then may a request come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_api::ApiError;
use lodgepole_api::parse::Rules;
use lodgepole_catalog::{Catalog, CatalogError, CatalogOptions, PortRange};
use lodgepole_engine::{Engine, EngineOptions, EngineStartError, IndexFrom};
use lodgepole_service::{PortBinder, Service, ServiceParts};
use lodgepole_storage::local::LocalOpenError;
use lodgepole_storage::{OpenError, Storage, StorageOptions};
use lodgepole_types::{Clock, Limits, causes};
use tokio::task::JoinHandle;

use crate::front::{Access, Unprotected};
use crate::serve::Components;
use crate::settings::Settings;

/// Pause between two looks at backup schedules.
const SCHEDULE_INTERVAL: Duration = Duration::from_secs(20);
/// Pause between two rounds of removing what was deleted.
const REAP_INTERVAL: Duration = Duration::from_secs(30);

/// A memtable below this size would make a file of every few writes.
const MEMTABLE_BYTES_MIN: usize = 1 << 20;

/// Why the layers do not come up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssemblyError {
    #[error("{}; {}", causes(.0), advice(.0))]
    Storage(OpenError),
    #[error("the catalog cannot be opened: {}", causes(.0))]
    Catalog(CatalogError),
    #[error(transparent)]
    Engine(EngineStartError),
    #[error("index_ports holds no port")]
    NoPorts,
    #[error(transparent)]
    Unprotected(Unprotected),
    #[error("{}", causes(.0))]
    Service(ApiError),
}

/// The layers below, running.
#[derive(Debug)]
pub(crate) struct Assembly {
    service: Service,
    chores: Vec<JoinHandle<()>>,
}

impl Assembly {
    /// Brings everything up. When this returns, everything acknowledged is readable.
    ///
    /// # Errors
    /// [`AssemblyError`]; what was opened is closed again by being dropped.
    pub(crate) async fn open(
        settings: &Settings,
        address: SocketAddr,
        ports: Arc<dyn PortBinder>,
        components: &Components,
    ) -> Result<Self, AssemblyError> {
        let Components { clock, rng, .. } = components;
        let range = settings.index_ports.range(address.port());
        let range = PortRange::new(*range.start(), *range.end()).ok_or(AssemblyError::NoPorts)?;
        let storage = Storage::open_local(
            &settings.data_dir,
            components.disk.clone(),
            Arc::clone(clock),
            Arc::clone(rng),
            storage_options(settings),
        )
        .map_err(AssemblyError::Storage)?;
        let catalog = Catalog::open(&storage, CatalogOptions::new(range))
            .await
            .map_err(AssemblyError::Catalog)?;
        let access = Access::new(address, settings.insecure_no_auth);
        let state = catalog.contents().key_state();
        if let Err(unprotected) = access.check(state, (address, &settings.data_dir)) {
            if let Err(error) = catalog.close().await {
                tracing::warn!(%error, "the catalog did not close cleanly");
            }
            return Err(AssemblyError::Unprotected(unprotected));
        }
        let engine =
            Engine::new(storage, engine_options(settings)).map_err(AssemblyError::Engine)?;
        let service = Service::new(ServiceParts {
            catalog,
            engine: Arc::clone(&engine),
            clock: Arc::clone(clock),
            rng: Arc::clone(rng),
            ports,
            rules: rules(settings),
            sources: settings.sources(),
        });
        if let Err(error) = make_ready(&service).await {
            service.shutdown().await;
            return Err(AssemblyError::Service(error));
        }
        let chores = vec![
            tokio::spawn(engine.upkeep()),
            tokio::spawn(reap(service.clone(), Arc::clone(clock))),
            tokio::spawn(run_schedules(service.clone(), Arc::clone(clock))),
        ];
        Ok(Self { service, chores })
    }

    /// What answers requests.
    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    /// Flushes and closes everything. A chore that is cut off is finished after the next start.
    pub(crate) async fn close(self) {
        for chore in &self.chores {
            chore.abort();
        }
        self.service.shutdown().await;
    }
}

/// What the operator can do about a data directory that cannot be used.
fn advice(error: &OpenError) -> &'static str {
    let OpenError::Directory { source, .. } = error;
    match source.downcast_ref::<LocalOpenError>() {
        Some(LocalOpenError::InUse { .. }) => {
            "stop that process, or choose another folder with --data-dir"
        }
        Some(LocalOpenError::Folder { .. } | LocalOpenError::Unusable { .. }) | None => {
            "make it writable for this user, or choose another folder with --data-dir"
        }
    }
}

/// WHY one database gets no more than all may have: a busy one fills its own limits long before the
/// engine, which looks now and then, flushes it.
fn storage_options(settings: &Settings) -> StorageOptions {
    let usual = StorageOptions::default();
    let budget = usize::try_from(settings.write_buffer_bytes).unwrap_or(usize::MAX);
    StorageOptions {
        block_cache_bytes: settings.block_cache_bytes,
        memtable_bytes: usual.memtable_bytes.min((budget / 4).max(MEMTABLE_BYTES_MIN)),
        unflushed_bytes_max: usual.unflushed_bytes_max.min(budget.max(2 * MEMTABLE_BYTES_MIN)),
        ..usual
    }
}

fn engine_options(settings: &Settings) -> EngineOptions {
    EngineOptions {
        write_buffer_bytes: settings.write_buffer_bytes,
        tail_bytes_max: settings.tail_bytes_max,
        search_threads: settings.search_threads,
        index_from: IndexFrom { rows: settings.index_from_rows, bytes: settings.index_from_bytes },
        index_batch_bytes: settings.index_batch_bytes,
        segment_grace: Duration::from_secs(settings.segment_grace_s.into()),
        ..EngineOptions::default()
    }
}

fn rules(settings: &Settings) -> Rules {
    let limits = Limits {
        request_bytes_max: settings.request_bytes_max,
        pods_max: settings.pods_max,
        ..Limits::default()
    };
    let mut rules = Rules { limits, ..Rules::default() };
    for (cloud, region) in settings.regions.iter() {
        rules.regions.allow(cloud, region);
    }
    rules
}

async fn make_ready(service: &Service) -> Result<(), ApiError> {
    service.settle().await?;
    service.open_ports().await
}

/// Takes the backups of schedules, for ever. The first round is at once: what was due while the
/// server was off.
async fn run_schedules(service: Service, clock: Arc<dyn Clock>) {
    loop {
        match service.run_schedules_once().await {
            Ok(round) => tracing::debug!(?round, "looked at backup schedules"),
            Err(error) => {
                let cause = causes(&error);
                tracing::warn!(cause, "a round of backup schedules failed; the next one goes on");
            }
        }
        clock.sleep(SCHEDULE_INTERVAL).await;
    }
}

/// Removes what was deleted, for ever.
async fn reap(service: Service, clock: Arc<dyn Clock>) {
    loop {
        clock.sleep(REAP_INTERVAL).await;
        match service.reap_once().await {
            Ok(reaped) => tracing::debug!(?reaped, "removed what was deleted"),
            Err(error) => {
                let cause = causes(&error);
                tracing::warn!(cause, "removing what was deleted failed; the next round goes on");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the documented defaults are what runs. Method: compare them with the engine's own.
    use super::*;

    #[test]
    fn default_settings_are_the_defaults_of_the_engine() {
        let made = engine_options(&Settings::default());
        assert_eq!(format!("{made:?}"), format!("{:?}", EngineOptions::default()));
        let made = storage_options(&Settings::default());
        assert_eq!(format!("{made:?}"), format!("{:?}", StorageOptions::default()));
    }

    #[test]
    fn one_database_holds_no_more_than_all_may() {
        let cases = [(0, 1, 2), (16, 4, 16), (64, 16, 64), (999, 32, 128)];
        for (budget, memtable, unflushed) in cases {
            let settings = Settings { write_buffer_bytes: budget << 20, ..Settings::default() };
            let made = storage_options(&settings);
            let seen = (made.memtable_bytes, made.unflushed_bytes_max);
            assert_eq!(seen, (memtable << 20, unflushed << 20), "{budget} MiB");
        }
    }
}
