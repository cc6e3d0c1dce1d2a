//! Goal: on every tier packing, tables and scans do what the layout says, to the bit, from 64 to
//! 20,480 dimensions, at any alignment, and estimates are near the inner products they stand for.
//!
//! Method: each tier against a reference that reads one bit at a time, on random codes as well as
//! on packed rows. Largest sums come from a table and codes where every entry is the largest.

use proptest::prelude::*;

use super::*;
use crate::tests::{tiers, values};

const DIMENSIONS: [usize; 10] = [64, 128, 192, 384, 768, 1_536, 4_096, 4_160, 8_256, 20_480];

/// The bit of a row and a dimension in a block.
fn bit(block: &[u8], row: usize, dimension: usize) -> u8 {
    let byte = block[dimension / 4 * 16 + row % 16];
    byte >> (row / 16 * 4 + dimension % 4) & 1
}

/// The sum of a row, from the table's entries.
fn sum(table: &CodeTable, block: &[u8], row: usize) -> u32 {
    let entry = |group: usize| {
        let pattern: usize = (0..4).map(|i| usize::from(bit(block, row, group * 4 + i)) << i).sum();
        let at = group % 4 * 16 + pattern;
        u32::from(table.quads()[group / 4].0[at])
    };
    (0..table.padded() / 4).map(entry).sum()
}

/// Bits of a random value, well mixed at the top.
fn word(value: f32) -> u32 {
    value.to_bits().wrapping_mul(0x9e37_79b1)
}

/// Random bytes, one more than asked for, so that blocks can begin at an odd address.
fn bytes(count: usize, seed: u64) -> Vec<u8> {
    values(count + 1, seed).iter().map(|value| word(*value).to_le_bytes()[3]).collect()
}

struct Case {
    query: Vec<f32>,
    blocks: Vec<u8>,
    a: Vec<f32>,
    b: Vec<f32>,
    padded: usize,
}

impl Case {
    fn new(padded: usize, count: usize, seed: u64) -> Self {
        let rows = count * BLOCK_ROWS;
        Self {
            query: values(padded, seed),
            blocks: bytes(count * code_block_bytes(padded), seed ^ 1),
            a: values(rows, seed ^ 2),
            b: values(rows, seed ^ 3),
            padded,
        }
    }

    fn blocks(&self) -> &[u8] {
        &self.blocks[1..]
    }

    /// The blocks with their terms, from an odd address on.
    fn whole(&self) -> Vec<u8> {
        let blocks = self.blocks().chunks_exact(code_block_bytes(self.padded));
        let terms = self.a.as_chunks::<32>().0.iter().zip(self.b.as_chunks::<32>().0);
        let mut whole = vec![0];
        for (codes, (a, b)) in blocks.zip(terms) {
            whole.extend(with_terms(codes, &BlockTerms { a: *a, b: *b }));
        }
        whole
    }

    fn expected_sums(&self, table: &CodeTable) -> Vec<u32> {
        let blocks = self.blocks().chunks_exact(code_block_bytes(self.padded));
        blocks.flat_map(|block| (0..BLOCK_ROWS).map(|row| sum(table, block, row))).collect()
    }

    fn expected_estimates(&self, table: &CodeTable, base: f32) -> Vec<f32> {
        let terms = self.a.iter().zip(&self.b);
        let sums = self.expected_sums(table).into_iter().map(|sum| f32::from_bits(exact(sum)));
        let estimate = |(sum, (a, b)): (f32, (&f32, &f32))| {
            (base + a) - b * (table.scale() * sum + table.offset())
        };
        sums.zip(terms).map(|(sum, (a, b))| estimate((sum, (&nearest(*a), &nearest(*b))))).collect()
    }
}

/// The nearest number of those with 16 zero bits at the end; between two, the one with 17.
fn nearest(value: f32) -> f32 {
    let below = f32::from_bits(value.to_bits() & 0xffff_0000);
    let above = f32::from_bits((value.to_bits() & 0xffff_0000) + 0x1_0000);
    let (down, up) = ((value - below).abs(), (above - value).abs());
    if down < up || (down == up && below.to_bits() & 0x1_0000 == 0) { below } else { above }
}

fn with_terms(codes: &[u8], terms: &BlockTerms) -> Vec<u8> {
    let mut block = codes.to_vec();
    block.resize(codes.len() + TERMS_BYTES, 0xee);
    terms.put(&mut block);
    block
}

/// The bits of a whole number below 2^24 as a value.
fn exact(sum: u32) -> u32 {
    assert!(sum < 1 << 24);
    let (high, low) = (u16::try_from(sum >> 16).unwrap(), u16::try_from(sum & 0xffff).unwrap());
    (f32::from(high) * 65_536.0 + f32::from(low)).to_bits()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn check_scans(kernels: Kernels, case: &Case) {
    let table = kernels.code_table(&case.query);
    let sums = case.expected_sums(&table);
    let mut found = vec![u32::MAX; sums.len()];
    kernels.scan_codes(&table, case.blocks(), &mut found);
    assert_eq!(found, sums, "{kernels:?} {}", case.padded);

    let expected = case.expected_estimates(&table, 0.7);
    let mut estimates = vec![f32::NAN; sums.len()];
    kernels.scan_estimates(&table, &case.whole()[1..], 0.7, &mut estimates);
    assert_eq!(bits(&estimates), bits(&expected), "{kernels:?} {}", case.padded);
}

/// Half of the rows below, all, and none; blocks in order, from behind, and some twice, each with a
/// base of its own; all rows allowed, and a random half of them.
fn check_below(kernels: Kernels, case: &Case) {
    let table = kernels.code_table(&case.query);
    let whole = case.whole();
    let count = u32::try_from(case.a.len() / BLOCK_ROWS).unwrap();
    let words: Vec<u32> = values(count as usize, 9).iter().map(|value| word(*value)).collect();
    let pick = |block: u32, base: f32, allowed: u32| Pick { block, base, allowed };
    let in_order: Vec<_> = (0..count).map(|block| pick(block, -0.2, u32::MAX)).collect();
    let behind = (0..count).rev().chain(0..count.min(2));
    let mixed: Vec<_> = behind
        .map(|block| {
            let allowed = if block == 0 { 0 } else { words[block as usize] };
            pick(block, if block % 2 == 0 { 0.4 } else { -0.3 }, allowed)
        })
        .collect();
    for picks in [in_order, mixed] {
        let mut all = Vec::new();
        for pick in &picks {
            let estimates = case.expected_estimates(&table, pick.base);
            for row in 0..32 {
                if pick.allowed >> row & 1 == 1 {
                    let slot = pick.block * 32 + row;
                    all.push((slot, estimates[slot as usize]));
                }
            }
        }
        let mut sorted: Vec<f32> = all.iter().map(|(_, estimate)| *estimate).collect();
        sorted.sort_by(f32::total_cmp);
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        for threshold in [middle, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let mut wanted = vec![(7, 7.0)];
            wanted.extend(all.iter().filter(|(_, estimate)| *estimate < threshold));
            let mut found = vec![(7, 7.0)];
            kernels.scan_below(&table, &whole[1..], &picks, threshold, &mut found);
            assert_eq!(found, wanted, "{kernels:?} {} {threshold}", case.padded);
        }
    }
}

#[test]
fn scans_of_every_tier_give_the_bits_of_the_reference() {
    for padded in DIMENSIONS {
        let case = Case::new(padded, 3, 5);
        for kernels in tiers() {
            check_scans(kernels, &case);
            check_below(kernels, &case);
        }
    }
}

#[test]
fn the_largest_sums_do_not_overflow() {
    for padded in DIMENSIONS {
        let block = vec![0xff; code_block_bytes(padded)];
        for kernels in tiers() {
            let table = kernels.code_table(&vec![1.0; padded]);
            let mut found = [0; BLOCK_ROWS];
            kernels.scan_codes(&table, &block, &mut found);
            let largest = u32::from(ENTRY_MAX) * u32::try_from(padded / 4).unwrap();
            assert_eq!(found, [largest; BLOCK_ROWS], "{kernels:?} {padded}");
        }
    }
}

#[test]
fn tables_are_the_same_on_every_tier() {
    for padded in DIMENSIONS {
        let query = values(padded, 11);
        let scalar = Kernels::with_tier(crate::Tier::Scalar).unwrap().code_table(&query);
        for kernels in tiers() {
            let table = kernels.code_table(&query);
            assert_eq!(table.scale.to_bits(), scalar.scale.to_bits(), "{kernels:?} {padded}");
            assert_eq!(table.offset.to_bits(), scalar.offset.to_bits(), "{kernels:?} {padded}");
            let entries = table.quads.iter().zip(&scalar.quads);
            assert!(entries.into_iter().all(|(x, y)| x.0 == y.0), "{kernels:?} {padded}");
            assert_eq!(table.padded(), padded);
        }
    }
}

#[test]
fn packing_sets_a_bit_for_every_value_that_is_not_negative() {
    for padded in DIMENSIONS {
        for count in [0, 1, 15, 16, 17, 31, 32] {
            let mut rows = values(padded * count + 1, 3);
            if count > 1 {
                rows[1 + padded] = 0.0;
                rows[2 + padded] = -0.0;
            }
            let rows = &rows[1..];
            for kernels in tiers() {
                let mut block = vec![0xaa; code_block_bytes(padded)];
                kernels.pack_signs(rows, padded, &mut block);
                for row in 0..BLOCK_ROWS {
                    let wrong = (0..padded).find(|dimension| {
                        let value = rows.get(row * padded + dimension);
                        let set = value.is_some_and(|value| value.is_sign_positive());
                        bit(&block, row, *dimension) != u8::from(set)
                    });
                    assert_eq!(wrong, None, "{kernels:?} {padded}, row {row} of {count}");
                }
            }
        }
    }
}

/// The bound: every group's entry is off by half a step at most.
#[test]
fn a_sum_stands_for_the_inner_product_with_the_signs() {
    for padded in [64, 384, 4_160] {
        let query = values(padded, 21);
        let rows = values(padded * BLOCK_ROWS, 22);
        for kernels in tiers() {
            let mut block = vec![0; code_block_bytes(padded)];
            kernels.pack_signs(&rows, padded, &mut block);
            let table = kernels.code_table(&query);
            let mut estimates = [0.0; BLOCK_ROWS];
            let terms = BlockTerms { a: [0.0; BLOCK_ROWS], b: [-1.0; BLOCK_ROWS] };
            kernels.scan_estimates(&table, &with_terms(&block, &terms), 0.0, &mut estimates);
            for (row, estimate) in rows.chunks_exact(padded).zip(estimates) {
                let signed = row.iter().zip(&query).map(|(x, q)| f64::from(q * x.signum()));
                let groups = f64::from(u32::try_from(padded / 4).unwrap());
                let bound = f64::from(table.scale()) * 0.501 * groups;
                let error = (signed.sum::<f64>() - f64::from(estimate)).abs();
                assert!(error < bound, "{kernels:?} {padded}: {error} of {bound}");
                // Errors of random signs add up as a root: far below the bound.
                assert!(error < bound / groups.sqrt() * 3.0, "{kernels:?} {padded}: {error}");
            }
        }
    }
}

#[test]
fn a_query_of_zeros_has_sums_of_zero() {
    for kernels in tiers() {
        for value in [0.0, 1e-45] {
            let table = kernels.code_table(&[value; 64]);
            assert!(table.scale().abs() == 0.0 && table.offset().abs() == 0.0);
            let mut found = [1; BLOCK_ROWS];
            kernels.scan_codes(&table, &[0x5a; code_block_bytes(64)], &mut found);
            assert_eq!(found, [0; BLOCK_ROWS]);
        }
    }
}

#[test]
fn no_blocks_are_scanned_and_padding_is_never_reported() {
    for kernels in tiers() {
        let table = kernels.code_table(&[0.5; 64]);
        kernels.scan_codes(&table, &[], &mut []);
        let block = with_terms(&[0; code_block_bytes(64)], &BlockTerms::PADDING);
        let picks = [Pick { block: 0, base: 3.0, allowed: u32::MAX }];
        let mut found = Vec::new();
        kernels.scan_below(&table, &block, &picks, f32::INFINITY, &mut found);
        kernels.scan_below(&table, &[], &[], f32::INFINITY, &mut found);
        assert_eq!(found, []);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    for kernels in tiers() {
        let refused = |name: &str, call: &dyn Fn()| {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
            assert!(outcome.is_err(), "{kernels:?} took {name}");
        };
        let table = kernels.code_table(&[0.5; 64]);
        let block = [0; code_block_bytes(64)];
        let whole = with_terms(&block, &BlockTerms::PADDING);
        let second = [Pick { block: 1, base: 0.0, allowed: 1 }];
        refused("a short block", &|| kernels.scan_codes(&table, &block[1..], &mut [0; 32]));
        refused("few places", &|| kernels.scan_codes(&table, &block, &mut [0; 31]));
        refused("no terms", &|| kernels.scan_estimates(&table, &block, 0.0, &mut [0.0; 32]));
        refused("few places", &|| kernels.scan_estimates(&table, &whole, 0.0, &mut [0.0; 31]));
        refused("no such block", &|| {
            kernels.scan_below(&table, &whole, &second, 0.0, &mut Vec::new());
        });
        refused("no terms", &|| kernels.scan_below(&table, &block, &[], 0.0, &mut Vec::new()));
        refused("no room", &|| BlockTerms::PADDING.put(&mut [0; 127]));
        refused("an odd dimension", &|| drop(kernels.code_table(&[0.0; 65])));
        refused("no dimension", &|| kernels.pack_signs(&[], 0, &mut []));
        refused("33 rows", &|| kernels.pack_signs(&[0.0; 33 * 64], 64, &mut [0; 256]));
        refused("half a row", &|| kernels.pack_signs(&[0.0; 96], 64, &mut [0; 256]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tiers_agree_on_random_shapes(
        steps in 1_usize..=20,
        count in 0_usize..=5,
        seed in any::<u64>(),
    ) {
        let case = Case::new(steps * DIMENSION_STEP, count, seed);
        for kernels in tiers() {
            check_scans(kernels, &case);
            check_below(kernels, &case);
        }
    }
}
