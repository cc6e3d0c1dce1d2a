//! Crashes under the operations of the service: catalog, start-up recovery and data together.
//!
//! Every call that the control plane offers for indexes and backups runs over a store that dies at
//! its change number k. The next process settles what was cut off before it serves; then every
//! answered call must have its effect, nothing may be half-made, and the call that was cut off must
//! work when it is made again: a restore that was not answered has either made its index or left
//! its name free.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use lodgepole_api::parse::Rules;
use lodgepole_api::{ApiError, ApiVersion};
use lodgepole_catalog::{Catalog, CatalogOptions, PortRange};
use lodgepole_engine::{Engine, EngineOptions, IndexFrom};
use lodgepole_service::{
    IndexHosts, PortBinder, PortError, RequestContext, Service, ServiceParts, Transport,
};
use lodgepole_storage::fault::FaultStore;
use lodgepole_storage::object_store::ObjectStore;
use lodgepole_storage::{ShiftedClock, Sources, Storage, StorageOptions};
use lodgepole_types::{
    BackupStatus, BoxFuture, Clock, Index, RestoreStatus, Rng, SeededRng, Timestamp,
};

use super::contents::{Contents, read, record, shape, space};
use super::dated::{DatedStore, Disk};
use super::sweep::{CrashPoint, DOWN_MS, PointResult, Report, START, over_all_points};
use super::world::segment_files;
use super::{Violation, VirtualClock, causes, in_virtual_time, judge};

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Create(&'static str),
    /// Keys `k0` to `k3` in this version, one request.
    Fill(&'static str, u16),
    Backup(&'static str),
    Restore(&'static str),
    /// Builds and merges segments of all indexes until there is nothing left to do.
    Index,
    DeleteIndex(&'static str),
    DeleteBackup,
    Reap,
}

const CALLS: &[Call] = &[
    Call::Create("source"),
    Call::Fill("source", 1),
    Call::Index,
    Call::Backup("source"),
    Call::Fill("source", 2),
    Call::Index,
    Call::Reap,
    Call::Restore("restored"),
    Call::Fill("restored", 3),
    Call::Index,
    Call::DeleteIndex("source"),
    Call::Reap,
    Call::DeleteBackup,
    Call::Reap,
    Call::Reap,
];
const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];
/// Rounds of the reaper after which everything that can go is gone.
const REAP_ROUNDS: usize = 8;
const REAP_LATER: Duration = Duration::from_secs(3_600);

/// What was answered.
#[derive(Debug, Clone, Default)]
struct Ledger {
    indexes: BTreeMap<&'static str, Contents>,
    /// What the backup holds, while there is one.
    backup: Option<Contents>,
}

impl Ledger {
    fn note(&mut self, call: Call) -> Result<(), Violation> {
        match call {
            Call::Create(name) => drop(self.indexes.insert(name, Contents::new())),
            Call::Fill(name, version) => {
                let held = self.indexes.entry(name).or_default();
                let records = held.entry(String::new()).or_default();
                for key in KEYS {
                    records.insert(key.to_owned(), record(key, version)?);
                }
            }
            Call::Backup(name) => self.backup = self.indexes.get(name).cloned(),
            Call::Restore(name) => {
                self.indexes.insert(name, self.backup.clone().unwrap_or_default());
            }
            Call::DeleteIndex(name) => drop(self.indexes.remove(name)),
            Call::DeleteBackup => self.backup = None,
            Call::Index | Call::Reap => {}
        }
        Ok(())
    }
}

/// Ports that exist only here.
#[derive(Debug)]
pub(crate) struct NoSockets;

impl PortBinder for NoSockets {
    fn bind(&self, _: u16) -> BoxFuture<'_, Result<(), PortError>> {
        Box::pin(async { Ok(()) })
    }

    fn release(&self, _: u16) {}
}

/// One life of a server.
struct Server {
    store: FaultStore,
    objects: DatedStore,
    clock: Arc<ShiftedClock>,
    catalog: Catalog,
    engine: Arc<Engine>,
    service: Service,
}

struct FirstLife {
    disk: Disk,
    ledger: Ledger,
    reached: usize,
    crashed: bool,
    ended_at: Timestamp,
}

/// Whether the process after the crash settles what was cut off before it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It does.
    Settles,
    /// It does not: a defect, put in to see whether it is found.
    IsForgotten,
}

/// Runs the calls once for each change of the store and each timing, until a run ends without
/// reaching its crash. Stops early once a defect that was put in has been found.
#[must_use]
pub fn sweep(recovery: Recovery, threads: usize) -> Report {
    let stop =
        |violation: &Violation| recovery == Recovery::IsForgotten && violation.is_loss_or_torn();
    over_all_points(threads, &stop, &|point| at_point(point, recovery))
}

fn at_point(point: CrashPoint, recovery: Recovery) -> PointResult {
    let first = in_virtual_time(first_life(point))?;
    if !first.crashed {
        return Ok(None);
    }
    let place = format!("during {:?}", CALLS.get(first.reached));
    in_virtual_time(second_life(&first, recovery)).map_err(|violation| violation.at(&place))?;
    Ok(Some(2))
}

async fn first_life(point: CrashPoint) -> Result<FirstLife, Violation> {
    let clock = clock_from(START);
    let (store, objects) = open_store(&Disk::empty(), &clock);
    store.crash_at(point.change, point.timing);
    let mut ledger = Ledger::default();
    let mut reached = 0;
    match Server::start(store.clone(), objects.clone(), Arc::clone(&clock), 1).await {
        Ok(server) => {
            // Nothing was cut off before the first life.
            for call in CALLS {
                match server.call(*call).await {
                    Ok(()) => ledger.note(*call)?,
                    Err(_) if store.is_crashed() => break,
                    Err(violation) => return Err(violation),
                }
                reached += 1;
            }
        }
        Err(_) if store.is_crashed() => {}
        Err(violation) => return Err(violation),
    }
    let crashed = store.is_crashed();
    Ok(FirstLife { disk: objects.image(), ledger, reached, crashed, ended_at: clock.now() })
}

async fn second_life(first: &FirstLife, recovery: Recovery) -> Result<(), Violation> {
    let clock = clock_from(Timestamp(first.ended_at.0 + DOWN_MS));
    let (store, objects) = open_store(&first.disk, &clock);
    let server = Server::start(store, objects, clock, 2).await?;
    if recovery == Recovery::Settles {
        server.settle().await?;
    }
    let in_flight = CALLS.get(first.reached).copied();
    let mut ledger = first.ledger.clone();
    server.check(&ledger, in_flight).await?;
    if let Some(call) = in_flight {
        if !server.was_done(call) {
            server.call(call).await?;
        }
        ledger.note(call)?;
    }
    for call in CALLS.iter().skip(first.reached + 1) {
        server.call(*call).await?;
        ledger.note(*call)?;
    }
    for _ in 0..REAP_ROUNDS {
        server.call(Call::Reap).await?;
    }
    server.check(&ledger, None).await?;
    let was_creating = matches!(in_flight, Some(Call::Create(_)));
    server.check_nothing_left(was_creating).await?;
    server.check_segments(true).await?;
    server.call(Call::DeleteIndex("restored")).await?;
    for _ in 0..REAP_ROUNDS {
        server.call(Call::Reap).await?;
    }
    server.check_nothing_left(was_creating).await?;
    server.check_segments(true).await?;
    server.service.shutdown().await;
    Ok(())
}

fn clock_from(start: Timestamp) -> Arc<ShiftedClock> {
    Arc::new(ShiftedClock::new(Arc::new(VirtualClock::starting_at(start))))
}

fn open_store(disk: &Disk, clock: &Arc<ShiftedClock>) -> (FaultStore, DatedStore) {
    let objects = disk.copy_under(Arc::<ShiftedClock>::clone(clock));
    let store = FaultStore::new(Arc::new(objects.clone()), Arc::<ShiftedClock>::clone(clock));
    (store, objects)
}

impl Server {
    /// Opens the store as the binary does.
    async fn start(
        store: FaultStore,
        objects: DatedStore,
        clock: Arc<ShiftedClock>,
        seed: u64,
    ) -> Result<Self, Violation> {
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(seed));
        let storage = Storage::on_store(
            Arc::new(store.clone()),
            Arc::<ShiftedClock>::clone(&clock),
            Arc::clone(&rng),
            StorageOptions { block_cache_bytes: 1 << 20, ..StorageOptions::default() },
        );
        let ports = PortRange::new(5_081, 5_180)
            .ok_or_else(|| Violation::Unexpected("no ports".to_owned()))?;
        let catalog = Catalog::open(&storage, CatalogOptions::new(ports))
            .await
            .map_err(|error| Violation::Unreadable(format!("catalog: {}", causes(&error))))?;
        // Four records make a segment, and only the rules protect its file.
        let options = EngineOptions {
            search_threads: 1,
            index_from: IndexFrom { rows: 4, bytes: u64::MAX },
            segment_grace: Duration::ZERO,
            ..EngineOptions::default()
        };
        let engine =
            Engine::new(storage, options).map_err(|error| Violation::Unexpected(causes(&error)))?;
        let service = Service::new(ServiceParts {
            catalog: catalog.clone(),
            engine: Arc::clone(&engine),
            clock: Arc::<ShiftedClock>::clone(&clock),
            rng,
            ports: Arc::new(NoSockets),
            rules: Rules::default(),
            sources: Sources::default(),
        });
        Ok(Self { store, objects, clock, catalog, engine, service })
    }

    /// What the binary does before it serves.
    async fn settle(&self) -> Result<(), Violation> {
        answered("settle", self.service.settle().await)?;
        answered("open ports", self.service.open_ports().await)
    }

    async fn call(&self, call: Call) -> Result<(), Violation> {
        let service = &self.service;
        match call {
            Call::Create(name) => {
                let spec = r#"{"serverless":{"cloud":"aws","region":"us-east-1"}}"#;
                let body = format!(
                    r#"{{"name":"{name}","dimension":2,"metric":"dotproduct","spec":{spec}}}"#
                );
                answered("create", service.create_index(&context(), body.as_bytes()).await)
                    .map(drop)
            }
            Call::Fill(name, version) => {
                let index = self.index(name)?;
                let records =
                    KEYS.iter().map(|key| record(key, version)).collect::<Result<_, _>>()?;
                let written = self.engine.upsert(shape(index.id), &space("")?, records).await;
                written.map(drop).map_err(|error| Violation::Unexpected(causes(&error)))
            }
            Call::Backup(name) => {
                answered("backup", service.create_backup(&context(), name, b"{}").await).map(drop)
            }
            Call::Restore(name) => {
                let body = format!(r#"{{"name":"{name}"}}"#);
                let backup = self
                    .backup()
                    .ok_or_else(|| Violation::Lost("there is no backup to restore".to_owned()))?;
                let made =
                    service.create_index_from_backup(&context(), &backup, body.as_bytes()).await;
                let made = answered("restore", made)?;
                let id = self.index(name)?.id.to_string();
                if made.index_id == id {
                    Ok(())
                } else {
                    Err(Violation::Lost(format!("restored {} and found {id}", made.index_id)))
                }
            }
            Call::Index => {
                for index in self.catalog.indexes() {
                    let warmed = self.engine.warm_up(shape(index.id), None).await;
                    warmed.map_err(|error| Violation::Unexpected(causes(&error)))?;
                }
                self.engine.index_now().await;
                Ok(())
            }
            Call::DeleteIndex(name) => {
                answered("delete index", service.delete_index(&context(), name).await)
            }
            Call::DeleteBackup => {
                // A backup whose answer was lost may be there beside the one made again.
                while let Some(backup) = self.backup() {
                    answered("delete backup", service.delete_backup(&context(), &backup).await)?;
                }
                Ok(())
            }
            Call::Reap => {
                self.clock.advance(REAP_LATER);
                answered("reap", service.reap_once().await).map(drop)
            }
        }
    }

    fn index(&self, name: &str) -> Result<Arc<Index>, Violation> {
        self.find(name).ok_or_else(|| Violation::Lost(format!("index {name} does not exist")))
    }

    fn find(&self, name: &str) -> Option<Arc<Index>> {
        self.catalog.indexes().into_iter().find(|index| index.config.name.as_str() == name)
    }

    /// The newest backup that is Ready.
    fn backup(&self) -> Option<String> {
        let backups = self.catalog.backups();
        let ready = backups.iter().find(|backup| backup.status == BackupStatus::Ready);
        ready.map(|backup| backup.id.to_string())
    }

    /// Whether the call that was cut off has had its effect, where repeating it is refused then. A
    /// restore is repeated in any case, as clients do: it must give the index that it made.
    fn was_done(&self, call: Call) -> bool {
        match call {
            Call::Create(name) => self.find(name).is_some(),
            Call::DeleteIndex(name) => self.find(name).is_none(),
            Call::Fill(..)
            | Call::Backup(_)
            | Call::Restore(_)
            | Call::Index
            | Call::DeleteBackup
            | Call::Reap => false,
        }
    }

    /// Everything that was answered is there, and nothing is half-made.
    async fn check(&self, ledger: &Ledger, in_flight: Option<Call>) -> Result<(), Violation> {
        let half_made = self
            .catalog
            .backups()
            .iter()
            .any(|b| b.status == BackupStatus::Initializing)
            || self.catalog.restore_jobs().iter().any(|job| job.status == RestoreStatus::Pending);
        if half_made {
            return Err(Violation::Torn("a backup or a restore is half-made".to_owned()));
        }
        self.check_segments(false).await?;
        let mut after = ledger.clone();
        if let Some(call) = in_flight {
            after.note(call)?;
        }
        for index in self.catalog.indexes() {
            let name = index.config.name.as_str();
            let Some(either) = ledger.indexes.get(name).or_else(|| after.indexes.get(name)) else {
                return Err(Violation::Lost(format!("index {name} is back")));
            };
            let done = after.indexes.get(name).unwrap_or(either);
            judge(&read(&self.engine, index.id).await?, either, done, name)?;
        }
        for name in ledger.indexes.keys().filter(|name| after.indexes.contains_key(*name)) {
            self.index(name)?;
        }
        if ledger.backup.is_some() && after.backup.is_some() && self.backup().is_none() {
            return Err(Violation::Lost("the backup".to_owned()));
        }
        Ok(())
    }

    /// Every segment that an index or a backup needs has its file; `exactly` when no other file may
    /// be there.
    async fn check_segments(&self, exactly: bool) -> Result<(), Violation> {
        let unexpected = |error: &dyn std::error::Error| Violation::Unexpected(causes(error));
        let mut needed: BTreeSet<String> =
            self.catalog.backups().iter().flat_map(|backup| backup.segments.clone()).collect();
        for index in self.catalog.indexes() {
            let cut = self.engine.checkpoint(shape(index.id), "look").await;
            let cut = cut.map_err(|error| unexpected(&error))?;
            let unpinned = self.engine.unpin(index.id, cut.pin).await;
            unpinned.map_err(|error| unexpected(&error))?;
            needed.extend(cut.segments);
        }
        let files = segment_files(&self.objects).await.map_err(|error| unexpected(&error))?;
        if let Some(missing) = needed.difference(&files).next() {
            return Err(Violation::Lost(format!("segment {missing}")));
        }
        match files.difference(&needed).next() {
            Some(left) if exactly => Err(Violation::Leftover(format!("segment {left}"))),
            _ => Ok(()),
        }
    }

    /// But for segments, the store holds the catalog and the indexes that it knows. A creation that
    /// was cut off may have left a database without a row, empty and for ever.
    async fn check_nothing_left(&self, was_creating: bool) -> Result<(), Violation> {
        let known: BTreeSet<_> =
            self.catalog.indexes().iter().map(|index| index.id.to_string()).collect();
        let hidden = self.catalog.hidden().len();
        if hidden > 0 {
            return Err(Violation::Leftover(format!("{hidden} hidden indexes")));
        }
        let objects: Vec<_> = self
            .objects
            .list(None)
            .try_collect()
            .await
            .map_err(|error| Violation::Unexpected(causes(&error)))?;
        let left: BTreeSet<_> = objects
            .iter()
            .filter_map(|object| object.location.as_ref().strip_prefix("ix/"))
            // Others may need them: they are looked at together.
            .filter(|path| !path.contains("/seg/"))
            .filter_map(|path| path.split('/').next())
            .filter(|id| !known.contains(*id))
            .collect();
        if left.len() <= usize::from(was_creating) {
            Ok(())
        } else {
            Err(Violation::Leftover(format!("{left:?}")))
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.store).finish()
    }
}

pub(crate) fn context() -> RequestContext {
    RequestContext {
        version: ApiVersion::V2025_10,
        transport: Transport::Rest,
        hosts: IndexHosts::on_ports_of("localhost", "http://"),
        request_id: "r".to_owned(),
    }
}

fn answered<T>(what: &str, result: Result<T, ApiError>) -> Result<T, Violation> {
    result.map_err(|error| Violation::Unexpected(format!("{what}: {}", causes(&error))))
}
