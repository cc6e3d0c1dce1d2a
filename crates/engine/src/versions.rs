//! Reading some of the records of a namespace: those of versions that are known by docid and id.
//!
//! Where the versions are many of those in the range of their ids, the range is scanned and the rest
//! passed over, because a row of a scan costs a tenth of two lookups; where they are few, each is
//! looked up. It is not known beforehand which of both it is, and differs within a namespace: a load
//! of ascending ids is dense, updates of some records are not. So the ids are taken in order, in
//! blocks, each block is begun with a scan, and a scan that passes over too much is given up.
//! Invariant: what is handed out is exactly the versions asked for, each once, in the order of ids; a
//! view that does not hold one of them is damaged, and that is reported.

use std::collections::{BTreeMap, VecDeque};

use futures::stream::{self, StreamExt, TryStreamExt};
use lodgepole_rows::{DocId, Place, RowError};
use lodgepole_storage::View;
use lodgepole_types::RecordId;

use crate::EngineError;
use crate::record_scan::{RecordScan, RowPair, ScannedRecord};

/// Versions for which a scan is begun anew.
const BLOCK_VERSIONS: usize = 8_192;
/// Fewer than so many are looked up at once.
const SCANNED_MIN: usize = 64;
/// How many times as many records a scan may pass over as it found, ...
const PASSED_TIMES: usize = 8;
/// ... and so many more.
const PASSED_FREE: usize = 512;
/// Records looked up before the first of them is handed out.
const LOOKUPS: usize = 128;
/// Of these, so many at once.
const LOOKUPS_IN_FLIGHT: usize = 32;

/// What is in no segment of a namespace, on its way from a settled view.
#[derive(Debug)]
pub(crate) enum Unindexed<'a> {
    /// There are no segments.
    All(RecordScan),
    Some(VersionScan<'a>),
}

impl Unindexed<'_> {
    /// The next record by id.
    pub(crate) async fn next(&mut self) -> Result<Option<ScannedRecord>, EngineError> {
        match self {
            Self::All(records) => records.next().await,
            Self::Some(versions) => versions.next().await,
        }
    }
}

/// Versions of records on their way from a settled view.
#[derive(Debug)]
pub(crate) struct VersionScan<'a> {
    view: &'a View,
    place: Place,
    /// By id.
    wanted: Vec<(RecordId, DocId)>,
    /// Those before it were read.
    at: usize,
    /// The end of the block.
    block_end: usize,
    /// None where the rest of the block is looked up.
    scan: Option<Passing>,
    looked_up: VecDeque<ScannedRecord>,
}

/// A scan that passes over what is not wanted.
#[derive(Debug)]
struct Passing {
    records: RecordScan,
    found: usize,
    passed: usize,
}

impl<'a> VersionScan<'a> {
    /// Reads nothing yet.
    pub(crate) fn new(view: &'a View, place: Place, versions: BTreeMap<DocId, RecordId>) -> Self {
        let mut wanted: Vec<_> = versions.into_iter().map(|(docid, id)| (id, docid)).collect();
        wanted.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        let looked_up = VecDeque::new();
        Self { view, place, wanted, at: 0, block_end: 0, scan: None, looked_up }
    }

    /// The next one by id.
    pub(crate) async fn next(&mut self) -> Result<Option<ScannedRecord>, EngineError> {
        if let Some(record) = self.looked_up.pop_front() {
            return Ok(Some(record));
        }
        if self.at == self.wanted.len() {
            return Ok(None);
        }
        if self.at == self.block_end {
            self.begin_block().await?;
        }
        if let Some(scan) = &mut self.scan {
            if let Some(record) = scan.find(&self.wanted[self.at]).await? {
                self.at += 1;
                return Ok(Some(record));
            }
            self.scan = None;
        }
        self.look_up().await?;
        Ok(self.looked_up.pop_front())
    }

    async fn begin_block(&mut self) -> Result<(), EngineError> {
        self.block_end = self.wanted.len().min(self.at + BLOCK_VERSIONS);
        self.scan = None;
        if let [(first, _), .., (last, _)] = &self.wanted[self.at..self.block_end]
            && self.block_end - self.at >= SCANNED_MIN
        {
            let ids = (first.as_str(), last.as_str());
            let records = RecordScan::between(self.view, self.place, ids).await?;
            self.scan = Some(Passing { records, found: 0, passed: 0 });
        }
        Ok(())
    }

    async fn look_up(&mut self) -> Result<(), EngineError> {
        let end = self.block_end.min(self.at + LOOKUPS);
        let wanted = self.wanted[self.at..end].iter().cloned();
        let reads = wanted.map(|(id, docid)| look_up(self.view, self.place, id, docid));
        let reads = stream::iter(reads).buffered(LOOKUPS_IN_FLIGHT);
        self.looked_up = reads.try_collect::<Vec<_>>().await?.into();
        self.at = end;
        Ok(())
    }
}

impl Passing {
    /// Goes on to a version; `None` when too much would be passed over on the way.
    async fn find(
        &mut self,
        (id, docid): &(RecordId, DocId),
    ) -> Result<Option<ScannedRecord>, EngineError> {
        loop {
            let pair = self.records.next_pair().await?.ok_or_else(RowError::unmatched)?;
            if pair.id().as_str() < id.as_str() {
                self.passed += 1;
                if self.passed > PASSED_FREE + PASSED_TIMES * self.found {
                    return Ok(None);
                }
                continue;
            }
            let record = pair.join()?;
            self.found += 1;
            let is_it = record.id == *id && record.docid == *docid;
            return if is_it { Ok(Some(record)) } else { Err(RowError::unmatched().into()) };
        }
    }
}

async fn look_up(
    view: &View,
    place: Place,
    id: RecordId,
    docid: DocId,
) -> Result<ScannedRecord, EngineError> {
    let record = RowPair::look_up(view, place, &id).await?.join()?;
    if record.docid == docid { Ok(record) } else { Err(RowError::unmatched().into()) }
}

#[cfg(test)]
mod tests;
