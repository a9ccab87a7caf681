//! The honest limit: what any ingest of these bytes has to do, and nothing else.
//!
//! A loop that finds the newlines (memchr) and parses value and time of each line. It does not look at the key,
//! trusts the form of the line, knows nothing of signs, exponents, other units or errors, and adds up what it read
//! instead of keeping it. Its code is its own, so that a change of the engine's parsers does not move the mark.

/// What the loop adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Lines.
    pub lines: u64,
    /// All values.
    pub values: f64,
    /// All times.
    pub times: u64,
}

/// By number of decimals.
const SCALES: [f64; 8] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

/// Passes over `bytes`, whose lines end in `=<digits>[.<digits>] <digits>` and a newline.
///
/// # Panics
/// If a line does not.
#[must_use]
pub fn limit(bytes: &[u8]) -> Sums {
    let mut sums = Sums::default();
    let mut line_at = 0;
    for newline in memchr::memchr_iter(b'\n', bytes) {
        let line = &bytes[line_at..newline];
        line_at = newline + 1;
        // From the end, so that the key is not read at all: the time, then the value up to its equals sign.
        let mut at = line.len();
        let mut time = 0u64;
        let mut place = 1u64;
        if let Some(eight) = line.last_chunk::<8>()
            && let Some(number) = eight_digits(*eight)
        {
            (time, place) = (number, 100_000_000);
            at -= 8;
        }
        loop {
            at -= 1;
            let digit = line[at].wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            time += place * u64::from(digit);
            place = place.wrapping_mul(10);
        }
        let mut mantissa = 0u64;
        let mut place = 1u64;
        let mut decimals = 0;
        let end = at;
        loop {
            at -= 1;
            match line[at] {
                b'.' => decimals = end - 1 - at,
                b'=' => break,
                byte => {
                    mantissa += place * u64::from(byte.wrapping_sub(b'0'));
                    place = place.wrapping_mul(10);
                }
            }
        }
        sums.lines += 1;
        sums.values += mantissa as f64 / SCALES[decimals];
        sums.times += time;
    }
    sums
}

/// Eight digits at once: pairs, fours, then all of them in one register.
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    let digits = u64::from_le_bytes(text).wrapping_sub(0x3030_3030_3030_3030);
    // A byte below '0' borrows, one above '9' reaches the upper half: both leave a bit there.
    if (digits | digits.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}
