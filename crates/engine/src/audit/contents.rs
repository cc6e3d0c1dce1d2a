//! The deep part of an audit: the records of a namespace, and its segments against them.

use std::collections::BTreeMap;

use lodgepole_rows::{self as rows, CountRow, DocId, Place};
use lodgepole_search::{SegmentError, SparseRef};
use lodgepole_storage::View;
use lodgepole_types::StoredMetadata;
use xxhash_rust::xxh3::Xxh3Default;

use super::AuditReport;
use crate::record_scan::{RecordScan, ScannedRecord};
use crate::segment_load::Indexed;
use crate::segments::HeldSegment;
use crate::{EngineError, ShardRef};

/// Records between two words about progress.
const PROGRESS_STEP: u64 = 10_000;

/// What the records of a namespace are, for comparison: a fingerprint for each version.
type Versions = BTreeMap<DocId, u64>;

/// A namespace to look through.
pub(super) struct Contents {
    pub(super) shape: ShardRef,
    pub(super) place: Place,
    pub(super) subject: String,
}

impl Contents {
    /// Reads all records, compares them with their counts, and the segments with them.
    pub(super) async fn compare(
        self,
        view: &View,
        said: CountRow,
        indexed: Option<Indexed>,
        (progress, report): (&(dyn Fn(u64) + Send + Sync), &mut AuditReport),
    ) -> Result<(), EngineError> {
        let mut versions = Versions::new();
        let mut counted = CountRow::default();
        let mut scan = RecordScan::start(view, self.place).await?;
        while let Some(record) = scan.next().await? {
            counted.record_count += 1;
            counted.bytes += u64::from(self.bytes_of(&record));
            report.records += 1;
            if report.records.is_multiple_of(PROGRESS_STEP) {
                progress(report.records);
            }
            if let Some(problem) = self.problem_of(&record) {
                report.add(format!("{}, record \"{}\"", self.subject, record.id), problem, false);
            }
            if indexed.is_some() {
                versions.insert(record.docid, fingerprint_of(&record));
            }
        }
        let pairs = [
            ("records", said.record_count, counted.record_count),
            ("bytes", said.bytes, counted.bytes),
        ];
        for (what, said, counted) in pairs {
            if said != counted {
                let problem = format!("{said} {what} by its count, {counted} by its records");
                report.add(self.subject.clone(), problem, false);
            }
        }
        if let Some(indexed) = indexed {
            self.compare_segments(indexed, versions, report).await?;
        }
        Ok(())
    }

    fn bytes_of(&self, record: &ScannedRecord) -> u32 {
        let sparse = record.sparse.as_ref().map_or(0, |sparse| sparse.indices.len());
        rows::counted_bytes(&record.id, record.values.len(), sparse, record.metadata.len())
    }

    fn problem_of(&self, record: &ScannedRecord) -> Option<String> {
        let (has, wanted) = (record.values.len(), self.shape.dimension());
        // A record of a hybrid index may have sparse values only.
        if has != wanted && !(has == 0 && record.sparse.is_some()) {
            return Some(format!("{has} values instead of {wanted}"));
        }
        StoredMetadata::new(&record.metadata)
            .to_metadata()
            .is_err()
            .then(|| "its metadata cannot be read".to_owned())
    }

    /// Takes every live row of the segments, and what came after them, off the versions: nothing may
    /// be missing, differ, or be left.
    async fn compare_segments(
        &self,
        indexed: Indexed,
        mut versions: Versions,
        report: &mut AuditReport,
    ) -> Result<(), EngineError> {
        for (docid, id) in indexed.born {
            if versions.remove(&docid).is_none() {
                let problem =
                    format!("version {docid} of \"{id}\" is to be searched, but is no record");
                report.add(self.subject.clone(), problem, false);
            }
        }
        for held in indexed.segments {
            let subject = format!("{}, segment {}", self.subject, held.open.id);
            let compared = crate::background::run("audit", move || {
                let outcome = compare_segment(&held, &mut versions);
                (versions, outcome)
            });
            let (rest, outcome) = compared.await.ok_or(EngineError::SearchDied)?;
            versions = rest;
            match outcome {
                Ok(differences) => {
                    for problem in differences {
                        report.add(subject.clone(), problem, false);
                    }
                }
                Err(error) => {
                    report.add(subject, error.to_string(), true);
                    // What its rows are is not known, so nothing can be said about what is left.
                    return Ok(());
                }
            }
        }
        if let Some(docid) = versions.keys().next() {
            let (count, subject) = (versions.len(), self.subject.clone());
            let problem =
                format!("{count} records are in no segment and in no queue, first version {docid}");
            report.add(subject, problem, false);
        }
        Ok(())
    }
}

/// Checks every byte of a segment, and its live rows against the versions of the records.
fn compare_segment(
    held: &HeldSegment,
    versions: &mut Versions,
) -> Result<Vec<String>, SegmentError> {
    let segment = &held.open.segment;
    segment.verify()?;
    let mut differences = Vec::new();
    for row in 0..u32::try_from(segment.rows()).unwrap_or(u32::MAX) {
        if held.dead.contains(row) {
            continue;
        }
        let source = segment.row(row)?;
        let own = fingerprint(source.id, source.values, source.sparse, source.metadata.as_bytes());
        match versions.remove(&source.docid) {
            Some(other) if other == own => {}
            Some(_) => differences.push(format!("row {row} differs from record \"{}\"", source.id)),
            None => differences.push(format!("row {row} is no record: \"{}\"", source.id)),
        }
    }
    Ok(differences)
}

fn fingerprint_of(record: &ScannedRecord) -> u64 {
    let sparse = record.sparse.as_ref().map(SparseRef::from);
    fingerprint(record.id.as_str(), &record.values, sparse, &record.metadata)
}

fn fingerprint(id: &str, values: &[f32], sparse: Option<SparseRef<'_>>, metadata: &[u8]) -> u64 {
    let mut hash = Xxh3Default::new();
    let mut add = |bytes: &[u8]| {
        hash.update(&bytes.len().to_le_bytes());
        hash.update(bytes);
    };
    add(id.as_bytes());
    add(bytemuck::cast_slice(values));
    if let Some(sparse) = sparse {
        add(bytemuck::cast_slice(sparse.indices));
        add(bytemuck::cast_slice(sparse.values));
    }
    add(metadata);
    hash.digest()
}
