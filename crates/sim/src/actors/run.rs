//! One seed: processes one after the other over one store, and what is looked at in between.
//!
//! Every process lives in a runtime of its own, which dies with it. In its life it is checked while
//! nobody works, then the weather sets in and all actors go to work at once, until they have done their
//! share or the store is gone. Now and then a second process opens the store while the first one is still
//! alive: both go on writing, the first is killed a little later. The last process meets no weather, and
//! deletes everything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lodgepole_storage::ShiftedClock;
use lodgepole_storage::fault::{FaultStore, Operation, OperationKind};
use lodgepole_storage::object_store::ObjectStoreExt;
use lodgepole_storage::object_store::path::Path;
use lodgepole_types::{Clock, Rng, SeededRng, Timestamp};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::annals::Annals;
use super::figures::Figures;
use super::process::{Process, Setting};
use super::stage::{Defect, Stage};
use super::weather::{Injected, Weather, draw, index};
use super::{callers, checks, keepers};
use crate::crash::contents::shape;
use crate::crash::sweep::{DOWN_MS, START};
use crate::crash::{DatedStore, Disk, Violation, VirtualClock, in_virtual_time};

/// What a calm store may take for a check, and a recovered one until it takes writes again.
const CALM_MAX: Duration = Duration::from_secs(60);
/// How often the store is looked at for a crash.
const WATCH: Duration = Duration::from_millis(5);

/// The run of one seed.
pub(super) struct Run {
    rng: SeededRng,
    defect: Option<Defect>,
    annals: Arc<Mutex<Annals>>,
    figures: Arc<Mutex<Figures>>,
    pub(super) operations: Vec<Operation>,
}

/// What one process leaves to the next.
struct Legacy {
    disk: Disk,
    ended_at: Timestamp,
}

/// A place where a process can be opened.
struct Ground {
    objects: DatedStore,
    clock: Arc<ShiftedClock>,
}

impl Run {
    pub(super) fn new(seed: u64, defect: Option<Defect>) -> Self {
        let rng = SeededRng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let (annals, figures) = (Arc::default(), Arc::default());
        Self { rng, defect, annals, figures, operations: Vec::new() }
    }

    pub(super) fn story(&self) -> Vec<String> {
        std::mem::take(&mut self.annals.lock().story)
    }

    pub(super) fn figures(&self) -> Figures {
        let operations = self.operations.len() as u64;
        Figures { seeds: 1, operations, ..*self.figures.lock() }
    }

    /// From an empty store to an empty store.
    pub(super) fn go(&mut self) -> Result<(), Violation> {
        let lives = 2 + draw(&self.rng, 3);
        let mut legacy = Legacy { disk: Disk::empty(), ended_at: START };
        for life in 0..lives {
            if life > 0 && draw(&self.rng, 4) == 0 {
                legacy = in_virtual_time(Box::pin(self.failing_start(&legacy)))?;
            }
            legacy = in_virtual_time(Box::pin(self.live(&legacy)))
                .map_err(|violation| violation.at(&format!("process {life}")))?;
            self.annals.lock().end_of_processes();
        }
        in_virtual_time(Box::pin(self.last(&legacy)))
            .map_err(|violation| violation.at("last process"))?;
        let registers = self.annals.lock().check_registers()?;
        self.figures.lock().registers += registers;
        Ok(())
    }

    fn ground(&self, legacy: &Legacy) -> Ground {
        let start = Timestamp(legacy.ended_at.0 + DOWN_MS);
        let clock = Arc::new(ShiftedClock::new(Arc::new(VirtualClock::starting_at(start))));
        let mut objects = legacy.disk.copy_under(Arc::<ShiftedClock>::clone(&clock));
        if self.defect == Some(Defect::IgnoresFences) {
            objects = objects.without_conditions();
        }
        Ground { objects, clock }
    }

    fn setting(&self) -> Setting {
        let ages = [0, 1, 60, 900];
        let age = ages[index(draw(&self.rng, 4))];
        Setting { seed: self.rng.next_u64(), collection_age: Duration::from_secs(age) }
    }

    async fn open(&self, ground: &Ground, store: FaultStore) -> Result<Stage, Violation> {
        let (objects, clock) = (ground.objects.clone(), Arc::clone(&ground.clock));
        let process = Process::open(store, objects, clock, self.setting()).await?;
        Ok(Stage {
            process: Arc::new(process),
            annals: Arc::clone(&self.annals),
            figures: Arc::clone(&self.figures),
            defect: self.defect,
            violation: Arc::default(),
            closing: Arc::default(),
        })
    }

    /// A process that is killed while it starts, or soon after.
    async fn failing_start(&mut self, legacy: &Legacy) -> Result<Legacy, Violation> {
        let ground = self.ground(legacy);
        let store = ground.store();
        let injected = Weather::draw(&self.rng).begin(&store, &ground.clock());
        let opened = self.open(&ground, store.clone());
        let gave_up = ground.clock.sleep(CALM_MAX);
        tokio::select! {
            biased;
            opened = opened => self.figures.lock().failed_starts += u64::from(opened.is_err()),
            () = gave_up => self.figures.lock().failed_starts += 1,
        }
        self.annals.lock().tell("a process was killed around its start");
        self.note_end(&store, &injected);
        Ok(ground.legacy())
    }

    /// A process under weather, and perhaps a second one that takes over.
    async fn live(&mut self, legacy: &Legacy) -> Result<Legacy, Violation> {
        let ground = self.ground(legacy);
        let stage = calmly(&ground, "a start", self.open(&ground, ground.store())).await?;
        calmly(&ground, "a check", checks::check(&stage, &self.rng)).await?;
        if stage.annals.lock().live_indexes().is_empty() {
            calmly(&ground, "a creation", keepers::create(&stage)).await?;
        }
        let weather = Weather::draw(&self.rng);
        stage.tell(&format!("a process begins: {weather:?}"));
        let injected = weather.begin(&stage.process.store, &ground.clock());
        let mut cast = Cast::enter(&stage, &self.rng);
        let (stage, injected) = if draw(&self.rng, 3) == 0 {
            self.take_over(&ground, stage, injected, &mut cast).await?
        } else {
            (stage, injected)
        };
        cast.play(&stage).await?;
        if stage.process.store.is_crashed() {
            // What is under way may still be carried out.
            let linger = Duration::from_micros(draw(&self.rng, 20_000));
            ground.clock.sleep(linger).await;
            self.figures.lock().crashes += 1;
            stage.tell("crashed");
        } else {
            stage.tell("has survived");
            stage.process.store.clear_faults();
            self.come_to_rest(&ground, &stage).await?;
        }
        cast.check()?;
        if self.defect == Some(Defect::LosesTheEndOfTheLog) {
            lose_the_end_of_the_log(&ground.objects, &stage.process.store).await;
        }
        self.note_end(&stage.process.store, &injected);
        Ok(ground.legacy())
    }

    /// Opens a second process while the first one is at work, and kills that one a little later.
    async fn take_over(
        &mut self,
        ground: &Ground,
        first: Stage,
        injected: Arc<Injected>,
        cast: &mut Cast,
    ) -> Result<(Stage, Arc<Injected>), Violation> {
        ground.clock.sleep(Duration::from_micros(draw(&self.rng, 60_000))).await;
        // Only the one lock of the data directory keeps a second process out, and with it two that
        // collect. What is looked at here is the path of the records.
        cast.rest(&first).await;
        if first.process.store.is_crashed() {
            return Ok((first, injected));
        }
        let moment = self.annals.lock().tick();
        first.process.meet_rival(moment);
        let second =
            calmly(ground, "a start beside another process", self.open(ground, ground.store()))
                .await?;
        second.process.meet_rival(moment);
        self.figures.lock().takeovers += 1;
        second.tell("a second process has taken over");
        let new_weather = Weather::draw(&self.rng).begin(&second.process.store, &ground.clock());
        let mut after = Cast::enter(&second, &self.rng);
        after.rest(&second).await;
        ground.clock.sleep(Duration::from_micros(draw(&self.rng, 60_000))).await;
        first.process.store.crash();
        second.tell("the first process is killed");
        self.figures.lock().crashes += 1;
        self.note_end(&first.process.store, &injected);
        after.keep(&second, &self.rng);
        cast.follow(after);
        Ok((second, new_weather))
    }

    /// The store works again: writes must, without a restart. Then perhaps an orderly end.
    async fn come_to_rest(&self, ground: &Ground, stage: &Stage) -> Result<(), Violation> {
        let live = stage.annals.lock().live_indexes();
        for (name, id) in live {
            let recovered = async {
                while !callers::write_one(stage, &name, id).await? {
                    stage.tell(&format!("{name} takes no write yet"));
                    ground.clock.sleep(Duration::from_millis(100)).await;
                }
                Ok(())
            };
            calmly(ground, "a write after faults", recovered).await?;
        }
        if draw(&self.rng, 3) == 0 {
            stage.tell("is shut down");
            let shut_down = async {
                stage.process.service.shutdown().await;
                Ok(())
            };
            calmly(ground, "a shutdown", shut_down).await?;
            self.figures.lock().shutdowns += 1;
        }
        Ok(())
    }

    /// The last process: everything is compared once more, then deleted.
    async fn last(&mut self, legacy: &Legacy) -> Result<(), Violation> {
        let ground = self.ground(legacy);
        let stage = calmly(&ground, "a start", self.open(&ground, ground.store())).await?;
        calmly(&ground, "a check", checks::check(&stage, &self.rng)).await?;
        let live = stage.annals.lock().live_indexes();
        for (_, id) in live {
            // It may have nothing to do.
            let _ = stage.process.engine.warm_up(shape(id), None).await;
        }
        stage.process.engine.index_now().await;
        calmly(&ground, "a check", checks::check(&stage, &self.rng)).await?;
        checks::check_nothing_left(&stage).await?;
        self.operations.extend(stage.process.store.operations());
        Ok(())
    }

    fn note_end(&mut self, store: &FaultStore, injected: &Injected) {
        let operations = store.operations();
        let mut figures = self.figures.lock();
        let is_segment = |seen: &&Operation| {
            let is_put = seen.kind.is_change() && seen.kind != OperationKind::Delete;
            is_put && seen.path.contains("/seg/")
        };
        figures.segments += operations.iter().filter(is_segment).count() as u64;
        let [before, after, full] = injected.counts();
        figures.errors_before += before;
        figures.errors_after += after;
        figures.disk_full += full;
        self.operations.extend(operations);
    }
}

impl Ground {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::<ShiftedClock>::clone(&self.clock)
    }

    fn store(&self) -> FaultStore {
        FaultStore::new(Arc::new(self.objects.clone()), self.clock())
    }

    fn legacy(&self) -> Legacy {
        Legacy { disk: self.objects.image(), ended_at: self.clock.now() }
    }
}

/// Waits for what must not take long on a store that works.
async fn calmly<T>(
    ground: &Ground,
    what: &str,
    work: impl Future<Output = Result<T, Violation>>,
) -> Result<T, Violation> {
    tokio::select! {
        biased;
        done = work => done,
        () = ground.clock.sleep(CALM_MAX) => {
            Err(Violation::Stuck(format!("{what}, {CALM_MAX:?} on a store that works")))
        }
    }
}

/// The actors of a process.
struct Cast {
    callers: Vec<JoinHandle<()>>,
    keepers: Vec<JoinHandle<()>>,
    /// Where those that came later keep what they saw.
    violations: Vec<Arc<Mutex<Option<Violation>>>>,
}

impl Cast {
    fn enter(stage: &Stage, rng: &SeededRng) -> Self {
        let own = || SeededRng::new(rng.next_u64());
        let mut callers = Vec::new();
        for _ in 0..2 + draw(rng, 3) {
            callers.push(tokio::spawn(callers::write(stage.clone(), own(), 6 + draw(rng, 14))));
        }
        for _ in 0..2 {
            callers.push(tokio::spawn(callers::read(stage.clone(), own(), 10 + draw(rng, 20))));
        }
        let violations = vec![Arc::clone(&stage.violation)];
        let mut cast = Self { callers, keepers: Vec::new(), violations };
        cast.keep(stage, rng);
        cast
    }

    /// Sends those of the background to work.
    fn keep(&mut self, stage: &Stage, rng: &SeededRng) {
        let own = || SeededRng::new(rng.next_u64());
        stage.closing.store(false, Ordering::Relaxed);
        self.keepers.push(tokio::spawn(keepers::index(stage.clone(), own())));
        self.keepers.push(tokio::spawn(keepers::reap(stage.clone(), own())));
        self.keepers.push(tokio::spawn(keepers::manage(stage.clone(), own())));
        self.keepers.push(tokio::spawn(keepers::manage(stage.clone(), own())));
    }

    /// Has those of the background end.
    async fn rest(&mut self, stage: &Stage) {
        stage.closing.store(true, Ordering::Relaxed);
        for keeper in self.keepers.drain(..) {
            drop(keeper.await);
        }
    }

    fn follow(&mut self, other: Self) {
        self.callers.extend(other.callers);
        self.keepers.extend(other.keepers);
        self.violations.extend(other.violations);
    }

    /// Lets everybody do their share, or until the store is gone.
    async fn play(&mut self, stage: &Stage) -> Result<(), Violation> {
        let clock = stage.process.clock();
        let is_gone = || stage.process.store.is_crashed();
        while !is_gone() && !self.callers.iter().all(JoinHandle::is_finished) {
            clock.sleep(WATCH).await;
        }
        stage.closing.store(true, Ordering::Relaxed);
        while !is_gone() && !self.keepers.iter().all(JoinHandle::is_finished) {
            clock.sleep(WATCH).await;
        }
        self.check()
    }

    fn check(&self) -> Result<(), Violation> {
        self.violations.iter().find_map(|kept| kept.lock().take()).map_or(Ok(()), Err)
    }
}

/// What a disk that never synced its last log object looks like after a power cut.
async fn lose_the_end_of_the_log(objects: &DatedStore, store: &FaultStore) {
    let changes = store.operations().into_iter().filter(|seen| seen.kind.is_change());
    let logged: Vec<_> = changes.filter(|seen| seen.path.contains("/wal/")).collect();
    if let Some(newest) = logged.iter().rev().nth(1) {
        drop(objects.delete(&Path::from(newest.path.as_str())).await);
    }
}
