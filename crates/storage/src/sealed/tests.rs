//! Goal: what is read under a name is what was written under it, or an error that names it. Method:
//! objects in memory, written in one piece and in parts, then damaged below the seals.

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::{Error, GetRange, ObjectStoreExt as _};

use super::*;

const TABLE: &str = "db/compacted/a.sst";
const MANIFEST: &str = "db/manifest/1.manifest";

struct Bench {
    raw: Arc<InMemory>,
    store: SealedStore,
}

impl Bench {
    fn new() -> Self {
        let raw = Arc::new(InMemory::new());
        Self { store: SealedStore::new(Arc::clone(&raw) as _), raw }
    }

    async fn put(&self, path: &str, content: &[u8]) {
        self.store.put(&Path::from(path), content.to_vec().into()).await.unwrap();
    }

    /// The bytes below, changed.
    async fn damage(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = Path::from(path);
        let mut bytes = self.raw.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
        change(&mut bytes);
        self.raw.put(&path, bytes.into()).await.unwrap();
    }

    async fn whole(&self, path: &str) -> Result<Bytes> {
        self.store.get(&Path::from(path)).await?.bytes().await
    }

    async fn range(&self, path: &str, range: GetRange) -> Result<Bytes> {
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        self.store.get_opts(&Path::from(path), options).await?.bytes().await
    }

    /// As another process would see it: nothing is remembered.
    fn reopened(&self) -> Self {
        Self { raw: Arc::clone(&self.raw), store: SealedStore::new(Arc::clone(&self.raw) as _) }
    }
}

fn damage_of<T: fmt::Debug>(result: Result<T>, path: &str) {
    let error = result.unwrap_err();
    let found = crate::error::find_cause::<SealError>(&error).expect("a broken seal");
    assert!(found.to_string().contains(path), "{found}");
    assert!(!slatedb_common::retry::should_retry(&error), "it is of no use to try again");
}

#[tokio::test]
async fn an_object_reads_back_in_every_way_and_has_its_own_length() {
    let bench = Bench::new();
    for (path, content) in [(TABLE, &b"0123456789"[..]), (MANIFEST, b"0123456789"), ("db/e", b"")] {
        bench.put(path, content).await;
        assert_eq!(bench.whole(path).await.unwrap(), content);
        let length = content.len() as u64;
        assert_eq!(bench.store.head(&Path::from(path)).await.unwrap().size, length);
    }
    for path in [TABLE, MANIFEST] {
        assert_eq!(bench.range(path, GetRange::Bounded(2..5)).await.unwrap(), &b"234"[..]);
        assert_eq!(bench.range(path, GetRange::Offset(7)).await.unwrap(), &b"789"[..]);
        assert_eq!(bench.range(path, GetRange::Suffix(2)).await.unwrap(), &b"89"[..]);
        assert_eq!(bench.range(path, GetRange::Bounded(8..99)).await.unwrap(), &b"89"[..]);
        let parts = bench.store.get_ranges(&Path::from(path), &[0..1, 9..10]).await.unwrap();
        assert_eq!(parts, [&b"0"[..], b"9"]);
    }
    let listed: Vec<_> = bench.store.list(None).try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|object| object.size).sum::<u64>(), 20);
}

#[tokio::test]
async fn an_upload_in_parts_is_sealed_as_one_object() {
    for parts in 0..4_u8 {
        let bench = Bench::new();
        let mut upload = bench.store.put_multipart(&Path::from(TABLE)).await.unwrap();
        for part in 0..parts {
            upload.put_part(vec![b'a' + part; 5].into()).await.unwrap();
        }
        upload.complete().await.unwrap();
        let wanted: Vec<u8> = (0..parts).flat_map(|part| [b'a' + part; 5]).collect();
        assert_eq!(bench.whole(TABLE).await.unwrap(), wanted);
    }
}

#[tokio::test]
async fn a_copy_reads_as_its_source_did_and_has_a_seal_of_its_own() {
    let bench = Bench::new();
    bench.put("a/wal/1.sst", b"rows").await;
    bench.store.copy(&Path::from("a/wal/1.sst"), &Path::from("b/wal/1.sst")).await.unwrap();
    assert_eq!(bench.whole("b/wal/1.sst").await.unwrap(), &b"rows"[..]);
    bench.damage("a/wal/1.sst", |bytes| bytes[0] ^= 1).await;
    let copied = bench.store.copy(&Path::from("a/wal/1.sst"), &Path::from("c/wal/1.sst")).await;
    damage_of(copied, "a/wal/1.sst");
}

#[tokio::test]
async fn every_flipped_bit_of_an_object_read_whole_is_seen() {
    let bench = Bench::new();
    bench.put(MANIFEST, b"a manifest").await;
    let bits = (b"a manifest".len() + 32) * 8;
    for bit in 0..bits {
        bench.damage(MANIFEST, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)).await;
        damage_of(bench.whole(MANIFEST).await, MANIFEST);
        bench.damage(MANIFEST, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)).await;
    }
    bench.whole(MANIFEST).await.unwrap();
}

/// SlateDB asks for the length of a log object and takes an empty one for a fence, unread.
#[tokio::test]
async fn a_fence_in_the_place_of_another_object_of_the_log_is_seen_by_its_length() {
    let (rows, fence) = ("a/wal/00000000000000000002.sst", "b/wal/00000000000000000010.sst");
    let bench = Bench::new();
    bench.put(rows, &[0; 100]).await;
    bench.put(fence, b"").await;
    assert_eq!(bench.store.head(&Path::from(fence)).await.unwrap().size, 0);
    let others = bench.raw.get(&Path::from(fence)).await.unwrap().bytes().await.unwrap();
    bench.raw.put(&Path::from(rows), others.into()).await.unwrap();
    damage_of(bench.store.head(&Path::from(rows)).await, rows);
    bench.damage(rows, |bytes| bytes.fill(0)).await;
    damage_of(bench.store.head(&Path::from(rows)).await, rows);
}

/// SlateDB takes the offset in the footer of a log object without a look.
#[tokio::test]
async fn a_footer_of_the_log_that_points_outside_is_seen_at_the_first_read() {
    let path = "db/wal/00000000000000000001.sst";
    for (offset, is_good) in
        [(0, true), (90, true), (91, false), (1 << 40, false), (u64::MAX, false)]
    {
        let bench = Bench::new();
        let mut content = vec![1; 90];
        content.extend(u64::to_be_bytes(offset));
        content.extend([0, 2]);
        bench.put(path, &content).await;
        let read = bench.range(path, GetRange::Bounded(0..100)).await;
        if is_good {
            assert_eq!(read.unwrap(), content);
        } else {
            damage_of(read, path);
        }
    }
}

#[tokio::test]
async fn a_table_that_was_cut_lengthened_emptied_or_exchanged_is_seen_at_any_read() {
    let other = "db/compacted/b.sst";
    for case in 0..4 {
        let bench = Bench::new();
        bench.put(TABLE, &[1; 100]).await;
        bench.put(other, &[2; 100]).await;
        match case {
            0 => bench.damage(TABLE, |bytes| bytes.truncate(90)).await,
            1 => bench.damage(TABLE, |bytes| bytes.extend([0; 40])).await,
            2 => bench.damage(TABLE, Vec::clear).await,
            _ => {
                let others =
                    bench.raw.get(&Path::from(other)).await.unwrap().bytes().await.unwrap();
                bench.raw.put(&Path::from(TABLE), others.into()).await.unwrap();
            }
        }
        let bench = bench.reopened();
        damage_of(bench.range(TABLE, GetRange::Bounded(0..10)).await, TABLE);
        damage_of(bench.whole(TABLE).await, TABLE);
        damage_of(
            bench.store.get_ranges(&Path::from(TABLE), std::slice::from_ref(&(0..10))).await,
            TABLE,
        );
    }
}

#[tokio::test]
async fn a_table_that_is_cut_after_its_first_read_gives_no_part_of_what_was_asked_for() {
    let bench = Bench::new();
    bench.put(TABLE, &[1; 100]).await;
    bench.range(TABLE, GetRange::Bounded(0..10)).await.unwrap();
    bench.damage(TABLE, |bytes| bytes.truncate(50)).await;
    damage_of(bench.range(TABLE, GetRange::Bounded(40..60)).await, TABLE);
}

#[tokio::test]
async fn a_later_format_is_refused_with_what_to_do() {
    let bench = Bench::new();
    bench.put(MANIFEST, b"a manifest").await;
    bench
        .damage(MANIFEST, |bytes| {
            let at = bytes.len() - 32;
            bytes[at + 7] = 2;
            let seed = xxhash_rust::xxh3::xxh3_64(MANIFEST.as_bytes());
            let check = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes[at..at + 24], seed);
            bytes[at + 24..].copy_from_slice(&check.to_le_bytes());
        })
        .await;
    let Err(error @ Error::Generic { .. }) = bench.whole(MANIFEST).await else {
        panic!("it opened")
    };
    let found = crate::error::find_cause::<SealError>(&error).unwrap();
    assert!(matches!(found, SealError::TooNew { found: 2, known: 1, .. }));
    assert!(found.to_string().contains("use the version that wrote it"), "{found}");
}
