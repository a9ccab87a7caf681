//! Numbers of an answer: fixed-point decimals, byte for byte as the reference prints them (SPEC section 4).
//!
//! Before: the values read, combined, resampled and scaled. After: the bytes on the wire. A query over a day of
//! a large site prints millions of values, so this is the hottest code of the read path.
//!
//! The result is correctly rounded from the exact binary value; ties go to the even digit. Only exact ties
//! are ties: 0.0625 is one ("0.062"), 0.0015 is not, because no double equals it.
//!
//! How: a double is `mantissa · 2^-shift` with `mantissa < 2^53`. For magnitudes below 2^52 the shift is positive, and
//! `mantissa · 1000` fits 63 bits, so the rounding is one exact integer shift; nothing is approximated.
//! Larger doubles are whole numbers: they need no rounding, and the standard formatter prints all their digits.
//! (`{:.3}` rounds ties to even as well, and keeps the sign of zero; a test says so. It takes several times as long.)

use std::io::Write;

/// Bits of the stored fraction of a double.
const FRACTION_BITS: u32 = 52;
/// `exponent field + shift` of every double: bias 1023 plus the fraction bits.
const SHIFT_BASE: u64 = 1023 + FRACTION_BITS as u64;
/// Longest output of the fast path: sign, the 16 digits of 2^52, point, three decimals; rounded up so that
/// the copy into the output is a few fixed-size moves.
const FIXED_BYTES_MAX: usize = 24;
/// Longest i64: sign and 19 digits.
const INTEGER_BYTES_MAX: usize = 20;

const _: () = assert!((1u64 << FRACTION_BITS) < 10u64.pow(16));
const _: () = assert!(1 + 16 + 1 + 3 <= FIXED_BYTES_MAX);
// Mantissa times scale, plus half a unit, must not overflow.
const _: () = assert!((1u128 << (FRACTION_BITS + 1)) * 1000 < 1u128 << 63);

/// "00", "01", … "99": two digits per table access.
static PAIRS: [[u8; 2]; 100] = pairs();

const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0u8;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
}

/// Appends a data value with exactly three decimals; NaN and infinities (which JSON lacks) become `null`.
///
/// Negative zero and negatives that round to zero keep their sign: `-0.000`.
#[inline]
pub fn push_value(out: &mut Vec<u8>, value: f64) {
    push_fixed::<1000>(out, value);
}

/// Values whose text is put together before it is appended.
const VALUES_AT_ONCE: usize = 64;
/// Longest text of a value in [`push_values`] that is not left to [`push_value`]: sign, nine digits, point, decimals and
/// comma, and what a store of eight bytes writes behind them.
const SHORT_BYTES_MAX: usize = 16;

/// Numbers whose digits before the point are nine at most, also when they are rounded.
const SHORT_BOUND: f64 = 999_999_999.0;
/// 2^52: a smaller number added to it is rounded to an integer, which is then the low bits of the sum.
const ROUNDING: f64 = (1u64 << FRACTION_BITS) as f64;

/// "000", "001", … "999" in the three low bytes.
static TRIPLES: [u32; 1000] = {
    let mut triples = [0; 1000];
    let mut number = 0;
    while number < 1000 {
        let digits = [number / 100, number / 10 % 10, number % 10, 0];
        triples[number as usize] =
            u32::from_le_bytes([b'0', b'0', b'0', 0]) + digits[0] + (digits[1] << 8) + (digits[2] << 16);
        number += 1;
    }
    triples
};

/// Appends values as [`push_value`] does, with commas between them.
pub fn push_values(out: &mut Vec<u8>, values: &[f64]) {
    let mut text = [0; VALUES_AT_ONCE * SHORT_BYTES_MAX];
    for values in values.chunks(VALUES_AT_ONCE) {
        let mut at = 0;
        for &value in values {
            match write_short(&mut text[at..at + SHORT_BYTES_MAX], value) {
                Some(length) => at += length,
                None => {
                    out.extend_from_slice(&text[..at]);
                    at = 0;
                    push_value(out, value);
                    out.push(b',');
                }
            }
        }
        out.extend_from_slice(&text[..at]);
    }
    if !values.is_empty() {
        out.pop();
    }
}

/// Writes a value below [`SHORT_BOUND`] and a comma at the beginning of `text`; returns how many bytes, `None` if it is none.
///
/// At most three digits are put together in one word, with all that follows.
#[inline]
fn write_short(text: &mut [u8], value: f64) -> Option<usize> {
    let text: &mut [u8; SHORT_BYTES_MAX] = text.try_into().ok()?;
    let (bits, magnitude) = (value.to_bits(), value.abs());
    // Not so of NaN.
    let is_short = magnitude < SHORT_BOUND;
    if !is_short {
        return None;
    }
    let units = thousandths(magnitude);
    let (mut whole, fraction) = (units / 1000, (units % 1000) as usize);
    text[0] = b'-';
    let mut at = (bits >> 63) as usize;
    let mut end = u64::from(b'.') | u64::from(TRIPLES[fraction]) << 8 | u64::from(b',') << 32;
    let mut length = 5;
    if whole >= 1000 {
        let first = whole / 1_000_000;
        if first > 0 {
            at += write_word(text, at, leading(first as usize));
            let second = whole / 1000 % 1000;
            at += write_word(text, at, (u64::from(TRIPLES[second as usize]), 3));
        } else {
            at += write_word(text, at, leading((whole / 1000) as usize));
        }
        whole %= 1000;
        end = u64::from(TRIPLES[whole as usize]) | end << 24;
        length += 3;
    } else {
        let (digits, count) = leading(whole as usize);
        end = digits | end << (8 * count);
        length += count;
    }
    Some(at + write_word(text, at, (end, length)))
}

/// A number from 0 to below [`SHORT_BOUND`] in thousandths, rounded half to even.
#[inline]
fn thousandths(magnitude: f64) -> u64 {
    // The product is off by less than 2^-13, so its nearest integer is that of the exact one, unless it is about half-way.
    let product = magnitude * 1000.0;
    let rounded = product + ROUNDING;
    if (product - (rounded - ROUNDING)).abs() < 0.49 {
        return rounded.to_bits() - ROUNDING.to_bits();
    }
    let bits = magnitude.to_bits();
    round_to_units::<1000>(bits, bits >> FRACTION_BITS)
}

/// The digits of a number below 1000 without zeros before it, and how many.
#[inline]
fn leading(number: usize) -> (u64, usize) {
    let count = 1 + usize::from(number >= 10) + usize::from(number >= 100);
    (u64::from(TRIPLES[number]) >> (24 - 8 * count), count)
}

/// Writes a word of which the first bytes count; returns how many.
#[inline]
fn write_word(text: &mut [u8; SHORT_BYTES_MAX], at: usize, (word, length): (u64, usize)) -> usize {
    text[at..at + size_of::<u64>()].copy_from_slice(&word.to_le_bytes());
    length
}

/// Appends a statistic with exactly two decimals; otherwise as [`push_value`].
#[inline]
pub fn push_statistic(out: &mut Vec<u8>, value: f64) {
    push_fixed::<100>(out, value);
}

/// Whether all numbers from `low` to `high` are the same once [`push_statistic`] has written them. `false` also of numbers
/// too large to be rounded, and of what is no number.
#[must_use]
pub fn prints_alike(low: f64, high: f64) -> bool {
    let exponent = |value: f64| (value.to_bits() >> FRACTION_BITS) & 0x7ff;
    low.is_sign_negative() == high.is_sign_negative()
        && exponent(low).max(exponent(high)) < SHIFT_BASE
        && round_to_units::<100>(low.to_bits(), exponent(low))
            == round_to_units::<100>(high.to_bits(), exponent(high))
}

/// Appends a whole number in decimal.
pub fn push_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0u8; INTEGER_BYTES_MAX];
    digits[0] = b'-';
    let start = usize::from(value < 0);
    let magnitude = value.unsigned_abs();
    let end = start + decimal_len(magnitude);
    write_digits(&mut digits, end, magnitude);
    out.extend_from_slice(&digits[..end]);
}

/// `SCALE` is ten to the number of decimals: 100 or 1000.
#[inline]
fn push_fixed<const SCALE: u64>(out: &mut Vec<u8>, value: f64) {
    const { assert!(SCALE == 100 || SCALE == 1000) };
    let bits = value.to_bits();
    let exponent = (bits >> FRACTION_BITS) & 0x7ff;
    if exponent >= SHIFT_BASE {
        return push_unrounded::<SCALE>(out, value);
    }
    let units = round_to_units::<SCALE>(bits, exponent);
    let (whole, fraction) = (units / SCALE, units % SCALE);

    let mut text = [b'0'; FIXED_BYTES_MAX];
    text[0] = b'-';
    let start = usize::from(bits >> 63 == 1);
    let point = if whole < 10 {
        text[start] = b'0' + whole as u8;
        start + 1
    } else {
        let end = start + decimal_len(whole);
        write_digits(&mut text, end, whole);
        end
    };
    text[point] = b'.';
    let mut end = point + 1;
    if SCALE == 1000 {
        text[end] = b'0' + (fraction / 100) as u8;
        end += 1;
    }
    text[end..end + 2].copy_from_slice(&PAIRS[(fraction % 100) as usize]);
    end += 2;

    // Copying the whole array and cutting the rest off again is faster than a copy of variable length.
    let len_before = out.len();
    out.extend_from_slice(&text);
    out.truncate(len_before + end);
}

/// The magnitude in units of `1 / SCALE`, rounded half to even; `exponent` is the exponent field, below [`SHIFT_BASE`].
#[inline]
fn round_to_units<const SCALE: u64>(bits: u64, exponent: u64) -> u64 {
    let shift = SHIFT_BASE - exponent;
    if shift >= u64::BITS.into() {
        // Scaled mantissa < 2^63, so this is less than half a unit. Zero and subnormals end here, too.
        return 0;
    }
    let mantissa = (bits & ((1 << FRACTION_BITS) - 1)) | (1 << FRACTION_BITS);
    let scaled = mantissa * SCALE;
    // Add just under half a unit, or exactly half when the unit below is odd: a tie then carries to even.
    let odd = (scaled >> shift) & 1;
    (scaled + (1 << (shift - 1)) - 1 + odd) >> shift
}

/// What is too large to have decimals, or no number at all.
#[cold]
fn push_unrounded<const SCALE: u64>(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    let decimals = if SCALE == 1000 { 3 } else { 2 };
    write!(out, "{value:.decimals$}").expect("writing to a Vec cannot fail");
}

/// How many decimal digits a number has; 1 for zero.
#[inline]
fn decimal_len(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Writes the digits of `number` so that the last one stands before `end`.
#[inline]
fn write_digits(text: &mut [u8], end: usize, mut number: u64) {
    let mut at = end;
    while number >= 100 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if number >= 10 {
        text[at - 2..at].copy_from_slice(&PAIRS[number as usize]);
    } else {
        text[at - 1] = b'0' + number as u8;
    }
}

#[cfg(test)]
mod tests;
