//! How fast values change: between the ends of a range, between its last two samples, and along a line through all.

use super::statistics::Compensated;
use super::window::Ranged;

/// What was gained between the first and the last of at least two samples, extended along a straight line to those ends of the range
/// that samples come close to, and by half the mean distance of samples where none does.
#[must_use]
pub fn extrapolated(range: &Ranged<'_>, is_counter: bool) -> f64 {
    let (first, last) = (range.samples[0], range.samples[range.samples.len() - 1]);
    let mut gained = last.1 - first.1;
    if is_counter {
        // Less than before: it began again at zero.
        let resets = range.samples.windows(2).filter(|pair| pair[1].1 < pair[0].1);
        gained += resets.map(|pair| pair[0].1).sum::<f64>();
    }
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let sampled = seconds(last.0 - first.0);
    let mean = sampled / (range.samples.len() - 1) as f64;
    let mut before = seconds(first.0 - (range.end_ms - range.range_ms));
    let after = seconds(range.end_ms - last.0);
    if is_counter && gained > 0.0 && first.1 >= 0.0 {
        // A counter was never below zero.
        before = before.min(sampled * (first.1 / gained));
    }
    let extension = |gap: f64| if gap < mean * 1.1 { gap } else { mean / 2.0 };
    gained * ((sampled + extension(before) + extension(after)) / sampled)
}

/// The difference of the last two of at least two samples; of a counter, per second.
#[must_use]
pub fn instant(range: &Ranged<'_>, is_rate: bool) -> f64 {
    let [.., before, last] = range.samples else { return f64::NAN };
    if !is_rate {
        return last.1 - before.1;
    }
    let gained = if last.1 < before.1 { last.1 } else { last.1 - before.1 };
    gained / ((last.0 - before.0) as f64 / 1000.0)
}

/// Slope per second, and value at a time, of the line with the least squares.
#[must_use]
pub fn regression(range: &Ranged<'_>, at_ms: i64) -> (f64, f64) {
    let first = range.samples[0].1;
    if range.values().all(|value| value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let points = range.samples.iter().map(|&(time_ms, value)| ((time_ms - at_ms) as f64 / 1000.0, value));
    let sum = |of: fn((f64, f64)) -> f64| Compensated::of(points.clone().map(of)).exact();
    let count = range.samples.len() as f64;
    let (x, y) = (sum(|(x, _)| x), sum(|(_, y)| y));
    let (xy, xx) = (sum(|(x, y)| x * y), sum(|(x, _)| x * x));
    let slope = (xy - x * y / count) / (xx - x * x / count);
    (slope, y / count - slope * x / count)
}
