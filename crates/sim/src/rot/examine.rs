//! A service over a damaged store, and everything that is asked of it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_engine::{AuditDepth, AuditFinding};
use lodgepole_storage::ShiftedClock;
use lodgepole_types::{NamespaceName, Timestamp, causes};

use super::hook;
use super::model::{Contents, Fields, Holding, record};
use super::reading::{Read, read};
use super::server::{Server, context};
use super::{Case, Damage};
use crate::crash::{Violation, VirtualClock, in_virtual_time};

/// The time between the damage and the next start.
const DOWN_MS: i64 = 60_000;
/// Virtual time that no case needs.
const TIME_MAX: Duration = Duration::from_secs(300);
/// Later, the reaper takes what has been without an owner for long.
const REAPED_AFTER: Duration = Duration::from_secs(3_600);
/// The reaper looks at every so many cases: it takes as long as all the rest.
const REAPED_EVERY: u64 = 4;
/// As often backups are restored that do not hang on the damaged file.
const RESTORED_EVERY: u64 = 5;

/// How a damage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What hangs on the file fails, and says so; the rest goes on.
    Found,
    /// It was found, and what was damaged was made again from the records.
    Repaired,
    /// Everything still reads right.
    Harmless,
    /// The newest requests are gone without a trace, and everything is as it was before them.
    Earlier,
}

/// How the law was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Something panicked.
    #[error("panicked: {0}")]
    Panicked(String),
    /// An answer is wrong.
    #[error("wrong: {0}")]
    Wrong(String),
    /// Something fails that does not hang on the damaged file.
    #[error("not contained: {0}")]
    Spread(String),
    /// The error does not say which file it is.
    #[error("not named: {0}")]
    Unnamed(String),
    /// Something fails, and the look for damage sees nothing.
    #[error("not found by verify: {0}")]
    Unfound(String),
    /// Segments were not made again.
    #[error("not repaired: {0}")]
    Unrepaired(String),
    /// It waits for something that never comes.
    #[error("stuck: {0}")]
    Stuck(String),
}

/// Starts a service over the damaged store, and asks it for everything.
///
/// # Errors
/// [`Failure`] when the law is broken.
pub fn examine(case: &Case) -> Result<Outcome, Failure> {
    hook::watch_this_thread();
    hook::take();
    let stage = Cell::new("the start");
    let run = std::panic::AssertUnwindSafe(|| {
        in_virtual_time(async {
            let run = Examination::run(case, &stage);
            let ended = tokio::time::timeout(TIME_MAX, run).await;
            let stuck = |_| Failure::Stuck(format!("after {TIME_MAX:?}, in: {}", stage.get()));
            Ok::<_, Violation>(ended.map_err(stuck).and_then(|result| result))
        })
    });
    let ended = std::panic::catch_unwind(run);
    if let Some(panic) = hook::take().into_iter().next() {
        return Err(Failure::Panicked(panic));
    }
    match ended {
        Ok(Ok(result)) => result,
        Ok(Err(violation)) => Err(Failure::Stuck(violation.to_string())),
        Err(_) => Err(Failure::Panicked("and nobody saw where".to_owned())),
    }
}

struct Examination<'a> {
    case: &'a Case,
    server: Server,
    /// What the look for damage said.
    findings: Vec<String>,
    /// Whether something failed.
    has_failed: bool,
    /// Whether something is as it was before.
    is_earlier: bool,
}

impl<'a> Examination<'a> {
    async fn run(case: &'a Case, stage: &Cell<&'static str>) -> Result<Outcome, Failure> {
        let start = Timestamp(case.image.taken_at.0 + DOWN_MS);
        let clock = Arc::new(ShiftedClock::new(Arc::new(VirtualClock::starting_at(start))));
        let disk = case.image.disk.with(&case.changes).await;
        let disk = disk.map_err(|error| Failure::Stuck(error.to_string()))?;
        let store = Arc::new(disk.copy_under(Arc::clone(&clock) as _));
        let server = match Server::start(store, clock, case.seed).await {
            Ok(server) => server,
            Err(text) if case.kind.is_of_catalog => return found(case, text),
            Err(text) => return Err(Failure::Spread(format!("the start: {text}"))),
        };
        let mut of =
            Self { case, server, findings: Vec::new(), has_failed: false, is_earlier: false };
        of.check_names()?;
        stage.set("looking for damage");
        of.verify().await?;
        stage.set("reading");
        of.read_all().await?;
        stage.set("restoring backups");
        of.restore_all().await?;
        stage.set("building segments anew");
        of.rebuild().await?;
        if !of.is_earlier && case.seed.is_multiple_of(REAPED_EVERY) {
            stage.set("the reaper");
            of.reap().await?;
        }
        stage.set("writing elsewhere");
        of.write_elsewhere().await?;
        stage.set("the stop");
        of.server.service.shutdown().await;
        of.outcome()
    }

    fn outcome(&self) -> Result<Outcome, Failure> {
        if self.is_earlier {
            return Ok(Outcome::Earlier);
        }
        if self.has_failed && self.findings.is_empty() {
            return Err(Failure::Unfound("something fails, and nothing is found".to_owned()));
        }
        Ok(match (self.findings.is_empty(), self.case.kind.folder) {
            (true, _) => Outcome::Harmless,
            (false, "seg") => Outcome::Repaired,
            (false, _) => Outcome::Found,
        })
    }

    /// The catalog lists what there is.
    fn check_names(&mut self) -> Result<(), Failure> {
        let image = &self.case.image;
        let indexes = self.server.catalog.indexes();
        let names: Vec<String> =
            indexes.iter().map(|index| index.config.name.as_str().to_owned()).collect();
        let backups = self.server.catalog.backups().len();
        if names.iter().eq(image.indexes.keys()) && backups == image.backups.len() {
            return Ok(());
        }
        let was = names.is_empty() || image.past_names.contains(&names);
        if self.case.kind.is_of_catalog && self.case.leaves_no_trace() && was {
            self.is_earlier = true;
            return Ok(());
        }
        Err(Failure::Wrong(format!("the indexes are {names:?}, with {backups} backups")))
    }

    async fn verify(&mut self) -> Result<(), Failure> {
        let report =
            self.server.service.verify(AuditDepth::Deep, &|_, _| {}, std::future::pending()).await;
        let report =
            report.map_err(|error| Failure::Spread(format!("verify: {}", causes(&error))))?;
        for (whose, finding) in report.findings {
            let text = format!("{whose}, {}: {}", finding.subject, finding.problem);
            let holdings = self.case.image.indexes.iter().chain(&self.case.image.backups);
            let of = holdings.filter(|(name, _)| whose.contains(name.as_str()));
            if !of.into_iter().any(|(_, holding)| self.case.touches(&holding.hangs_on)) {
                return Err(Failure::Spread(format!("found {text}")));
            }
            self.findings.push(text);
        }
        let named = self.findings.iter().any(|text| self.names_it(text));
        if self.findings.is_empty() || named {
            Ok(())
        } else {
            Err(Failure::Unnamed(self.findings.join("; ")))
        }
    }

    /// Whether a text says which file it is, or which segment.
    fn names_it(&self, text: &str) -> bool {
        let of_segment = |(path, _): &(String, _)| {
            let name = path.rsplit('/').next().unwrap_or_default();
            path.contains("/seg/") && text.contains(name)
        };
        // What is gone without a trace cannot be named; its database can.
        let is_unseen = self.case.leaves_no_trace() && self.case.database_is_named_in(text);
        self.case.is_named_in(text) || is_unseen || self.case.changes.iter().any(of_segment)
    }

    fn live(&self) -> impl Iterator<Item = (&'a String, &'a Holding)> + use<'a> {
        let indexes = self.server.catalog.indexes();
        let case = self.case;
        case.image.indexes.iter().filter(move |(name, _)| {
            indexes.iter().any(|index| index.config.name.as_str() == name.as_str())
        })
    }

    async fn read_all(&mut self) -> Result<(), Failure> {
        for (name, holding) in self.live() {
            let read = read(&self.server.engine, holding.shape).await;
            self.judge(name, holding, read)?;
        }
        Ok(())
    }

    /// Right, or earlier where that cannot be told, or an error of what hangs on the file.
    fn judge(&mut self, what: &str, holding: &Holding, read: Read) -> Result<(), Failure> {
        let contents = match read {
            Read::Whole(contents) if contents == holding.now() => return Ok(()),
            Read::Whole(contents) => contents,
            Read::Torn(text) => return Err(Failure::Wrong(format!("{what}: {text}"))),
            Read::Failed(text) => return self.failed(what, holding, &text),
        };
        if self.case.touches(&holding.hangs_on)
            && self.case.leaves_no_trace()
            && holding.was(&contents)
        {
            self.is_earlier = true;
            return Ok(());
        }
        Err(Failure::Wrong(format!("{what}: {}", difference(&contents, &holding.now()))))
    }

    fn failed(&mut self, what: &str, holding: &Holding, text: &str) -> Result<(), Failure> {
        let text = format!("{what}: {text}");
        if !self.case.touches(&holding.hangs_on) {
            return Err(Failure::Spread(text));
        }
        if self.case.kind.folder == "seg" {
            return Err(Failure::Unrepaired(text));
        }
        if !self.names_it(&text) {
            return Err(Failure::Unnamed(text));
        }
        self.has_failed = true;
        Ok(())
    }

    /// Backups are made into what they hold, or into nothing.
    async fn restore_all(&mut self) -> Result<(), Failure> {
        let case = self.case;
        for (number, (id, holding)) in case.image.backups.iter().enumerate() {
            if !case.touches(&holding.hangs_on) && !case.seed.is_multiple_of(RESTORED_EVERY) {
                continue;
            }
            let name = format!("restored-{number}");
            let body = format!(r#"{{"name":"{name}"}}"#);
            let service = &self.server.service;
            let made = service.create_index_from_backup(&context(), id, body.as_bytes()).await;
            let what = format!("backup {id}");
            if let Err(error) = made {
                let is_gone = self.server.catalog.backups().iter().all(|b| b.id.to_string() != *id);
                if !(self.is_earlier && is_gone) {
                    self.failed(&what, holding, &causes(&error))?;
                }
                continue;
            }
            let indexes = self.server.catalog.indexes();
            let Some(index) = indexes.iter().find(|index| index.config.name.as_str() == name)
            else {
                return Err(Failure::Wrong(format!("{what}: made into nothing")));
            };
            let shape = lodgepole_engine::ShardRef { index: index.id, ..holding.shape };
            let read = read(&self.server.engine, shape).await;
            self.judge(&what, holding, read)?;
        }
        Ok(())
    }

    /// After the indexer has run, no segment is damaged.
    async fn rebuild(&mut self) -> Result<(), Failure> {
        if self.case.kind.folder != "seg" || self.findings.is_empty() {
            return Ok(());
        }
        for (_, holding) in self.live() {
            let warmed = self.server.engine.warm_up(holding.shape, None).await;
            warmed.map_err(|error| Failure::Unrepaired(causes(&error)))?;
        }
        self.server.engine.index_now().await;
        let report =
            self.server.service.verify(AuditDepth::Deep, &|_, _| {}, std::future::pending()).await;
        let report = report.map_err(|error| Failure::Unrepaired(causes(&error)))?;
        // A backup names its segments for ever; what is made from it makes them anew. And what no
        // search has looked at yet is made anew when one does.
        let is_left = |finding: &AuditFinding| !finding.is_repaired || !self.is_asleep(finding);
        let of_index = |whose: &str| whose.starts_with("index ");
        let mut findings = report.findings.iter();
        let left = findings.find(|(whose, finding)| of_index(whose) && is_left(finding));
        if let Some((whose, finding)) = left {
            let text = format!("{whose}, {}: {}", finding.subject, finding.problem);
            return Err(Failure::Unrepaired(text));
        }
        self.read_all().await
    }

    /// Whether it is inside a part of a segment that nothing read: opening and searching see the rest.
    fn is_asleep(&self, finding: &AuditFinding) -> bool {
        let in_chunk =
            [Damage::FlippedBit, Damage::FlippedByte, Damage::ZeroedPage, Damage::SwappedBlocks];
        in_chunk.contains(&self.case.damage) && finding.problem.contains("is damaged (")
    }

    /// The reaper takes nothing of what is still there.
    async fn reap(&mut self) -> Result<(), Failure> {
        for _ in 0..2 {
            self.server.clock.advance(REAPED_AFTER);
            // What is damaged may end the round; the next one goes on.
            self.server.service.reap_once().await.ok();
        }
        self.read_all().await
    }

    /// Indexes that do not hang on the file take writes.
    async fn write_elsewhere(&mut self) -> Result<(), Failure> {
        let case = self.case;
        let elsewhere = self.live().find(|(_, holding)| !case.touches(&holding.hangs_on));
        let Some((name, holding)) = elsewhere else { return Ok(()) };
        let fields =
            Fields { dimension: holding.shape.dimension(), sparse: holding.shape.dimension() == 0 };
        let spread = |text: String| Failure::Spread(format!("a write to {name}: {text}"));
        let one = record(900, 9, fields).ok_or_else(|| spread("a bad record".to_owned()))?;
        let space = NamespaceName::default();
        let engine = &self.server.engine;
        let written = engine.upsert(holding.shape, &space, vec![one.clone()]).await;
        written.map_err(|error| spread(causes(&error)))?;
        let fetched = engine.fetch(holding.shape, &space, std::slice::from_ref(&one.id)).await;
        let fetched = fetched.map_err(|error| spread(causes(&error)))?;
        if fetched.records == [one] { Ok(()) } else { Err(spread("it is not there".to_owned())) }
    }
}

/// The catalog does not open: then nothing is served, and the error must say why.
fn found(case: &Case, text: String) -> Result<Outcome, Failure> {
    let is_unseen = case.leaves_no_trace() && case.database_is_named_in(&text);
    let is_named = case.is_named_in(&text) || is_unseen;
    if is_named { Ok(Outcome::Found) } else { Err(Failure::Unnamed(text)) }
}

fn difference(found: &Contents, wanted: &Contents) -> String {
    let count = |contents: &Contents| -> Vec<(String, usize)> {
        contents.iter().map(|(name, records)| (name.clone(), records.len())).collect()
    };
    format!("found {:?} instead of {:?}", count(found), count(wanted))
}
