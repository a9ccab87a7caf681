//! Many short lists in common pages, for a [`super::tree`], which has one per level.
//!
//! A list has room for a few more items; when it is full it moves to a larger place, and a later list takes the old
//! one. So there is no allocation per list, and growth never moves more than a list.

/// Items of a page, and most of a list.
const PAGE_ITEMS: usize = 4096;
/// Room of a list; it moves from one to the next.
const ROOMS: [u16; 20] =
    [0, 1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 128, 256, 512, 1024, 2048, PAGE_ITEMS as u16];

const _: () = assert!(crate::limits::METRICS_MAX <= PAGE_ITEMS);

/// Where a list is; worth something only together with its [`Lists`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct List {
    at: u32,
    length: u16,
    /// Which of [`ROOMS`].
    room: u8,
}

/// The items of many lists.
#[derive(Debug)]
pub(super) struct Lists<T> {
    /// All of [`PAGE_ITEMS`].
    pages: Vec<Vec<T>>,
    /// How much of the last page is in use.
    used: usize,
    /// Places that lists have left, by room.
    free: [Vec<u32>; ROOMS.len()],
    /// What stands where no item is.
    filler: T,
}

impl<T: Copy> Lists<T> {
    /// No lists.
    pub(super) fn new(filler: T) -> Self {
        Self { pages: Vec::new(), used: PAGE_ITEMS, free: [const { Vec::new() }; ROOMS.len()], filler }
    }

    /// The items of a list.
    pub(super) fn get(&self, list: List) -> &[T] {
        let (page, at) = split(list.at);
        self.pages.get(page).map_or(&[], |items| &items[at..at + usize::from(list.length)])
    }

    /// Inserts an item.
    ///
    /// # Panics
    /// If the list has [`PAGE_ITEMS`] already, or fewer than `index`.
    pub(super) fn insert(&mut self, list: &mut List, index: usize, item: T) {
        let length = usize::from(list.length);
        assert!(index <= length && length < PAGE_ITEMS);
        if list.length == ROOMS[usize::from(list.room)] {
            self.move_to_larger(list);
        }
        let (page, at) = split(list.at);
        let items = &mut self.pages[page][at..=at + length];
        items.copy_within(index..length, index + 1);
        items[index] = item;
        list.length += 1;
    }

    /// Bytes of memory, those to spare included.
    pub(super) fn bytes(&self) -> usize {
        let free: usize = self.free.iter().map(Vec::capacity).sum();
        self.pages.len() * PAGE_ITEMS * size_of::<T>()
            + self.pages.capacity() * size_of::<Vec<T>>()
            + free * size_of::<u32>()
    }

    fn move_to_larger(&mut self, list: &mut List) {
        let before = *list;
        list.room += 1;
        list.at = self.free[usize::from(list.room)].pop().unwrap_or_else(|| self.take(list.room));
        let ((from_page, from), (to_page, to)) = (split(before.at), split(list.at));
        for index in 0..usize::from(before.length) {
            self.pages[to_page][to + index] = self.pages[from_page][from + index];
        }
        if before.room > 0 {
            self.free[usize::from(before.room)].push(before.at);
        }
    }

    /// A place that no list had before.
    fn take(&mut self, room: u8) -> u32 {
        let items = usize::from(ROOMS[usize::from(room)]);
        if self.used + items > PAGE_ITEMS {
            self.free_rest_of_page();
            self.pages.push(vec![self.filler; PAGE_ITEMS]);
            self.used = 0;
        }
        let at = (self.pages.len() - 1) * PAGE_ITEMS + self.used;
        self.used += items;
        u32::try_from(at).expect("fewer than 2^32 series")
    }

    /// What is too short at the end of a page is left for shorter lists.
    fn free_rest_of_page(&mut self) {
        for (room, &items) in ROOMS.iter().enumerate().skip(1).rev() {
            while self.used + usize::from(items) <= PAGE_ITEMS {
                let at = (self.pages.len() - 1) * PAGE_ITEMS + self.used;
                self.free[room].push(u32::try_from(at).expect("fewer than 2^32 series"));
                self.used += usize::from(items);
            }
        }
    }
}

fn split(at: u32) -> (usize, usize) {
    (at as usize / PAGE_ITEMS, at as usize % PAGE_ITEMS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_do_not_mix(steps in proptest::collection::vec((0..40usize, any::<prop::sample::Index>(), 1..30u32), 0..400)) {
            let mut lists = Lists::new(0);
            let mut handles = vec![List::default(); 40];
            let mut expected = vec![Vec::new(); 40];
            for (number, index, count) in steps {
                for item in 0..count {
                    let index = index.index(expected[number].len() + 1);
                    lists.insert(&mut handles[number], index, item);
                    expected[number].insert(index, item);
                }
            }
            for (&handle, expected) in handles.iter().zip(&expected) {
                prop_assert_eq!(lists.get(handle), &expected[..]);
            }
        }
    }

    #[test]
    fn the_longest_list_and_what_is_spared() {
        let mut lists = Lists::new(0);
        let mut long = List::default();
        (0..PAGE_ITEMS).for_each(|item| lists.insert(&mut long, item, item as u32));
        assert!(lists.get(long).iter().enumerate().all(|(index, &item)| index == item as usize));

        // The levels of one host after the other, as they are declared.
        let mut lists = Lists::new(0u64);
        for _ in 0..200 {
            let mut levels = [List::default(); 72];
            for item in 0..10 {
                levels.iter_mut().for_each(|level| lists.insert(level, item, 0));
            }
        }
        assert!(lists.bytes() < 200 * 720 * 9, "{} bytes", lists.bytes());
    }
}
