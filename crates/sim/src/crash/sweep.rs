//! The loop over all crashes, and what is done after each.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use lodgepole_storage::fault::{Operation, Timing};
use lodgepole_types::{IndexId, Timestamp};
use parking_lot::Mutex;

use super::books::BackupEntry;
use super::contents::{Contents, read};
use super::dated::Disk;
use super::world::{Mutant, World};
use super::{Books, Step, Violation, in_virtual_time, judge};

/// Where the virtual time of all runs begins.
pub(crate) const START: Timestamp = Timestamp(1_800_000_000_000);
/// How long a process is down after a crash, in milliseconds.
pub(crate) const DOWN_MS: i64 = 5_000;

/// Which crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// The change of the store at which it comes, from 1.
    pub change: u64,
    /// Whether that change still takes effect.
    pub timing: Timing,
}

/// What a sweep saw.
#[derive(Debug, Default)]
pub struct Report {
    /// Crash points reached.
    pub points: u64,
    /// Changes of the longest run.
    pub changes: u64,
    /// Processes run: one up to each crash, and those after it.
    pub lives: u64,
    /// Broken promises and where.
    pub violations: Vec<(CrashPoint, Violation)>,
}

impl Report {
    /// How often answered data was gone or could not be read.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.violations.iter().filter(|(_, violation)| violation.is_loss()).count()
    }

    /// How often a request was there in part.
    #[must_use]
    pub fn torn(&self) -> usize {
        let torn = |violation: &Violation| matches!(violation, Violation::Torn(_));
        self.violations.iter().filter(|(_, violation)| torn(violation)).count()
    }
}

/// What one crash point came to: the lives it took, or nothing when it was not reached.
pub(super) type PointResult = Result<Option<u64>, Violation>;

/// What is done about a request in flight that made or removes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It is carried out again.
    Repeat,
    /// What it left is discarded, then it is carried out anew.
    Discard,
}

/// The first life: up to the crash.
struct FirstLife {
    disk: Disk,
    books: Books,
    /// The step that was not answered; the number of steps when all were.
    reached: usize,
    crashed: bool,
    /// The change of the store at which it crashed.
    crashed_at: String,
    ended_at: Timestamp,
}

impl FirstLife {
    fn describe(&self, script: &[Step], after: After) -> String {
        let step = script.get(self.reached);
        format!("crash at [{}] during {step:?}, then {after:?}", self.crashed_at)
    }
}

/// Runs the script once for each change of the store and each timing, on `threads` threads, until a
/// run ends without reaching its crash. Stops early once a mutant has been found.
#[must_use]
pub fn sweep(script: &[Step], mutant: Option<Mutant>, threads: usize) -> Report {
    let stop = |violation: &Violation| mutant.is_some() && violation.is_loss_or_torn();
    over_all_points(threads, &stop, &|point| at_point(script, point, mutant))
}

/// Every operation that reaches the store in a run of the script without a crash.
///
/// # Errors
/// Whatever goes wrong in it.
pub fn history(script: &[Step], seed: u64) -> Result<Vec<Operation>, Violation> {
    in_virtual_time(async {
        let mut world = World::open(&Disk::empty(), START, seed, Books::new(), None)?;
        for step in script {
            world.step(*step).await?;
        }
        world.finish().await?;
        Ok(world.store.operations())
    })
}

/// Runs `one` for every crash point until one is not reached.
pub(super) fn over_all_points(
    threads: usize,
    stop: &(dyn Fn(&Violation) -> bool + Sync),
    one: &(dyn Fn(CrashPoint) -> PointResult + Sync),
) -> Report {
    let next = AtomicU64::new(0);
    let end = AtomicU64::new(u64::MAX);
    let report = Mutex::new(Report::default());
    let work = || {
        loop {
            let number = next.fetch_add(1, SeqCst);
            let timing = if number.is_multiple_of(2) { Timing::Before } else { Timing::After };
            let point = CrashPoint { change: number / 2 + 1, timing };
            if point.change >= end.load(SeqCst) {
                return;
            }
            let result = one(point);
            let mut report = report.lock();
            match result {
                Ok(None) => {
                    end.fetch_min(point.change, SeqCst);
                    continue;
                }
                Ok(Some(lives)) => report.lives += lives,
                Err(violation) => {
                    if stop(&violation) {
                        end.store(0, SeqCst);
                    }
                    report.violations.push((point, violation));
                }
            }
            report.points += 1;
            report.changes = report.changes.max(point.change);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    report.into_inner()
}

fn at_point(script: &[Step], point: CrashPoint, mutant: Option<Mutant>) -> PointResult {
    let first = in_virtual_time(first_life(script, point, mutant))?;
    if !first.crashed {
        return Ok(None);
    }
    let in_flight = script.get(first.reached);
    let makes = matches!(in_flight, Some(Step::Clone(..) | Step::Checkpoint(..)));
    let ways: &[After] = if makes { &[After::Repeat, After::Discard] } else { &[After::Repeat] };
    for after in ways.iter().copied() {
        in_virtual_time(second_life(script, &first, after, mutant))
            .map_err(|violation| violation.at(&first.describe(script, after)))?;
    }
    Ok(Some(1 + ways.len() as u64))
}

async fn first_life(
    script: &[Step],
    point: CrashPoint,
    mutant: Option<Mutant>,
) -> Result<FirstLife, Violation> {
    let mut world = World::open(&Disk::empty(), START, 1, Books::new(), mutant)?;
    world.store.crash_at(point.change, point.timing);
    let mut reached = script.len();
    for (number, step) in script.iter().enumerate() {
        if let Err(violation) = world.step(*step).await {
            if !world.store.is_crashed() {
                return Err(violation);
            }
            reached = number;
            break;
        }
    }
    if reached == script.len()
        && let Err(violation) = world.finish().await
        && !world.store.is_crashed()
    {
        return Err(violation);
    }
    if mutant == Some(Mutant::LosesTheEndOfTheLog) {
        world.lose_the_end_of_the_log().await?;
    }
    let crashed = world.store.is_crashed();
    Ok(FirstLife {
        disk: world.image(),
        reached,
        crashed,
        crashed_at: world.store.change(point.change).map(|at| at.to_string()).unwrap_or_default(),
        ended_at: world.now(),
        books: world.books,
    })
}

async fn second_life(
    script: &[Step],
    first: &FirstLife,
    after: After,
    mutant: Option<Mutant>,
) -> Result<(), Violation> {
    let start = Timestamp(first.ended_at.0 + DOWN_MS);
    let mut world = World::open(&first.disk, start, 2, first.books.clone(), mutant)?;
    live_on(&mut world, script, first.reached, after).await
}

/// The life after a crash: everything answered is there, and the rest of the script goes on.
pub(crate) async fn live_on(
    world: &mut World,
    script: &[Step],
    reached: usize,
    after: After,
) -> Result<(), Violation> {
    let in_making = world.books.last_drawn();
    let in_flight = script.get(reached).copied();
    world.verify(in_flight).await?;
    if let Some(step) = in_flight {
        settle(world, step, in_making, after).await?;
        for step in &script[reached + 1..] {
            world.step(*step).await?;
        }
    }
    world.finish().await
}

/// Looks at what the request in flight has left, and carries it out again.
async fn settle(
    world: &mut World,
    step: Step,
    in_making: IndexId,
    after: After,
) -> Result<(), Violation> {
    match step {
        Step::Upsert(index, ..)
        | Step::Delete(index, ..)
        | Step::Empty(index, _)
        | Step::Change(index, _) => {
            let (was, would_be) = step.both_sides(&world.books, index)?;
            let id = world.books.index(index)?.id;
            let found = read(&world.engine, id).await?;
            judge(&found, &was, &would_be, &format!("index {index}"))?;
            let is_done = found == would_be && found != was;
            world.books.index_mut(index)?.contents = found;
            if is_done && matches!(step, Step::Change(_, change) if !change.is_repeatable()) {
                return Ok(());
            }
            world.step(step).await
        }
        Step::Create(_) => settle_created(world, step, in_making).await,
        Step::Clone(index, name) if after == After::Repeat => {
            world.clone_into(index, in_making, name).await
        }
        Step::Clone(..) => {
            world.discard(in_making).await?;
            world.step(step).await
        }
        Step::Checkpoint(index, name) => settle_backup(world, index, name, after).await,
        Step::Unpin(name) => settle_unpinned(world, name).await,
        Step::Flush
        | Step::Index
        | Step::IndexUnderReaper
        | Step::Retire(_)
        | Step::Reap
        | Step::Restart => world.step(step).await,
    }
}

/// An index in the making is empty or absent; its creation can be completed, and discarded.
async fn settle_created(
    world: &mut World,
    step: Step,
    in_making: IndexId,
) -> Result<(), Violation> {
    if world.exists(in_making).await? {
        let found = read(&world.engine, in_making).await?;
        judge(&found, &Contents::new(), &Contents::new(), "a new index")?;
    }
    world.create(in_making).await?;
    world.discard(in_making).await?;
    world.step(step).await
}

/// A backup in the making is there as a whole or not at all.
async fn settle_backup(
    world: &mut World,
    index: char,
    name: &'static str,
    after: After,
) -> Result<(), Violation> {
    let entry = world.books.index(index)?.clone();
    let pin = world
        .engine
        .find_pin(entry.id, name)
        .await
        .map_err(|error| Violation::Unreadable(super::causes(&error)))?;
    let Some(pin) = pin else { return world.step(Step::Checkpoint(index, name)).await };
    let contents = entry.contents.clone();
    // Nothing was written since, so it needs what the index needs.
    let segments = world.named(entry.id).await?;
    let backup = BackupEntry { source: entry.id, pin, contents, segments };
    world.verify_backup(name, &backup).await?;
    match after {
        After::Repeat => {
            world.books.backups.insert(name, backup);
            Ok(())
        }
        After::Discard => {
            world
                .engine
                .unpin(entry.id, pin)
                .await
                .map_err(|error| Violation::Unexpected(super::causes(&error)))?;
            world.step(Step::Checkpoint(index, name)).await
        }
    }
}

/// A backup in deletion is there as a whole or not at all, and deleting it again works.
async fn settle_unpinned(world: &mut World, name: &'static str) -> Result<(), Violation> {
    let backup = world.books.backup(name)?.clone();
    let found = world.engine.find_pin(backup.source, name).await;
    if found.map_err(|error| Violation::Unreadable(super::causes(&error)))?.is_some() {
        world.verify_backup(name, &backup).await?;
    }
    world.step(Step::Unpin(name)).await
}
