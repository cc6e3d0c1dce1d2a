//! The tables of `bench backup`: what was measured, and what the goals say of it.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Before, Measured, Run};

/// The first correct answer has to be there before this, at the largest size.
const ANSWER_MAX_MS: f64 = 500.0;
/// And may take so much longer than at the reference size: one of both.
const GROWTH_MAX: f64 = 1.5;
const GROWTH_MAX_MS: f64 = 20.0;
/// Sizes that the goals are about.
const REFERENCE: usize = 10_000;
const LARGE: usize = 1_000_000;

/// A figure of a run.
type Figure = fn(&Run) -> Duration;

/// What the goals look at.
const JUDGED: [(&str, Figure); 2] = [
    ("create-from-backup to the first correct query answer", |run| run.query),
    ("restart to the first correct query answer", |run| run.restart),
];

/// Both tables; the second one only when the sizes of the goals were measured.
pub(super) fn tables(measured: &[Measured]) -> anyhow::Result<String> {
    let mut text = String::from(
        "| records | state | runs | create backup | first fetch of the new index | its first query \
         | first query after a restart |\n|--:|---|--:|--:|--:|--:|--:|\n",
    );
    for row in measured {
        let ms = |value: Figure| median_ms(&row.runs, value);
        writeln!(
            text,
            "| {} | {} | {} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms |",
            row.size,
            row.before.title(),
            row.runs.len(),
            ms(|run| run.backup),
            ms(|run| run.fetch),
            ms(|run| run.query),
            ms(|run| run.restart),
        )?;
    }
    let goals = goals(measured)?;
    if !goals.is_empty() {
        write!(text, "\n| goal | at most | measured | |\n|---|--:|--:|---|\n{goals}")?;
    }
    Ok(text)
}

/// For each state in which both sizes were measured: is the answer soon, and does it not grow.
fn goals(measured: &[Measured]) -> anyhow::Result<String> {
    let mut text = String::new();
    for before in Before::ALL {
        let of_size =
            |size: usize| measured.iter().find(|row| row.size == size && row.before == before);
        let Some(large) = of_size(LARGE) else { continue };
        for (what, value) in JUDGED {
            let took = median_ms(&large.runs, value);
            let state = before.title();
            let verdict = verdict(took, ANSWER_MAX_MS);
            writeln!(
                text,
                "| {what}, {LARGE} records, {state} | {ANSWER_MAX_MS} ms | {took:.1} ms | {verdict} |"
            )?;
            let Some(small) = of_size(REFERENCE) else { continue };
            let reference = median_ms(&small.runs, value);
            let most = (reference * GROWTH_MAX).max(reference + GROWTH_MAX_MS);
            let verdict = self::verdict(took, most);
            writeln!(
                text,
                "| the same beside {REFERENCE} records ({reference:.1} ms): 1.5 times, or 20 ms \
                 more | {most:.1} ms | {took:.1} ms | {verdict} |"
            )?;
        }
    }
    Ok(text)
}

fn verdict(value: f64, most: f64) -> String {
    if value <= most { "met".to_owned() } else { format!("missed by {:.2}x", value / most) }
}

fn median_ms(runs: &[Run], value: Figure) -> f64 {
    let mut all: Vec<_> = runs.iter().map(value).collect();
    all.sort_unstable();
    all.get(all.len() / 2).map_or(0.0, |middle| middle.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    //! Goal: goals are judged by the figures of the table. Method: figures by hand.
    use super::*;

    fn measured(size: usize, query_ms: u64, restart_ms: u64) -> Measured {
        let ms = Duration::from_millis;
        let (backup, fetch) = (ms(1), ms(2));
        let run = Run { backup, fetch, query: ms(query_ms), restart: ms(restart_ms) };
        Measured { size, before: Before::Indexed, runs: vec![run] }
    }

    #[test]
    fn both_goals_are_judged_for_both_figures() {
        let text = tables(&[measured(REFERENCE, 10, 10), measured(LARGE, 29, 600)]).unwrap();
        assert!(text.contains("| 10000 | indexed | 1 | 1.0 ms | 2.0 ms | 10.0 ms | 10.0 ms |"));
        let lines: Vec<_> = text.lines().filter(|line| line.contains("met |")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(text.contains("1000000 records, indexed | 500 ms | 600.0 ms | missed by 1.20x |"));
        assert!(text.contains("| 30.0 ms | 600.0 ms | missed by 20.00x |"));
    }

    #[test]
    fn other_sizes_are_not_judged() {
        assert!(!tables(&[measured(1_000, 10, 10)]).unwrap().contains("goal"));
    }
}
