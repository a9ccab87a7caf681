//! The text of keys, in the order in which they were first seen, each as its difference from the one before.
//!
//! Keys that follow each other differ in a few bytes (`type-id=34` and `type-id=35`), so a key costs about six bytes
//! instead of a hundred. It comes back with a [`Cursor`]: one step from the key before, or at most [`GROUP_KEYS`]
//! steps from the beginning of its group.
//!
//! A key is a record: how many bytes it shares with the beginning of the key before, how many stand between those and
//! the ones shared with its end, and then these. Mostly both keys are as long, and two bytes say so; otherwise more do.
//! The first record of a group shares nothing.
//!
//! A cursor holds the key together with what follows it in nearly every line, to be compared at once.

use super::chunks::Chunks;

/// Keys that are found through one place.
pub(crate) const GROUP_KEYS: u32 = 16;
/// Records lie in chunks of so many bytes; a longer record has one of its own.
const CHUNK_BYTES: usize = 64 * 1024;
/// First byte of a record that begins with [`FULL_HEADER_BYTES`]; otherwise it is a length between of a key as long as
/// the one before, and the length shared at the beginning follows.
const FULL: u8 = u8::MAX;
const SHORT_HEADER_BYTES: usize = 2;
/// [`FULL`], both shared lengths, and the length between in four bytes.
const FULL_HEADER_BYTES: usize = 7;

/// What follows a key in its line.
pub(crate) const FIELD: &[u8] = b" value=";

/// Where a record begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    chunk: u32,
    at: u32,
}

/// Keys by number.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    chunks: Vec<Vec<u8>>,
    /// Where the first record of each group is.
    groups: Chunks<Place>,
    count: u32,
    /// The last key.
    last: Vec<u8>,
}

impl Keys {
    /// Adds a key; returns its number.
    ///
    /// # Panics
    /// With more than `u32::MAX - 1` keys.
    pub(crate) fn push(&mut self, key: &[u8]) -> u32 {
        let number = self.count;
        self.count = number.checked_add(1).filter(|&count| count < u32::MAX).expect("fewer than 2^32 keys");
        let is_first = number.is_multiple_of(GROUP_KEYS);
        let (prefix, suffix) = if is_first { (0, 0) } else { shared(&self.last, key) };
        let middle = &key[prefix..key.len() - suffix];
        let is_as_long = !is_first && self.last.len() == key.len();
        self.last.truncate(prefix);
        self.last.extend_from_slice(&key[prefix..]);

        let length = FULL_HEADER_BYTES + middle.len();
        if self.chunks.last().is_none_or(|chunk| chunk.len() + length > CHUNK_BYTES) {
            // The first chunk grows, the others have their size at once.
            let capacity = if self.chunks.is_empty() { length } else { length.max(CHUNK_BYTES) };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let chunk_number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[chunk_number];
        if is_first {
            let place = |number| u32::try_from(number).expect("fewer chunks than keys, each below 4 GB");
            self.groups.push(Place { chunk: place(chunk_number), at: place(chunk.len()) });
        }
        match u8::try_from(middle.len()) {
            Ok(short) if is_as_long && short != FULL => chunk.extend_from_slice(&[short, prefix as u8]),
            _ => {
                let length = u32::try_from(middle.len()).expect("keys are shorter than a line");
                chunk.extend_from_slice(&[FULL, prefix as u8, suffix as u8]);
                chunk.extend_from_slice(&length.to_le_bytes());
            }
        }
        chunk.extend_from_slice(middle);
        number
    }

    /// Bytes of memory, those to spare included.
    pub(crate) fn bytes(&self) -> usize {
        let text: usize = self.chunks.iter().map(Vec::capacity).sum();
        text + self.chunks.capacity() * size_of::<Vec<u8>>() + self.groups.bytes() + self.last.capacity()
    }
}

/// A key, and where the next one is.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// The key and [`FIELD`].
    line: Vec<u8>,
    /// The number of the next key.
    next: u32,
    next_at: Place,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { line: FIELD.to_vec(), next: 0, next_at: Place::default() }
    }
}

impl Cursor {
    /// The key that was sought last.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        &self.line[..self.line.len() - FIELD.len()]
    }

    /// The key that was sought last, and [`FIELD`]: how its line begins.
    #[inline]
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// The number of the key that was sought last.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.next.wrapping_sub(1)
    }

    /// The number of the key behind it.
    #[inline]
    pub(crate) fn next_number(&self) -> u32 {
        self.next
    }

    /// Moves to a key.
    ///
    /// # Panics
    /// If there is none of this number.
    pub(crate) fn seek(&mut self, keys: &Keys, number: u32) {
        let group = number / GROUP_KEYS;
        // Forward within the group: from here, else from its beginning.
        let is_ahead = self.next <= number && self.next / GROUP_KEYS == group;
        if !is_ahead || self.next.is_multiple_of(GROUP_KEYS) {
            self.next = group * GROUP_KEYS;
            self.next_at = keys.groups[group as usize];
        }
        while self.next <= number {
            let moved = self.step(keys);
            assert!(moved, "there is no key {number}");
        }
    }

    /// Moves to the next key; `false` if there is none.
    #[inline]
    pub(crate) fn step(&mut self, keys: &Keys) -> bool {
        let record = keys
            .chunks
            .get(self.next_at.chunk as usize)
            .and_then(|chunk| chunk.get(self.next_at.at as usize..));
        // A byte or two, mostly: not worth a call to copy them.
        match record {
            Some([1, prefix, middle, ..]) => {
                self.next_at.at += 3;
                self.line[usize::from(*prefix)] = *middle;
            }
            Some([2, prefix, first, second, ..]) => {
                self.next_at.at += 4;
                let prefix = usize::from(*prefix);
                self.line[prefix..prefix + 2].copy_from_slice(&[*first, *second]);
            }
            _ => return self.step_far(keys),
        }
        self.next += 1;
        true
    }

    /// A step over a record that is not one of the short ones.
    #[inline(never)]
    fn step_far(&mut self, keys: &Keys) -> bool {
        if self.next >= keys.count {
            return false;
        }
        if self.next_at.at as usize == keys.chunks[self.next_at.chunk as usize].len() {
            self.next_at = Place { chunk: self.next_at.chunk + 1, at: 0 };
        }
        let record = &keys.chunks[self.next_at.chunk as usize][self.next_at.at as usize..];
        let prefix = usize::from(record[1]);
        let (mut from, mut length) = (SHORT_HEADER_BYTES, usize::from(record[0]));
        if record[0] == FULL {
            from = FULL_HEADER_BYTES;
            let bytes = record[3..].first_chunk().expect("a full header has a length");
            length = u32::from_le_bytes(*bytes) as usize;
            self.resize(prefix, length, usize::from(record[2]));
        }
        self.line[prefix..prefix + length].copy_from_slice(&record[from..from + length]);
        self.next_at.at += (from + length) as u32;
        self.next += 1;
        true
    }

    /// Makes room for `length` bytes between those that stay.
    fn resize(&mut self, prefix: usize, length: usize, suffix: usize) {
        let end = suffix + FIELD.len();
        let before = self.line.len();
        let after = prefix + length + end;
        if after > before {
            self.line.resize(after, 0);
        }
        self.line.copy_within(before - end..before, after - end);
        self.line.truncate(after);
    }
}

/// How many bytes two keys share at the beginning, and how many of the rest at the end; 255 of each at most.
fn shared(before: &[u8], key: &[u8]) -> (usize, usize) {
    const WORD: usize = size_of::<u64>();
    let most = before.len().min(key.len()).min(usize::from(u8::MAX));
    let word = |text: &[u8], at: usize| {
        text.get(at..at + WORD).and_then(|bytes| bytes.first_chunk().copied().map(u64::from_le_bytes))
    };
    let mut prefix = 0;
    loop {
        match (prefix + WORD <= most).then(|| (word(before, prefix), word(key, prefix))) {
            Some((Some(before), Some(key))) if before != key => {
                prefix += (before ^ key).trailing_zeros() as usize / 8;
                break;
            }
            Some(_) => prefix += WORD,
            None => {
                while prefix < most && before[prefix] == key[prefix] {
                    prefix += 1;
                }
                break;
            }
        }
    }
    let most = (before.len() - prefix).min(key.len() - prefix).min(usize::from(u8::MAX));
    let mut suffix = 0;
    loop {
        let words = || (word(before, before.len() - suffix - WORD), word(key, key.len() - suffix - WORD));
        match (suffix + WORD <= most).then(words) {
            Some((Some(before), Some(key))) if before != key => {
                suffix += (before ^ key).leading_zeros() as usize / 8;
                break;
            }
            Some(_) => suffix += WORD,
            None => {
                while suffix < most && before[before.len() - suffix - 1] == key[key.len() - suffix - 1] {
                    suffix += 1;
                }
                break;
            }
        }
    }
    (prefix, suffix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(texts: &[Vec<u8>], order: impl IntoIterator<Item = usize>) {
        let mut keys = Keys::default();
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(keys.push(text) as usize, number);
        }
        let mut cursor = Cursor::default();
        for number in order {
            cursor.seek(&keys, number as u32);
            assert_eq!(cursor.key(), texts[number], "{number}");
            assert_eq!(cursor.number() as usize, number);
        }
    }

    #[test]
    fn long_and_equal_and_empty_keys_come_back() {
        let mut texts: Vec<Vec<u8>> = vec![Vec::new(), b"a".to_vec(), b"a".to_vec(), b"aa".to_vec()];
        for length in [254, 255, 256, 300, 511, 600, 70_000, 1_000_000, 3, 70_000, 66_000] {
            texts.push(vec![b'x'; length]);
            texts.push([vec![b'x'; length], b"y".to_vec(), vec![b'x'; length]].concat());
        }
        check(&texts, (0..texts.len()).chain((0..texts.len()).rev()));
    }

    #[test]
    fn keys_in_a_collectors_order_take_few_bytes() {
        let mut keys = Keys::default();
        let mut text = 0;
        for number in 0..40_000 {
            let (host, metric, thread) = (number / 720, number / 72 % 10, number % 72);
            let key = format!(
                "metric{metric},cluster=fritz,hostname=f{host:04},type=hwthread,type-id={thread},unit=F/s"
            );
            text += key.len();
            keys.push(key.as_bytes());
        }
        assert!(keys.bytes() * 6 < text, "{} bytes for {text}", keys.bytes());
    }

    proptest! {
        #[test]
        fn keys_come_back_in_any_order(
            texts in proptest::collection::vec("[ab]{0,6}|[ab]{250,260}", 1..100),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
        ) {
            let texts: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
            check(&texts, order.iter().map(|index| index.index(texts.len())));
        }
    }
}
