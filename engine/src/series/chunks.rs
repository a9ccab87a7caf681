//! A vector that grows by chunks: what a [`super::table`] or a [`super::tree`] holds once per series.
//!
//! It never moves what it holds, so growth does not stop the core however long it is, and it has at most a
//! chunk of memory to spare instead of half of it.

/// Items of a chunk.
const CHUNK_ITEMS: usize = 4096;

/// Items in the order in which they were pushed, found by number.
#[derive(Debug)]
pub(crate) struct Chunks<T> {
    /// All but the last one are full.
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Chunks<T> {
    /// The item of a number.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK_ITEMS)?.get(index % CHUNK_ITEMS)
    }

    /// The item of a number.
    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK_ITEMS)?.get_mut(index % CHUNK_ITEMS)
    }

    /// Adds an item; its number is the length before.
    pub(crate) fn push(&mut self, item: T) {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_ITEMS) {
            // The first chunk grows: most vectors of a test or a small site stay short.
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK_ITEMS };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        self.chunks.last_mut().expect("there is a chunk with room").push(item);
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        match self.chunks.split_last() {
            Some((last, full)) => full.len() * CHUNK_ITEMS + last.len(),
            None => 0,
        }
    }

    /// Bytes of memory, those to spare included.
    pub(crate) fn bytes(&self) -> usize {
        let items: usize = self.chunks.iter().map(Vec::capacity).sum();
        items * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> std::ops::Index<usize> for Chunks<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: usize) -> &T {
        &self.chunks[index / CHUNK_ITEMS][index % CHUNK_ITEMS]
    }
}

impl<T> std::ops::IndexMut<usize> for Chunks<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.chunks[index / CHUNK_ITEMS][index % CHUNK_ITEMS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_pushed_and_spares_a_chunk_at_most() {
        let mut chunks = Chunks::default();
        assert_eq!((chunks.len(), chunks.bytes(), chunks.get(0)), (0, 0, None));
        for number in 0..3 * CHUNK_ITEMS + 1 {
            assert_eq!(chunks.len(), number);
            chunks.push(number as u64);
        }
        assert!((0..chunks.len()).all(|number| chunks[number] == number as u64));
        assert_eq!(chunks.get(chunks.len()), None);
        assert!(chunks.bytes() <= (4 * CHUNK_ITEMS) * 8 + 8 * size_of::<Vec<u64>>());
        *chunks.get_mut(CHUNK_ITEMS).unwrap() = 7;
        assert_eq!(chunks.get(CHUNK_ITEMS), Some(&7));
    }
}
