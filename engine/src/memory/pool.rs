//! The memory of one core's packed buffers: pieces of words, by size, in pages.
//!
//! All buffers grow in step, sample by sample, and are then gone in step. So pieces of one size share pages, a page that
//! becomes empty is freed, and what the buffers leave behind as they grow never fragments the heap. What stays for long, the pieces
//! of closed buffers, has pages of its own: one of them would keep a page from which all others have gone. A piece is found by its
//! [`Piece`], a number of a page and a place in it: eight bytes, no pointer.

use super::account::{MemoryBytes, allocation_bytes};
use super::pack::blocks::WORDS_MAX;

/// Sizes of pieces are multiples of this.
const STEP_WORDS: usize = 2;
/// Sizes from [`STEP_WORDS`] on.
const SIZES: usize = WORDS_MAX.div_ceil(STEP_WORDS);
/// Largest page: 64 KiB.
const PAGE_WORDS_MAX: usize = 8192;
/// Pieces of the first page of a size; later ones grow with what there is.
const PAGE_PIECES_MIN: usize = 4;
/// A piece that grows gets a part of what it needs on top, so that it is not moved with each word.
const HEADROOM_PART: usize = 16;
/// A short piece grows by more than that: most are short when there are few samples yet.
const HEADROOM_WORDS_MIN: usize = 4;

const _: () = assert!(PAGE_WORDS_MAX / STEP_WORDS <= u16::MAX as usize);
const _: () = assert!(WORDS_MAX * PAGE_PIECES_MIN <= PAGE_WORDS_MAX);
const _: () = assert!(SIZES * STEP_WORDS <= u16::MAX as usize);

/// Words for one buffer; none by default. Whoever has it gives it back with [`Pool::put`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Piece {
    page: u32,
    index: u16,
    words: u16,
}

impl Piece {
    /// How many words it has.
    #[inline]
    #[must_use]
    pub fn words(&self) -> usize {
        self.words.into()
    }

    #[inline]
    fn range(&self) -> std::ops::Range<usize> {
        let begin = usize::from(self.index) * self.words();
        begin..begin + self.words()
    }
}

/// No free piece.
const NONE: u16 = u16::MAX;

#[derive(Debug)]
struct Page {
    words: Box<[u64]>,
    /// Pieces in use.
    used: u16,
    /// Pieces given out at least once; those behind were never touched.
    touched: u16,
    /// The first of the pieces that came back; each says in its first word which is next.
    free: u16,
    /// Its place among the pages of its size with room; meaningless without room.
    roomy_at: u32,
    /// Which of [`Pool::sizes`].
    size: u16,
}

impl Page {
    fn new(words: usize, size: usize) -> Self {
        let words = vec![0; words].into_boxed_slice();
        Self { words, used: 0, touched: 0, free: NONE, roomy_at: 0, size: size as u16 }
    }
}

/// The pages of one size, for pieces that grow or for those that do not.
#[derive(Debug, Default)]
struct Size {
    /// Pages with room. New pieces come from the last one.
    roomy: Vec<u32>,
    /// Pieces in use.
    used: usize,
}

/// All pieces of one core.
#[derive(Debug)]
pub struct Pool {
    pages: Vec<Page>,
    /// Numbers of pages that are gone.
    gone: Vec<u32>,
    /// First those of pieces that grow, then those of pieces that do not.
    sizes: Box<[Size]>,
    page_words: u64,
    used_words: u64,
    list_bytes: u64,
}

impl Default for Pool {
    fn default() -> Self {
        let sizes = (0..2 * SIZES).map(|_| Size::default()).collect();
        Self { pages: Vec::new(), gone: Vec::new(), sizes, page_words: 0, used_words: 0, list_bytes: 0 }
    }
}

/// The index of the smallest size with so many words.
fn size_of_words(words: usize) -> usize {
    words.div_ceil(STEP_WORDS) - 1
}

impl Pool {
    /// The words of a piece.
    #[inline]
    #[must_use]
    pub fn words(&self, piece: &Piece) -> &[u64] {
        if piece.words == 0 { &[] } else { &self.pages[piece.page as usize].words[piece.range()] }
    }

    /// The words of a piece, and those behind it in its page: who reads several at once need not care where they end.
    #[inline]
    #[must_use]
    pub fn words_from(&self, piece: &Piece) -> &[u64] {
        if piece.words == 0 { &[] } else { &self.pages[piece.page as usize].words[piece.range().start..] }
    }

    /// The words of a piece, to be written.
    ///
    /// # Panics
    /// If it is the piece without words.
    #[inline]
    #[must_use]
    pub fn words_mut(&mut self, piece: &Piece) -> &mut [u64] {
        &mut self.pages[piece.page as usize].words[piece.range()]
    }

    /// A piece of at least so many words, to grow, their contents whatever they are.
    ///
    /// # Panics
    /// With none, or more than [`WORDS_MAX`].
    #[must_use]
    pub fn get(&mut self, words: usize) -> Piece {
        self.get_at(words, 0)
    }

    /// A piece of the sizes from `first` on: 0, or [`SIZES`] if it will not grow.
    fn get_at(&mut self, words: usize, first: usize) -> Piece {
        assert!((1..=WORDS_MAX).contains(&words), "{words} words");
        let words = words.next_multiple_of(STEP_WORDS);
        let index = first + size_of_words(words);
        let size = &mut self.sizes[index];
        let page_id = size.roomy.last().copied().unwrap_or_else(|| {
            let pieces = (size.used / 8).clamp(PAGE_PIECES_MIN, PAGE_WORDS_MAX / words);
            self.page_words += (pieces * words) as u64;
            let id = add_page(&mut self.pages, &mut self.gone, Page::new(pieces * words, index));
            size.roomy.push(id);
            id
        });
        let page = &mut self.pages[page_id as usize];
        let place = if page.free == NONE {
            page.touched += 1;
            page.touched - 1
        } else {
            let place = page.free;
            page.free = page.words[usize::from(place) * words] as u16;
            place
        };
        page.used += 1;
        if usize::from(page.used) * words == page.words.len() {
            size.roomy.pop();
        }
        size.used += 1;
        self.used_words += words as u64;
        Piece { page: page_id, index: place, words: words as u16 }
    }

    /// Takes back a piece, which has no words then.
    pub fn put(&mut self, piece: &mut Piece) {
        let piece = std::mem::take(piece);
        if piece.words == 0 {
            return;
        }
        let words = piece.words();
        let page = &mut self.pages[piece.page as usize];
        let size = &mut self.sizes[usize::from(page.size)];
        let was_full = usize::from(page.used) * words == page.words.len();
        page.words[piece.range().start] = page.free.into();
        page.free = piece.index;
        page.used -= 1;
        size.used -= 1;
        self.used_words -= words as u64;
        if was_full {
            page.roomy_at = size.roomy.len() as u32;
            size.roomy.push(piece.page);
        }
        // The last page of a size stays as long as there are pieces: one that comes and goes is no new page.
        if size.used == 0 {
            for page in std::mem::take(&mut size.roomy) {
                self.free_page(page);
            }
        } else if page.used == 0 && size.roomy.len() > 1 {
            let at = page.roomy_at as usize;
            size.roomy.swap_remove(at);
            if let Some(&moved) = size.roomy.get(at) {
                self.pages[moved as usize].roomy_at = at as u32;
            }
            self.free_page(piece.page);
        }
    }

    fn free_page(&mut self, id: u32) {
        let words = std::mem::take(&mut self.pages[id as usize].words);
        self.page_words -= words.len() as u64;
        self.gone.push(id);
    }

    /// Makes a piece at least so large, keeping its words. It may become larger than that, as it will grow again.
    pub fn grow(&mut self, piece: &mut Piece, words: usize) {
        if piece.words() < words {
            let headroom = (words / HEADROOM_PART).max(HEADROOM_WORDS_MIN);
            let first = self.first_size(piece);
            self.resize(piece, (words + headroom).min(WORDS_MAX), first);
        }
    }

    /// Makes a piece no larger than it must be for so many words, keeping these.
    pub fn fit(&mut self, piece: &mut Piece, words: usize) {
        if words.next_multiple_of(STEP_WORDS) != piece.words() {
            let first = self.first_size(piece);
            self.resize(piece, words, first);
        }
    }

    /// As [`Self::fit`], for a piece that will not grow any more.
    pub fn close(&mut self, piece: &mut Piece, words: usize) {
        if self.first_size(piece) == SIZES {
            self.fit(piece, words);
        } else {
            self.resize(piece, words, SIZES);
        }
    }

    /// Which sizes a piece is of.
    fn first_size(&self, piece: &Piece) -> usize {
        let is_closed = piece.words > 0 && usize::from(self.pages[piece.page as usize].size) >= SIZES;
        if is_closed { SIZES } else { 0 }
    }

    #[inline(never)]
    fn resize(&mut self, piece: &mut Piece, words: usize, first: usize) {
        let mut other = self.get_at(words, first);
        let kept = piece.words().min(other.words());
        if kept > 0 {
            // Pieces of two sizes, or one that grew and one that is closed, are in two pages.
            let both = [piece.page as usize, other.page as usize];
            let [from, to] = self.pages.get_disjoint_mut(both).expect("two pages that are there");
            to.words[other.range()][..kept].copy_from_slice(&from.words[piece.range()][..kept]);
        }
        std::mem::swap(piece, &mut other);
        self.put(&mut other);
    }

    /// A list of older buffers has become longer or shorter, in bytes.
    pub(super) fn count_list(&mut self, before: usize, now: usize) {
        self.list_bytes = self.list_bytes + allocation_bytes(now) - allocation_bytes(before);
    }

    /// How many bytes it holds, and the lists of older buffers.
    #[must_use]
    pub fn bytes(&self) -> MemoryBytes {
        let numbers: usize = self.sizes.iter().map(|size| size.roomy.capacity()).sum();
        let tables = self.pages.capacity() * size_of::<Page>()
            + (self.gone.capacity() + numbers) * size_of::<u32>()
            + self.sizes.len() * size_of::<Size>();
        MemoryBytes {
            pages: self.page_words * 8,
            pages_used: self.used_words * 8,
            page_tables: tables as u64,
            older_buffers: self.list_bytes,
            ..MemoryBytes::default()
        }
    }
}

fn add_page(pages: &mut Vec<Page>, gone: &mut Vec<u32>, page: Page) -> u32 {
    if let Some(id) = gone.pop() {
        pages[id as usize] = page;
        return id;
    }
    pages.push(page);
    u32::try_from(pages.len() - 1).expect("fewer than 2^32 pages of buffers")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a piece with a number of its own.
    fn fill(pool: &mut Pool, piece: &Piece, number: u64) {
        pool.words_mut(piece).fill(number);
    }

    #[test]
    fn pieces_never_share_words() {
        let mut pool = Pool::default();
        let mut state = 7u64;
        let mut pieces: Vec<(Piece, u64, usize)> = Vec::new();
        for number in 0..30_000u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = (state >> 33) as usize;
            // Fills up, runs empty, and so on.
            let grows = random % 100 < if number / 3000 % 2 == 0 { 70 } else { 30 };
            if pieces.is_empty() || grows {
                let words = 1 + random % [8, WORDS_MAX][random / 128 % 2];
                let mut piece = pool.get(words);
                if random.is_multiple_of(5) {
                    pool.close(&mut piece, words);
                }
                assert!(piece.words() >= words && piece.words() < words + STEP_WORDS);
                fill(&mut pool, &piece, number);
                pieces.push((piece, number, words));
            } else {
                let at = random % pieces.len();
                let (mut piece, own, words) = pieces.swap_remove(at);
                assert!(pool.words(&piece)[..words].iter().all(|&word| word == own));
                match random / 128 % 3 {
                    0 => {
                        let words = (words + random % 40).min(WORDS_MAX);
                        pool.grow(&mut piece, words);
                        fill(&mut pool, &piece, own);
                        pieces.push((piece, own, words));
                    }
                    1 => {
                        let words = words.div_ceil(2);
                        pool.fit(&mut piece, words);
                        assert!(piece.words() < words + STEP_WORDS);
                        pieces.push((piece, own, words));
                    }
                    _ => pool.put(&mut piece),
                }
            }
            let used: usize = pieces.iter().map(|(piece, ..)| piece.words() * 8).sum();
            assert_eq!(pool.bytes().pages_used, used as u64);
        }
        for (mut piece, own, words) in pieces.drain(..) {
            assert!(pool.words(&piece)[..words].iter().all(|&word| word == own));
            pool.put(&mut piece);
        }
        assert_eq!((pool.bytes().pages_used, pool.bytes().pages), (0, 0));
    }

    #[test]
    fn buffers_that_grow_in_step_leave_no_pages_behind() {
        let mut pool = Pool::default();
        let mut pieces: Vec<Piece> = (0..20_000).map(|_| pool.get(3)).collect();
        for words in 4..140 {
            pieces.iter_mut().for_each(|piece| pool.grow(piece, words));
            let bytes = pool.bytes();
            assert!(
                bytes.pages < bytes.pages_used + bytes.pages_used / 16 + 65_536 * 2,
                "{bytes:?} when all have {words} words"
            );
        }
        let words = 139;
        pieces.iter_mut().for_each(|piece| pool.fit(piece, words));
        let bytes = pool.bytes();
        assert!(bytes.pages < 20_000 * 140 * 8 + 65_536, "{bytes:?}");
        pieces.iter_mut().for_each(|piece| pool.put(piece));
        assert_eq!(pool.bytes().pages, 0);
    }

    #[test]
    fn what_stays_keeps_no_page_from_which_others_have_gone() {
        let mut pool = Pool::default();
        let mut growing: Vec<Piece> = (0..5000).map(|_| pool.get(64)).collect();
        let closed: Vec<Piece> = growing
            .iter_mut()
            .step_by(50)
            .map(|piece| {
                let mut piece = std::mem::take(piece);
                pool.words_mut(&piece).fill(7);
                pool.close(&mut piece, 64);
                pool.close(&mut piece, 64);
                piece
            })
            .collect();
        growing.iter_mut().for_each(|piece| pool.put(piece));
        let bytes = pool.bytes();
        assert!(bytes.pages_used == 100 * 64 * 8 && bytes.pages < 2 * bytes.pages_used, "{bytes:?}");
        assert!(closed.iter().all(|piece| pool.words(piece) == [7; 64]));
    }

    #[test]
    fn growing_and_fitting_keep_the_words() {
        let mut pool = Pool::default();
        let mut piece = Piece::default();
        assert!(pool.words(&piece).is_empty());
        for word in 0..WORDS_MAX {
            pool.grow(&mut piece, word + 1);
            pool.words_mut(&piece)[word] = word as u64;
        }
        pool.fit(&mut piece, 100);
        assert_eq!(pool.words(&piece), (0..100).collect::<Vec<u64>>());
    }
}
