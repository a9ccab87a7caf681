//! From the raw bytes of a key (measurement and tags as the client wrote them) to a series.
//!
//! Collectors send the same series in the same order every interval, so each entry remembers which entry
//! followed it last time: the usual look-up is one comparison of bytes, without a hash (DESIGN decision 3).

use ahash::RandomState;

use super::chunks::Chunks;
use super::index::Index;
use super::keys::{Cursor, Keys};

/// Where the samples of a series go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The owning core.
    pub core: u16,
    /// The number of the series on the way from this core to the owner.
    pub link: u32,
}

/// What is known about the key of the same number.
#[derive(Clone, Copy, Debug)]
struct Entry {
    link: u32,
    /// The number of the key that followed this one last time; at first of the one inserted behind it.
    next: u32,
    core: u16,
}

/// A key that is not in a table, as [`KeyTable::find`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent {
    hash: u64,
}

/// A hash table of keys, made for look-ups in an order that repeats.
///
/// A key takes about 35 bytes, 14 of them in the hash index. Nothing is moved when it grows.
#[derive(Debug)]
pub struct KeyTable {
    hasher: RandomState,
    entries: Chunks<Entry>,
    keys: Keys,
    index: Index,
    /// The number of the key found last.
    last: u32,
    /// The key expected next, if `is_expecting`.
    expected: Cursor,
    is_expecting: bool,
    /// The key under which a hash was found last.
    candidate: Cursor,
    /// Rises when a look-up by hash leads where the key before it led the time before, else falls. At 0 the order does
    /// not repeat, and it is not worth the while to expect anything but the key inserted next.
    trust: u8,
}

const TRUST_MAX: u8 = 4;

impl KeyTable {
    /// An empty table. The seed keeps clients from choosing keys that collide.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            hasher: RandomState::with_seeds(seed, !seed, seed.rotate_left(17), seed.rotate_left(41)),
            entries: Chunks::default(),
            keys: Keys::default(),
            index: Index::default(),
            last: 0,
            expected: Cursor::default(),
            is_expecting: false,
            candidate: Cursor::default(),
            trust: TRUST_MAX,
        }
    }

    /// The target of the line that is expected next, if `text` begins with its key and ` value=`.
    ///
    /// Returns where the value begins as well.
    #[inline]
    pub fn predict(&mut self, text: &[u8]) -> Option<(Target, usize)> {
        let line = self.expected.line();
        let length = line.len();
        if self.is_expecting && text.starts_with(line) {
            self.last = self.expected.number();
            let entry = self.entries[self.last as usize];
            self.expect(entry.next);
            return Some((Target { core: entry.core, link: entry.link }, length));
        }
        None
    }

    /// The target of a key, if it was inserted before. Remembers that it came behind the last one.
    ///
    /// # Errors
    /// What [`Self::insert`] needs to add it.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Result<Target, Absent> {
        let hash = self.hasher.hash_one(key);
        let (candidate, keys) = (&mut self.candidate, &self.keys);
        let found = self.index.find(hash, |number| {
            candidate.seek(keys, number);
            candidate.key() == key
        });
        let Some(number) = found else { return Err(Absent { hash }) };
        std::mem::swap(&mut self.expected, &mut self.candidate);
        let repeats = self.follow(number);
        self.trust = if repeats { TRUST_MAX.min(self.trust + 1) } else { self.trust.saturating_sub(1) };
        let entry = self.entries[number as usize];
        self.expect(entry.next);
        Ok(Target { core: entry.core, link: entry.link })
    }

    /// Begins to bring nearer what [`Self::find`] reads of a key that is likely to be new.
    #[inline]
    pub fn prefetch(&self, key: &[u8]) {
        self.index.prefetch(self.hasher.hash_one(key));
    }

    /// Adds a key that [`Self::find`] did not find just before.
    ///
    /// # Panics
    /// With more than `u32::MAX - 1` keys.
    pub fn insert(&mut self, absent: Absent, key: &[u8], target: Target) {
        let number = self.keys.push(key);
        self.entries.push(Entry { link: target.link, next: number + 1, core: target.core });
        self.index.insert(absent.hash, number);
        self.follow(number);
        self.is_expecting = false;
    }

    /// How many keys are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory, those to spare included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.bytes() + self.keys.bytes() + self.index.bytes()
    }

    /// The key `number` came behind the last one; returns whether it had the time before.
    fn follow(&mut self, number: u32) -> bool {
        let last = std::mem::replace(&mut self.last, number);
        let next = &mut self.entries[last as usize].next;
        std::mem::replace(next, number) == number
    }

    /// Prepares to compare the next line with a key; [`Self::expected`] is at the key found last.
    #[inline]
    fn expect(&mut self, number: u32) {
        self.is_expecting = if number == self.expected.next_number() {
            self.expected.step(&self.keys)
        } else {
            self.expect_elsewhere(number)
        };
    }

    #[inline(never)]
    fn expect_elsewhere(&mut self, number: u32) -> bool {
        // A key that was inserted last has none behind it yet.
        let is_expecting = self.trust > 0 && (number as usize) < self.entries.len();
        if is_expecting {
            self.expected.seek(&self.keys, number);
        }
        is_expecting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Vec<u8> {
        format!("flops_any,cluster=c,hostname=h{},type=hwthread,type-id={}", number / 72, number % 72)
            .into_bytes()
    }

    fn insert(table: &mut KeyTable, key: &[u8], link: u32) {
        let absent = table.find(key).expect_err("the key is new");
        table.insert(absent, key, Target { core: 0, link });
    }

    #[test]
    fn finds_what_was_inserted_and_nothing_else() {
        let mut table = KeyTable::new(7);
        for number in 0..10_000 {
            insert(&mut table, &key(number), number);
        }
        for number in (0..10_000).rev() {
            assert_eq!(table.find(&key(number)), Ok(Target { core: 0, link: number }));
        }
        assert!(table.find(b"").is_err());
        assert!(table.find(&key(10_000)).is_err());
    }

    #[test]
    fn predicts_a_repeated_order() {
        let mut table = KeyTable::new(7);
        for round in 0..3 {
            for number in 0..100 {
                let line = [&key(number)[..], b" value=1\n"].concat();
                match table.predict(&line) {
                    Some(found) => assert_eq!(found, (Target { core: 0, link: number }, line.len() - 2)),
                    None if round == 0 => insert(&mut table, &key(number), number),
                    // The step from the last key back to the first is learned at the second round.
                    None => assert_eq!((round, number, table.find(&key(number)).is_ok()), (1, 0, true)),
                }
            }
        }
    }

    #[test]
    fn does_not_predict_a_longer_or_shorter_key() {
        let mut table = KeyTable::new(7);
        insert(&mut table, b"a,h=1", 0);
        insert(&mut table, b"a,h=12", 1);
        assert!(table.find(b"a,h=1").is_ok());
        assert_eq!(table.predict(b"a,h=1 value=1\n"), None);
        assert_eq!(table.predict(b"a,h=123 value=1\n"), None);
        assert_eq!(table.predict(b"a,h=12"), None);
        assert_eq!(table.predict(b"a,h=12  value=1\n"), None);
        assert_eq!(table.predict(b"a,h=12 value=1\n"), Some((Target { core: 0, link: 1 }, 13)));
    }
    /// Two hosts whose lines arrive in pieces of ten, one after the other, then in any order.
    #[test]
    fn learns_another_order_than_that_of_the_first_time() {
        let mut table = KeyTable::new(7);
        let pieces = |round: u32| {
            (0..20u32).flat_map(move |piece| {
                let host = if round == 0 { piece % 2 } else { piece / 10 };
                let first = if round == 0 { piece / 2 } else { piece % 10 } * 10;
                (first..first + 10).map(move |thread| host * 100 + thread)
            })
        };
        pieces(0).for_each(|number| insert(&mut table, &key(number), number));
        let mut found = [0; 6];
        for (round, found) in found.iter_mut().enumerate() {
            for number in pieces(round as u32 + 1) {
                let line = [&key(number)[..], b" value=1\n"].concat();
                let target = match table.predict(&line) {
                    Some((target, _)) => target,
                    None => {
                        *found += 1;
                        table.find(&key(number)).expect("was inserted")
                    }
                };
                assert_eq!(target.link, number);
            }
        }
        assert!(found[0] >= 18 && found[5] == 0, "{found:?} look-ups by hash");
    }

    #[test]
    fn an_order_that_never_repeats_is_found_all_the_same() {
        let mut table = KeyTable::new(7);
        (0..2000).for_each(|number| insert(&mut table, &key(number), number));
        let mut number = 1u32;
        for _ in 0..20_000 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wanted = (number >> 8) % 2000;
            let line = [&key(wanted)[..], b" value=1\n"].concat();
            let target = match table.predict(&line) {
                Some((target, _)) => target,
                None => table.find(&key(wanted)).expect("was inserted"),
            };
            assert_eq!(target.link, wanted);
        }
    }
}
