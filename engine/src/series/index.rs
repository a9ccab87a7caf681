//! A hash index: from the hash of a name to the numbers of the names that may have it.
//!
//! It does not know the names; whoever asks compares them. It grows a piece at a time (extendible hashing): a full
//! segment is split in two, the others stay as they are, so that no insertion takes longer than some microseconds
//! however many names there are.

use crate::memory::pack::lanes::prefetch;

/// Slots of a segment that is split when it is full; a smaller one grows.
const SEGMENT_SLOTS: usize = 1024;
/// Slots of the first segment at its beginning.
const SEGMENT_SLOTS_MIN: usize = 16;
/// Bits of the hash that a slot keeps.
const HASH_BITS: u32 = 32;
/// At this depth a full segment grows instead: the bits that would tell its halves apart choose the slots.
const DEPTH_MAX: u32 = HASH_BITS - SEGMENT_SLOTS.ilog2();

/// A hash table of numbers.
#[derive(Debug)]
pub(crate) struct Index {
    /// Which segment, by the first `depth` of the kept bits.
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    /// Kept bits of the hash, and number + 1 below them; 0 if free. The length is a power of two.
    slots: Vec<u64>,
    used: u32,
    /// How many of the first kept bits all its entries share.
    depth: u32,
}

impl Default for Index {
    fn default() -> Self {
        let segment = Segment { slots: vec![0; SEGMENT_SLOTS_MIN], used: 0, depth: 0 };
        Self { directory: vec![0], depth: 0, segments: vec![segment] }
    }
}

impl Index {
    /// The first number under this hash that `is_it` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let segment = &self.segments[self.segment(hash)];
        let mask = segment.slots.len() - 1;
        let mut at = home(hash, mask);
        loop {
            let slot = segment.slots[at];
            if slot >> HASH_BITS == hash >> HASH_BITS {
                // A free slot is not a match, whatever the hash.
                let number = (slot as u32).checked_sub(1)?;
                if is_it(number) {
                    return Some(number);
                }
            } else if slot == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    /// Begins to bring nearer what a search for this hash reads first.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        let slots = &self.segments[self.segment(hash)].slots;
        let at = home(hash, slots.len() - 1);
        prefetch(&slots[at..=at]);
    }

    /// Adds a number under a hash.
    ///
    /// # Panics
    /// If the number is `u32::MAX`.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        let slot = hash >> HASH_BITS << HASH_BITS | u64::from(number.checked_add(1).expect("below 2^32 - 1"));
        let mut segment = self.segment(hash);
        while self.segments[segment].is_full() {
            self.make_room(segment, hash);
            segment = self.segment(hash);
        }
        self.segments[segment].insert(slot);
    }

    /// Bytes of memory, those to spare included.
    pub(crate) fn bytes(&self) -> usize {
        let slots: usize = self.segments.iter().map(|segment| segment.slots.capacity()).sum();
        slots * size_of::<u64>()
            + self.segments.capacity() * size_of::<Segment>()
            + self.directory.capacity() * size_of::<u32>()
    }

    #[inline]
    fn segment(&self, hash: u64) -> usize {
        // Not `>> (64 - depth)`, which is no shift when the depth is 0.
        self.directory[(hash >> HASH_BITS >> (HASH_BITS - self.depth)) as usize] as usize
    }

    #[cold]
    fn make_room(&mut self, number: usize, hash: u64) {
        let segment = &mut self.segments[number];
        if segment.slots.len() < SEGMENT_SLOTS || segment.depth == DEPTH_MAX {
            segment.grow();
            return;
        }
        if segment.depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&segment| [segment; 2]).collect();
            self.depth += 1;
        }
        let upper = self.segments[number].split();
        let depth = upper.depth;
        let upper_number = u32::try_from(self.segments.len()).expect("fewer segments than numbers");
        self.segments.push(upper);
        // The entries of a segment follow each other in the directory; the second half of them moves.
        let half = 1usize << (self.depth - depth);
        let upper_half = (hash >> HASH_BITS >> (HASH_BITS - depth) | 1) as usize * half;
        self.directory[upper_half..upper_half + half].fill(upper_number);
    }
}

impl Segment {
    fn is_full(&self) -> bool {
        // 13/16: beyond it, the search for a name that is not there becomes long.
        self.used as usize * 16 >= self.slots.len() * 13
    }

    fn insert(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = home(slot, mask);
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
        self.used += 1;
    }

    fn grow(&mut self) {
        let slots = vec![0; self.slots.len() * 2];
        let before = std::mem::replace(&mut self.slots, slots);
        self.used = 0;
        before.into_iter().filter(|&slot| slot != 0).for_each(|slot| self.insert(slot));
    }

    /// Gives away the entries whose first bit that was not shared is set.
    fn split(&mut self) -> Self {
        self.depth += 1;
        let empty = || vec![0; SEGMENT_SLOTS];
        let mut upper = Self { slots: empty(), used: 0, depth: self.depth };
        let before = std::mem::replace(&mut self.slots, empty());
        self.used = 0;
        for slot in before.into_iter().filter(|&slot| slot != 0) {
            let is_upper = slot >> (u64::BITS - self.depth) & 1 == 1;
            if is_upper { upper.insert(slot) } else { self.insert(slot) }
        }
        upper
    }
}

/// Where the search for a hash begins.
#[inline]
fn home(hash: u64, mask: usize) -> usize {
    (hash >> HASH_BITS) as usize & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A permutation of the 64-bit numbers that spreads them well enough.
    fn hash(number: u32) -> u64 {
        let mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    #[test]
    fn finds_everything_at_every_size() {
        let mut index = Index::default();
        for number in 0..50_000 {
            assert_eq!(index.find(hash(number), |_| true), None, "{number}");
            index.insert(hash(number), number);
            assert_eq!(index.find(hash(number / 2), |found| found == number / 2), Some(number / 2));
        }
        assert!((0..50_000).all(|number| index.find(hash(number), |_| true) == Some(number)));
        assert!(index.segments.len() > 32);
        let used: u32 = index.segments.iter().map(|segment| segment.used).sum();
        assert_eq!(used, 50_000);
        assert!(index.bytes() < 50_000 * 25, "{}", index.bytes());
    }

    #[test]
    fn equal_hashes_are_told_apart_by_who_asks() {
        for all in [0, u64::MAX, 1 << 40] {
            let mut index = Index::default();
            assert_eq!(index.find(all, |_| true), None);
            for number in 0..3000 {
                index.insert(all, number);
            }
            assert!((0..3000).all(|number| index.find(all, |found| found == number) == Some(number)));
            assert_eq!(index.find(all, |_| false), None);
        }
    }

    /// Segments of very different depths: first all names are under one 64th of the hashes.
    #[test]
    fn a_shallow_segment_is_split_under_a_deep_directory() {
        let mut index = Index::default();
        let skewed = |number| if number < 20_000 { hash(number) >> 6 } else { hash(number) };
        (0..60_000).for_each(|number| index.insert(skewed(number), number));
        assert!(
            (0..60_000).all(|number| index.find(skewed(number), |found| found == number) == Some(number))
        );
        let depths = index.segments.iter().map(|segment| segment.depth);
        assert!(depths.clone().max() > depths.min().map(|depth| depth + 3));
    }
}
