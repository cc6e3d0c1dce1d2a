//! The long form of the seeded runs: a range of seeds, in parts that can be resumed.
//!
//! `actors --seeds 0..20000 [--minutes 25] [--threads 1] [--defect NAME]` runs seed after seed, prints each broken promise
//! with the command that runs its seed again, and at the end the figures and from where to go on. It ends
//! with `N passed, N failed`, and without success if one failed.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lodgepole_sim::actors::{Defect, Figures, replay_command, run};
use lodgepole_sim::crash::Violation;
use lodgepole_storage::SystemClock;
use lodgepole_types::Clock;

const USAGE: &str = "usage: actors --seeds FROM..TO [--minutes N] [--threads N] [--defect NAME]";

/// What was asked for.
struct Order {
    seeds: Range<u64>,
    time: Duration,
    threads: u64,
    defect: Option<Defect>,
}

/// What came of it.
#[derive(Default)]
struct Report {
    figures: Figures,
    lost: u64,
    torn: u64,
    wrong: u64,
}

fn main() -> ExitCode {
    let Some(order) = parse(std::env::args().skip(1)) else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    let clock = SystemClock::new();
    let next = AtomicU64::new(order.seeds.start);
    let report = Mutex::new(Report::default());
    let work = || {
        while clock.elapsed() < order.time {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= order.seeds.end {
                return;
            }
            let outcome = run(seed, order.defect);
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            report.figures += outcome.figures;
            if let Some(violation) = &outcome.violation {
                report.add(violation);
                println!("seed {seed}: {violation}\n  again: {}", replay_command(seed));
                if order.seeds.end - order.seeds.start == 1 {
                    println!("{}", outcome.story.join("\n"));
                }
            }
            if report.figures.seeds.is_multiple_of(500) {
                println!("{} seeds after {:?}", report.figures.seeds, clock.elapsed());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..order.threads {
            scope.spawn(work);
        }
    });
    let report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (from, until) = (order.seeds.start, order.seeds.start + report.figures.seeds);
    println!("seeds {from}..{until} in {:?}: {}", clock.elapsed(), report.figures);
    let Report { figures, lost, torn, wrong } = report;
    println!("lost={lost} torn={torn} wrong={wrong}");
    if until < order.seeds.end {
        println!("to go on: --seeds {until}..{}", order.seeds.end);
    }
    let failed = lost + torn + wrong;
    println!("{} passed, {failed} failed", figures.seeds - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Report {
    fn add(&mut self, violation: &Violation) {
        let count = match violation {
            Violation::Lost(_) | Violation::Unreadable(_) => &mut self.lost,
            Violation::Torn(_) => &mut self.torn,
            Violation::Disagreement(_)
            | Violation::Unexpected(_)
            | Violation::Leftover(_)
            | Violation::Stuck(_) => &mut self.wrong,
        };
        *count += 1;
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Order> {
    let mut order = Order { seeds: 0..0, time: Duration::MAX, threads: 1, defect: None };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--seeds" => {
                let (from, to) = value.split_once("..")?;
                order.seeds = from.parse().ok()?..to.parse().ok()?;
            }
            "--minutes" => order.time = Duration::from_secs(value.parse::<u64>().ok()? * 60),
            "--threads" => order.threads = value.parse().ok()?,
            "--defect" => {
                let named = |defect: &Defect| format!("{defect:?}") == value;
                order.defect = Some(Defect::ALL.into_iter().find(named)?);
            }
            _ => return None,
        }
    }
    (!order.seeds.is_empty() && order.threads > 0).then_some(order)
}
