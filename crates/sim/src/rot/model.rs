//! What indexes hold, as a model: after every request, because a lost end of a log leads back.

use std::collections::BTreeMap;

use lodgepole_engine::ShardRef;
use lodgepole_types::{Kind, Limits, Metadata, Record, RecordId, SparseVector, Struct, Value};

/// Records of one namespace by id.
pub(crate) type Records = BTreeMap<String, Record>;
/// Namespaces by name.
pub(crate) type Contents = BTreeMap<String, Records>;

/// One index of the estate, or one backup.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    pub(super) shape: ShardRef,
    /// The folders below `ix/` that it hangs on: its own, and those of its ancestors.
    pub(super) hangs_on: Vec<String>,
    /// What it held after each request; the last one counts.
    pub(super) states: Vec<Contents>,
}

impl Holding {
    pub(crate) fn now(&self) -> Contents {
        self.states.last().cloned().unwrap_or_default()
    }

    /// Takes note of a request.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Contents)) {
        let mut next = self.now();
        change(&mut next);
        self.states.push(next);
    }

    /// Whether it was ever like that.
    pub(super) fn was(&self, found: &Contents) -> bool {
        found.is_empty() || self.states.contains(found)
    }
}

/// Which fields the records of an index have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) dimension: usize,
    pub(super) sparse: bool,
}

/// The record `number` in its version `version`, which shows in every field.
pub(super) fn record(number: u32, version: u32, fields: Fields) -> Option<Record> {
    let wave = |at: usize| {
        let step = f64::from(number * 31 + version * 7) + at as f64 * 1.7;
        // Steps of 1/64 add up without error, so scores can be compared exactly.
        ((step * 0.37).sin() * 64.0).round() as f32 / 64.0
    };
    let sparse = fields.sparse.then(|| SparseVector {
        indices: vec![number % 5, 1_000 + number % 3, u32::MAX - version],
        values: vec![0.5, wave(1).abs() + 0.25, 1.0],
    });
    let values = [
        ("version".to_owned(), Value::of(Kind::Number(f64::from(version)))),
        ("name".to_owned(), Value::of(Kind::String(format!("ж{number}·{version}")))),
    ];
    let metadata = Metadata::parse(Struct { fields: values.into() }, &Limits::default()).ok()?;
    Some(Record {
        id: RecordId::parse(&name_of(number)).ok()?,
        values: (0..fields.dimension).map(wave).collect(),
        sparse,
        metadata,
    })
}

/// Ids are ASCII, as the API wants them.
pub(super) fn name_of(number: u32) -> String {
    format!("r{number:04}")
}
