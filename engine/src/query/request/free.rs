//! The JSON body of a free: which parts of the tree (SPEC section 3).

use super::json::{Reader, RequestError};

/// Reads a list of selectors, `[["cluster","host"],…]`; `null` is the empty list, as a list and as a selector.
///
/// # Errors
/// [`RequestError`]: not JSON, or anything but lists of strings.
pub fn parse_selectors(body: &[u8]) -> Result<Vec<Vec<String>>, RequestError> {
    let selectors = Reader::new(body).list("the list of selectors", |reader| {
        Ok(reader.string_list("the selector")?.unwrap_or_default())
    })?;
    Ok(selectors.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_names() {
        let selectors = parse_selectors(br#" [["c","h"], ["c"] ,[], null] trailing"#).unwrap();
        assert_eq!(selectors, [&["c", "h"][..], &["c"], &[], &[]]);
        assert!(parse_selectors(b"null").unwrap().is_empty());
        assert!(parse_selectors(b"[ ]").unwrap().is_empty());
    }

    #[test]
    fn refuses_everything_else() {
        for body in [
            &b""[..],
            b"x",
            b"{}",
            b"\"c\"",
            b"[\"c\"]",
            b"[[1]]",
            b"[[[\"c\"]]]",
            b"[[\"c\"]",
            b"[[\"c\"],]",
        ] {
            assert!(parse_selectors(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
