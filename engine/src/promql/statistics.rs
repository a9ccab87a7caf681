//! Sums that lose no bits, quantiles, and the smaller or larger of values that may be NaN.

/// A sum, and what rounding took from it (Kahan's method in Neumaier's form).
#[derive(Clone, Copy, Debug, Default)]
pub struct Compensated {
    /// Without what was lost.
    pub sum: f64,
    lost: f64,
}

impl Compensated {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost +=
            if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    /// With what was lost.
    #[must_use]
    pub fn exact(&self) -> f64 {
        self.sum + self.lost
    }

    /// The same, but for sums that are infinite, where the loss is NaN.
    #[must_use]
    pub fn total(&self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.exact() }
    }

    /// The sum of values.
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sum = Self::default();
        values.for_each(|value| sum.add(value));
        sum
    }
}

/// The smaller one; NaN only if both are.
#[must_use]
pub fn smaller(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { b } else { a }
}

/// The larger one; NaN only if both are.
#[must_use]
pub fn larger(a: f64, b: f64) -> f64 {
    if a < b || a.is_nan() { b } else { a }
}

/// NaN first, then by value.
#[must_use]
pub fn nan_first(a: &f64, b: &f64) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// By value, then NaN.
#[must_use]
pub fn nan_last(a: &f64, b: &f64) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The φ-quantile of at least one value, between two of them on a straight line. Moves them.
#[must_use]
pub fn quantile(phi: f64, values: &mut [f64]) -> f64 {
    match phi {
        _ if phi.is_nan() || values.is_empty() => return f64::NAN,
        ..0.0 => return f64::NEG_INFINITY,
        _ if phi > 1.0 => return f64::INFINITY,
        _ => {}
    }
    let rank = phi * (values.len() - 1) as f64;
    let (lower, weight) = (rank.floor(), rank - rank.floor());
    let (_, &mut low, above) = values.select_nth_unstable_by(lower as usize, nan_first);
    let high = above.iter().copied().min_by(nan_first).unwrap_or(low);
    low * (1.0 - weight) + high * weight
}
