//! Largest triangle, three buckets, by the formula of every bucket alone (SPEC section 4).

/// Data shorter than this is answered as it is.
const POINTS_MIN: usize = 1000;

/// The resampled data; `None` if it stays as it is; an error if the resolution does not fit the frequency.
pub(crate) fn resample(data: &[f64], frequency: i64, resolution: i64) -> Result<Option<Vec<f64>>, ()> {
    if resolution <= frequency {
        return Ok(None);
    }
    if resolution % frequency != 0 {
        return Err(());
    }
    let points = (data.len() as i128 / i128::from(resolution / frequency)) as usize;
    if data.len() < POINTS_MIN || points == 0 {
        return Ok(None);
    }
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
        if mean_y.is_nan() {
            kept.push(f64::NAN);
            kept_at = 0;
            continue;
        }
        let area = |at: usize| {
            let (x, y) = (kept_at as f64, data[kept_at]);
            (((x - at as f64) * (mean_y - y) - (x - mean_x) * (data[at] - y)) * 0.5).abs()
        };
        // Without any area at all, the reference takes the first point of the data.
        let mut largest = (-1.0, 0);
        for at in begin..end {
            let area = area(at);
            if area > largest.0 {
                largest = (area, at);
            }
        }
        kept_at = largest.1;
        kept.push(data[kept_at]);
    }
    kept.push(data[last]);
    Ok(Some(kept))
}
