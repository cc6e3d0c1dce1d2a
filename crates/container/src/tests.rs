//! Goal: what was written is read back, and nothing else is. Method: round trips of generated
//! sections; every bit of a small segment flipped, and every length it can be cut to.

use std::sync::Arc;

use lodgepole_types::{Classify, ErrorKind};
use proptest::collection::vec;
use proptest::prelude::*;

use super::layout::{CHECKSUM_BYTES, ENTRY_BYTES, TRAILER_BYTES};
use super::*;
use crate::SegmentError;

const SMALL_CHUNKS: SegmentHeader = SegmentHeader { chunk_bytes: 64 };

fn written(header: SegmentHeader, sections: &[(Section, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = SegmentWriter::new(&mut out, header).unwrap();
    for (section, bytes) in sections {
        writer.section(*section, bytes).unwrap();
    }
    let length = writer.finish().unwrap();
    assert_eq!(length, out.len() as u64);
    out
}

fn opened(bytes: &[u8]) -> Result<Container, SegmentError> {
    Container::open(Arc::new(AlignedBytes::copy_of(bytes)))
}

fn all_of(segment: &Container, section: Section) -> Result<&[u8], SegmentError> {
    segment.bytes(section, 0..segment.len(section))
}

/// Two full chunks and a part of one, an empty section, and one within a chunk.
fn small() -> Vec<u8> {
    let long: Vec<u8> = (0..150).collect();
    written(
        SMALL_CHUNKS,
        &[(Section::Blocks, &long), (Section::Ids, b""), (Section::Meta, b"meta")],
    )
}

/// Makes the footer's checksum anew, for a segment of three sections.
fn sum_footer(bytes: &mut [u8]) {
    let trailer = bytes.len() - TRAILER_BYTES;
    let directory = trailer - 3 * ENTRY_BYTES;
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[directory..trailer + 48]).to_le_bytes();
    bytes[trailer + 48..trailer + 56].copy_from_slice(&sum);
}

fn is_damaged<T>(result: &Result<T, SegmentError>, wanted: Section) -> bool {
    matches!(result, Err(SegmentError::Damaged { section }) if *section == wanted)
}

#[test]
fn sections_are_found_by_kind_in_whatever_order_they_were_written() {
    let bytes = small();
    let segment = opened(&bytes).unwrap();
    assert_eq!(all_of(&segment, Section::Meta).unwrap(), b"meta");
    assert_eq!(segment.bytes(Section::Blocks, 60..70).unwrap(), (60..70).collect::<Vec<u8>>());
    assert_eq!((segment.len(Section::Blocks), segment.len(Section::Ids)), (150, 0));
    assert_eq!(segment.len(Section::Values), 0);
    assert_eq!(all_of(&segment, Section::Values).unwrap(), b"");
    assert!(is_damaged(&segment.bytes(Section::Values, 0..1), Section::Values));
    assert!(is_damaged(&segment.bytes(Section::Blocks, 140..151), Section::Blocks));
    assert!(is_damaged(&segment.bytes(Section::Blocks, usize::MAX..usize::MAX), Section::Blocks));
    assert_eq!(segment.file_bytes(), bytes.len());
    segment.verify_all().unwrap();
}

#[test]
fn numbers_are_read_as_they_were_written() {
    let mut out = Vec::new();
    let mut writer = SegmentWriter::new(&mut out, SegmentHeader::default()).unwrap();
    writer.begin(Section::Values).unwrap();
    let values: Vec<f32> = (0..40_000_u16).map(|i| f32::from(i) / 7.0).collect();
    for part in values.chunks(333) {
        writer.write_f32s(part).unwrap();
    }
    writer.end().unwrap();
    writer.section(Section::ListOffsets, &[1_u32, u32::MAX]).unwrap();
    writer.section(Section::Docids, &[1_u64, u64::MAX]).unwrap();
    writer.section(Section::Rows8, &[-128_i8, 127, 0]).unwrap();
    writer.finish().unwrap();
    let segment = opened(&out).unwrap();
    assert_eq!(segment.count::<f32>(Section::Values), 40_000);
    assert_eq!(segment.f32s(Section::Values, 16_000..17_000).unwrap(), &values[16_000..17_000]);
    assert_eq!(segment.all_numbers::<f32>(Section::Values).unwrap(), values);
    assert_eq!(segment.u32s(Section::ListOffsets, 1..2).unwrap(), [u32::MAX]);
    assert_eq!(segment.u64s(Section::Docids, 0..2).unwrap(), [1, u64::MAX]);
    assert!(is_damaged(&segment.u64s(Section::Docids, 1..3), Section::Docids));
    assert!(is_damaged(&segment.u64s(Section::Docids, 0..usize::MAX), Section::Docids));
    assert!(is_damaged(&segment.all_numbers::<u32>(Section::Rows8), Section::Rows8));
}

/// Every position is under a checksum, is one, or is looked at when the segment is opened.
#[test]
fn any_flipped_bit_is_found() {
    let bytes = small();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            let Ok(segment) = opened(&damaged) else { continue };
            let found = segment.verify_all();
            assert!(found.is_err(), "bit {bit} of byte {position}");
            let reads = [Section::Blocks, Section::Meta].map(|section| all_of(&segment, section));
            let failed = reads.iter().filter(|read| read.is_err()).count();
            assert_eq!(failed, 1, "bit {bit} of byte {position}: {found:?}");
        }
    }
}

#[test]
fn a_damaged_chunk_fails_every_time_and_leaves_the_others_readable() {
    let mut bytes = small();
    // The first section starts after the header.
    bytes[64 + 70] ^= 1;
    let segment = opened(&bytes).unwrap();
    for _ in 0..2 {
        assert!(is_damaged(&segment.bytes(Section::Blocks, 70..71), Section::Blocks));
        assert!(is_damaged(&segment.bytes(Section::Blocks, 0..150), Section::Blocks));
        assert_eq!(segment.bytes(Section::Blocks, 0..64).unwrap().len(), 64);
        assert_eq!(segment.bytes(Section::Blocks, 128..150).unwrap().len(), 22);
        assert_eq!(all_of(&segment, Section::Meta).unwrap(), b"meta");
    }
    let found = segment.verify_all();
    assert!(is_damaged(&found, Section::Blocks));
    assert_eq!(found.unwrap_err().kind(), ErrorKind::DataLoss);
}

#[test]
fn a_segment_cut_to_any_length_is_refused() {
    let bytes = small();
    for length in 0..bytes.len() {
        let refused = opened(&bytes[..length]);
        assert!(matches!(refused, Err(SegmentError::Truncated)), "{length}: {refused:?}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(opened(&longer), Err(SegmentError::Truncated)));
    // A cut where the content looks like the end of a segment.
    let tail = &bytes[bytes.len() - TRAILER_BYTES..];
    let outer = written(SMALL_CHUNKS, &[(Section::Metadata, tail), (Section::Meta, b"x")]);
    let cut = &outer[..64 + TRAILER_BYTES];
    assert!(matches!(opened(cut), Err(SegmentError::Truncated)));
}

#[test]
fn other_formats_and_other_files_are_refused() {
    let mut bytes = small();
    bytes[8] = 2;
    let refused = opened(&bytes).unwrap_err();
    assert!(matches!(refused, SegmentError::Version { found: 2 }), "{refused:?}");
    assert_eq!(refused.kind(), ErrorKind::FailedPrecondition);
    assert!(is_damaged(&opened(b"%PDF-1.7"), Section::Container));
    assert!(is_damaged(&opened(&[0; 500]), Section::Container));
}

#[test]
fn an_unaligned_segment_is_refused() {
    #[derive(Debug)]
    struct OffByOne(AlignedBytes);
    impl SegmentBytes for OffByOne {
        fn bytes(&self) -> &[u8] {
            &self.0.bytes()[1..]
        }
    }
    let mut shifted = vec![0];
    shifted.extend(small());
    let refused = Container::open(Arc::new(OffByOne(AlignedBytes::copy_of(&shifted))));
    assert!(matches!(refused, Err(SegmentError::Misaligned)), "{refused:?}");
}

#[test]
fn sections_out_of_order_are_refused() {
    let mut out = Vec::new();
    let mut writer = SegmentWriter::new(&mut out, SegmentHeader::default()).unwrap();
    let refused = |result: Result<(), SegmentError>| {
        assert!(matches!(result, Err(SegmentError::Order { .. })), "{result:?}");
    };
    refused(writer.write(b"x"));
    refused(writer.end());
    refused(writer.begin(Section::Container));
    writer.section(Section::Ids, b"x").unwrap();
    refused(writer.begin(Section::Ids));
    writer.begin(Section::Blocks).unwrap();
    refused(writer.begin(Section::Meta));
    assert!(matches!(writer.finish(), Err(SegmentError::Order { section: Section::Blocks })));
    for chunk_bytes in [0, 32, 100] {
        assert!(SegmentWriter::new(&mut Vec::new(), SegmentHeader { chunk_bytes }).is_err());
    }
}

#[test]
fn a_writer_that_fails_says_so() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let whole = small().len();
    for room in [0, 64, 128, whole - 1, whole] {
        let mut out = Full(room);
        let done = SegmentWriter::new(&mut out, SMALL_CHUNKS).and_then(|mut writer| {
            writer.section(Section::Blocks, &(0..150).collect::<Vec<u8>>())?;
            writer.section::<u8>(Section::Ids, &[])?;
            writer.section(Section::Meta, b"meta")?;
            writer.finish()
        });
        assert_eq!(matches!(done, Err(SegmentError::Io(_))), room < whole, "{room}: {done:?}");
    }
}

#[test]
fn an_empty_segment_is_a_segment() {
    let bytes = written(SegmentHeader::default(), &[]);
    assert_eq!(bytes.len(), 128);
    opened(&bytes).unwrap().verify_all().unwrap();
}

#[test]
fn a_kind_that_is_not_known_is_kept_and_checked() {
    let mut bytes = small();
    // The first entry becomes one of a later release; the footer's checksum is made anew.
    let directory = bytes.len() - TRAILER_BYTES - 3 * ENTRY_BYTES;
    bytes[directory] = 0xEE;
    sum_footer(&mut bytes);
    let segment = opened(&bytes).unwrap();
    assert_eq!(segment.len(Section::Blocks), 0);
    assert_eq!(all_of(&segment, Section::Meta).unwrap(), b"meta");
    bytes[64] ^= 1;
    assert!(is_damaged(&opened(&bytes).unwrap().verify_all(), Section::Container));
}

#[test]
fn every_section_has_its_own_number_and_name() {
    let mut names: Vec<_> = Section::ALL.iter().map(|section| section.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Section::ALL.len());
    for section in Section::ALL {
        assert_eq!(Section::from_kind(section.kind()), *section);
    }
    assert_eq!(Section::from_kind(9_999), Section::Container);
}

/// The page of the format lists every section, in the order of their numbers, and no other.
#[test]
fn the_page_lists_the_sections_that_there_are() {
    let page = include_str!("../../../docs/format/segment.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let listed: Vec<(u32, &str)> = rows
        .filter_map(|(kind, rest)| Some((kind.parse().ok()?, rest.split(" | ").next()?)))
        .collect();
    let there: Vec<_> =
        Section::ALL[1..].iter().map(|section| (section.kind(), section.name())).collect();
    assert_eq!(listed, there);
}

#[test]
fn threads_may_read_the_same_chunks_at_once() {
    let long: Vec<u8> = (0..100_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let segment = opened(&written(SMALL_CHUNKS, &[(Section::Values, &long)])).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (segment, long) = (&segment, &long);
            scope.spawn(move || {
                for start in (thread * 100..99_000).step_by(97) {
                    let range = start..start + 500;
                    assert_eq!(
                        segment.bytes(Section::Values, range.clone()).unwrap(),
                        &long[range]
                    );
                }
            });
        }
    });
    segment.verify_all().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However the bytes are cut into writes, sections and chunks, every range reads back.
    #[test]
    fn sections_round_trip(
        sections in proptest::sample::subsequence(Section::ALL[1..].to_vec(), 0..6)
            .prop_flat_map(|kinds| {
                let contents = kinds.into_iter().map(|kind| (Just(kind), vec(any::<u8>(), 0..700)));
                contents.collect::<Vec<_>>()
            })
            .prop_shuffle(),
        chunk in 6_u32..10,
        step in 1_usize..300,
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let header = SegmentHeader { chunk_bytes: 1 << chunk };
        let mut out = Vec::new();
        let mut writer = SegmentWriter::new(&mut out, header).unwrap();
        for (section, bytes) in &sections {
            writer.begin(*section).unwrap();
            for part in bytes.chunks(step) {
                writer.write(part).unwrap();
            }
            writer.end().unwrap();
        }
        writer.finish().unwrap();
        let segment = opened(&out).unwrap();
        for (section, bytes) in &sections {
            let (one, other) = (cut.0.index(bytes.len() + 1), cut.1.index(bytes.len() + 1));
            let range = one.min(other)..one.max(other);
            prop_assert_eq!(segment.bytes(*section, range.clone()).unwrap(), &bytes[range]);
            prop_assert_eq!(all_of(&segment, *section).unwrap(), &bytes[..]);
            let start = all_of(&segment, *section).unwrap().as_ptr();
            prop_assert!(bytes.is_empty() || start.align_offset(ALIGNMENT) == 0);
        }
        segment.verify_all().unwrap();
    }

    /// A footer that somebody made up is refused, or leads to reads inside the file only.
    #[test]
    fn a_footer_of_any_content_never_leads_astray(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = small();
        let footer = 3 * (ENTRY_BYTES + CHECKSUM_BYTES) + TRAILER_BYTES;
        let start = bytes.len() - footer;
        for (at, value) in changes {
            bytes[start + at.index(footer - 16)] = value;
        }
        sum_footer(&mut bytes);
        if let Ok(segment) = opened(&bytes) {
            for section in Section::ALL {
                let _ = all_of(&segment, *section);
            }
            let _ = segment.verify_all();
        }
    }
}

/// Goal: memory of any size starts where numbers may lie, and holds what was put in. Method: sizes on
/// both sides of where pages of their own begin; written, copied, compared.
#[test]
fn memory_of_any_size_is_aligned_and_holds_what_was_written() {
    let pages_from = 16 << 20;
    for length in [0, 1, 63, 4_097, pages_from - 1, pages_from, pages_from + 1] {
        let mut memory = AlignedBytes::zeroed(length);
        assert!(memory.bytes().iter().all(|byte| *byte == 0), "zeroed, {length} bytes");
        if let Some(last) = memory.bytes_mut().last_mut() {
            *last = 7;
        }
        let copy = memory.clone();
        for memory in [&memory, &copy] {
            assert_eq!(memory.bytes().len(), length);
            assert_eq!(memory.bytes().as_ptr().align_offset(64), 0, "{length} bytes");
            assert_eq!(memory.bytes().last().copied(), (length > 0).then_some(7));
        }
    }
}
