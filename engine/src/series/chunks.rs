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

    /// For look-ups of numbers that mostly follow each other.
    pub(crate) fn near(&self) -> Near<'_, T> {
        Near { chunks: self, chunk: &[], first: 0 }
    }

    /// The items that lie beside that of a number, and the number of the first of them.
    pub(crate) fn chunk_mut(&mut self, index: usize) -> Option<(usize, &mut [T])> {
        let first = index / CHUNK_ITEMS * CHUNK_ITEMS;
        let chunk = self.chunks.get_mut(index / CHUNK_ITEMS)?;
        (index - first < chunk.len()).then_some((first, chunk))
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

/// Remembers the chunk of the item found last.
#[derive(Debug)]
pub(crate) struct Near<'a, T> {
    chunks: &'a Chunks<T>,
    chunk: &'a [T],
    /// The number of its first item.
    first: usize,
}

impl<'a, T> Near<'a, T> {
    /// The item of a number.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub(crate) fn item(&mut self, index: usize) -> &'a T {
        if let Some(item) = self.chunk.get(index.wrapping_sub(self.first)) {
            return item;
        }
        self.chunk = &self.chunks.chunks[index / CHUNK_ITEMS];
        self.first = index / CHUNK_ITEMS * CHUNK_ITEMS;
        &self.chunk[index - self.first]
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
        let mut near = chunks.near();
        for number in [0, 1, CHUNK_ITEMS - 1, CHUNK_ITEMS, 2 * CHUNK_ITEMS, 5, 3 * CHUNK_ITEMS] {
            assert_eq!(*near.item(number), number as u64);
        }
        for number in [CHUNK_ITEMS, 2 * CHUNK_ITEMS - 1] {
            let (first, chunk) = chunks.chunk_mut(number).unwrap();
            assert_eq!(
                (first, chunk.len(), chunk[number - first]),
                (CHUNK_ITEMS, CHUNK_ITEMS, number as u64)
            );
        }
        assert!(chunks.chunk_mut(3 * CHUNK_ITEMS + 1).is_none() && chunks.chunk_mut(usize::MAX).is_none());
        *chunks.get_mut(CHUNK_ITEMS).unwrap() = 7;
        assert_eq!(chunks.get(CHUNK_ITEMS), Some(&7));
    }
}
