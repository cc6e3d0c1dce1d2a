//! Decimal numbers, read in one pass and rounded correctly.
//!
//! A number is `digits * 10^exponent`. Rounding it to 32 bits goes through a 64-bit product whose
//! relative error is at most 2^-51: three roundings (digits, power of ten, product) of 2^-53 each.
//! Unless that product lies within its error of the middle between two 32-bit numbers, it rounds as
//! the exact value does. The few that lie there, and numbers of unusual size or length, are read by
//! the standard library, which is exact and slower.

use super::Declined;

/// More digits may not fit into 64 bits.
const DIGITS_MAX: usize = 19;
/// Integers up to here are exact in 64-bit floating point.
const EXACT_INTEGER_MAX: u64 = 1 << 53;
/// Powers of ten up to this one are exact in 64-bit floating point.
const EXACT_POWER_MAX: u32 = 22;

/// Enough for every normal 32-bit number: 10^19 digits times 10^-57 is the smallest.
const POWERS: [f64; 61] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32,
    1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48,
    1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59, 1e60,
];

/// A number as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal<'de> {
    /// The whole of it, for the exact way.
    text: &'de [u8],
    is_negative: bool,
    /// The digits without the point; meaningless when there are too many.
    digits: u64,
    exponent: i32,
    /// Whether `digits` and `exponent` hold the number.
    fits: bool,
    /// Whether it has neither point nor exponent.
    is_integer: bool,
}

impl<'de> Decimal<'de> {
    /// Reads the number at the beginning of `bytes`, by the grammar of JSON.
    #[inline]
    pub(super) fn scan(bytes: &'de [u8]) -> Result<Self, Declined> {
        let is_negative = bytes.first() == Some(&b'-');
        let begin = usize::from(is_negative);
        // A zero is alone before the point, and counts for nothing.
        let is_zero = bytes.get(begin) == Some(&b'0');
        let (mut digits, mut at) =
            if is_zero { (0, begin + 1) } else { read_digits(bytes, begin, 0) };
        if at == begin || (is_zero && bytes.get(at).is_some_and(u8::is_ascii_digit)) {
            return Err(Declined);
        }
        let mut digit_count = if is_zero { 0 } else { at - begin };
        let (mut fraction, mut exponent, mut is_integer) = (0, 0, true);
        if bytes.get(at) == Some(&b'.') {
            let point = at + 1;
            (digits, at) = read_digits(bytes, point, digits);
            fraction = at - point;
            if fraction == 0 {
                return Err(Declined);
            }
            digit_count += fraction;
            is_integer = false;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            (exponent, at) = read_exponent(bytes, at + 1)?;
            is_integer = false;
        }
        let text = bytes.get(..at).ok_or(Declined)?;
        let fits = digit_count <= DIGITS_MAX || significant(text) <= DIGITS_MAX;
        // A body is far shorter than 2^31 bytes; if not, the number is too long to fit anyway.
        let exponent = exponent.saturating_sub(i32::try_from(fraction).unwrap_or(i32::MAX));
        Ok(Self { text, is_negative, digits, exponent, fits, is_integer })
    }

    /// Bytes it takes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// The nearest 32-bit number.
    #[inline]
    pub(super) fn to_f32(self) -> Result<f32, Declined> {
        let near = if self.fits { nearest_f32(self.digits, self.exponent) } else { None };
        match near {
            Some(value) => {
                let sign = u32::from(self.is_negative) << 31;
                Ok(f32::from_bits(value.to_bits() | sign))
            }
            None => self.exactly(),
        }
    }

    /// The number as serde_json hands it on: as an integer where it is written as one and fits,
    /// else as the nearest 64-bit number.
    pub(super) fn to_any(self) -> Result<Number, Declined> {
        if self.is_integer {
            if !self.fits {
                // Some numbers of 20 digits fit into 64 bits after all.
                return Err(Declined);
            }
            if !self.is_negative {
                return Ok(Number::Unsigned(self.digits));
            }
            match 0_i64.checked_sub_unsigned(self.digits) {
                Some(number) if number != 0 => return Ok(Number::Signed(number)),
                _ => {}
            }
        }
        let power = self.exponent.unsigned_abs();
        if !self.fits || self.digits > EXACT_INTEGER_MAX || power > EXACT_POWER_MAX {
            return self.exactly().map(Number::Float);
        }
        // Both operands are exact, so there is a single rounding.
        let value = scaled(self.digits, self.exponent).ok_or(Declined)?;
        Ok(Number::Float(if self.is_negative { -value } else { value }))
    }

    /// By the standard library. Out of range is refused, as serde_json refuses it.
    #[cold]
    fn exactly<T: std::str::FromStr + Into<f64> + Copy>(self) -> Result<T, Declined> {
        let text = str::from_utf8(self.text).map_err(|_| Declined)?;
        let value: T = text.parse().map_err(|_| Declined)?;
        if value.into().is_finite() { Ok(value) } else { Err(Declined) }
    }
}

/// A number of any kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// Written as an integer, zero or more.
    Unsigned(u64),
    /// Written as an integer below zero.
    Signed(i64),
    /// Everything else.
    Float(f64),
}

/// Reads digits from `at` on, behind those in `value`; gives the value and where they end. Wraps
/// when there are too many.
///
/// WHY without a branch per digit: how many digits a number has is not to be foreseen, and a wrong
/// guess of the processor costs as much as all the arithmetic here.
#[inline]
fn read_digits(bytes: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let digits = u64::from_le_bytes(*chunk) ^ ZEROS;
        let count = not_digits(digits).trailing_zeros() / 8;
        at += count as usize;
        if let Some(scale) = SCALES.get(count as usize) {
            // Moved up, so that zeros stand before the digits and what follows them is gone.
            let moved = (digits << (56 - 8 * count)) << 8;
            return (value.wrapping_mul(*scale).wrapping_add(eight_digits(moved)), at);
        }
        value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(digits));
    }
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        value = value.wrapping_mul(10).wrapping_add(digit.into());
        at += 1;
    }
    (value, at)
}

/// Eight times the digit zero.
const ZEROS: u64 = 0x3030_3030_3030_3030;
/// Ten to the power of the place.
const SCALES: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Marks, in its highest bit, every byte that is no digit. Digits come as 0 to 9.
#[inline]
fn not_digits(digits: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // 0x76 + 10 reaches the highest bit; without the bit itself no byte carries into the next.
    (((digits & LOW) + 0x7676_7676_7676_7676) | digits) & !LOW
}

/// The number that eight digits spell, 0 to 9 each, the first of them in the lowest byte. Neighbours
/// are joined to pairs, pairs to fours, fours to eight.
#[inline]
fn eight_digits(digits: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let even = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let odd = ((pairs >> 16) & PAIRS).wrapping_mul(1 + (10_000 << 32));
    even.wrapping_add(odd) >> 32
}

/// Reads an exponent behind its `e`.
fn read_exponent(bytes: &[u8], mut at: usize) -> Result<(i32, usize), Declined> {
    let is_negative = bytes.get(at) == Some(&b'-');
    at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
    let begin = at;
    let mut exponent = 0_i32;
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        exponent = exponent.saturating_mul(10).saturating_add(digit.into());
        at += 1;
    }
    if at == begin {
        return Err(Declined);
    }
    Ok((if is_negative { -exponent } else { exponent }, at))
}

/// Digits without the zeros before them.
#[cold]
fn significant(text: &[u8]) -> usize {
    let mantissa = text.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
    let digits = mantissa.filter(|byte| byte.is_ascii_digit());
    digits.skip_while(|&&digit| digit == b'0').count()
}

/// `digits * 10^exponent` in 64 bits; none when the power is not in the table.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "the rounding is accounted for by the callers")]
fn scaled(digits: u64, exponent: i32) -> Option<f64> {
    let power = POWERS.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
    Some(if exponent < 0 { digits as f64 / power } else { digits as f64 * power })
}

/// The 32-bit number nearest to `digits * 10^exponent`; none when that takes more care.
#[inline]
fn nearest_f32(digits: u64, exponent: i32) -> Option<f32> {
    /// Bits of a 64-bit mantissa that a 32-bit one has not.
    const LOST: u64 = (1 << 29) - 1;
    const MIDDLE: u64 = 1 << 28;
    /// The error is at most 2^-51 of the value, which is four units of the last place.
    const DOUBT: u64 = 8;
    if digits == 0 {
        return Some(0.0);
    }
    let value = scaled(digits, exponent)?;
    let is_normal = value >= f64::from(f32::MIN_POSITIVE) && value <= f64::from(f32::MAX);
    if !is_normal || (value.to_bits() & LOST).abs_diff(MIDDLE) <= DOUBT {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
    Some(value as f32)
}
