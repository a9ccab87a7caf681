//! One file on a disk: what everybody reads, what is on the medium, and the changes between the two.
//!
//! A sector that is not synced is kept or lost by itself. Changes of the length keep their order, as those of a
//! journaling file system do, and what is written after a cut is lost with it, since it goes to other blocks.

use engine::testing::random::Random;

use super::content::{Content, SECTOR, Sector};

/// What the medium does not have yet.
#[derive(Clone, Debug)]
enum Change {
    /// A sector has this content.
    Sector(u64, Sector),
    /// The file ends farther behind.
    Grow(u64),
    /// The file was cut.
    Cut(u64),
}

/// One file.
#[derive(Clone, Debug, Default)]
pub struct DiskFile {
    seen: Content,
    durable: Content,
    /// In the order in which they were made.
    unsynced: Vec<Change>,
}

impl DiskFile {
    /// What everybody reads.
    #[must_use]
    pub fn seen(&self) -> &Content {
        &self.seen
    }

    /// Whether all of it is durable.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.unsynced.is_empty()
    }

    /// Writes through the page cache.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        if end > self.seen.length() {
            self.unsynced.push(Change::Grow(end));
        }
        let numbers = offset / SECTOR..end.div_ceil(SECTOR);
        self.seen.write(offset, bytes);
        self.unsynced.extend(numbers.map(|number| Change::Sector(number, self.seen.sector(number))));
    }

    /// Writes zeros through the page cache: as [`write`](Self::write), but sectors that are zero everywhere cost nothing.
    pub fn write_zeros(&mut self, offset: u64, bytes: u64) {
        let end = offset + bytes;
        let whole = offset.div_ceil(SECTOR)..end / SECTOR;
        if whole.is_empty() {
            self.write(offset, &vec![0; bytes as usize]);
            return;
        }
        let (head, tail) = (whole.start * SECTOR - offset, end - whole.end * SECTOR);
        self.write(offset, &vec![0; head as usize]);
        if end > self.seen.length() {
            self.unsynced.push(Change::Grow(end));
            self.seen.set_length(end);
        }
        let mut numbers: Vec<_> =
            self.seen.numbers(whole.clone()).chain(self.durable.numbers(whole.clone())).collect();
        numbers.extend(self.unsynced.iter().filter_map(|change| match change {
            Change::Sector(number, Some(_)) if whole.contains(number) => Some(*number),
            _ => None,
        }));
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            self.seen.put(number, None);
            self.unsynced.push(Change::Sector(number, None));
        }
        self.write(end - tail, &vec![0; tail as usize]);
    }

    /// Makes the range durable, which has just been written: nothing that was written before to other sectors.
    pub fn sync_range(&mut self, offset: u64, bytes: u64) {
        let changes_length = |change: &Change| matches!(change, Change::Grow(_) | Change::Cut(_));
        if self.unsynced.iter().any(changes_length) {
            // The length has to be durable, and the changes of a journal before it are durable with it.
            self.sync();
            return;
        }
        let numbers = offset / SECTOR..(offset + bytes).div_ceil(SECTOR);
        let (seen, durable) = (&self.seen, &mut self.durable);
        self.unsynced.retain(|change| {
            let Change::Sector(number, _) = change else { return true };
            let is_within = numbers.contains(number);
            if is_within {
                durable.put(*number, seen.sector(*number));
            }
            !is_within
        });
    }

    /// Cuts or lengthens it.
    pub fn set_length(&mut self, length: u64) {
        let is_cut = length < self.seen.length();
        self.unsynced.push(if is_cut { Change::Cut(length) } else { Change::Grow(length) });
        self.seen.set_length(length);
    }

    /// Makes all that was written durable.
    pub fn sync(&mut self) {
        let changes = std::mem::take(&mut self.unsynced);
        self.durable = apply(std::mem::take(&mut self.durable), &changes, |_| true, |_| 0);
    }

    /// What the medium holds after a loss of power that keeps so many percent of the changes that are not synced.
    #[must_use]
    pub fn lose_power(&self, percent_kept: u64, random: &mut Random) -> Content {
        let mut lengths = random.fork();
        let is_kept = |_: &Change| random.percent(percent_kept);
        apply(self.durable.clone(), &self.unsynced, is_kept, |bytes| lengths.within(0..bytes + 1))
    }
}

/// Applies those changes that are kept. `part_kept` says how much of a growth that is lost is there nevertheless.
fn apply(
    mut content: Content,
    changes: &[Change],
    mut is_kept: impl FnMut(&Change) -> bool,
    mut part_kept: impl FnMut(u64) -> u64,
) -> Content {
    let mut is_length_lost = false;
    for change in changes {
        let is_kept = is_kept(change);
        match change {
            Change::Sector(number, sector) if is_kept => content.put(*number, sector.clone()),
            Change::Sector(..) => {}
            Change::Cut(length) if is_kept && !is_length_lost => content.set_length(*length),
            // The blocks that were written since are not those of the file that is there.
            Change::Cut(_) => break,
            Change::Grow(length) if !is_length_lost => {
                let grown = length.saturating_sub(content.length());
                is_length_lost = !is_kept;
                let bytes = if is_kept { grown } else { part_kept(grown) };
                content.set_length(content.length() + bytes);
            }
            Change::Grow(_) => {}
        }
    }
    // Sectors may have been kept without the length that they need.
    content.set_length(content.length());
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sectors(content: &Content) -> Vec<u8> {
        (0..content.length() / SECTOR).map(|number| content.read(number * SECTOR, 1)[0]).collect()
    }

    fn fates(file: &DiskFile) -> Vec<Vec<u8>> {
        let mut fates: Vec<_> =
            (0..300).map(|seed| sectors(&file.lose_power(50, &mut Random::new(seed)))).collect();
        fates.sort();
        fates.dedup();
        fates
    }

    #[test]
    fn each_sector_that_is_not_synced_has_a_fate_of_its_own() {
        let mut file = DiskFile::default();
        file.write(0, &[1; 2048]);
        file.sync();
        file.write(512, &[2; 1024]);
        file.write(512, &[3; 512]);
        let fates = fates(&file);
        assert_eq!(fates.len(), 6, "{fates:?}");
        assert!(fates.iter().all(|fate| fate[0] == 1 && fate[3] == 1), "{fates:?}");
        let mut random = Random::new(1);
        assert_eq!(sectors(&file.lose_power(0, &mut random)), [1, 1, 1, 1]);
        assert_eq!(sectors(&file.lose_power(100, &mut random)), [1, 3, 2, 1]);
        file.sync();
        assert_eq!(sectors(&file.lose_power(0, &mut random)), [1, 3, 2, 1]);
    }

    #[test]
    fn a_durable_write_makes_nothing_but_its_own_sectors_durable() {
        let mut file = DiskFile::default();
        file.write_zeros(0, 4 * SECTOR);
        file.sync();
        file.write(0, &[1; 512]);
        file.write(512, &[2; 512]);
        file.sync_range(512, 512);
        let mut random = Random::new(1);
        assert_eq!(sectors(&file.lose_power(0, &mut random)), [0, 2, 0, 0]);
        // A growth is durable with what needs it.
        file.write(4 * SECTOR, &[3; 512]);
        file.sync_range(4 * SECTOR, 512);
        assert_eq!(sectors(&file.lose_power(0, &mut random)), [1, 2, 0, 0, 3]);
    }

    #[test]
    fn without_its_cut_nothing_written_behind_it_is_there() {
        let mut file = DiskFile::default();
        file.write(0, &[1; 1024]);
        file.sync();
        file.set_length(0);
        file.write(0, &[2; 1024]);
        let fates = fates(&file);
        assert!(fates.contains(&vec![1, 1]) && fates.contains(&vec![2, 2]), "{fates:?}");
        assert!(fates.contains(&vec![]) && fates.contains(&vec![0, 2]), "{fates:?}");
        assert!(!fates.iter().any(|fate| fate.contains(&1) && fate.contains(&2)), "{fates:?}");
    }

    #[test]
    fn zeros_are_written_as_other_bytes_are() {
        let mut random = Random::new(5);
        let (mut zeros, mut plain) = (DiskFile::default(), DiskFile::default());
        for _ in 0..300 {
            let (offset, bytes) = (random.within(0..9000), random.within(1..4000));
            if random.percent(50) {
                zeros.write(offset, &[7; 700]);
                plain.write(offset, &[7; 700]);
            }
            zeros.write_zeros(offset, bytes);
            plain.write(offset, &vec![0; bytes as usize]);
            if random.percent(20) {
                zeros.sync();
                plain.sync();
                assert_eq!(zeros.seen, zeros.durable);
            }
            assert_eq!(zeros.seen, plain.seen);
            assert_eq!(
                zeros.lose_power(100, &mut random.clone()),
                plain.lose_power(100, &mut random.clone())
            );
        }
    }
}
