//! Crashes under concurrent writers and backups.
//!
//! Four writers and one taker of backups work on one index at moments drawn from a seed. Each writer
//! has keys of its own, so that what the store may hold of it is known exactly: the state after its
//! last answered request, or after the one in flight. All of them also write one common key, on
//! which the highest answered Lsn wins. A backup must hold exactly the requests up to its Lsn, and
//! every request that was answered before the backup was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_engine::{Checkpoint, Deletion, Engine};
use lodgepole_storage::fault::{Latency, Operation};
use lodgepole_types::{Clock, IndexId, Lsn, Record, Rng, SeededRng, Timestamp};
use parking_lot::Mutex;

use super::contents::{Contents, read, record, record_id, shape, space};
use super::dated::Disk;
use super::sweep::{CrashPoint, DOWN_MS, PointResult, Report, START, over_all_points};
use super::world::World;
use super::{Books, Step, Violation, causes, in_virtual_time, judge};

const WRITERS: u16 = 4;
const REQUESTS_PER_WRITER: u16 = 12;
const KEYS_PER_WRITER: u64 = 5;
const BACKUPS: u16 = 3;
/// The key that all writers write, and the namespace they share.
const COMMON: &str = "common";
const SHARED: &str = "shared";
/// Longest pause of a writer, and the time a change of the store takes.
const PAUSE_MAX_US: u64 = 4_000;
const CHANGE_TAKES: Duration = Duration::from_millis(2);

/// What one writer has done.
#[derive(Debug, Clone, Default)]
struct Diary {
    /// Its part of the contents, at first and after each request that it issued.
    states: Vec<Contents>,
    /// The Lsns of the requests that were answered; all but at most the last one were.
    answered: Vec<Lsn>,
    /// Whether each request wrote the common key, and in which version.
    common: Vec<Option<u16>>,
}

impl Diary {
    fn is_in_flight(&self) -> bool {
        self.states.len() > self.answered.len() + 1
    }

    /// The states that the requests up to `lsn` may have left: one, or two when the next request
    /// was not answered.
    fn around(&self, lsn: Lsn) -> (Contents, Contents) {
        let count = self.answered.iter().filter(|answered| **answered <= lsn).count();
        let unanswered_next = count == self.answered.len() && self.is_in_flight();
        let at = |number: usize| self.states.get(number).cloned().unwrap_or_default();
        (at(count), at(if unanswered_next { count + 1 } else { count }))
    }
}

/// A backup that was answered, and the highest Lsn answered before it was asked for.
#[derive(Debug, Clone)]
struct Taken {
    cut: Checkpoint,
    floor: Lsn,
}

#[derive(Debug, Clone, Default)]
struct Log {
    diaries: Vec<Diary>,
    backups: Vec<Taken>,
}

struct FirstLife {
    disk: Disk,
    log: Log,
    books: Books,
    crashed: bool,
    ended_at: Timestamp,
    operations: Vec<Operation>,
}

/// Crashes at every change of the store, with the moments that `seed` gives.
#[must_use]
pub fn sweep(seed: u64, threads: usize) -> Report {
    over_all_points(threads, &|_| false, &|point| at_point(seed, point))
}

/// Every operation that reaches the store in a run without a crash.
///
/// # Errors
/// Whatever goes wrong in it.
pub fn history(seed: u64) -> Result<Vec<Operation>, Violation> {
    Ok(in_virtual_time(first_life(seed, None))?.operations)
}

fn at_point(seed: u64, point: CrashPoint) -> PointResult {
    let first = in_virtual_time(first_life(seed, Some(point)))?;
    if !first.crashed {
        return Ok(None);
    }
    in_virtual_time(second_life(seed, &first))?;
    Ok(Some(2))
}

async fn first_life(seed: u64, point: Option<CrashPoint>) -> Result<FirstLife, Violation> {
    let mut world = World::open(&Disk::empty(), START, seed, Books::new(), None)?;
    if let Some(point) = point {
        world.store.crash_at(point.change, point.timing);
    }
    let diaries = vec![Diary { states: vec![Contents::new()], ..Diary::default() }; WRITERS.into()];
    let log = Arc::new(Mutex::new(Log { diaries, backups: Vec::new() }));
    let created = world.step(Step::Create('a')).await;
    if created.is_ok() {
        let id = world.books.index('a')?.id;
        world.store.set_latency(Latency { change: CHANGE_TAKES, read: Duration::ZERO });
        work(&world, id, seed, &log).await?;
    }
    let crashed = world.store.is_crashed();
    if !crashed && let Err(violation) = created {
        return Err(violation);
    }
    Ok(FirstLife {
        disk: world.image(),
        log: log.lock().clone(),
        crashed,
        ended_at: world.now(),
        operations: world.store.operations(),
        books: world.books,
    })
}

/// Everything at once, until all have done their work or met an error.
async fn work(
    world: &World,
    id: IndexId,
    seed: u64,
    log: &Arc<Mutex<Log>>,
) -> Result<(), Violation> {
    let mut tasks = Vec::new();
    for number in 0..WRITERS {
        let writer = Writer {
            number,
            id,
            engine: Arc::clone(&world.engine),
            clock: world.clock(),
            rng: SeededRng::new(seed ^ (u64::from(number) + 1) << 40),
            log: Arc::clone(log),
        };
        tasks.push(tokio::spawn(writer.run()));
    }
    let (engine, clock, taken) = (Arc::clone(&world.engine), world.clock(), Arc::clone(log));
    tasks.push(tokio::spawn(take_backups(engine, clock, id, seed, taken)));
    for task in tasks {
        let done = task.await.map_err(|error| Violation::Unexpected(error.to_string()))?;
        if let Err(violation) = done
            && !world.store.is_crashed()
        {
            return Err(violation);
        }
    }
    Ok(())
}

struct Writer {
    number: u16,
    id: IndexId,
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    rng: SeededRng,
    log: Arc<Mutex<Log>>,
}

/// What a writer asks for.
enum Request {
    Store(Vec<Record>),
    Remove(Deletion),
}

impl Writer {
    async fn run(self) -> Result<(), Violation> {
        let own = format!("own {}", self.number);
        for round in 0..REQUESTS_PER_WRITER {
            pause(self.clock.as_ref(), &self.rng).await;
            let name = if self.rng.next_u64().is_multiple_of(2) { SHARED } else { own.as_str() };
            let request = self.issue(name, round)?;
            let (shard, space) = (shape(self.id), space(name)?);
            let answer = match request {
                Request::Store(records) => self.engine.upsert(shard, &space, records).await,
                Request::Remove(what) => self.engine.delete(shard, &space, what).await,
            };
            let lsn = answer.map_err(|error| Violation::Unexpected(causes(&error)))?;
            self.log.lock().diaries[usize::from(self.number)].answered.push(lsn);
        }
        Ok(())
    }

    /// Draws a request and writes into the diary what it will make of the writer's part.
    fn issue(&self, name: &str, round: u16) -> Result<Request, Violation> {
        let mut log = self.log.lock();
        let diary = &mut log.diaries[usize::from(self.number)];
        let mut state = diary.states.last().cloned().unwrap_or_default();
        let version = self.number * 1_000 + round + 1;
        let first = self.rng.next_u64() % KEYS_PER_WRITER;
        let keys: Vec<_> = (0..3)
            .map(|step| format!("w{}-{}", self.number, (first + step) % KEYS_PER_WRITER))
            .collect();
        let kind = self.rng.next_u64() % 8;
        let known = state.contains_key(name);
        if kind == 0 && known && name != SHARED {
            state.insert(name.to_owned(), BTreeMap::new());
            diary.states.push(state);
            diary.common.push(None);
            return Ok(Request::Remove(Deletion::All));
        }
        let held = state.entry(name.to_owned()).or_default();
        if kind < 3 && known {
            held.retain(|key, _| !keys.contains(key));
            diary.states.push(state);
            diary.common.push(None);
            let ids = keys.iter().map(|key| record_id(key)).collect::<Result<_, _>>()?;
            return Ok(Request::Remove(Deletion::Ids(ids)));
        }
        let mut records = Vec::new();
        for key in keys {
            records.push(record(&key, version)?);
            held.insert(key.clone(), record(&key, version)?);
        }
        if name == SHARED {
            records.push(record(COMMON, version)?);
        }
        diary.states.push(state);
        diary.common.push((name == SHARED).then_some(version));
        Ok(Request::Store(records))
    }
}

async fn take_backups(
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    id: IndexId,
    seed: u64,
    log: Arc<Mutex<Log>>,
) -> Result<(), Violation> {
    let rng = SeededRng::new(seed ^ 1 << 50);
    for number in 0..BACKUPS {
        for _ in 0..REQUESTS_PER_WRITER / BACKUPS {
            pause(clock.as_ref(), &rng).await;
        }
        let floor = highest_answered(&log.lock());
        let cut = engine
            .checkpoint(shape(id), &format!("backup {number}"))
            .await
            .map_err(|error| Violation::Unexpected(causes(&error)))?;
        log.lock().backups.push(Taken { cut, floor });
    }
    Ok(())
}

async fn pause(clock: &dyn Clock, rng: &dyn Rng) {
    clock.sleep(Duration::from_micros(rng.next_u64() % PAUSE_MAX_US)).await;
}

fn highest_answered(log: &Log) -> Lsn {
    log.diaries.iter().flat_map(|diary| &diary.answered).copied().max().unwrap_or(Lsn(0))
}

async fn second_life(seed: u64, first: &FirstLife) -> Result<(), Violation> {
    let Ok(index) = first.books.index('a').map(|entry| entry.id) else { return Ok(()) };
    let start = Timestamp(first.ended_at.0 + DOWN_MS);
    let mut world = World::open(&first.disk, start, !seed, first.books.clone(), None)?;
    let found = read(&world.engine, index).await?;
    check(&first.log, &found, Lsn(u64::MAX), "the index")?;
    for (number, taken) in first.log.backups.iter().enumerate() {
        let what = format!("backup {number}");
        if taken.cut.lsn < taken.floor {
            return Err(Violation::Lost(format!("{what}: {taken:?}")));
        }
        let clone = world.books.fresh_id();
        let cloned = world.engine.clone_index(clone, index, taken.cut.pin).await;
        cloned.map_err(|error| Violation::Lost(format!("{what}: {}", causes(&error))))?;
        let held = read(&world.engine, clone).await?;
        let records: usize = held.values().map(BTreeMap::len).sum();
        if records as u64 != taken.cut.record_count {
            return Err(Violation::Disagreement(format!("{what}: {records} in {:?}", taken.cut)));
        }
        check(&first.log, &held, taken.cut.lsn, &what)?;
    }
    let late = vec![record("late", 9)?];
    let written = world.engine.upsert(shape(index), &space(SHARED)?, late.clone()).await;
    let lsn = written.map_err(|error| Violation::Unexpected(causes(&error)))?;
    let found = read(&world.engine, index).await?;
    let is_there = found.get(SHARED).and_then(|held| held.get("late")) == late.first();
    if !is_there || lsn <= highest_answered(&first.log) {
        return Err(Violation::Lost(format!("a write after the crash, with {lsn:?}")));
    }
    world.engine.shutdown().await;
    Ok(())
}

/// Compares what was found with the requests up to `lsn`.
fn check(log: &Log, found: &Contents, lsn: Lsn, what: &str) -> Result<(), Violation> {
    let common = found.get(SHARED).and_then(|held| held.get(COMMON));
    let version = |record: &Record| record.values.first().copied().unwrap_or_default();
    let mut newest = (Lsn(0), None);
    let mut may_be = Vec::new();
    for (number, diary) in log.diaries.iter().enumerate() {
        let part = part_of(found, number);
        let (before, after) = diary.around(lsn);
        let (before, after) = (occupied(before), occupied(after));
        judge(&part, &before, &after, &format!("{what}, writer {number}"))?;
        for (answered, wrote) in diary.answered.iter().zip(&diary.common) {
            if let Some(wrote) = wrote
                && *answered <= lsn
                && *answered > newest.0
            {
                newest = (*answered, Some(f32::from(*wrote)));
            }
        }
        let in_flight = diary.common.get(diary.answered.len()).copied().flatten();
        // Where the common key shows the request in flight, the rest of that request must be there.
        if part == after && diary.is_in_flight() {
            may_be.extend(in_flight.map(f32::from));
        }
    }
    let shows = common.map(version);
    if shows == newest.1 || shows.is_some_and(|shows| may_be.contains(&shows)) {
        return Ok(());
    }
    Err(Violation::Lost(format!(
        "{what}: the common key shows {shows:?}, the newest is {newest:?}"
    )))
}

/// What a writer has put there.
fn part_of(found: &Contents, writer: usize) -> Contents {
    let prefix = format!("w{writer}-");
    let mut part = found.clone();
    for held in part.values_mut() {
        held.retain(|key, _| key.starts_with(&prefix));
    }
    occupied(part)
}

/// Without namespaces that hold nothing.
fn occupied(mut contents: Contents) -> Contents {
    contents.retain(|_, held| !held.is_empty());
    contents
}
