//! Which coding an answer gets: `Accept-Encoding` read as RFC 9110 section 12.5.3 has it.
//!
//! Before it: the request's head. After it: [`ApiBody::encoded`](crate::api::body::ApiBody::encoded).

use hyper::header::HeaderValue;

use super::Coding;

/// Thousandths: the most that `q` can say.
const QUALITY_MAX: u16 = 1000;

/// The coding the client likes best; of equals zstd, then gzip. No header, or one that allows neither: identity.
///
/// Takes `headers.get(..)` as well as `headers.get_all(..)`. An element that is no valid one is as if it were absent;
/// a client that refuses identity too gets it all the same, which RFC 9110 allows.
#[must_use]
pub fn negotiate<'a>(accept_encoding: impl IntoIterator<Item = &'a HeaderValue>) -> Coding {
    let mut any = None;
    let (mut zstd, mut gzip, mut identity) = (None, None, None);
    for element in accept_encoding.into_iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
    {
        let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let Some(quality) = quality(parts) else { continue };
        match Coding::from_name(name) {
            Some(Coding::Zstd) => zstd = Some(quality),
            Some(Coding::Gzip) => gzip = Some(quality),
            Some(Coding::Identity) => identity = Some(quality),
            None if name == b"*" => any = Some(quality),
            None => {}
        }
    }
    // What is not named is not wanted, unless `*` is. Identity need not be named, but loses to whatever is.
    let offers = [
        (Coding::Zstd, zstd.or(any).unwrap_or(0)),
        (Coding::Gzip, gzip.or(any).unwrap_or(0)),
        (Coding::Identity, identity.or(any).unwrap_or(0)),
    ];
    let mut best = (Coding::Identity, 0);
    for offer in offers {
        if offer.1 > best.1 {
            best = offer;
        }
    }
    best.0
}

/// The quality among an element's parameters, in thousandths; `None` if a parameter is not a valid quality.
fn quality<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    let mut quality = QUALITY_MAX;
    for parameter in parameters {
        let (b'q' | b'Q', number) = parameter.split_first()? else { return None };
        quality = thousandths(number.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start())?;
    }
    Some(quality)
}

/// `0`, `1`, or one of them with up to three decimals, and not above 1.
fn thousandths(number: &[u8]) -> Option<u16> {
    let (&whole @ (b'0' | b'1'), rest) = number.split_first()? else { return None };
    let decimals = if rest.is_empty() { rest } else { rest.strip_prefix(b".")? };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = decimals.iter().copied().chain([b'0'; 3]).take(3);
    let fraction = padded.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let value = u16::from(whole - b'0') * QUALITY_MAX + fraction;
    (value <= QUALITY_MAX).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_coding_is_chosen() {
        use Coding::{Gzip, Identity, Zstd};
        let table: &[(&str, Coding)] = &[
            ("", Identity),
            ("gzip", Gzip),
            ("GZip", Gzip),
            ("x-gzip", Gzip),
            ("zstd", Zstd),
            ("gzip, zstd", Zstd),
            ("zstd,gzip", Zstd),
            ("gzip, deflate, br, zstd", Zstd),
            ("gzip, deflate, br", Gzip),
            ("deflate, br", Identity),
            ("gzip;q=1.0, zstd;q=0.9", Gzip),
            ("gzip;q=0.5, zstd;q=0.501", Zstd),
            ("gzip;q=0.5, zstd;q=0.5", Zstd),
            ("zstd;q=0, gzip", Gzip),
            ("zstd;q=0.000, gzip;q=0.001", Gzip),
            ("gzip;q=0", Identity),
            ("gzip;q=0, zstd;q=0", Identity),
            ("identity", Identity),
            ("identity;q=1, gzip;q=0.5", Identity),
            ("identity;q=0.5, gzip;q=0.5", Gzip),
            ("identity;q=0, gzip;q=0.1", Gzip),
            ("identity;q=0", Identity),
            ("gzip;q=0.2", Gzip),
            ("*", Zstd),
            ("*;q=0", Identity),
            ("*;q=0, gzip", Gzip),
            ("*, zstd;q=0", Gzip),
            ("*;q=0.5, gzip;q=0.2", Zstd),
            ("*;q=0.2, gzip;q=0.5", Gzip),
            ("gzip ; Q = 0.3 , identity;q=0.2", Gzip),
            ("gzip\t;q=1.", Gzip),
            (",,gzip,,", Gzip),
            // Not a quality: as if the element were not there.
            ("gzip;q=2", Identity),
            ("gzip;q=1.001", Identity),
            ("gzip;q=0.1234", Identity),
            ("gzip;q=-1", Identity),
            ("gzip;q=", Identity),
            ("gzip;q", Identity),
            ("gzip;", Identity),
            ("gzip;level=1", Identity),
            ("gzip;q=.5, zstd;q=0.1", Zstd),
            ("gzip zstd", Identity),
        ];
        for &(header, expected) in table {
            assert_eq!(negotiate(Some(&HeaderValue::from_static(header))), expected, "{header:?}");
        }
        assert_eq!(negotiate(None), Identity);
        let not_text =
            HeaderValue::from_bytes(b"\xff\xfe;q=\xff, gzip").expect("a header value may be Latin-1");
        assert_eq!(negotiate(Some(&not_text)), Gzip);
    }

    #[test]
    fn several_header_lines_are_one_list() {
        let lines = [HeaderValue::from_static("zstd;q=0.1"), HeaderValue::from_static("gzip;q=0.2")];
        assert_eq!(negotiate(&lines), Coding::Gzip);
    }
}
