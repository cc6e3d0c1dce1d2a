//! What runs have done, in numbers that add up.

use std::fmt;
use std::ops::AddAssign;

/// Counts of one run or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Runs.
    pub seeds: u64,
    /// Operations that reached the store.
    pub operations: u64,
    /// Writes asked for.
    pub writes: u64,
    /// Writes answered as durable.
    pub acknowledged: u64,
    /// Writes without an answer: all or nothing of them.
    pub unanswered: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Reads that failed.
    pub failed_reads: u64,
    /// Crashes.
    pub crashes: u64,
    /// Processes that were shut down in order.
    pub shutdowns: u64,
    /// Starts that failed.
    pub failed_starts: u64,
    /// Errors of the store before any effect.
    pub errors_before: u64,
    /// Errors of the store after the effect.
    pub errors_after: u64,
    /// Puts that a full disk refused.
    pub disk_full: u64,
    /// Backups answered.
    pub backups: u64,
    /// Indexes made from backups.
    pub restores: u64,
    /// Backups cloned to be compared.
    pub compared: u64,
    /// Indexes and backups deleted.
    pub deleted: u64,
    /// Processes that opened the store under another one.
    pub takeovers: u64,
    /// Writes of a process that had been fenced, refused.
    pub fenced: u64,
    /// Rounds of the reaper.
    pub reaped: u64,
    /// Segments built.
    pub segments: u64,
    /// Indexes looked through by the audit.
    pub audits: u64,
    /// Histories of single records that were found to be those of a register.
    pub registers: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.operations += other.operations;
        self.writes += other.writes;
        self.acknowledged += other.acknowledged;
        self.unanswered += other.unanswered;
        self.reads += other.reads;
        self.failed_reads += other.failed_reads;
        self.crashes += other.crashes;
        self.shutdowns += other.shutdowns;
        self.failed_starts += other.failed_starts;
        self.errors_before += other.errors_before;
        self.errors_after += other.errors_after;
        self.disk_full += other.disk_full;
        self.backups += other.backups;
        self.restores += other.restores;
        self.compared += other.compared;
        self.deleted += other.deleted;
        self.takeovers += other.takeovers;
        self.fenced += other.fenced;
        self.reaped += other.reaped;
        self.segments += other.segments;
        self.audits += other.audits;
        self.registers += other.registers;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, operations, writes, acknowledged, unanswered, reads, .. } = self;
        write!(f, "{seeds} seeds, {operations} operations of the store, {writes} writes: ")?;
        write!(
            f,
            "{acknowledged} acknowledged and {unanswered} without an answer; {reads} reads, "
        )?;
        write!(f, "{} failed reads; {} crashes, ", self.failed_reads, self.crashes)?;
        write!(f, "{} shutdowns, {} failed starts; ", self.shutdowns, self.failed_starts)?;
        let Self { errors_before, errors_after, disk_full, .. } = self;
        write!(f, "{} faults (before {errors_before}, ", errors_before + errors_after + disk_full)?;
        write!(f, "applied {errors_after}, disk full {disk_full}); {} backups, ", self.backups)?;
        write!(f, "{} restores, {} clones compared, ", self.restores, self.compared)?;
        write!(f, "{} deletions; {} takeovers, ", self.deleted, self.takeovers)?;
        write!(f, "{} writes fenced; {} rounds of the reaper, ", self.fenced, self.reaped)?;
        write!(f, "{} segments built; {} audits, ", self.segments, self.audits)?;
        write!(f, "{} histories of records", self.registers)
    }
}
