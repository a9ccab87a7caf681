//! Fewer points, by the formula of every bucket alone (SPEC section 4).

/// Data shorter than this is answered as it is.
const POINTS_MIN: usize = 1000;

/// The resampled data; `None` if it stays as it is; an error if the resolution does not fit the frequency, or if
/// there is no algorithm of this name.
pub(crate) fn resample(
    data: &[f64],
    frequency: i64,
    resolution: i64,
    algorithm: &str,
) -> Result<Option<Vec<f64>>, ()> {
    let thin: fn(&[f64], usize, usize) -> Vec<f64> = match algorithm {
        "" | "lttb" => |data, points, _| largest_triangles(data, points),
        "average" => averages,
        "simple" => firsts,
        _ => return Err(()),
    };
    if resolution <= frequency {
        return Ok(None);
    }
    if resolution % frequency != 0 {
        return Err(());
    }
    let step = i128::from(resolution / frequency);
    let points = (data.len() as i128 / step) as usize;
    if data.len() < POINTS_MIN || points == 0 {
        return Ok(None);
    }
    Ok(Some(thin(data, points, step as usize)))
}

/// The mean of every bucket of `step` points, over what is there.
fn averages(data: &[f64], points: usize, step: usize) -> Vec<f64> {
    let mean = |point: usize| {
        let there: Vec<f64> =
            data[point * step..(point + 1) * step].iter().copied().filter(|value| !value.is_nan()).collect();
        // Of nothing, this is NaN.
        there.iter().fold(0.0, |sum, value| sum + value) / there.len() as f64
    };
    (0..points).map(mean).collect()
}

/// The first of every bucket of `step` points.
fn firsts(data: &[f64], points: usize, step: usize) -> Vec<f64> {
    (0..points).map(|point| data[point * step]).collect()
}

/// Largest triangle, three buckets. A bucket is searched backwards for a point without an area, which the reference's
/// search, forwards, ends with; only without one do areas count.
fn largest_triangles(data: &[f64], points: usize) -> Vec<f64> {
    let last = data.len() - 1;
    let mut kept = vec![data[0]];
    let mut kept_at = 0;
    for bucket in 0..points.saturating_sub(2) {
        let width = (data.len() - 2) as f64 / (points - 2) as f64;
        let edge = |bucket: usize| (bucket as f64 * width).floor() as usize + 1;
        let begin = edge(bucket);
        // The first bucket may reach the last point, all others stop short of it.
        let end = if bucket == 0 { edge(1) } else { edge(bucket + 1).min(last - 1) };
        // The bucket after this one, with one point too many, and never the last point of all.
        let after = end..=edge(bucket + 2).min(last - 1);
        let count = (after.end() + 1).saturating_sub(*after.start()) as f64;
        let mean_x = after.clone().map(|x| x as f64).fold(0.0, |sum, x| sum + x) / count;
        let mean_y = after.map(|x| data[x]).fold(0.0, |sum, y| sum + y) / count;
        let area = |at: usize| {
            let (x, y) = (kept_at as f64, data[kept_at]);
            (((x - at as f64) * (mean_y - y) - (x - mean_x) * (data[at] - y)) * 0.5).abs()
        };
        let without_area = (begin..end).rev().find(|&at| area(at).is_nan());
        let chosen = without_area.unwrap_or_else(|| {
            let largest = (begin..end).map(area).fold(-1.0, f64::max);
            (begin..end).find(|&at| area(at) == largest).unwrap_or(0)
        });
        kept_at = chosen;
        kept.push(data[kept_at]);
    }
    kept.push(data[last]);
    kept
}
