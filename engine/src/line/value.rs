//! The number behind `value=` (SPEC section 2): float, `4i`, `4u`.
//!
//! Almost every real value has at most 15 digits and few decimals: such a number is an integer divided by
//! a small power of ten, both exact, so one division rounds correctly (Clinger's fast path). The rest
//! goes through the standard library.

use super::error::Fault;

/// Powers of ten that a double represents exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Integers up to here are exact in a double.
const MANTISSA_EXACT_MAX: u64 = 1 << 53;
/// This many digits always fit a `u64`.
const DIGITS_FAST_MAX: usize = 19;

/// Reads a number at the start of `text`, which must contain a newline.
///
/// Returns the value and how many bytes it takes; the byte behind it is a space, a comma, or the end of
/// the line.
///
/// # Errors
/// [`Fault::ValueSyntax`], [`Fault::ValueType`] or [`Fault::ValueRange`].
// On the way of every line: with more than one caller, the compiler would make it a call.
#[inline(always)]
pub fn parse(text: &[u8]) -> Result<(f64, usize), Fault> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut at = start;
    let mut mantissa = 0u64;
    let mut point = usize::MAX;
    let end_byte = loop {
        let Some(&byte) = text.get(at) else { return parse_any(text) };
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if byte == b'.' && point == usize::MAX {
            point = at;
        } else {
            break byte;
        }
        at += 1;
    };
    let has_point = point != usize::MAX;
    let digits = at - start - usize::from(has_point);
    if digits == 0 || digits > DIGITS_FAST_MAX {
        return parse_any(text);
    }
    match end_byte {
        b' ' | b'\n' | b',' | b'\r' if mantissa <= MANTISSA_EXACT_MAX => {
            let decimals = if has_point { at - point - 1 } else { 0 };
            // DIGITS_FAST_MAX is below the length of the table.
            let magnitude =
                if decimals == 0 { mantissa as f64 } else { mantissa as f64 / POWERS_OF_TEN[decimals] };
            Ok((if negative { -magnitude } else { magnitude }, at))
        }
        b'i' if !has_point && mantissa <= MANTISSA_EXACT_MAX && ends_number(text, at + 1) => {
            let magnitude = mantissa as f64;
            Ok((if negative && mantissa != 0 { -magnitude } else { magnitude }, at + 1))
        }
        _ => parse_any(text),
    }
}

fn ends_number(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), None | Some(b' ' | b'\n' | b',' | b'\r'))
}

/// Any other number, and all errors.
#[cold]
fn parse_any(text: &[u8]) -> Result<(f64, usize), Fault> {
    let length =
        text.iter().position(|byte| matches!(byte, b' ' | b'\n' | b',' | b'\r')).unwrap_or(text.len());
    let token = &text[..length];
    let Some(&first) = token.first() else { return Err(Fault::ValueSyntax) };
    match first {
        b'"' | b't' | b'T' | b'f' | b'F' => return Err(Fault::ValueType),
        b'-' | b'.' | b'0'..=b'9' => {}
        _ => return Err(Fault::ValueSyntax),
    }
    let token = std::str::from_utf8(token).map_err(|_| Fault::ValueSyntax)?;
    let integer = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value = if let Some(signed) = token.strip_suffix('i') {
        if !integer(signed.strip_prefix('-').unwrap_or(signed)) {
            return Err(Fault::ValueSyntax);
        }
        signed.parse::<i64>().map_err(|_| Fault::ValueRange)? as f64
    } else if let Some(unsigned) = token.strip_suffix('u') {
        if !integer(unsigned) {
            return Err(Fault::ValueSyntax);
        }
        unsigned.parse::<u64>().map_err(|_| Fault::ValueRange)? as f64
    } else {
        if !is_decimal(token.as_bytes()) {
            return Err(Fault::ValueSyntax);
        }
        token.parse::<f64>().map_err(|_| Fault::ValueSyntax)?
    };
    if value.is_finite() { Ok((value, length)) } else { Err(Fault::ValueRange) }
}

/// `-?digits*(.digits*)?([eE][+-]?digits+)?` with at least one digit before the exponent.
fn is_decimal(token: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = token.strip_prefix(b"-").unwrap_or(token);
    let whole = digits(rest);
    rest = &rest[whole..];
    let mut decimals = 0;
    if let Some(after_point) = rest.strip_prefix(b".") {
        decimals = digits(after_point);
        rest = &after_point[decimals..];
    }
    if whole + decimals == 0 {
        return false;
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers() {
        let cases: [(&str, f64); 24] = [
            ("0", 0.0),
            ("-0.0", -0.0),
            ("1", 1.0),
            ("-1", -1.0),
            (".5", 0.5),
            ("-.5", -0.5),
            ("5.", 5.0),
            ("1.23", 1.23),
            ("4i", 4.0),
            ("-3i", -3.0),
            ("4u", 4.0),
            ("-0i", 0.0),
            ("9223372036854775807i", 9_223_372_036_854_775_807.0),
            ("-9223372036854775808i", -9_223_372_036_854_775_808.0),
            ("18446744073709551615u", 18_446_744_073_709_551_615.0),
            ("1e3", 1000.0),
            ("1.5E-3", 0.0015),
            ("1e+2", 100.0),
            ("1e300", 1e300),
            ("1e-400", 0.0),
            ("123456789.123456", 123_456_789.123_456),
            ("4503599627370497.5", 4_503_599_627_370_497.5),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("0.30000000000000004", 0.300_000_000_000_000_04),
        ];
        for (text, expected) in cases {
            for end in [" 17\n", "\n", ",x=1\n", "\r\n"] {
                let line = format!("{text}{end}");
                let (value, length) =
                    parse(line.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"));
                assert_eq!(value.to_bits(), expected.to_bits(), "{text}");
                assert_eq!(length, text.len(), "{text}");
            }
        }
    }

    #[test]
    fn not_numbers() {
        let cases = [
            ("", Fault::ValueSyntax),
            ("-", Fault::ValueSyntax),
            (".", Fault::ValueSyntax),
            ("-i", Fault::ValueSyntax),
            ("i", Fault::ValueSyntax),
            ("+1", Fault::ValueSyntax),
            ("1x", Fault::ValueSyntax),
            ("1ii", Fault::ValueSyntax),
            ("1.5i", Fault::ValueSyntax),
            ("-4u", Fault::ValueSyntax),
            ("1.2.3", Fault::ValueSyntax),
            ("--1", Fault::ValueSyntax),
            ("1e", Fault::ValueSyntax),
            ("1e+", Fault::ValueSyntax),
            ("e5", Fault::ValueSyntax),
            ("0x10", Fault::ValueSyntax),
            ("1_000", Fault::ValueSyntax),
            ("NaN", Fault::ValueSyntax),
            ("inf", Fault::ValueSyntax),
            ("\u{b2}", Fault::ValueSyntax),
            ("true", Fault::ValueType),
            ("F", Fault::ValueType),
            ("\"1\"", Fault::ValueType),
            ("1e400", Fault::ValueRange),
            ("9223372036854775808i", Fault::ValueRange),
            ("18446744073709551616u", Fault::ValueRange),
        ];
        for (text, fault) in cases {
            for end in [" 17\n", "\n"] {
                assert_eq!(parse(format!("{text}{end}").as_bytes()), Err(fault), "{text}");
            }
        }
    }

    proptest! {
        /// Both paths agree with the standard library, bit for bit, on whatever it prints.
        #[test]
        fn floats_round_trip(bits: u64, decimals in 0usize..25) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:e}"), format!("{:.decimals$}", value % 1e9)] {
                let (parsed, length) = parse(format!("{text} 1\n").as_bytes()).unwrap();
                let expected: f64 = text.parse().unwrap();
                prop_assert_eq!(parsed.to_bits(), expected.to_bits(), "{}", text);
                prop_assert_eq!(length, text.len());
            }
        }

        #[test]
        fn any_bytes_are_answered(text: Vec<u8>) {
            let _ = parse(&text);
        }
    }
}
