//! What is damaged: indexes with segments and tails, clones, backups, and the books of all of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lodgepole_engine::{Deletion, ShardRef};
use lodgepole_storage::ShiftedClock;
use lodgepole_types::{Clock, Index, NamespaceName, Record, RecordId, Timestamp, causes};

use super::FileKind;
use super::model::{Fields, Holding, name_of, record};
use super::server::{Server, context};
use crate::crash::{Disk, Violation, VirtualClock, in_virtual_time};

const START: Timestamp = Timestamp(1_800_000_000_000);
/// October 2025.
const FIXTURE_START: Timestamp = Timestamp(1_760_000_000_000);
/// Enough for the compactor to look, work, and look again.
const COMPACTION_TAKES: Duration = Duration::from_secs(20);
/// After it files that nothing needs are collected.
const COLLECTED_AFTER: Duration = Duration::from_secs(3_600);

/// A namespace besides the default one.
const FAR: &str = "far away";

/// All objects at one moment, and what they hold.
#[derive(Debug)]
pub struct Image {
    /// As somebody would name it.
    pub(super) name: &'static str,
    pub(super) disk: Disk,
    pub(super) objects: BTreeMap<String, Bytes>,
    pub(super) taken_at: Timestamp,
    /// Live indexes by name.
    pub(super) indexes: BTreeMap<String, Holding>,
    /// Backups by id.
    pub(super) backups: BTreeMap<String, Holding>,
    /// The names of live indexes after each change of the catalog.
    pub(super) past_names: Vec<Vec<String>>,
}

/// The same data, as a kill leaves it and as a stop does.
#[derive(Debug)]
pub struct Estate {
    pub(super) images: Vec<Arc<Image>>,
}

impl Image {
    /// The estate as a kill leaves it, written at a time that has passed: the clock of a database must
    /// not go back.
    ///
    /// # Errors
    /// As [`Estate::make`].
    pub(crate) fn for_fixture() -> Result<Arc<Self>, Violation> {
        let made = async { Builder::start(FIXTURE_START).await?.build().await };
        let images = in_virtual_time(made)?.images.into_iter();
        images.take(1).next().ok_or_else(|| unexpected("there is no image"))
    }

    pub(crate) fn objects(&self) -> &BTreeMap<String, Bytes> {
        &self.objects
    }

    pub(crate) fn indexes(&self) -> &BTreeMap<String, Holding> {
        &self.indexes
    }

    pub(crate) fn backups(&self) -> &BTreeMap<String, Holding> {
        &self.backups
    }
}

impl Estate {
    /// Makes it; the same one every time.
    ///
    /// # Errors
    /// Whatever goes wrong over a store that works.
    pub fn make() -> Result<Self, Violation> {
        in_virtual_time(async { Builder::start(START).await?.build().await })
    }

    /// Paths of objects that no kind of file is known for: nothing would damage them.
    #[must_use]
    pub fn unknown(&self) -> Vec<&str> {
        let paths = self.images.iter().flat_map(|image| image.objects.keys());
        paths.map(String::as_str).filter(|path| FileKind::of(path).is_none()).collect()
    }

    /// Objects of each image, for messages.
    #[must_use]
    pub fn sizes(&self) -> Vec<(&'static str, usize, usize)> {
        let bytes = |image: &Image| image.objects.values().map(Bytes::len).sum();
        self.images.iter().map(|image| (image.name, image.objects.len(), bytes(image))).collect()
    }
}

fn unexpected(error: impl std::fmt::Display) -> Violation {
    Violation::Unexpected(error.to_string())
}

struct Builder {
    server: Server,
    objects: crate::crash::DatedStore,
    indexes: BTreeMap<String, Holding>,
    backups: BTreeMap<String, Holding>,
    past_names: Vec<Vec<String>>,
}

const DENSE: Fields = Fields { dimension: 8, sparse: false };
const HYBRID: Fields = Fields { dimension: 8, sparse: true };
const SPARSE: Fields = Fields { dimension: 0, sparse: true };

impl Builder {
    async fn start(at: Timestamp) -> Result<Self, Violation> {
        let clock = Arc::new(ShiftedClock::new(Arc::new(VirtualClock::starting_at(at))));
        let objects = Disk::empty().copy_under(Arc::clone(&clock) as _);
        let store = Arc::new(objects.clone());
        let server = Server::start(store, clock, 1).await.map_err(unexpected)?;
        let (indexes, backups, past_names) = Default::default();
        Ok(Self { server, objects, indexes, backups, past_names })
    }

    async fn build(mut self) -> Result<Estate, Violation> {
        self.first_years().await?;
        self.restart().await?;
        self.later_years().await?;
        let killed = self.image("killed").await?;
        self.server.service.shutdown().await;
        let stopped = self.image("stopped").await?;
        Ok(Estate { images: vec![Arc::new(killed), Arc::new(stopped)] })
    }

    /// What is in files, merged and collected by the time of the image.
    async fn first_years(&mut self) -> Result<(), Violation> {
        self.create("mixed", HYBRID).await?;
        self.create("sparse", SPARSE).await?;
        self.create("gone", DENSE).await?;
        self.upsert("mixed", "", 0..30, 1, HYBRID).await?;
        self.upsert("mixed", FAR, 0..16, 1, HYBRID).await?;
        self.upsert("sparse", "", 0..16, 1, SPARSE).await?;
        self.upsert("gone", "", 0..12, 1, DENSE).await?;
        self.index().await?;
        self.delete("mixed", "", 3..8).await?;
        self.upsert("mixed", "", 5..20, 2, HYBRID).await?;
        self.backup("gone").await?;
        self.delete_index("gone").await?;
        self.backup("mixed").await?;
        self.pass(Duration::ZERO).await;
        Ok(())
    }

    async fn later_years(&mut self) -> Result<(), Violation> {
        let of_mixed = self.backup_of("mixed")?;
        self.restore(&of_mixed, "copy").await?;
        self.upsert("copy", "", 25..40, 3, HYBRID).await?;
        self.delete("copy", FAR, 0..4).await?;
        self.index().await?;
        self.upsert("mixed", "other", 0..4, 2, HYBRID).await?;
        self.upsert("mixed", "", 30..46, 3, HYBRID).await?;
        self.index().await?;
        self.restart().await?;
        for _ in 0..3 {
            self.pass(COLLECTED_AFTER).await;
            self.server.service.reap_once().await.map_err(unexpected)?;
        }
        self.backup("sparse").await?;
        // From here on, what only the log holds.
        self.create("late", DENSE).await?;
        self.upsert("late", "", 0..6, 1, DENSE).await?;
        self.upsert("mixed", "", 0..3, 4, HYBRID).await?;
        self.delete("mixed", FAR, 1..3).await?;
        self.upsert("copy", "", 0..2, 4, HYBRID).await?;
        self.upsert("sparse", "", 14..18, 4, SPARSE).await
    }

    async fn image(&self, name: &'static str) -> Result<Image, Violation> {
        let disk = self.objects.image();
        let objects = disk.objects().await.map_err(unexpected)?;
        Ok(Image {
            name,
            disk,
            objects,
            taken_at: self.server.clock.now(),
            indexes: self.indexes.clone(),
            backups: self.backups.clone(),
            past_names: self.past_names.clone(),
        })
    }

    async fn restart(&mut self) -> Result<(), Violation> {
        self.server.service.shutdown().await;
        let store = Arc::new(self.objects.clone());
        let clock = Arc::clone(&self.server.clock);
        self.server = Server::start(store, clock, 2).await.map_err(unexpected)?;
        Ok(())
    }

    async fn pass(&self, time: Duration) {
        self.server.clock.advance(time);
        // What looks now and then gets its turn.
        self.server.clock.sleep(COMPACTION_TAKES).await;
    }

    fn found(&self, name: &str) -> Result<Arc<Index>, Violation> {
        let found = self.server.catalog.indexes();
        let found = found.into_iter().find(|index| index.config.name.as_str() == name);
        found.ok_or_else(|| unexpected(format!("index {name} does not exist")))
    }

    fn holding(&mut self, name: &str) -> Result<&mut Holding, Violation> {
        self.indexes.get_mut(name).ok_or_else(|| unexpected(format!("no index {name}")))
    }

    fn note_names(&mut self) {
        self.past_names.push(self.indexes.keys().cloned().collect());
    }

    fn enter(&mut self, name: &str, from: Option<Holding>) -> Result<(), Violation> {
        let index = self.found(name)?;
        let shape = ShardRef { index: index.id, dense: index.config.dense };
        let (mut hangs_on, states) = match from {
            Some(from) => (from.hangs_on, vec![from.states.last().cloned().unwrap_or_default()]),
            None => (Vec::new(), vec![Default::default()]),
        };
        hangs_on.push(index.id.to_string());
        self.indexes.insert(name.to_owned(), Holding { shape, hangs_on, states });
        self.note_names();
        Ok(())
    }

    async fn create(&mut self, name: &str, fields: Fields) -> Result<(), Violation> {
        let spec = r#""spec":{"serverless":{"cloud":"aws","region":"us-east-1"}}"#;
        let dense = match fields.dimension {
            0 => r#""vector_type":"sparse""#.to_owned(),
            dimension => format!(r#""dimension":{dimension}"#),
        };
        let body = format!(r#"{{"name":"{name}","metric":"dotproduct",{dense},{spec}}}"#);
        let made = self.server.service.create_index(&context(), body.as_bytes()).await;
        made.map_err(unexpected)?;
        self.enter(name, None)
    }

    async fn upsert(
        &mut self,
        name: &str,
        space: &str,
        numbers: std::ops::Range<u32>,
        version: u32,
        fields: Fields,
    ) -> Result<(), Violation> {
        let records = numbers.map(|number| record(number, version, fields));
        let records: Option<Vec<Record>> = records.collect();
        let records = records.ok_or_else(|| unexpected("a bad record"))?;
        let space = NamespaceName::parse(space).map_err(unexpected)?;
        let engine = Arc::clone(&self.server.engine);
        let holding = self.holding(name)?;
        let written = engine.upsert(holding.shape, &space, records.clone()).await;
        written.map_err(|error| unexpected(causes(&error)))?;
        holding.change(|contents| {
            let held = contents.entry(space.as_str().to_owned()).or_default();
            held.extend(records.into_iter().map(|one| (one.id.as_str().to_owned(), one)));
        });
        Ok(())
    }

    async fn delete(
        &mut self,
        name: &str,
        space: &str,
        numbers: std::ops::Range<u32>,
    ) -> Result<(), Violation> {
        let ids: Vec<String> = numbers.map(name_of).collect();
        let parsed: Result<Vec<_>, _> = ids.iter().map(|id| RecordId::parse(id)).collect();
        let parsed = parsed.map_err(unexpected)?;
        let parsed_space = NamespaceName::parse(space).map_err(unexpected)?;
        let engine = Arc::clone(&self.server.engine);
        let holding = self.holding(name)?;
        let gone = engine.delete(holding.shape, &parsed_space, Deletion::Ids(parsed)).await;
        gone.map_err(|error| unexpected(causes(&error)))?;
        holding.change(|contents| {
            contents.entry(space.to_owned()).or_default().retain(|id, _| !ids.contains(id));
        });
        Ok(())
    }

    async fn index(&self) -> Result<(), Violation> {
        for index in self.server.catalog.indexes() {
            let shape = ShardRef { index: index.id, dense: index.config.dense };
            let warmed = self.server.engine.warm_up(shape, None).await;
            warmed.map_err(|error| unexpected(causes(&error)))?;
        }
        self.server.engine.index_now().await;
        Ok(())
    }

    async fn backup(&mut self, name: &str) -> Result<(), Violation> {
        let made = self.server.service.create_backup(&context(), name, b"{}").await;
        made.map_err(unexpected)?;
        let newest = self.server.catalog.backups();
        let newest = newest.first().ok_or_else(|| unexpected("no backup"))?;
        let holding = self.holding(name)?.clone();
        let states = vec![holding.now()];
        self.backups.insert(newest.id.to_string(), Holding { states, ..holding });
        Ok(())
    }

    fn backup_of(&self, name: &str) -> Result<String, Violation> {
        let backups = self.server.catalog.backups();
        let found = backups.iter().find(|backup| backup.source.name.as_str() == name);
        found.map(|backup| backup.id.to_string()).ok_or_else(|| unexpected("no backup"))
    }

    async fn restore(&mut self, backup: &str, name: &str) -> Result<(), Violation> {
        let body = format!(r#"{{"name":"{name}"}}"#);
        let service = &self.server.service;
        let made = service.create_index_from_backup(&context(), backup, body.as_bytes()).await;
        made.map_err(unexpected)?;
        let from = self.backups.get(backup).cloned();
        self.enter(name, from)
    }

    async fn delete_index(&mut self, name: &str) -> Result<(), Violation> {
        self.server.service.delete_index(&context(), name).await.map_err(unexpected)?;
        self.indexes.remove(name);
        self.note_names();
        Ok(())
    }
}
