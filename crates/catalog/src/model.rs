//! Goal: any sequence of operations leaves what the documented rules say, in memory and on disk.
//! Method: random sequences run on the catalog and on a plain model of lists, with crashes in
//! between; every answer and the whole contents are compared after every step.

use std::collections::BTreeSet;

use lodgepole_types::{
    BackupStatus, Classify, DeletionProtection, ErrorKind, IndexConfig, IndexName, RestoreStatus,
};
use proptest::prelude::*;

use crate::testing::{
    at, backup_id, cut, index_id, job_id, memory, name, new_backup, new_collection, new_index,
    new_job, options,
};
use crate::{Catalog, CatalogError, Contents};

const PORTS: u16 = 2;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Numbers choose among what exists; the model reduces them.
#[derive(Debug, Clone)]
enum Step {
    Create(usize),
    Protect(usize, bool),
    Delete(usize),
    Move(usize),
    Forget(usize),
    Backup(usize),
    Collection(usize, usize),
    DeleteCollection(usize),
    CompleteBackup(usize),
    FailBackup(usize),
    DeleteBackup(usize),
    Restore(usize, usize),
    CompleteRestore(usize),
    FailRestore(usize),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    let choice = 0..12_usize;
    prop_oneof![
        4 => name.clone().prop_map(Step::Create),
        1 => (name.clone(), any::<bool>()).prop_map(|(n, on)| Step::Protect(n, on)),
        3 => name.clone().prop_map(Step::Delete),
        1 => name.clone().prop_map(Step::Move),
        2 => choice.clone().prop_map(Step::Forget),
        4 => name.clone().prop_map(Step::Backup),
        3 => (name.clone(), name.clone()).prop_map(|(n, c)| Step::Collection(n, c)),
        2 => name.clone().prop_map(Step::DeleteCollection),
        4 => choice.clone().prop_map(Step::CompleteBackup),
        1 => choice.clone().prop_map(Step::FailBackup),
        2 => choice.clone().prop_map(Step::DeleteBackup),
        4 => (choice.clone(), name).prop_map(|(b, n)| Step::Restore(b, n)),
        3 => choice.clone().prop_map(Step::CompleteRestore),
        1 => choice.prop_map(Step::FailRestore),
        1 => Just(Step::Crash),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct ModelIndex {
    id: u128,
    name: usize,
    port: u16,
    protected: bool,
    from: From,
}

/// What an index was made from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Nothing,
    Backup(u128),
    Collection(usize),
}

#[derive(Debug, Clone, PartialEq)]
struct ModelBackup {
    id: u128,
    source: u128,
    status: BackupStatus,
    orphaned: bool,
    /// The name of the collection whose content it is.
    collection: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
struct ModelJob {
    id: u128,
    backup: u128,
    target: u128,
    name: usize,
    status: RestoreStatus,
}

/// The rules, told again in the plainest way.
#[derive(Debug, Default)]
struct Model {
    live: Vec<ModelIndex>,
    hidden: Vec<u128>,
    backups: Vec<ModelBackup>,
    jobs: Vec<ModelJob>,
    /// Name and port, in the order in which they were given up; live ones are not in it.
    freed: Vec<(usize, u16)>,
    next: u128,
}

type Outcome = Result<(), ErrorKind>;

impl Model {
    fn fresh(&mut self) -> u128 {
        self.next += 1;
        self.next
    }

    fn taken(&self, name: usize) -> bool {
        let pending = |job: &ModelJob| job.status == RestoreStatus::Pending && job.name == name;
        self.live.iter().any(|index| index.name == name) || self.jobs.iter().any(pending)
    }

    fn port(&mut self, name: usize, not: Option<u16>) -> Result<u16, ErrorKind> {
        let range: Vec<u16> = (10..10 + PORTS).filter(|port| Some(*port) != not).collect();
        if let Some(at) = self.freed.iter().position(|(owner, _)| *owner == name) {
            return Ok(self.freed.remove(at).1);
        }
        let owned = |port: &u16| {
            self.live.iter().any(|index| index.port == *port)
                || self.freed.iter().any(|(_, freed)| freed == port)
        };
        if let Some(port) = range.iter().find(|port| !owned(port)) {
            return Ok(*port);
        }
        if self.freed.is_empty() {
            return Err(ErrorKind::FailedPrecondition);
        }
        Ok(self.freed.remove(0).1)
    }

    fn create(&mut self, id: u128, name: usize) -> Outcome {
        if self.taken(name) {
            return Err(ErrorKind::AlreadyExists);
        }
        let port = self.port(name, None)?;
        self.live.push(ModelIndex { id, name, port, protected: false, from: From::Nothing });
        Ok(())
    }

    fn live(&mut self, name: usize) -> Result<&mut ModelIndex, ErrorKind> {
        self.live.iter_mut().find(|index| index.name == name).ok_or(ErrorKind::NotFound)
    }

    fn delete(&mut self, name: usize) -> Outcome {
        let index = self.live(name)?.clone();
        if index.protected {
            return Err(ErrorKind::Forbidden);
        }
        let pending = |backup: &ModelBackup| {
            backup.source == index.id
                && backup.collection.is_some()
                && backup.status == BackupStatus::Initializing
        };
        if self.backups.iter().any(pending) {
            return Err(ErrorKind::FailedPrecondition);
        }
        self.live.retain(|other| other.id != index.id);
        self.hidden.push(index.id);
        self.freed.push((name, index.port));
        for backup in self.backups.iter_mut().filter(|backup| backup.source == index.id) {
            backup.orphaned = true;
        }
        Ok(())
    }

    fn move_away(&mut self, name: usize) -> Outcome {
        let old = self.live(name)?.port;
        let port = self.port(name, Some(old))?;
        self.live(name)?.port = port;
        Ok(())
    }

    fn forget(&mut self, id: u128) -> Outcome {
        let needed =
            |backup: &ModelBackup| backup.source == id && backup.status != BackupStatus::Failed;
        if self.hidden.contains(&id) && self.backups.iter().any(needed) {
            return Err(ErrorKind::FailedPrecondition);
        }
        self.hidden.retain(|hidden| *hidden != id);
        Ok(())
    }

    fn end_backup(&mut self, id: u128, status: BackupStatus) -> Outcome {
        let backup =
            self.backups.iter_mut().find(|backup| backup.id == id).ok_or(ErrorKind::NotFound)?;
        if backup.status != BackupStatus::Initializing {
            return Err(ErrorKind::Conflict);
        }
        backup.status = status;
        if status == BackupStatus::Failed && backup.collection.is_some() {
            self.backups.retain(|backup| backup.id != id);
        }
        Ok(())
    }

    fn collection(&mut self, new: ModelBackup) -> Outcome {
        if self.backups.iter().any(|backup| backup.collection == new.collection) {
            return Err(ErrorKind::AlreadyExists);
        }
        self.backups.push(new);
        Ok(())
    }

    fn delete_collection(&mut self, name: usize) -> Outcome {
        let found = self.backups.iter().find(|backup| backup.collection == Some(name));
        let id = found.ok_or(ErrorKind::NotFound)?.id;
        self.take_out(id)
    }

    fn ready(&self, id: u128) -> Outcome {
        let backup = self.backups.iter().find(|backup| backup.id == id);
        match backup.ok_or(ErrorKind::NotFound)?.status {
            BackupStatus::Ready => Ok(()),
            BackupStatus::Initializing | BackupStatus::Failed => Err(ErrorKind::FailedPrecondition),
        }
    }

    fn delete_backup(&mut self, id: u128) -> Outcome {
        let of_collection = |backup: &ModelBackup| backup.id == id && backup.collection.is_some();
        if self.backups.iter().any(of_collection) {
            return Err(ErrorKind::NotFound);
        }
        self.take_out(id)
    }

    fn take_out(&mut self, id: u128) -> Outcome {
        let backup = self.backups.iter().find(|backup| backup.id == id);
        let being_made = backup.ok_or(ErrorKind::NotFound)?.status == BackupStatus::Initializing;
        let read = |job: &ModelJob| job.backup == id && job.status == RestoreStatus::Pending;
        if being_made || self.jobs.iter().any(read) {
            return Err(ErrorKind::FailedPrecondition);
        }
        self.backups.retain(|backup| backup.id != id);
        Ok(())
    }

    fn restore(&mut self, job: ModelJob) -> Outcome {
        self.ready(job.backup)?;
        if self.taken(job.name) {
            return Err(ErrorKind::AlreadyExists);
        }
        self.jobs.push(job);
        Ok(())
    }

    fn end_restore(&mut self, id: u128, status: RestoreStatus) -> Outcome {
        let at = self.jobs.iter().position(|job| job.id == id).ok_or(ErrorKind::NotFound)?;
        let job = self.jobs[at].clone();
        if job.status != RestoreStatus::Pending {
            return Err(ErrorKind::Conflict);
        }
        if status == RestoreStatus::Completed {
            let port = self.port(job.name, None)?;
            let (id, name) = (job.target, job.name);
            let from = self.collection_of(&job).map_or(From::Backup(job.backup), From::Collection);
            self.live.push(ModelIndex { id, name, port, protected: false, from });
        }
        self.jobs[at].status = status;
        if self.collection_of(&job).is_some() {
            self.jobs.remove(at);
        }
        Ok(())
    }

    /// The collection that a pending job reads.
    fn collection_of(&self, job: &ModelJob) -> Option<usize> {
        let source = self.backups.iter().find(|backup| backup.id == job.backup);
        source.and_then(|backup| backup.collection)
    }

    fn assert_same(&self, contents: &Contents) {
        contents.check().unwrap();
        let mut live = self.live.clone();
        live.sort_by_key(|index| index.name);
        let found: Vec<_> = contents
            .indexes()
            .iter()
            .map(|index| ModelIndex {
                id: index.id.as_uuid().as_u128(),
                name: place(&index.config.name),
                port: index.port,
                protected: index.config.deletion_protection == DeletionProtection::Enabled,
                from: match (&index.source_backup_id, &index.source_collection) {
                    (None, None) => From::Nothing,
                    (Some(id), None) => From::Backup(id.as_uuid().as_u128()),
                    (None, Some(name)) => From::Collection(place(name)),
                    (Some(_), Some(_)) => panic!("made from two things"),
                },
            })
            .collect();
        assert_eq!(found, live);
        for index in &live {
            let by_port = contents.index_by_port(index.port).unwrap();
            assert_eq!(by_port.id, index_id(index.id));
            assert_eq!(contents.index_by_id(by_port.id).unwrap(), by_port);
        }
        let hidden: BTreeSet<_> =
            contents.hidden().iter().map(|row| row.index.id.as_uuid().as_u128()).collect();
        assert_eq!(hidden, self.hidden.iter().copied().collect());
        // Ids count up with time, so newest first is by falling id.
        let backups: Vec<_> = contents
            .backups()
            .iter()
            .rev()
            .map(|backup| ModelBackup {
                id: backup.id.as_uuid().as_u128(),
                source: backup.source_index_id.as_uuid().as_u128(),
                status: backup.status,
                orphaned: backup.source_index_deleted_at.is_some(),
                collection: backup.collection().map(place),
            })
            .collect();
        assert_eq!(backups, self.backups);
        let users = self.backups.iter().filter(|backup| backup.collection.is_none()).count();
        assert_eq!(contents.listed_backups().len(), users);
        let shown = self.jobs.iter().filter(|job| {
            job.status != RestoreStatus::Pending || self.collection_of(job).is_none()
        });
        assert_eq!(contents.listed_restore_jobs().len(), shown.count());
        let jobs: Vec<_> = contents
            .restore_jobs()
            .iter()
            .rev()
            .map(|job| ModelJob {
                id: job.id.as_uuid().as_u128(),
                backup: job.backup_id.as_uuid().as_u128(),
                target: job.target_index_id.as_uuid().as_u128(),
                name: place(&job.target_index_name),
                status: job.status,
            })
            .collect();
        assert_eq!(jobs, self.jobs);
    }
}

/// The place of a name in [`NAMES`].
fn place(name: &IndexName) -> usize {
    NAMES.iter().position(|known| *known == name.as_str()).unwrap()
}

/// The `n`th of `ids` in turn; an id that nothing has when there is none.
fn pick(ids: impl ExactSizeIterator<Item = u128>, n: usize) -> u128 {
    let count = ids.len();
    ids.into_iter().nth(n.checked_rem(count).unwrap_or(0)).unwrap_or(9_999_999)
}

fn outcome<T>(result: Result<T, CatalogError>) -> Outcome {
    result.map(|_| ()).map_err(|error| error.kind())
}

async fn protect(catalog: &Catalog, n: usize, on: bool) -> Outcome {
    let value = if on { DeletionProtection::Enabled } else { DeletionProtection::Disabled };
    let change = |config: &mut IndexConfig| {
        config.deletion_protection = value;
        Ok::<_, CatalogError>(())
    };
    outcome(catalog.configure_index(&name(NAMES[n]), change).await)
}

/// Runs one step on both; answers both outcomes.
async fn run(step: &Step, model: &mut Model, catalog: &Catalog) -> (Outcome, Outcome) {
    let backup = |model: &Model, n| pick(model.backups.iter().map(|b| b.id), n);
    let job = |model: &Model, n| pick(model.jobs.iter().map(|j| j.id), n);
    match *step {
        Step::Create(n) => {
            let id = model.fresh();
            let done = catalog.create_index(new_index(id, NAMES[n])).await;
            (model.create(id, n), outcome(done))
        }
        Step::Protect(n, on) => {
            let done = protect(catalog, n, on).await;
            (model.live(n).map(|index| index.protected = on), done)
        }
        Step::Delete(n) => {
            (model.delete(n), outcome(catalog.delete_index(&name(NAMES[n]), at(1)).await))
        }
        Step::Move(n) => {
            let Ok(index) = model.live(n) else { return (Ok(()), Ok(())) };
            let (id, port) = (index.id, index.port);
            let done = catalog.move_index(index_id(id), &[port].into()).await;
            (model.move_away(n), outcome(done))
        }
        Step::Forget(n) => {
            let id = pick(model.hidden.iter().copied(), n);
            (model.forget(id), outcome(catalog.forget_hidden(index_id(id)).await))
        }
        Step::Backup(n) => {
            let Ok(source) = model.live(n).map(|index| index.id) else { return (Ok(()), Ok(())) };
            let (id, status) = (model.fresh(), BackupStatus::Initializing);
            let backup = ModelBackup { id, source, status, orphaned: false, collection: None };
            model.backups.push(backup);
            (Ok(()), outcome(catalog.insert_backup(new_backup(id, source)).await))
        }
        Step::Collection(n, c) => {
            let Ok(source) = model.live(n).map(|index| index.id) else { return (Ok(()), Ok(())) };
            let (id, status) = (model.fresh(), BackupStatus::Initializing);
            let done = catalog.insert_backup(new_collection(id, source, NAMES[c])).await;
            let collection = Some(c);
            let new = ModelBackup { id, source, status, orphaned: false, collection };
            (model.collection(new), outcome(done))
        }
        Step::DeleteCollection(c) => {
            let done = catalog.delete_collection(&name(NAMES[c])).await;
            (model.delete_collection(c), outcome(done))
        }
        Step::CompleteBackup(n) => {
            let id = backup(model, n);
            let done = catalog.complete_backup(backup_id(id), cut(5)).await;
            (model.end_backup(id, BackupStatus::Ready), outcome(done))
        }
        Step::FailBackup(n) => {
            let id = backup(model, n);
            let done = catalog.fail_backup(backup_id(id)).await;
            (model.end_backup(id, BackupStatus::Failed), outcome(done))
        }
        Step::DeleteBackup(n) => {
            let id = backup(model, n);
            (model.delete_backup(id), outcome(catalog.delete_backup(backup_id(id)).await))
        }
        Step::Restore(n, target_name) => restore(model, catalog, n, target_name).await,
        Step::CompleteRestore(n) => complete_restore(model, catalog, n).await,
        Step::FailRestore(n) => {
            let id = job(model, n);
            let done = catalog.fail_restore(job_id(id), at(2)).await;
            (model.end_restore(id, RestoreStatus::Failed), outcome(done))
        }
        Step::Crash => (Ok(()), Ok(())),
    }
}

async fn restore(
    model: &mut Model,
    catalog: &Catalog,
    n: usize,
    name: usize,
) -> (Outcome, Outcome) {
    let from = pick(model.backups.iter().map(|backup| backup.id), n);
    let (id, target) = (model.fresh(), model.fresh());
    let done = catalog.begin_restore(new_job(id, from, target, NAMES[name])).await;
    let job = ModelJob { id, backup: from, target, name, status: RestoreStatus::Pending };
    (model.restore(job), outcome(done))
}

async fn complete_restore(model: &mut Model, catalog: &Catalog, n: usize) -> (Outcome, Outcome) {
    let id = pick(model.jobs.iter().map(|job| job.id), n);
    let found = model.jobs.iter().find(|job| job.id == id);
    let (target, text) = found.map_or((0, "a"), |job| (job.target, NAMES[job.name]));
    let done = catalog.complete_restore(job_id(id), new_index(target, text), at(2)).await;
    (model.end_restore(id, RestoreStatus::Completed), outcome(done))
}

async fn compare(steps: &[Step]) {
    let storage = memory();
    let mut catalog = Catalog::open(&storage, options(PORTS)).await.unwrap();
    let mut model = Model::default();
    for step in steps {
        if matches!(step, Step::Crash) {
            let before = catalog.contents();
            catalog.crash().await;
            catalog = Catalog::open(&storage, options(PORTS)).await.unwrap();
            assert_eq!(catalog.contents(), before);
        }
        let (expected, found) = run(step, &mut model, &catalog).await;
        assert_eq!(found, expected, "{step:?}");
        model.assert_same(&catalog.contents());
    }
    let before = catalog.contents();
    catalog.crash().await;
    let catalog = Catalog::open(&storage, options(PORTS)).await.unwrap();
    assert_eq!(catalog.contents(), before);
    catalog.crash().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_catalog_follows_its_model(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(compare(&steps));
    }
}
