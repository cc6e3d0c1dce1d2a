//! Looking for damage: what an index holds, compared with itself.
//!
//! A quick audit opens everything that a search would open and compares the counts: rows of
//! namespaces against totals, segments and queue against the number of records. A deep one reads
//! every record, compares every checksum of the segments, and every live row of a segment with the
//! record it stands for. INVARIANT: nothing is changed; each finding names what it is about. WHY it
//! does not repair: what can be repaired, a segment, the search repairs by itself when it meets it,
//! and what a record holds is nowhere else but in a backup.

use std::collections::BTreeMap;

use lodgepole_rows::{self as rows, CountRow, MetaRow, NamespaceRow, Place};
use lodgepole_storage::View;
use lodgepole_types::{NamespaceName, causes};

use crate::audit::contents::Contents;
use crate::engine::Engine;
use crate::segment_load::{Indexed, segments_in};
use crate::shard::Shard;
use crate::{EngineError, ShardRef, slots};

mod contents;

/// Findings of one index that are kept; more are only counted.
const FINDINGS_MAX: usize = 100;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditDepth {
    /// Opens and counts: some milliseconds for a namespace and a segment.
    Quick,
    /// Reads every byte. Takes memory for about 32 bytes a record of the largest namespace.
    Deep,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFinding {
    /// What it is about.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
    /// Whether it goes away by itself: a segment is built anew from the records once a search, or
    /// the indexer, meets the damage.
    pub is_repaired: bool,
}

/// What an audit has looked at, and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Namespaces.
    pub namespaces: u64,
    /// Records: counted by their rows in a deep audit, as the counts say in a quick one.
    pub records: u64,
    /// Segments, as often as namespaces use them.
    pub segments: u64,
    /// What is wrong, at most some for each index.
    pub findings: Vec<AuditFinding>,
    /// Findings left out.
    pub more_findings: u64,
}

impl AuditReport {
    pub(super) fn add(&mut self, subject: String, problem: String, is_repaired: bool) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(AuditFinding { subject, problem, is_repaired });
        } else {
            self.more_findings += 1;
        }
    }

    /// Adds what is wrong when something could not be read.
    ///
    /// # Errors
    /// What says nothing about the data: that the shard stopped, or the server does.
    fn add_error(&mut self, subject: String, error: EngineError) -> Result<(), EngineError> {
        if matches!(error, EngineError::Stopped(_) | EngineError::ShuttingDown) {
            return Err(error);
        }
        let is_repaired = error.is_of_segment();
        // The causes name the file and what is wrong with it.
        self.add(subject, causes(&error), is_repaired);
        Ok(())
    }
}

impl Engine {
    /// Looks through one index. `progress` is told the number of records read so far, now and then.
    /// Writes and searches go on meanwhile; each namespace is looked at as it is at one moment.
    ///
    /// # Errors
    /// [`EngineError`] when the index cannot be opened, which is damage of its database or of the
    /// store, or when it is deleted or closed meanwhile.
    pub async fn audit(
        &self,
        shard: ShardRef,
        depth: AuditDepth,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<AuditReport, EngineError> {
        let shard = self.shard(shard).await?;
        let mut report = AuditReport::default();
        let names = shard.audit_totals(&mut report).await?;
        for name in names {
            let view = shard.settled_view().await?;
            shard.audit_namespace(&view, &name, (depth, progress), &mut report).await?;
        }
        Ok(report)
    }
}

impl Shard {
    /// Compares the totals with the rows of the namespaces, all of one moment, and gives their names.
    async fn audit_totals(
        &self,
        report: &mut AuditReport,
    ) -> Result<Vec<NamespaceName>, EngineError> {
        let view = self.settled_view().await?;
        let mut found: BTreeMap<NamespaceName, Option<NamespaceRow>> = BTreeMap::new();
        slots::for_each(&view, rows::namespace_prefix, |entry| {
            if let Some(name) = rows::namespace_of_key(&entry.key) {
                found.insert(name, NamespaceRow::decode(&entry.value).ok());
            }
            Ok(())
        })
        .await?;
        let mut sums = CountRow::default();
        for (name, row) in &found {
            let Some(row) = row else {
                report.add(subject(name), "its row is damaged".to_owned(), false);
                continue;
            };
            let place = Place { slot: rows::slot_of(name), id: row.id };
            match crate::reads::count(&view, place).await {
                Ok(count) => {
                    sums.record_count += count.record_count;
                    sums.bytes += count.bytes;
                }
                Err(error) => report.add_error(subject(name), error)?,
            }
        }
        let totals = match view.get(&rows::meta_key()).await? {
            Some(bytes) => MetaRow::decode(&bytes)?,
            None => MetaRow::default(),
        };
        let said = [totals.namespace_count, totals.record_count, totals.bytes];
        let counted = [found.len() as u64, sums.record_count, sums.bytes];
        for ((what, said), counted) in
            ["namespaces", "records", "bytes"].iter().zip(said).zip(counted)
        {
            if said != counted {
                let problem = format!("{said} {what} by its totals, {counted} by its namespaces");
                report.add("the index".to_owned(), problem, false);
            }
        }
        Ok(found.into_keys().collect())
    }

    async fn audit_namespace(
        &self,
        view: &View,
        name: &NamespaceName,
        (depth, progress): (AuditDepth, &(dyn Fn(u64) + Send + Sync)),
        report: &mut AuditReport,
    ) -> Result<(), EngineError> {
        // Deleted meanwhile, or damaged, which was found before.
        let row = view.get(&rows::namespace_key(name)).await?;
        let Some(Ok(row)) = row.map(|row| NamespaceRow::decode(&row)) else { return Ok(()) };
        let place = Place { slot: rows::slot_of(name), id: row.id };
        report.namespaces += 1;
        let count = match crate::reads::count(view, place).await {
            Ok(count) => count,
            Err(error) => return report.add_error(subject(name), error),
        };
        let indexed = match self.audit_segments(view, place, name, report).await {
            Ok(indexed) => indexed,
            Err(error) => {
                report.add_error(subject(name), error)?;
                None
            }
        };
        if let Some(indexed) = &indexed {
            let live: usize = indexed.segments.iter().map(|held| held.live_rows()).sum();
            let known = (live + indexed.born.len()) as u64;
            if known != count.record_count {
                let problem =
                    format!("{} records, but a search looks at {known}", count.record_count);
                report.add(subject(name), problem, false);
            }
        }
        if depth == AuditDepth::Quick {
            report.records += count.record_count;
            return Ok(());
        }
        let contents = Contents { shape: self.shape, place, subject: subject(name) };
        match contents.compare(view, count, indexed, (progress, report)).await {
            Ok(()) => Ok(()),
            Err(error) => report.add_error(subject(name), error),
        }
    }

    /// Opens the segments of a namespace, with what came after them; `None` when there are none, or
    /// not all of them can be opened.
    async fn audit_segments(
        &self,
        view: &View,
        place: Place,
        name: &NamespaceName,
        report: &mut AuditReport,
    ) -> Result<Option<Indexed>, EngineError> {
        let entries = segments_in(view, place).await?;
        let mut all_open = !entries.is_empty();
        for entry in &entries {
            report.segments += 1;
            let subject = || format!("{}, segment {}", subject(name), entry.id);
            let problem = match self.commons.segments.open(entry.id).await {
                Ok(open) if open.entry() == *entry => continue,
                Ok(open) => {
                    let found = open.entry();
                    let (rows, bytes) = (entry.rows, entry.bytes);
                    let problem = format!(
                        "{rows} rows and {bytes} bytes by its directory, {} and {} in its file",
                        found.rows, found.bytes
                    );
                    report.add(subject(), problem, true);
                    all_open = false;
                    continue;
                }
                Err(error) => error,
            };
            report.add_error(subject(), problem)?;
            all_open = false;
        }
        if !all_open {
            return Ok(None);
        }
        Indexed::load(view, place, &entries, &self.commons.segments).await.map(Some)
    }
}

fn subject(name: &NamespaceName) -> String {
    format!("namespace \"{}\"", name.listed())
}
