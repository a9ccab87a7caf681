//! From the raw bytes of a key (measurement and tags as the client wrote them) to a series.
//!
//! Collectors send the same series in the same order every interval, so each entry remembers which entry
//! followed it last time: the usual look-up is one comparison of bytes, without a hash (DESIGN decision 3).

use ahash::RandomState;

/// Index of an entry of a [`KeyTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryId(u32);

/// Where the samples of a series go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The owning core.
    pub core: u16,
    /// The number of the series on the way from this core to the owner.
    pub link: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key_at: usize,
    key_length: u32,
    /// Bits of the hash that the position in `slots` does not use.
    hash: u32,
    target: Target,
    /// The entry that followed this one last time.
    next: EntryId,
}

/// A hash table of keys, made for look-ups in an order that repeats.
#[derive(Debug)]
pub struct KeyTable {
    hasher: RandomState,
    entries: Vec<Entry>,
    keys: Vec<u8>,
    /// Entry index + 1, or 0; the length is a power of two, at most half of it in use.
    slots: Vec<u32>,
    /// The entry found last.
    last: EntryId,
}

const SLOTS_MIN: usize = 64;

impl KeyTable {
    /// An empty table. The seed keeps clients from choosing keys that collide.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            hasher: RandomState::with_seeds(seed, !seed, seed.rotate_left(17), seed.rotate_left(41)),
            entries: Vec::new(),
            keys: Vec::new(),
            slots: vec![0; SLOTS_MIN],
            last: EntryId(0),
        }
    }

    /// The target of the line that is expected next, if `text` begins with its key and a space.
    ///
    /// Returns the length of the key as well.
    #[inline]
    pub fn predict(&mut self, text: &[u8]) -> Option<(Target, usize)> {
        let id = self.entries.get(self.last.0 as usize)?.next;
        let entry = self.entries.get(id.0 as usize)?;
        let length = entry.key_length as usize;
        let key = &self.keys[entry.key_at..entry.key_at + length];
        if text.len() > length && text[length] == b' ' && text[..length] == *key {
            self.last = id;
            return Some((entry.target, length));
        }
        None
    }

    /// The target of a key, if it was inserted before. Remembers that it came behind the last one.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Option<Target> {
        let hash = self.hasher.hash_one(key);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let id = EntryId(self.slots[slot].checked_sub(1)?);
            let entry = &self.entries[id.0 as usize];
            if entry.hash == (hash >> 32) as u32
                && self.keys[entry.key_at..entry.key_at + entry.key_length as usize] == *key
            {
                let target = entry.target;
                self.follow(id);
                return Some(target);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a key that [`Self::find`] did not find.
    ///
    /// # Panics
    /// With more than `u32::MAX - 1` keys.
    pub fn insert(&mut self, key: &[u8], target: Target) {
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let hash = self.hasher.hash_one(key);
        let id = EntryId(u32::try_from(self.entries.len()).expect("fewer than 2^32 keys"));
        let key_length = u32::try_from(key.len()).expect("keys are shorter than a line");
        self.entries.push(Entry {
            key_at: self.keys.len(),
            key_length,
            hash: (hash >> 32) as u32,
            target,
            next: EntryId(0),
        });
        self.keys.extend_from_slice(key);
        self.place(id, hash);
        self.follow(id);
    }

    /// How many keys are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn follow(&mut self, id: EntryId) {
        self.entries[self.last.0 as usize].next = id;
        self.last = id;
    }

    fn place(&mut self, id: EntryId, hash: u64) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = id.0 + 1;
    }

    #[cold]
    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let hash =
                self.hasher.hash_one(&self.keys[entry.key_at..entry.key_at + entry.key_length as usize]);
            self.place(EntryId(index as u32), hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Vec<u8> {
        format!("flops_any,cluster=c,hostname=h{},type=hwthread,type-id={}", number / 72, number % 72)
            .into_bytes()
    }

    #[test]
    fn finds_what_was_inserted_and_nothing_else() {
        let mut table = KeyTable::new(7);
        for number in 0..10_000 {
            assert_eq!(table.find(&key(number)), None);
            table.insert(&key(number), Target { core: 1, link: number });
        }
        for number in (0..10_000).rev() {
            assert_eq!(table.find(&key(number)), Some(Target { core: 1, link: number }));
        }
        assert_eq!(table.find(b""), None);
        assert_eq!(table.find(&key(10_000)), None);
    }

    #[test]
    fn predicts_a_repeated_order() {
        let mut table = KeyTable::new(7);
        for round in 0..3 {
            for number in 0..100 {
                let line = [&key(number)[..], b" value=1\n"].concat();
                match table.predict(&line) {
                    Some(found) => assert_eq!(found, (Target { core: 0, link: number }, line.len() - 9)),
                    None if round == 0 => table.insert(&key(number), Target { core: 0, link: number }),
                    // The step from the last key back to the first is learned at the second round.
                    None => assert_eq!((round, number, table.find(&key(number)).is_some()), (1, 0, true)),
                }
            }
        }
    }

    #[test]
    fn does_not_predict_a_longer_or_shorter_key() {
        let mut table = KeyTable::new(7);
        table.insert(b"a,h=1", Target { core: 0, link: 0 });
        table.insert(b"a,h=12", Target { core: 0, link: 1 });
        table.find(b"a,h=1");
        assert_eq!(table.predict(b"a,h=1 value=1\n"), None);
        assert_eq!(table.predict(b"a,h=123 value=1\n"), None);
        assert_eq!(table.predict(b"a,h=12"), None);
        assert_eq!(table.predict(b"a,h=12 value=1\n"), Some((Target { core: 0, link: 1 }, 6)));
    }
}
