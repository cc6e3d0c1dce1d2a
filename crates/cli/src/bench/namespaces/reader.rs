//! The reading half of `bench namespaces`: opens what was written and asks for it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use lodgepole_api::wire::namespaces::ListNamespacesRequest;
use lodgepole_api::wire::vectors::{DescribeIndexStatsRequest, QueryRequest};
use lodgepole_engine::EngineOptions;
use lodgepole_storage::SystemClock;
use lodgepole_types::{Clock as _, Index, Rng as _, SeededRng};

use super::super::rig::Rig;
use super::super::{process, records};
use super::{Plan, name};
use crate::output::complain;

/// Namespaces that are asked, drawn at random.
const ASKED: usize = 500;
/// Namespaces on a page, and pages.
const PAGE: u32 = 100;
const PAGES: usize = 20;
/// Runs of everything else.
const RUNS: usize = 5;

/// Reads, and returns lines of the table.
pub(super) async fn run(plan: &Plan, folder: &Path) -> anyhow::Result<String> {
    let empty = process::anonymous_bytes()?;
    let rng = SeededRng::new(17);
    let count = plan.count as u64;
    let draw = || usize::try_from(rng.next_u64() % count);
    let first = draw()?;
    let (mut rig, restart) = restarted(plan, folder.to_path_buf(), first).await?;
    let mut restarts = vec![restart];
    let opened = process::anonymous_bytes()?.saturating_sub(empty);
    let reading = Reading { plan, rig: &rig, index: &*rig.index("bench")? };
    let chosen = (0..ASKED).map(|_| draw()).collect::<Result<Vec<_>, _>>()?;
    let [mut cold, mut warm] = reading.queries(&chosen).await?;
    let touched = process::anonymous_bytes()?.saturating_sub(empty).saturating_sub(opened);
    complain("queries are done");
    let mut pages = reading.pages().await?;
    let mut stats = reading.stats().await?;
    complain("listing is done");
    let (mut backups, mut restores) = reading.backups(first).await?;
    complain("backups are done");
    for _ in 1..RUNS {
        let (again, took) = restarted(plan, rig.stop().await?, draw()?).await?;
        rig = again;
        restarts.push(took);
    }
    rig.stop().await?;
    let mut text = String::new();
    let mut line = |what: String, value: String| writeln!(text, "| {what} | {value} |");
    let ms = |times: &mut Vec<Duration>| format!("{:.2} ms", median_ms(times));
    line("memory after a restart".to_owned(), format!("{} bytes each", opened / count))?;
    let each = touched / ASKED as u64;
    line(format!("memory for one that is asked (of {ASKED})"), format!("{each} bytes"))?;
    line("first query of a namespace".to_owned(), ms(&mut cold))?;
    line("the same, 99th percentile".to_owned(), format!("{:.2} ms", at(&cold, 99)))?;
    line("second query of it".to_owned(), ms(&mut warm))?;
    line(format!("list_namespaces, page of {PAGE}"), ms(&mut pages))?;
    line("describe_index_stats, all of them".to_owned(), ms(&mut stats))?;
    line("create backup".to_owned(), ms(&mut backups))?;
    line("index from it, to the first correct query answer".to_owned(), ms(&mut restores))?;
    line("restart, to the first correct query answer".to_owned(), ms(&mut restarts))?;
    Ok(text)
}

/// Opens the folder; the time until a namespace has answered.
async fn restarted(
    plan: &Plan,
    folder: std::path::PathBuf,
    number: usize,
) -> anyhow::Result<(Rig, Duration)> {
    let query = query(plan, number);
    let clock = SystemClock::new();
    let begun = clock.elapsed();
    let rig = Rig::on(folder, EngineOptions::default()).await?;
    let index = rig.index("bench")?;
    ask(plan, &rig, &index, (query, number)).await?;
    let took = clock.elapsed() - begun;
    Ok((rig, took))
}

/// The record that is asked for in a namespace.
fn wanted(plan: &Plan, number: usize) -> usize {
    number * plan.records + plan.records / 2
}

fn query(plan: &Plan, number: usize) -> QueryRequest {
    QueryRequest {
        vector: records::vector(wanted(plan, number)),
        namespace: name(number),
        top_k: 10,
        ..QueryRequest::default()
    }
}

async fn ask(
    plan: &Plan,
    rig: &Rig,
    index: &Index,
    (query, number): (QueryRequest, usize),
) -> anyhow::Result<()> {
    let answer = rig.service.query(&rig.context, index, query).await?.message;
    let found =
        answer.matches.first().is_some_and(|hit| hit.id == records::id(wanted(plan, number)));
    ensure!(found, "{} gave a wrong record", name(number));
    ensure!(answer.matches.len() == plan.records.min(10), "{} is not whole", name(number));
    Ok(())
}

struct Reading<'a> {
    plan: &'a Plan,
    rig: &'a Rig,
    index: &'a Index,
}

impl Reading<'_> {
    /// Each namespace twice in a row: the times of the first queries, and of the second ones.
    async fn queries(&self, chosen: &[usize]) -> anyhow::Result<[Vec<Duration>; 2]> {
        let mut times = [Vec::new(), Vec::new()];
        for &number in chosen {
            for times in &mut times {
                let query = query(self.plan, number);
                let begun = self.rig.elapsed();
                ask(self.plan, self.rig, self.index, (query, number)).await?;
                times.push(self.rig.elapsed() - begun);
            }
        }
        Ok(times)
    }

    /// Pages from the first on, each after the one before.
    async fn pages(&self) -> anyhow::Result<Vec<Duration>> {
        let (mut times, mut token) = (Vec::new(), None);
        for page in 0..PAGES {
            let request =
                ListNamespacesRequest { pagination_token: token, limit: Some(PAGE), prefix: None };
            let begun = self.rig.elapsed();
            let listed = self.rig.service.list_namespaces(&self.rig.context, self.index, request);
            let listed = listed.await?.message;
            times.push(self.rig.elapsed() - begun);
            let whole = usize::try_from(PAGE)?.min(self.plan.count - page * usize::try_from(PAGE)?);
            ensure!(listed.namespaces.len() == whole, "a page is not whole");
            token = listed.pagination.map(|more| more.next);
            if token.is_none() {
                break;
            }
        }
        Ok(times)
    }

    async fn stats(&self) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let request = DescribeIndexStatsRequest { filter: None };
            let begun = self.rig.elapsed();
            let stats =
                self.rig.service.describe_index_stats(&self.rig.context, self.index, request);
            let stats = stats.await?.message;
            times.push(self.rig.elapsed() - begun);
            ensure!(stats.namespaces.len() == self.plan.count, "statistics are not whole");
        }
        Ok(times)
    }

    /// Times of a backup, and from the call that makes an index of it to its first right answer.
    async fn backups(&self, number: usize) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
        let (service, context) = (&self.rig.service, &self.rig.context);
        let (mut made, mut restored) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let begun = self.rig.elapsed();
            let backup = service.create_backup(context, "bench", b"{}").await?;
            made.push(self.rig.elapsed() - begun);
            let backup = serde_json::to_value(backup)?;
            ensure!(backup["status"] == "Ready", "the backup is not ready");
            let id = backup["backup_id"].as_str().context("a backup without id")?;
            let query = query(self.plan, number);
            let begun = self.rig.elapsed();
            service.create_index_from_backup(context, id, br#"{"name":"restored"}"#).await?;
            let index = self.rig.index("restored")?;
            ask(self.plan, self.rig, &index, (query, number)).await?;
            restored.push(self.rig.elapsed() - begun);
            service.delete_index(context, "restored").await?;
            service.delete_backup(context, id).await?;
            service.reap_once().await?;
        }
        Ok((made, restored))
    }
}

/// The median, in milliseconds. Leaves the times in order.
pub(super) fn median_ms(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    at(times, 50)
}

/// What so many percent of the times, which are in order, are below.
fn at(times: &[Duration], percent: usize) -> f64 {
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    //! Goal: figures are those of the place that is named. Method: times by hand.
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_nothing_has_none() {
        let ms = Duration::from_millis;
        let mut times: Vec<_> = (0..100).rev().map(ms).collect();
        assert!((median_ms(&mut times) - 50.0).abs() < 1e-9);
        assert!((at(&times, 99) - 99.0).abs() < 1e-9);
        assert!(median_ms(&mut []).abs() < 1e-9);
    }
}
