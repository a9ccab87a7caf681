//! Fewer points for the eye: largest-triangle-three-buckets (SPEC section 4).
//!
//! Before: the data of one result at its native frequency. After: statistics and formatting, over the points kept.
//!
//! The series is cut into buckets; of each, the point is kept that spans the largest triangle with the point kept
//! before it and the mean of the bucket after it (S. Steinarsson, "Downsampling Time Series for Visual
//! Representation", 2013). Which point that is can hang on the last bit of an area, so the order of the floating-point
//! operations, the bucket edges and the treatment of gaps are the reference's.

use crate::limits;

/// What became of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To be answered as it is, at its own frequency; the output is empty.
    Native,
    /// The output holds the points to be answered, at the resolution asked for.
    Resampled,
}

/// Why a resolution is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resolution {resolution} must be a multiple of the metric's frequency {frequency} (both in seconds)")]
pub struct ResampleError {
    /// Seconds per point asked for.
    pub resolution: i64,
    /// Seconds per point stored.
    pub frequency: i64,
}

/// Whether data of this frequency can be answered in this resolution, whatever its length.
///
/// # Errors
/// [`ResampleError`] if the resolution is larger than the frequency and not a multiple of it.
pub fn check_resolution(frequency: i64, resolution: i64) -> Result<(), ResampleError> {
    if frequency > 0 && resolution > frequency && resolution % frequency != 0 {
        return Err(ResampleError { resolution, frequency });
    }
    Ok(())
}

/// Reduces `data` (one value per `frequency` seconds, NaN where there is none) to one value per `resolution` seconds.
///
/// `out` is cleared first. With [`Outcome::Native`] it stays empty: a resolution that is not larger than the
/// frequency (0 is "native"), or fewer than [`limits::RESAMPLE_POINTS_MIN`] points, or no whole step in them. Otherwise
/// it holds `data.len() / (resolution / frequency)` values, but at least the first and the last.
///
/// A point is NaN if the bucket after it has a gap.
///
/// # Errors
/// [`ResampleError`] if the resolution does not fit, even where the data is too short to be resampled.
pub fn resample(
    data: &[f64],
    frequency: i64,
    resolution: i64,
    out: &mut Vec<f64>,
) -> Result<Outcome, ResampleError> {
    out.clear();
    check_resolution(frequency, resolution)?;
    if frequency <= 0 || resolution <= frequency || data.len() < limits::RESAMPLE_POINTS_MIN {
        return Ok(Outcome::Native);
    }
    // A step that does not fit a usize is longer than any data.
    let step = usize::try_from(resolution / frequency).unwrap_or(usize::MAX);
    let target_len = data.len() / step;
    if target_len == 0 || target_len >= data.len() {
        return Ok(Outcome::Native);
    }
    out.reserve(target_len.max(2));
    keep_largest_triangles(data, target_len, out);
    Ok(Outcome::Resampled)
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
            if mean.y.is_nan() {
                // No triangle has an area, so nothing was kept: the next one starts at the first point again.
                out.push(f64::NAN);
                kept_index = 0;
            } else {
                let kept = Point { x: kept_index as f64, y: data[kept_index] };
                kept_index = index_of_largest(&data[start..end], start, kept, mean);
                out.push(data[kept_index]);
            }
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

/// The index of the point with the largest triangle, the first of equals; gaps have none.
///
/// Where no point has one, that is index 0, the first point of the data, as in the reference.
fn index_of_largest(bucket: &[f64], x_start: usize, kept: Point, mean: Point) -> usize {
    let mut largest = -1.0;
    let mut index = 0;
    let rise = mean.y - kept.y;
    let run = kept.x - mean.x;
    for (offset, &y) in bucket.iter().enumerate() {
        let x = (x_start + offset) as f64;
        let area = (((kept.x - x) * rise - run * (y - kept.y)) * 0.5).abs();
        if area > largest {
            largest = area;
            index = x_start + offset;
        }
    }
    index
}

#[cfg(test)]
mod tests;
