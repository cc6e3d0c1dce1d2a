//! Power cuts on a folder of the local disk, in the process and by the thousand.
//!
//! The scripted lives of [`crash`](crate::crash) run over the store that a server has on its disk. A model of
//! the disk ([`Platter`]) sees every step by which files and folders change, and knows what of it has been
//! synced. At a step drawn from the seed the power goes. What the next process finds is drawn as well: all that
//! was synced, and of the rest any part, sector by sector and name by name, in any order. The books decide, as
//! after every crash.
//!
//! WHY beside the power cuts of the real binary (tests/crash/power_cut.py): those lose what one kernel has not
//! written by then, always in its own order. These need no rights, take milliseconds, and meet the losses that
//! another file system may choose. INVARIANT: a run without the syncs that make an answer durable is found.

mod image;
mod platter;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use lodgepole_storage::local::{LocalOptions, Space, SpaceProbe, SyncMode};
use lodgepole_types::{Rng as _, SeededRng, Timestamp};
use parking_lot::Mutex;
use tempfile::TempDir;

pub use platter::Platter;

use crate::crash::sweep::{After, DOWN_MS, START, live_on};
use crate::crash::{
    Books, LIFE_OF_NAMES, LIFE_OF_SEGMENTS, LIFE_OF_THREE, Step, Violation, World, causes,
    in_virtual_time,
};

/// A file system in memory, where there is one: syncs cost nothing there, and count all the same.
const MEMORY: &str = "/dev/shm";
/// No step is this far.
const NEVER: u64 = u64::MAX;

/// What came of many cuts.
#[derive(Debug, Default)]
pub struct Cuts {
    /// Cuts made.
    pub cuts: u64,
    /// Changes of names that were on no disk yet, and how many of them were kept.
    pub unsynced: [u64; 2],
    /// Files of which a part was not synced.
    pub torn_files: u64,
    /// Broken promises and the seeds that showed them.
    pub violations: Vec<(u64, Violation)>,
}

impl std::fmt::Display for Cuts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cuts, unsynced: [unsynced, kept], torn_files, violations } = self;
        let lost = violations.iter().filter(|(_, violation)| violation.is_loss()).count();
        let torn = violations.iter().filter(|(_, violation)| is_torn(violation)).count();
        writeln!(
            f,
            "cuts={cuts} lost={lost} torn={torn} wrong={}",
            violations.len() - lost - torn
        )?;
        write!(f, "names_unsynced={unsynced} names_kept={kept} files_torn={torn_files}")
    }
}

fn is_torn(violation: &Violation) -> bool {
    matches!(violation, Violation::Torn(_))
}

/// Where the books stand when the power goes.
struct Ended {
    books: Books,
    /// The step that was not answered; the number of steps when all were.
    reached: usize,
    ended_at: Timestamp,
}

/// A disk that always has room.
#[derive(Debug)]
struct Roomy;

impl SpaceProbe for Roomy {
    fn measure(&self) -> std::io::Result<Space> {
        Ok(Space { free_bytes: 1 << 40, total_bytes: 1 << 41 })
    }
}

/// The scripted lives, and how many steps of the disk each takes when nothing happens.
#[derive(Debug)]
pub struct Lives(Vec<(&'static [Step], u64)>);

impl Lives {
    /// Runs each once.
    ///
    /// # Errors
    /// Whatever goes wrong in one.
    pub fn measure() -> Result<Self, Violation> {
        let measured = [LIFE_OF_THREE, LIFE_OF_NAMES, LIFE_OF_SEGMENTS].map(|script| {
            let ground = ground()?;
            let platter = Platter::new(ground.path(), NEVER).map_err(|error| failed(&error))?;
            life(script, &platter, SyncMode::Full)?;
            Ok((script, platter.steps()))
        });
        Ok(Self(measured.into_iter().collect::<Result<_, _>>()?))
    }

    /// The life of a seed.
    fn of(&self, rng: &SeededRng) -> (&'static [Step], u64) {
        let number = usize::try_from(rng.next_u64() % self.0.len() as u64).unwrap_or(0);
        self.0[number]
    }
}

/// Cuts the power once for each seed, on `threads` threads. Ends with the first violation of a weak `sync`.
#[must_use]
pub fn cut_many(
    lives: &Lives,
    seeds: std::ops::Range<u64>,
    sync: SyncMode,
    threads: usize,
) -> Cuts {
    let next = AtomicU64::new(seeds.start);
    let cuts = Mutex::new(Cuts::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, SeqCst);
            let is_over = sync != SyncMode::Full && !cuts.lock().violations.is_empty();
            if seed >= seeds.end || is_over {
                return;
            }
            let found = cut(lives, seed, sync);
            let mut cuts = cuts.lock();
            cuts.cuts += 1;
            match found {
                Ok(image) => {
                    cuts.unsynced[0] += image.unsynced;
                    cuts.unsynced[1] += image.kept;
                    cuts.torn_files += image.torn_files;
                }
                Err(violation) => cuts.violations.push((seed, violation)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    cuts.into_inner()
}

/// One cut: the life up to it, what the disk kept, and the life after it.
fn cut(lives: &Lives, seed: u64, sync: SyncMode) -> Result<image::Kept, Violation> {
    let rng = SeededRng::new(seed);
    let (script, steps) = lives.of(&rng);
    let ground = ground()?;
    let cut_at = 1 + rng.next_u64() % steps;
    let platter = Platter::new(ground.path(), cut_at).map_err(|error| failed(&error))?;
    let ended = life(script, &platter, sync)?;
    let after_ground = self::ground()?;
    let later = Platter::new(after_ground.path(), NEVER).map_err(|error| failed(&error))?;
    let kept = platter.image(later.root(), &rng).map_err(|error| failed(&error))?;
    later.adopt().map_err(|error| failed(&error))?;
    let after = if rng.next_u64().is_multiple_of(2) { After::Repeat } else { After::Discard };
    let step = script.get(ended.reached);
    let place = format!("power gone at step {cut_at} during {step:?}, then {after:?}");
    life_after(script, &ended, &later, after).map_err(|violation| violation.at(&place))?;
    Ok(kept)
}

/// Up to the cut, or to the end.
fn life(script: &[Step], platter: &Arc<Platter>, sync: SyncMode) -> Result<Ended, Violation> {
    in_virtual_time(async {
        let mut world = open(platter, sync, START, Books::new())?;
        let mut reached = 0;
        let ended = {
            let life = async {
                for step in script {
                    world.step(*step).await?;
                    reached += 1;
                }
                world.finish().await
            };
            tokio::select! {
                biased;
                () = platter.wait_for_cut() => Ok(()),
                ended = life => ended,
            }
        };
        // What the cut refused may be told before the cut itself.
        if !platter.is_cut() {
            ended?;
        }
        platter.check()?;
        Ok(Ended { reached, ended_at: world.now(), books: world.books })
    })
}

/// From the next start to the end of the script.
fn life_after(
    script: &[Step],
    ended: &Ended,
    platter: &Arc<Platter>,
    after: After,
) -> Result<(), Violation> {
    in_virtual_time(async {
        let start = Timestamp(ended.ended_at.0 + DOWN_MS);
        let mut world = open(platter, SyncMode::Full, start, ended.books.clone())?;
        live_on(&mut world, script, ended.reached, after).await?;
        platter.check()
    })
}

fn open(
    platter: &Arc<Platter>,
    sync: SyncMode,
    start: Timestamp,
    books: Books,
) -> Result<World, Violation> {
    let hook: Arc<Platter> = Arc::clone(platter);
    let local = LocalOptions {
        sync,
        disk_hook: Some(hook),
        space_probe: Some(Arc::new(Roomy)),
        ..LocalOptions::default()
    };
    let world = World::on_folder(platter.root(), local, start, books)?;
    platter.date_by(world.clock());
    Ok(world)
}

/// A folder that goes with what is returned.
fn ground() -> Result<TempDir, Violation> {
    let memory = Path::new(MEMORY);
    let parent = if memory.is_dir() { PathBuf::from(memory) } else { std::env::temp_dir() };
    TempDir::with_prefix_in("lodgepole-power-", parent).map_err(|error| failed(&error))
}

fn failed(error: &std::io::Error) -> Violation {
    Violation::Unexpected(format!("the model of the disk: {}", causes(error)))
}
