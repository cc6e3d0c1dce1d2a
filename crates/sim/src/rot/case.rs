//! Which object is damaged, from a seed.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use lodgepole_types::{Rng, SeededRng};

use super::damage::Damage;
use super::estate::{Estate, Image};
use super::forge::Blindness;

/// Draws from a generator at most so many times until something changes.
const DRAWS_MAX: u32 = 50;

/// What a file is for, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileKind {
    /// Whether it is of the catalog; otherwise it is of an index.
    pub is_of_catalog: bool,
    /// The folder it lies in: `manifest`, `wal`, `compacted`, `seg`, and so on.
    pub folder: &'static str,
}

/// The folders there are; one more would fail [`FileKind::of`], and a test with it.
const FOLDERS: [&str; 6] = ["manifest", "wal", "compacted", "compactions", "gc", "seg"];

impl FileKind {
    /// The kind of a path.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let mut parts = path.rsplit('/').skip(1);
        let folder = parts.find_map(|part| FOLDERS.iter().find(|folder| **folder == part))?;
        Some(Self { is_of_catalog: path.starts_with("sys/"), folder })
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = if self.is_of_catalog { "catalog" } else { "index" };
        write!(f, "{owner}/{}", self.folder)
    }
}

/// One damage to one object, or two objects in each other's place.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where it came from.
    pub seed: u64,
    /// What the object is for.
    pub kind: FileKind,
    /// How it is damaged.
    pub damage: Damage,
    pub(super) image: Arc<Image>,
    /// The objects afterwards; `None` for one that is gone.
    pub(super) changes: Vec<(String, Option<Bytes>)>,
}

impl Case {
    /// The case of a seed. Seeds in a row go through all kinds of file and of damage.
    #[must_use]
    pub fn of(estate: &Estate, seed: u64, blindness: Option<Blindness>) -> Option<Self> {
        let rng = SeededRng::new(seed.wrapping_mul(0x9e37_79b9).wrapping_add(0x7264));
        let image = pick(&rng, &estate.images)?;
        let mut kinds: Vec<FileKind> =
            image.objects.keys().filter_map(|path| FileKind::of(path)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let kind = *kinds.get(usize::try_from(seed).ok()? % kinds.len().max(1))?;
        let of_kind: Vec<&String> =
            image.objects.keys().filter(|path| FileKind::of(path) == Some(kind)).collect();
        for _ in 0..DRAWS_MAX {
            let damage = *pick(&rng, Damage::ALL)?;
            let path = *pick(&rng, &of_kind)?;
            let other = *pick(&rng, &of_kind)?;
            let one = (path.as_str(), image.objects[path].clone());
            let other = (other.as_str(), image.objects[other].clone());
            let changes = damage.apply(&rng, one, other, blindness);
            let changed =
                |(path, bytes): &(String, Option<Bytes>)| bytes.as_ref() != image.objects.get(path);
            if changes.iter().any(changed) {
                return Some(Self { seed, kind, damage, image: Arc::clone(image), changes });
            }
        }
        None
    }

    /// Whether this or one of its ancestors lost something.
    pub(super) fn touches(&self, folders: &[String]) -> bool {
        self.changes.iter().any(|(path, _)| {
            let owner = path.strip_prefix("ix/").and_then(|rest| rest.split('/').next());
            owner.is_some_and(|owner| folders.iter().any(|folder| folder == owner))
        })
    }

    /// Whether a text names one of the damaged files.
    pub(super) fn is_named_in(&self, text: &str) -> bool {
        self.changes.iter().any(|(path, _)| text.contains(path.as_str()))
    }

    /// Whether a text names a file of the same database.
    pub(super) fn database_is_named_in(&self, text: &str) -> bool {
        let folder = format!("/{}/", self.kind.folder);
        let paths = self.changes.iter().map(|(path, _)| path.as_str());
        let databases = paths.filter_map(|path| path.split_once(&folder));
        databases.map(|(database, _)| database).any(|name| text.contains(name))
    }

    /// Whether nothing in the store can tell that something is missing: the newest object of a log,
    /// or the newest manifest or list of compactions, is gone as a whole.
    pub(super) fn leaves_no_trace(&self) -> bool {
        let gone =
            |(path, bytes): &(String, Option<Bytes>)| bytes.is_none() && self.is_newest(path);
        matches!(self.kind.folder, "wal" | "manifest" | "compactions")
            && self.changes.iter().all(gone)
    }

    fn is_newest(&self, path: &str) -> bool {
        let Some((folder, _)) = path.rsplit_once('/') else { return false };
        let beside = |other: &&String| other.rsplit_once('/').is_some_and(|(of, _)| of == folder);
        let newest = self.image.objects.keys().filter(beside).max();
        newest.is_some_and(|newest| newest == path)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<&str> = self.changes.iter().map(|(path, _)| path.as_str()).collect();
        let paths = paths.join(" and ");
        write!(f, "seed {}: {} of {paths}, {}", self.seed, self.damage, self.image.name)
    }
}

/// One of some things.
pub(super) fn pick<'a, T>(rng: &SeededRng, from: &'a [T]) -> Option<&'a T> {
    let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
    from.get(usize::try_from(rng.next_u64() % count).ok()?)
}
