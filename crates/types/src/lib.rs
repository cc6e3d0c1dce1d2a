//! The words of the domain, and nothing else.
//!
//! Every other crate speaks in these types. The crate does no I/O, starts no thread and knows
//! neither HTTP nor the disk: what needs time or chance takes a [`Clock`] or an [`Rng`], so that
//! tests and the simulation own both. The vocabulary is explained at the top of ARCHITECTURE.md.
#![forbid(unsafe_code)]

mod backup;
mod causes;
mod clock;
mod error_kind;
mod filter;
mod ids;
mod import;
mod index;
mod limits;
mod metadata;
mod metadata_patch;
mod metric;
mod record;
mod rng;
mod schedule;
mod tags;
mod value;

pub use backup::{Backup, BackupPurpose, BackupStatus, RestoreJob, RestoreStatus};
pub use causes::causes;
pub use clock::{BoxFuture, Clock, ManualClock, Timestamp};
pub use error_kind::{Classify, ErrorKind};
pub use filter::{
    Comparison, DamagedMetadata, Filter, FilterError, FilterSets, StoredMetadata, StoredValue,
};
pub use ids::{
    BackupId, IdError, ImportId, IndexId, IndexName, Lsn, NamespaceName, RecordId, RestoreJobId,
    ScheduleId,
};
pub use import::{Import, ImportErrorMode, ImportStatus};
pub use index::{
    DedicatedCapacity, DeletionProtection, DenseField, Deployment, EmbedConfig, Index, IndexConfig,
    PodSpec, ReadCapacity,
};
pub use limits::Limits;
pub use metadata::{Metadata, MetadataError};
pub use metadata_patch::MetadataPatch;
pub use metric::Metric;
pub use record::{Record, ScoredRecord, SparseVector};
pub use rng::{Rng, SeededRng};
pub use schedule::{BackupSchedule, Frequency};
pub use tags::{TagError, Tags};
pub use value::{Kind, ListValue, Struct, Value};
