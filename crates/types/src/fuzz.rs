//! Seeded mutation of valid inputs, for tests of parsers. Not part of any product: the tests of other
//! crates take this file in by its path.
//!
//! WHY not only a coverage-guided fuzzer: this runs on a stable toolchain in every check, in seconds,
//! and a seed names an input for ever. `LODGEPOLE_FUZZ_SECONDS` makes it longer, `LODGEPOLE_FUZZ_SEED`
//! repeats one input. INVARIANT: an input is a function of the corpus and its seed alone.

#![allow(dead_code, unreachable_pub, reason = "each crate that takes it in uses a part")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What one target gets in a short run.
const SECONDS: f64 = 3.0;
/// No input may take longer.
const INPUT_TAKES_MAX: Duration = Duration::from_secs(2);
/// Longer inputs are cut: what is sought is in the structure, not in the length.
const INPUT_BYTES_MAX: usize = 1 << 20;

/// Bytes that parsers treat in a way of their own.
const ODD: &[&[u8]] = &[
    b"\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80\x80\x01",
    b"\xef\xbb\xbf",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    "\u{202e}".as_bytes(),
    "\u{0}".as_bytes(),
    "\u{fffe}".as_bytes(),
    "\u{1f600}".as_bytes(),
    "e\u{301}".as_bytes(),
    br"\ud800",
    br"\u0000",
    br"\ud83d\ude00",
    br#"\""#,
    b"1e309",
    b"-1e309",
    b"1e-400",
    b"9007199254740993",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"-0",
    b"0.1",
    b"NaN",
    b"Infinity",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"{\"$and\":[",
    b"{\"$not\":",
    b"\"\"",
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\n",
    b"\r\n",
    b"\"",
    b"..",
    b"/",
    b"%00",
    b"$in",
    b"$or",
];

/// Where changes come from.
#[derive(Debug)]
pub struct Draw(u64);

impl Draw {
    /// A sequence fixed by `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x6675_7a7a)
    }

    /// The next bits (SplitMix64).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() >> 11) as usize % end.max(1)
    }

    /// Two places in order, not beyond `length`.
    fn span(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length - start } else { (length - start).min(16) };
        start..start + self.below(most + 1)
    }
}

/// An input: one of the corpus, changed some times.
pub fn mutated(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut draw = Draw::new(seed);
    let mut input = corpus[draw.below(corpus.len())].clone();
    // Now and then what is valid stays so: it has to be accepted.
    let changes = [0, 1, 1, 1, 2, 2, 4, 16][draw.below(8)];
    for _ in 0..changes {
        change(&mut draw, &mut input, corpus);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn change(draw: &mut Draw, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let length = input.len();
    match draw.below(11) {
        0 if length > 0 => {
            let at = draw.below(length);
            input[at] ^= 1 << draw.below(8);
        }
        1 if length > 0 => {
            let at = draw.below(length);
            input[at] = draw.bits().to_le_bytes()[0];
        }
        2 => drop(input.drain(draw.span(length))),
        3 => input.truncate(draw.below(length + 1)),
        // What is there once is there twice: keys, elements, rows.
        4 => {
            let piece = input[draw.span(length)].to_vec();
            let at = draw.below(length + 1);
            input.splice(at..at, piece);
        }
        5 => {
            let odd = ODD[draw.below(ODD.len())];
            let span = draw.span(length);
            input.splice(span, odd.iter().copied());
        }
        6 => {
            let other = &corpus[draw.below(corpus.len())];
            let piece = other[draw.span(other.len())].to_vec();
            let span = draw.span(length);
            input.splice(span, piece);
        }
        7 => deepen(draw, input),
        8 => number(draw, input),
        9 if length >= 4 => {
            let at = draw.below(length - 3);
            let value = [0, 1, u32::MAX, 1 << 31, 0x7fff_ffff, 1 << 20][draw.below(6)];
            input[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        _ if length >= 8 => {
            let at = draw.below(length - 7);
            let value = [0, 1, u64::MAX, 1 << 63, 1 << 40, 1 << 32][draw.below(6)];
            input[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        _ => {}
    }
}

/// Puts a stretch into itself, many levels deep.
fn deepen(draw: &mut Draw, input: &mut Vec<u8>) {
    let (open, close): (&[u8], &[u8]) = [
        (&b"["[..], &b"]"[..]),
        (b"{\"a\":", b"}"),
        (b"{\"$and\":[", b"]}"),
        (b"{\"$not\":", b"}"),
    ][draw.below(4)];
    let levels = [2, 30, 140, 5_000][draw.below(4)];
    let span = draw.span(input.len());
    let deep = [open.repeat(levels), input[span.clone()].to_vec(), close.repeat(levels)].concat();
    input.splice(span, deep);
}

/// Replaces a run of digits.
fn number(draw: &mut Draw, input: &mut Vec<u8>) {
    let digits: Vec<usize> = (0..input.len()).filter(|at| input[*at].is_ascii_digit()).collect();
    let Some(&start) = digits.get(draw.below(digits.len())) else { return };
    let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = match draw.below(4) {
        0 => "9".repeat(1 + draw.below(400)),
        1 => draw.bits().to_string(),
        2 => format!("{}e{}", draw.below(10), draw.below(500)),
        _ => format!("0.{}", "0".repeat(draw.below(400)) + "1"),
    };
    input.splice(start..start + length, text.into_bytes());
}

/// Gives a target inputs until its time is over; `true` from it counts an accepted one. Prints what it
/// did.
///
/// # Panics
/// When the target does, and when an input takes too long; the message has the seed.
pub fn fuzz(name: &str, corpus: &[Vec<u8>], mut target: impl FnMut(&[u8]) -> bool) {
    if let Some(seed) = setting::<u64>("LODGEPOLE_FUZZ_SEED") {
        let input = mutated(corpus, seed);
        println!("{name}: {}", input.escape_ascii());
        target(&input);
        return;
    }
    let time = Duration::from_secs_f64(setting("LODGEPOLE_FUZZ_SECONDS").unwrap_or(SECONDS));
    let begun = now();
    // A long run begins elsewhere each time; a short one is the same every time.
    let first = if time.as_secs_f64() > SECONDS { u64::from(std::process::id()) << 32 } else { 0 };
    let (mut seed, mut accepted) = (first, 0_u64);
    let mut earlier = Duration::ZERO;
    while earlier < time {
        let input = mutated(corpus, seed);
        let outcome = catch_unwind(AssertUnwindSafe(|| target(&input)));
        let elapsed = begun.elapsed();
        let replay = format!("LODGEPOLE_FUZZ_SEED={seed}");
        let shown = input[..input.len().min(2_000)].escape_ascii();
        match outcome {
            Ok(is_accepted) => accepted += u64::from(is_accepted),
            Err(_) => panic!("{name} panicked; {replay}: {shown}"),
        }
        let took = elapsed - earlier;
        assert!(took < INPUT_TAKES_MAX, "{name} took {took:?}; {replay}: {shown}");
        earlier = elapsed;
        seed += 1;
    }
    let inputs = seed - first;
    println!("{name}: {inputs} inputs from seed {first}, {accepted} accepted");
    assert!(accepted > 0, "{name} accepts nothing: the corpus is of no use");
    assert!(accepted < inputs, "{name} accepts everything");
}

#[allow(clippy::disallowed_methods, reason = "how long a test takes is its own affair")]
fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "how long a test takes is its own affair")]
fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}
