//! How much the asking core does at once, and in all.

use futures_lite::future::yield_now;

use super::PromError;
use crate::limits;

/// What is left of the turn, and of the question.
#[derive(Debug)]
pub struct Work {
    turn_left: usize,
    points_left: usize,
    looks_left: u64,
    looks_max: u64,
}

impl Work {
    /// For a question that may look at so many values.
    #[must_use]
    pub fn new(looks_max: u64) -> Self {
        Self {
            turn_left: limits::PROMQL_POINTS_PER_TURN,
            points_left: limits::PROMQL_POINTS_MAX,
            looks_left: looks_max,
            looks_max,
        }
    }

    /// Counts a series of so many values; what is done for its labels weighs as much as some.
    pub async fn series(&mut self, values: usize) {
        const LABELS: usize = 64;
        self.spend(values + LABELS).await;
    }

    /// Counts so many values; others get their turn every so often.
    pub async fn spend(&mut self, values: usize) {
        self.turn_left = self.turn_left.saturating_sub(values);
        if self.turn_left == 0 {
            self.turn_left = limits::PROMQL_POINTS_PER_TURN;
            yield_now().await;
        }
    }

    /// Counts values that are to be held in addition to those that owners answered.
    ///
    /// # Errors
    /// They are too many.
    pub fn hold(&mut self, points: usize) -> Result<(), PromError> {
        self.points_left = self
            .points_left
            .checked_sub(points)
            .ok_or_else(|| PromError::too_large(limits::PROMQL_POINTS_MAX as u64, "points"))?;
        Ok(())
    }

    /// Counts values that are looked at once more.
    ///
    /// # Errors
    /// They are too many.
    pub fn look(&mut self, values: usize) -> Result<(), PromError> {
        self.looks_left = self.looks_left.checked_sub(values as u64).ok_or_else(|| {
            PromError::too_large(self.looks_max, "values in the ranges of all steps (query-limit)")
        })?;
        Ok(())
    }
}
