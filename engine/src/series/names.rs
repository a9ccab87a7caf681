//! The names of levels, each kept once: a site has some hundred thousand levels called `hwthread35`, but few
//! different names.

use std::hash::{BuildHasher, RandomState};

use super::chunks::Chunks;
use super::index::Index;

/// Names lie in pieces of so many bytes; a longer name has one of its own.
const PIECE_BYTES: usize = 64 * 1024;

/// Number of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameId(u32);

#[derive(Clone, Copy, Debug)]
struct Place {
    piece: u32,
    at: u32,
    length: u32,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    pieces: Vec<String>,
    places: Chunks<Place>,
    index: Index,
    /// Seeded at random: clients choose the names.
    hasher: RandomState,
}

impl Names {
    /// The name of a number.
    pub(super) fn get(&self, id: NameId) -> &str {
        let place = self.places[id.0 as usize];
        let from = place.at as usize;
        &self.pieces[place.piece as usize][from..from + place.length as usize]
    }

    /// The number of a name, which is added if it is new.
    pub(super) fn intern(&mut self, name: &str) -> NameId {
        let hash = self.hasher.hash_one(name);
        let known = self.index.find(hash, |number| self.get(NameId(number)) == name);
        NameId(known.unwrap_or_else(|| self.add(hash, name)))
    }

    /// Bytes of memory, those to spare included.
    pub(super) fn bytes(&self) -> usize {
        let text: usize = self.pieces.iter().map(String::capacity).sum();
        text + self.pieces.capacity() * size_of::<String>() + self.places.bytes() + self.index.bytes()
    }

    fn add(&mut self, hash: u64, name: &str) -> u32 {
        if self.pieces.last().is_none_or(|piece| piece.len() + name.len() > PIECE_BYTES) {
            // The first piece grows, the others have their size at once.
            let capacity = if self.pieces.is_empty() { name.len() } else { name.len().max(PIECE_BYTES) };
            self.pieces.push(String::with_capacity(capacity));
        }
        let number = |number| u32::try_from(number).expect("fewer than 2^32 levels, whose names are short");
        let piece = self.pieces.len() - 1;
        let at = self.pieces[piece].len();
        let added = number(self.places.len());
        self.pieces[piece].push_str(name);
        self.places.push(Place { piece: number(piece), at: number(at), length: number(name.len()) });
        self.index.insert(hash, added);
        added
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_have_one_number() {
        let mut names = Names::default();
        let texts: Vec<String> = (0..5000)
            .map(|number| format!("host{number}"))
            .chain(["x".repeat(65_535), String::new()])
            .collect();
        let ids: Vec<NameId> = texts.iter().map(|text| names.intern(text)).collect();
        let bytes = names.bytes();
        for (text, &id) in texts.iter().zip(&ids) {
            assert_eq!(names.intern(text), id);
            assert_eq!(names.get(id), text);
        }
        assert_eq!(names.bytes(), bytes);
    }
}
