//! Regular expressions that are nothing but values written out: looked up instead of compiled.
//!
//! Grafana writes the names of all hosts so. In a name of a domain the dots are often left as they are, and mean any character.

use std::collections::{HashMap, HashSet};

/// Most different places of dots: each costs a look-up.
const SHAPES_MAX: usize = 16;

/// The characters of a value at which any other may stand, and how many there are.
type Shape = (Vec<usize>, usize);

/// Values, as they are written.
#[derive(Clone, Debug, Default)]
pub struct Alternatives {
    exact: HashSet<Box<str>>,
    /// Those with dots.
    shaped: HashMap<Shape, HashSet<Box<str>>>,
}

impl Alternatives {
    /// The values that a regular expression means, if it writes them out with `|` between them, all in brackets or not.
    #[must_use]
    pub fn of(pattern: &str) -> Option<Self> {
        const SPECIAL: &str = "+*?()[]{}^$";
        let inner = pattern.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let inner = inner.map_or(pattern, |inner| inner.strip_prefix("?:").unwrap_or(inner));
        let mut all = Self::default();
        let (mut value, mut dots, mut length) = (String::new(), Vec::new(), 0);
        let mut rest = inner.chars();
        while let Some(c) = rest.next() {
            match c {
                '|' => {
                    all.insert(std::mem::take(&mut value), std::mem::take(&mut dots), length)?;
                    length = 0;
                    continue;
                }
                // Behind a backslash, letters and digits mean something else.
                '\\' => value.push(rest.next().filter(|c| c.is_ascii_punctuation())?),
                _ if SPECIAL.contains(c) => return None,
                _ => {
                    dots.extend((c == '.').then_some(length));
                    value.push(c);
                }
            }
            length += 1;
        }
        all.insert(value, dots, length)?;
        Some(all)
    }

    fn insert(&mut self, value: String, dots: Vec<usize>, length: usize) -> Option<()> {
        let values =
            if dots.is_empty() { &mut self.exact } else { self.shaped.entry((dots, length)).or_default() };
        values.insert(value.into_boxed_str());
        (self.shaped.len() <= SHAPES_MAX).then_some(())
    }

    /// Whether a value is one of them.
    #[must_use]
    pub fn contains(&self, value: &str) -> bool {
        self.exact.contains(value)
            || self.shaped.iter().any(|((dots, length), values)| {
                // Each character has a byte at least.
                if value.len() < *length || value.chars().count() != *length {
                    return false;
                }
                let mut dots = dots.iter().peekable();
                let shaped = value
                    .chars()
                    .enumerate()
                    .map(|(at, c)| if dots.next_if(|dot| **dot == at).is_some() { '.' } else { c });
                values.contains(shaped.collect::<String>().as_str())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_written_out_are_looked_up() {
        for (pattern, value, is_one) in [
            ("a|b", "b", true),
            ("(a|b)", "a", true),
            ("(?:a|b)", "ab", false),
            ("a|", "", true),
            ("", "", true),
            (r"a\.b", "a.b", true),
            (r"a\.b", "axb", false),
            ("a.b|c.d.e", "axb", true),
            ("a.b|c.d.e", "c\u{e9}d\ne", true),
            ("a.b|c.d.e", "ab", false),
            ("a.b|c.d.e", "axxb", false),
            (r"a.b\.c", "a.b.c", true),
            (r"a.b\.c", "axbxc", false),
            (".", "\u{e9}", true),
        ] {
            assert_eq!(Alternatives::of(pattern).unwrap().contains(value), is_one, "{pattern} {value}");
        }
        for pattern in ["a.*", "(a)|(b)", r"\d", "(?i)a", "[a]", "a{2}", "(", r"\", "(a|b)c"] {
            assert!(Alternatives::of(pattern).is_none(), "{pattern}");
        }
        let shapes: Vec<String> = (0..40).map(|at| format!("{}.", "a".repeat(at))).collect();
        assert!(Alternatives::of(&shapes.join("|")).is_none());
    }
}
