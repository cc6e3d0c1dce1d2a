//! Goal: whatever happens to a file, no answer is wrong, nothing panics, and the rest goes on; and
//! the suite would notice. Method: a thousand seeded damages of a small estate; the same with
//! checksums that match all the same, which must be caught.

use std::sync::Arc;

use bytes::Bytes;

use super::*;

/// Processors of the machine the checks are made for.
const THREADS: usize = 2;
const CASES: u64 = 1_000;

#[test]
fn no_damage_gives_a_wrong_answer() {
    let estate = Estate::make().unwrap();
    for (name, objects, bytes) in estate.sizes() {
        println!("{name}: {objects} objects, {bytes} bytes");
    }
    assert_eq!(estate.unknown(), Vec::<&str>::new());
    let seeds = seeds();
    let tally = run(&estate, seeds.clone(), None, THREADS);
    println!("{tally}");
    assert_eq!(tally.failed(), 0, "see above; a seed is replayed by: {REPLAY}");
    if seeds != (0..CASES) {
        return;
    }
    assert!(tally.cases() > CASES * 9 / 10, "{} cases", tally.cases());
    let kinds = ["manifest", "wal", "compacted"].map(|folder| format!("catalog/{folder}"));
    let kinds = kinds.into_iter().chain(
        ["manifest", "wal", "compacted", "compactions", "seg"]
            .map(|folder| format!("index/{folder}")),
    );
    for kind in kinds {
        assert!(tally.of_kind(&kind) >= 30, "{kind}: {} cases", tally.of_kind(&kind));
    }
}

/// Those of the check, or those asked for.
#[expect(clippy::disallowed_methods, reason = "which seeds a test runs is its own affair")]
fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("LODGEPOLE_ROT_SEEDS").ok();
    let asked = asked.as_deref().and_then(|text| text.split_once('-'));
    let asked = asked.and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    asked.unwrap_or(0..CASES)
}

const REPLAY: &str = "cargo run -p lodgepole-sim --example rot -- SEED SEED+1";

#[test]
fn a_seed_names_one_case() {
    let estate = Estate::make().unwrap();
    for seed in 0..50 {
        let [first, second] = [(); 2].map(|()| Case::of(&estate, seed, None).unwrap());
        assert_eq!(first.to_string(), second.to_string());
        assert_eq!(first.changes, second.changes);
    }
}

/// What SlateDB takes without a look: that an empty object of a log is a fence, and where a footer points.
/// Each object of each log with writes in it becomes another one's fence, and has its footer bent.
#[test]
fn a_fence_or_a_bent_footer_in_a_log_is_never_believed() {
    const SEAL_BYTES: usize = 32;
    const FOOTER_BYTES: usize = 10;
    let estate = Estate::make().unwrap();
    let (mut found, mut harmless) = (0, 0);
    for image in &estate.images {
        let is_of_log = |path: &str| FileKind::of(path).is_some_and(|kind| kind.folder == "wal");
        let logs = image.objects().iter().filter(|(path, _)| is_of_log(path));
        let (fences, writes): (Vec<_>, Vec<_>) = logs.partition(|(_, b)| b.len() == SEAL_BYTES);
        let (_, fence) = fences.first().unwrap();
        for (path, bytes) in writes {
            let mut bent = bytes.to_vec();
            bent[bytes.len() - SEAL_BYTES - FOOTER_BYTES] ^= 0x40;
            let damaged =
                [(Damage::Exchanged, Bytes::clone(fence)), (Damage::FlippedByte, bent.into())];
            for (damage, content) in damaged {
                let (kind, image) = (FileKind::of(path).unwrap(), Arc::clone(image));
                let changes = vec![(path.clone(), Some(content))];
                let case = Case { seed: 1, kind, damage, image, changes };
                match examine(&case) {
                    Ok(Outcome::Found) => found += 1,
                    Ok(Outcome::Harmless) => harmless += 1,
                    other => panic!("{case}: {other:?}"),
                }
            }
        }
    }
    println!("{found} found, {harmless} harmless");
    assert!(found >= 10, "{found} found, {harmless} harmless");
}

/// If a lost log or a changed segment came with checksums that match, this suite would say so. Few
/// kinds of damage, one after the other, and the first one that is noticed is enough: behind forged
/// checksums SlateDB may do anything, and not end.
#[test]
fn a_log_or_a_segment_behind_forged_checksums_is_noticed() {
    let estate = Estate::make().unwrap();
    let is_serious =
        |failure: &Failure| matches!(failure, Failure::Wrong(_) | Failure::Panicked(_));
    let forged = [
        (Blindness::Seals, "wal", &[Damage::Emptied, Damage::Exchanged][..]),
        (Blindness::SealsAndChunks, "seg", &[Damage::FlippedByte, Damage::ZeroedPage]),
    ];
    for (blindness, folder, damages) in forged {
        let fits = |case: &Case| {
            let of_index = !case.kind.is_of_catalog && case.kind.folder == folder;
            of_index && damages.contains(&case.damage)
        };
        let cases = (0..4_000).filter_map(|seed| Case::of(&estate, seed, Some(blindness)));
        let mut failed =
            cases.filter(fits).filter_map(|case| Some((case.seed, examine(&case).err()?)));
        let (seed, failure) = failed.find(|(_, failure)| is_serious(failure)).unwrap();
        println!("{blindness:?}: noticed at seed {seed}: {failure}");
    }
}
