//! The bytes of a file, sector by sector, without the sectors that are zero: a fresh segment of the log takes no room.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use engine::platform::SECTOR_BYTES;

/// Bytes of a sector, the unit in which a disk writes.
pub const SECTOR: u64 = SECTOR_BYTES as u64;

/// The bytes of a sector; none if all are zero.
pub type Sector = Option<Arc<[u8; SECTOR_BYTES]>>;

/// The bytes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// By number. No sector is zero, and none begins at or behind the length.
    sectors: BTreeMap<u64, Arc<[u8; SECTOR_BYTES]>>,
    length: u64,
}

impl Content {
    /// Bytes of the file.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes of a sector, with zeros behind the end of the file.
    #[must_use]
    pub fn sector(&self, number: u64) -> Sector {
        self.sectors.get(&number).cloned()
    }

    /// The numbers of the sectors that are not zero, within a range.
    pub fn numbers(&self, range: std::ops::Range<u64>) -> impl Iterator<Item = u64> + '_ {
        self.sectors.range(range).map(|(number, _)| *number)
    }

    /// Replaces a sector; the length stays, and what is behind it is cut by [`set_length`](Self::set_length).
    pub fn put(&mut self, number: u64, sector: Sector) {
        match sector {
            Some(bytes) => self.sectors.insert(number, bytes),
            None => self.sectors.remove(&number),
        };
    }

    /// Writes, and makes the file longer if need be.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        while at < end {
            let number = at / SECTOR;
            let piece_end = ((number + 1) * SECTOR).min(end);
            let mut sector = self.sector(number).map_or([0; SECTOR_BYTES], |sector| *sector);
            let within = (at % SECTOR) as usize;
            let piece = &bytes[(at - offset) as usize..(piece_end - offset) as usize];
            sector[within..within + piece.len()].copy_from_slice(piece);
            self.put(number, (sector != [0; SECTOR_BYTES]).then(|| Arc::new(sector)));
            at = piece_end;
        }
        self.length = self.length.max(end);
    }

    /// Cuts the file, or lengthens it with zeros.
    pub fn set_length(&mut self, length: u64) {
        let _ = self.sectors.split_off(&length.div_ceil(SECTOR));
        let within = (length % SECTOR) as usize;
        if within > 0
            && let Some(sector) = self.sector(length / SECTOR)
        {
            let mut cut = *sector;
            cut[within..].fill(0);
            self.put(length / SECTOR, (cut != [0; SECTOR_BYTES]).then(|| Arc::new(cut)));
        }
        self.length = length;
    }

    /// At most so many bytes from this offset on, fewer at the end of the file.
    #[must_use]
    pub fn read(&self, offset: u64, bytes_max: u64) -> Vec<u8> {
        let end = offset.saturating_add(bytes_max).min(self.length).max(offset);
        let mut bytes = vec![0; (end - offset) as usize];
        for (number, sector) in self.sectors.range(offset / SECTOR..end.div_ceil(SECTOR)) {
            let start = (number * SECTOR).max(offset);
            let stop = ((number + 1) * SECTOR).min(end);
            if start < stop {
                let from = (start - number * SECTOR) as usize;
                let piece = &sector[from..from + (stop - start) as usize];
                bytes[(start - offset) as usize..(stop - offset) as usize].copy_from_slice(piece);
            }
        }
        bytes
    }

    /// Makes a file with this content.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        for (number, sector) in &self.sectors {
            file.write_all_at(&sector[..], number * SECTOR)?;
        }
        file.set_len(self.length)
    }

    /// Takes the content of a file.
    ///
    /// # Errors
    /// Those of the file system.
    #[cfg(test)]
    pub(super) fn read_from(path: &Path) -> io::Result<Self> {
        let mut content = Self::default();
        content.write(0, &std::fs::read(path)?);
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::testing::random::Random;

    #[test]
    fn it_is_what_a_vector_of_bytes_is() {
        let mut random = Random::new(1);
        let (mut content, mut plain) = (Content::default(), Vec::new());
        for _ in 0..3000 {
            let offset = random.within(0..5000);
            if random.percent(10) {
                content.set_length(offset);
                plain.resize(offset as usize, 0);
            } else {
                let bytes = vec![random.within(0..3) as u8; random.within(1..2000) as usize];
                content.write(offset, &bytes);
                let end = offset as usize + bytes.len();
                plain.resize(plain.len().max(end), 0);
                plain[offset as usize..end].copy_from_slice(&bytes);
            }
            assert_eq!(content.length(), plain.len() as u64);
            let (from, bytes_max) = (random.within(0..6000), random.within(0..3000));
            let start = (from as usize).min(plain.len());
            let end = (start + bytes_max as usize).min(plain.len());
            let expected = if from as usize > plain.len() { &[][..] } else { &plain[start..end] };
            assert_eq!(content.read(from, bytes_max), expected);
        }
    }

    #[test]
    fn a_file_on_disk_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut content = Content::default();
        content.write(700, b"some");
        content.set_length(5001);
        content.write_to(&path).unwrap();
        assert_eq!(Content::read_from(&path).unwrap(), content);
    }
}
