//! The content of one simulated file: what is read, what is on the medium, and the writes between the two.

use std::collections::BTreeMap;

use super::random::Random;
use crate::platform::SECTOR_BYTES;

type Sector = Box<[u8]>;

/// One file, whatever its names are.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// The disk it is on.
    pub(super) mount: usize,
    /// What everybody reads.
    pub(super) seen: Vec<u8>,
    /// What is on the medium.
    durable: Vec<u8>,
    /// By sector: what was written since the medium has it, oldest first, each with the number of its write.
    unsynced: BTreeMap<usize, Vec<(u64, Sector)>>,
}

impl Inode {
    /// An empty file on this disk.
    pub(super) fn on(mount: usize) -> Self {
        Self { mount, ..Self::default() }
    }

    /// Makes it empty, which is durable with the next sync.
    pub(super) fn truncate(&mut self) {
        self.seen.clear();
        self.unsynced.clear();
    }

    /// Writes into the page cache. `write` grows from call to call.
    pub(super) fn write(
        &mut self,
        write: u64,
        offset: usize,
        bytes: &[u8],
        mut is_taken: impl FnMut() -> bool,
    ) {
        let end = offset + bytes.len();
        let mut at = offset;
        while at < end {
            let sector = at / SECTOR_BYTES;
            let sector_end = ((sector + 1) * SECTOR_BYTES).min(end);
            if is_taken() {
                if self.seen.len() < sector_end {
                    self.seen.resize(sector_end, 0);
                }
                self.seen[at..sector_end].copy_from_slice(&bytes[at - offset..sector_end - offset]);
                let whole_end = ((sector + 1) * SECTOR_BYTES).min(self.seen.len());
                let content = self.seen[sector * SECTOR_BYTES..whole_end].into();
                self.unsynced.entry(sector).or_default().push((write, content));
            }
            at = sector_end;
        }
    }

    /// Makes the writes up to this one durable.
    pub(super) fn sync(&mut self, up_to: u64) {
        self.flush(|write| write <= up_to);
        self.durable.resize(self.seen.len(), 0);
    }

    /// Makes the writes that `is_taken` tells durable, each sector up to the last one of those, and keeps the others.
    fn flush(&mut self, mut is_taken: impl FnMut(u64) -> bool) {
        let durable = &mut self.durable;
        self.unsynced.retain(|&sector, writes| {
            if let Some(last) = writes.iter().rposition(|&(write, _)| is_taken(write)) {
                let (_, content) = &writes[last];
                let start = sector * SECTOR_BYTES;
                if durable.len() < start + content.len() {
                    durable.resize(start + content.len(), 0);
                }
                durable[start..start + content.len()].copy_from_slice(content);
                writes.drain(..=last);
            }
            !writes.is_empty()
        });
    }

    /// A sync failed: of what was to be written some sectors are on the medium, and the kernel forgets the others, so that
    /// the next sync has nothing to do and succeeds. They can still be read.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let percent = random.one_of(&[0, 50, 100]);
        self.flush(|_| random.percent(percent));
        self.unsynced.clear();
    }

    /// The medium changes by itself: the file is cut, or with `flips` a bit of it may be another one.
    pub(super) fn damage(&mut self, flips: bool, random: &mut Random) {
        match random.index(if flips { 5 } else { 3 }) {
            0 => self.seen.clear(),
            1 | 2 => self.seen.truncate(random.within(0..self.seen.len() as u64 + 1) as usize),
            _ if self.seen.is_empty() => {}
            _ => {
                // What was written is mostly at the beginning.
                let end = random.one_of(&[64, 4096, usize::MAX]).min(self.seen.len());
                let at = random.index(end);
                self.seen[at] ^= 1 << random.index(8);
            }
        }
        self.durable.clone_from(&self.seen);
        self.unsynced.clear();
    }

    /// The power fails: each sector that is not durable is lost, or comes to rest with any of its contents.
    pub(super) fn lose_power(&mut self, percent_kept: u64, random: &mut Random) {
        let length_durable = self.durable.len();
        self.flush(|_| random.percent(percent_kept));
        let length = match random.index(3) {
            0 => self.seen.len(),
            1 => length_durable,
            _ => random.within(0..self.seen.len().max(length_durable) as u64 + 1) as usize,
        };
        // Only files of changing length can have another one than they had: those that are written at once.
        if self.seen.len() != length_durable {
            self.durable.resize(length, 0);
        }
        self.unsynced.clear();
        self.seen.clone_from(&self.durable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seed: u64, percent_kept: u64) -> Vec<u8> {
        let mut inode = Inode::default();
        inode.write(1, 0, &[1; 2048], || true);
        inode.sync(1);
        inode.write(2, 512, &[2; 1024], || true);
        inode.write(3, 512, &[3; 512], || true);
        inode.lose_power(percent_kept, &mut Random::new(seed));
        inode.seen.chunks(512).map(|sector| sector[0]).collect()
    }

    #[test]
    fn without_power_each_unsynced_sector_has_a_fate_of_its_own() {
        let mut fates: Vec<_> = (0..200).map(|seed| written(seed, 50)).collect();
        fates.sort();
        fates.dedup();
        assert_eq!(fates.len(), 6, "{fates:?}");
        assert!(fates.iter().all(|fate| fate[0] == 1 && fate[3] == 1), "{fates:?}");
        assert_eq!(written(1, 0), [1, 1, 1, 1]);
        assert_eq!(written(1, 100), [1, 3, 2, 1]);
    }

    #[test]
    fn a_sync_that_failed_cannot_be_made_good() {
        let lost = (0..20).filter(|&seed| {
            let mut inode = Inode::default();
            inode.write(1, 0, &[1; 512], || true);
            inode.fail_sync(&mut Random::new(seed));
            inode.sync(2);
            assert_eq!(inode.seen, [1; 512]);
            inode.lose_power(100, &mut Random::new(seed));
            inode.seen != [1; 512]
        });
        assert!(lost.count() > 0);
    }
}
