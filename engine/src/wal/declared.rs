//! Which numbers of series a segment has given so far, also where some of its blocks are lost.
//!
//! Declarations carry no number: they count. After a lost block the count is not known, until a declaration is followed by its
//! first sample, which carries it.

use std::ops::Range;

/// The ids that were declared.
#[derive(Debug, Default)]
pub(super) struct DeclaredIds {
    /// One more than the largest that is known.
    end: u32,
    /// Further declarations may have been lost behind that.
    is_uncertain: bool,
    /// Those below `end` whose declarations were lost.
    lost: Vec<Range<u32>>,
}

impl DeclaredIds {
    /// The id of the next declaration; none if that is not known.
    pub(super) fn next(&self) -> Option<u32> {
        (!self.is_uncertain).then_some(self.end)
    }

    /// So many ids are known, lost ones among them.
    pub(super) fn count(&self) -> u32 {
        self.end
    }

    /// The next one was declared; none if there is no number for another.
    pub(super) fn add(&mut self) -> Option<()> {
        self.end = self.end.checked_add(1)?;
        Some(())
    }

    /// A block was lost.
    pub(super) fn lose(&mut self) {
        self.is_uncertain = true;
    }

    /// This one was declared, behind lost ones; `false` if it cannot be.
    pub(super) fn go_on_with(&mut self, id: u32) -> bool {
        if id < self.end || id == u32::MAX {
            return false;
        }
        if id > self.end {
            self.lost.push(self.end..id);
        }
        self.end = id + 1;
        self.is_uncertain = false;
        true
    }

    /// Whether a sample may have this id; `Some(false)` if its declaration was lost.
    #[inline]
    pub(super) fn is_declared(&self, id: u32) -> Option<bool> {
        if id >= self.end {
            return self.is_uncertain.then_some(false);
        }
        Some(self.lost.is_empty() || !self.lost.iter().any(|lost| lost.contains(&id)))
    }
}
