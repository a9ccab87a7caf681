//! The times at which an expression is computed.

/// Times at even distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The first, in milliseconds since 1970.
    pub start_ms: i64,
    /// Between two of them; 0 for the same time again and again, as `@` asks for.
    pub step_ms: i64,
    /// How many.
    pub steps: usize,
}

impl Grid {
    /// One time.
    #[must_use]
    pub fn instant(time_ms: i64) -> Self {
        Self { start_ms: time_ms, step_ms: 1000, steps: 1 }
    }

    /// The time of a step.
    #[must_use]
    pub fn time_ms(&self, step: usize) -> i64 {
        self.start_ms + self.step_ms * step as i64
    }

    /// The last time; the first, if there is none.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.time_ms(self.steps.max(1) - 1)
    }

    /// As many steps, so much later.
    #[must_use]
    pub fn later(self, by_ms: i64) -> Self {
        Self { start_ms: self.start_ms + by_ms, ..self }
    }

    /// As many steps, all at one time.
    #[must_use]
    pub fn fixed(self, time_ms: i64) -> Self {
        Self { start_ms: time_ms, step_ms: 0, ..self }
    }

    /// The multiples of a step from the beginning of the first range before these times to the end of the last one.
    #[must_use]
    pub fn of_subquery(self, range_ms: i64, step_ms: i64) -> Self {
        let from = self.start_ms - range_ms;
        let start_ms = from + (-from).rem_euclid(step_ms);
        let steps = (self.end_ms() - start_ms).div_euclid(step_ms) + 1;
        Self { start_ms, step_ms, steps: usize::try_from(steps).unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_a_subquery_are_multiples_of_its_step() {
        let grid = Grid { start_ms: 1000, step_ms: 500, steps: 3 };
        assert_eq!(grid.of_subquery(950, 300), Grid { start_ms: 300, step_ms: 300, steps: 6 });
        assert_eq!(grid.of_subquery(1000, 300), Grid { start_ms: 0, step_ms: 300, steps: 7 });
        assert_eq!(grid.of_subquery(1100, 300).start_ms, 0);
        let fixed = grid.fixed(1000);
        assert_eq!((fixed.end_ms(), fixed.of_subquery(50, 300).steps), (1000, 0));
    }
}
