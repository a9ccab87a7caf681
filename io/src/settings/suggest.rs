//! "Did you mean …?" for keys and values that are not known.
//!
//! Used while error messages are made, never on the sample's way.

/// Longer words are not compared: the table would grow with the square of their length.
const WORD_CHARS_MAX: usize = 64;

/// The known word that was probably meant: few letters apart, or the same with letters left out.
#[must_use]
pub(super) fn closest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let length = word.chars().count();
    if !(2..=WORD_CHARS_MAX).contains(&length) {
        return None;
    }
    let word = word.to_lowercase().replace(['_', '.'], "-");
    let distance_max = (length / 3).max(1);
    let near = known.iter().map(|candidate| (distance(&word, candidate), *candidate));
    let near = near.filter(|(distance, _)| *distance <= distance_max).min_by_key(|(distance, _)| *distance);
    if let Some((_, candidate)) = near {
        return Some(candidate);
    }
    let shortened = known.iter().filter(|candidate| length >= 4 && contains_in_order(candidate, &word));
    shortened.min_by_key(|candidate| candidate.len()).copied()
}

/// Whether all letters of `word` occur in `text`, in order.
fn contains_in_order(text: &str, word: &str) -> bool {
    let mut letters = text.chars();
    word.chars().all(|wanted| letters.any(|letter| letter == wanted))
}

/// Insertions, deletions, replacements and swaps of neighbours that make `a` of `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["addr", "file-format", "directory", "retention-in-memory", "main", "user"];

    #[test]
    fn finds_what_was_meant() {
        for (word, expected) in [
            ("adr", Some("addr")),
            ("addr", Some("addr")),
            ("fomat", Some("file-format")),
            ("file_format", Some("file-format")),
            ("fileFormat", Some("file-format")),
            ("directroy", Some("directory")),
            ("dir", None),
            ("retention_in_memory", Some("retention-in-memory")),
            ("rentention", None),
            ("mian", Some("main")),
            ("x", None),
            ("completely-different", None),
            ("", None),
        ] {
            assert_eq!(closest(word, KNOWN), expected, "{word}");
        }
    }

    #[test]
    fn does_not_work_on_endless_words() {
        assert_eq!(closest(&"addr".repeat(100_000), KNOWN), None);
    }
}
