//! Fewer points for the eye: largest-triangle-three-buckets, means, or the first of each bucket (SPEC section 4).
//!
//! Before: the data of one result at its native frequency. After: statistics and formatting, over the points kept.
//!
//! With largest-triangle-three-buckets, of each bucket the point is kept that spans the largest triangle with the
//! point kept before it and the mean of the bucket after it (S. Steinarsson, "Downsampling Time Series for Visual
//! Representation", 2013). Which point that is can hang on the last bit of an area, so the order of the floating-point
//! operations, the bucket edges and the treatment of gaps are the reference's.

use crate::limits;

/// What one point stands for all others of its bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// The point of the largest triangle.
    #[default]
    LargestTriangle,
    /// The mean of those that are not missing.
    Average,
    /// The first, missing or not.
    First,
}

/// One value for several: how many there will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resampling {
    algorithm: Algorithm,
    /// Points of a bucket.
    step: usize,
    /// Length of the data divided by that, rounded down; at least 1.
    buckets: usize,
}

/// Why data cannot be resampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// No whole number of points fits.
    #[error(
        "resolution {resolution} must be a multiple of the metric's frequency {frequency} (both in seconds)"
    )]
    Resolution {
        /// Seconds per point asked for.
        resolution: i64,
        /// Seconds per point stored.
        frequency: i64,
    },
    /// There is no algorithm of this name.
    #[error("resample-algo must be one of \"lttb\", \"average\" and \"simple\"")]
    Algorithm,
    /// All of a range is to be covered, which is long.
    #[error(
        "{values} values are too many to be resampled with full-range (at most {}): ask for less",
        limits::RESAMPLE_WINDOW_MAX
    )]
    Window {
        /// How many it has.
        values: u64,
    },
}

impl Algorithm {
    /// That of a request: `lttb` (also if none is named), `average` or `simple`.
    ///
    /// # Errors
    /// [`ResampleError::Algorithm`] for any other name.
    pub fn named(name: &str) -> Result<Self, ResampleError> {
        match name {
            "" | "lttb" => Ok(Self::LargestTriangle),
            "average" => Ok(Self::Average),
            "simple" => Ok(Self::First),
            _ => Err(ResampleError::Algorithm),
        }
    }
}

impl Resampling {
    /// How `len` values, one per `frequency` seconds, become one per `resolution` seconds. `None`: not at all, they are
    /// answered as they are, because the resolution is not larger than the frequency (0 is "native"), there are fewer
    /// than [`limits::RESAMPLE_POINTS_MIN`] values, or fewer than one bucket.
    ///
    /// # Errors
    /// [`ResampleError`] if the resolution does not fit, even where the data is too short to be resampled.
    pub fn of(
        len: u64,
        frequency: i64,
        resolution: i64,
        algorithm: Algorithm,
    ) -> Result<Option<Self>, ResampleError> {
        if frequency <= 0 || resolution <= frequency {
            return Ok(None);
        }
        if resolution % frequency != 0 {
            return Err(ResampleError::Resolution { resolution, frequency });
        }
        if len < limits::RESAMPLE_POINTS_MIN as u64 {
            return Ok(None);
        }
        let step = (resolution / frequency).unsigned_abs();
        // A length that does not fit a usize is longer than any data.
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let (step, buckets) = (size(step), size(len / step));
        Ok((buckets > 0).then_some(Self { algorithm, step, buckets }))
    }

    /// Puts into `out`, which is cleared first, one value for each bucket; of a largest-triangle-three-buckets, at least
    /// the first value and the last.
    ///
    /// # Panics
    /// If `data` is shorter than what this was made for.
    pub fn apply(self, data: &[f64], out: &mut Vec<f64>) {
        out.clear();
        let buckets = data.chunks_exact(self.step).take(self.buckets);
        match self.algorithm {
            Algorithm::LargestTriangle => {
                out.reserve(self.buckets.max(2));
                keep_largest_triangles(data, self.buckets, out);
            }
            Algorithm::Average => out.extend(buckets.map(mean_without_gaps)),
            Algorithm::First => out.extend(buckets.map(|bucket| bucket[0])),
        }
    }
}

/// The mean of those that are not NaN; NaN if there are none.
fn mean_without_gaps(bucket: &[f64]) -> f64 {
    let (mut sum, mut count) = (0.0, 0u64);
    for &value in bucket {
        if !value.is_nan() {
            sum += value;
            count += 1;
        }
    }
    sum / count as f64
}

/// A corner of a triangle: the index in the data is its x.
#[derive(Clone, Copy)]
struct Point {
    x: f64,
    y: f64,
}

/// Needs at least two points; keeps the first, one per bucket of the `target_len - 2` between, and the last.
fn keep_largest_triangles(data: &[f64], target_len: usize, out: &mut Vec<f64>) {
    let last = data.len() - 1;
    out.push(data[0]);
    let buckets = target_len.saturating_sub(2);
    if buckets > 0 {
        let bucket_len = (data.len() - 2) as f64 / buckets as f64;
        let mut start = 1;
        let mut end = bucket_len.floor() as usize + 1;
        let mut kept_index = 0;
        for bucket in 0..buckets {
            // The mean takes in one point more than the bucket it stands for, and the last two buckets stop short of
            // the last point: so does the reference.
            let next_end = (((bucket + 2) as f64 * bucket_len).floor() as usize + 1).min(last - 1);
            let mean = mean_of(&data[end..=next_end], end);
            let kept = Point { x: kept_index as f64, y: data[kept_index] };
            kept_index = index_of_largest(&data[start..end], start, kept, mean);
            out.push(data[kept_index]);
            start = end;
            end = next_end;
        }
    }
    out.push(data[last]);
}

/// The mean of a bucket whose first point has the index `x_start`; NaN if it has a gap or no point.
fn mean_of(bucket: &[f64], x_start: usize) -> Point {
    let mut sum = Point { x: 0.0, y: 0.0 };
    let mut x = x_start as f64;
    for &y in bucket {
        sum.x += x;
        sum.y += y;
        x += 1.0;
    }
    let n = bucket.len() as f64;
    Point { x: sum.x / n, y: sum.y / n }
}

/// The index of the point with the largest triangle, the first of equals.
///
/// A triangle with a gap in a corner has no area: the last point of such a triangle is the one, whatever areas others
/// have. So is the last point of the bucket where the point kept before or the mean is a gap.
fn index_of_largest(bucket: &[f64], x_start: usize, kept: Point, mean: Point) -> usize {
    let mut largest = -1.0;
    let mut index = 0;
    let rise = mean.y - kept.y;
    let run = kept.x - mean.x;
    for (offset, &y) in bucket.iter().enumerate() {
        let x = (x_start + offset) as f64;
        let area = (((kept.x - x) * rise - run * (y - kept.y)) * 0.5).abs();
        // Once `largest` is NaN, no area is larger.
        if area > largest || area.is_nan() {
            largest = area;
            index = x_start + offset;
        }
    }
    index
}

#[cfg(test)]
mod tests;
