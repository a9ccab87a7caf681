//! Resampling against recorded answers, its edges, and what must hold for any data.

use proptest::prelude::*;

use super::*;

/// 2,500 points, ten seconds apart, that jump about; the recorded answers below are to this series.
fn sawtooth() -> Vec<f64> {
    (0..2500u32).map(|index| f64::from(index * 919 % 1000) / 100.0).collect()
}

/// The answer at a resolution that must lead to resampling.
fn resampled(data: &[f64], resolution: i64) -> Vec<f64> {
    resampled_by(Algorithm::LargestTriangle, data, resolution)
}

fn resampled_by(algorithm: Algorithm, data: &[f64], resolution: i64) -> Vec<f64> {
    let mut out = vec![17.0];
    let resampling = Resampling::of(data.len() as u64, 10, resolution, algorithm);
    resampling.expect("the resolution fits").expect("there is enough data").apply(data, &mut out);
    out
}

/// Whether so many values are resampled.
fn is_resampled(len: u64, frequency: i64, resolution: i64) -> Result<bool, ResampleError> {
    Resampling::of(len, frequency, resolution, Algorithm::default()).map(|found| found.is_some())
}

#[test]
fn keeps_the_points_the_reference_keeps() {
    assert_eq!(resampled(&sawtooth(), 240), RECORDED_240);
    assert_eq!(resampled(&sawtooth(), 600), RECORDED_600);
}

#[test]
fn native_where_nothing_is_to_be_gained() {
    for (len, frequency, resolution) in [
        (2000, 10, 0),
        (2000, 10, -20),
        (2000, 10, 10),
        (2000, 10, 7),
        (999, 10, 60),
        (0, 10, 60),
        (2000, 10, 20_010),
        (2000, 1, i64::MAX),
        (2000, 0, 60),
    ] {
        assert_eq!(is_resampled(len, frequency, resolution), Ok(false), "{len} {frequency} {resolution}");
    }
    assert_eq!(is_resampled(1000, 10, 60), Ok(true));
}

#[test]
fn a_resolution_that_does_not_fit_is_an_error_at_any_length() {
    for len in [0, 1, 999, 2000] {
        for resolution in [25, 11, i64::MAX] {
            let error = ResampleError::Resolution { resolution, frequency: 10 };
            assert_eq!(is_resampled(len, 10, resolution), Err(error));
        }
    }
}

#[test]
fn one_two_and_three_points() {
    let data = sawtooth();
    let (first, last) = (data[0], data[2499]);
    assert_eq!(resampled(&data, 25_000), [first, last]);
    assert_eq!(resampled(&data, 12_500), [first, last]);
    // The only bucket has none after it, so none of its triangles has an area.
    assert_eq!(resampled(&data, 8330), [first, data[2498], last]);
}

#[test]
fn a_gap_is_answered_only_where_it_is_chosen() {
    // Bucket 52 of 24.49 points is 1250 to 1273; its first point also counts to the mean that bucket 50 is held against.
    let whole = resampled(&sawtooth(), 240);
    for (gap, first_changed, missing) in [(1249, 50, 51), (1250, 50, 52), (1251, 51, 52), (1273, 51, 52)] {
        let mut data = sawtooth();
        data[gap] = f64::NAN;
        let with_gap = resampled(&data, 240);
        let found: Vec<usize> = (0..with_gap.len()).filter(|&index| with_gap[index].is_nan()).collect();
        assert_eq!(found, [missing], "{gap}");
        assert_eq!(with_gap[..first_changed], whole[..first_changed]);
    }
    assert_eq!(resampled(&vec![f64::NAN; 1000], 20).iter().filter(|value| !value.is_nan()).count(), 0);
}

/// What it comes to, worked out by hand for buckets of three points.
#[test]
fn a_point_without_an_area_takes_the_place_of_any_other() {
    let nan = f64::NAN;
    let choose = |bucket: &[f64], kept: f64, mean: f64| {
        index_of_largest(bucket, 1, Point { x: 0.0, y: kept }, Point { x: 5.0, y: mean })
    };
    assert_eq!(choose(&[0.0, 9.0, 1.0], 0.0, 0.0), 2);
    assert_eq!(choose(&[nan, 9.0, 1.0], 0.0, 0.0), 1, "a gap before the largest");
    assert_eq!(choose(&[0.0, 9.0, nan], 0.0, 0.0), 3, "a gap behind it");
    assert_eq!(choose(&[nan, nan, 9.0], 0.0, 0.0), 2, "the last of two gaps");
    assert_eq!(choose(&[0.0, 9.0, 1.0], nan, 0.0), 3, "the point before is a gap");
    assert_eq!(choose(&[0.0, 9.0, 1.0], 0.0, nan), 3, "the mean is one");
}

#[test]
fn means_and_first_points() {
    let mut data = vec![f64::NAN; 1001];
    data[..6].copy_from_slice(&[1.0, f64::NAN, 5.0, f64::NAN, 2.0, 3.0]);
    data[999..].copy_from_slice(&[7.0, 8.0]);
    let means = resampled_by(Algorithm::Average, &data, 30);
    assert_eq!((means.len(), means[0], means[1], means[332].is_nan()), (333, 3.0, 2.5, true));
    let firsts = resampled_by(Algorithm::First, &data, 30);
    assert_eq!((firsts.len(), firsts[0], firsts[1].is_nan()), (333, 1.0, true));
    assert_eq!(resampled_by(Algorithm::First, &data, 9990), [1.0]);
    assert_eq!(resampled_by(Algorithm::Average, &data, 9990), [2.75]);
}

#[test]
fn names_of_algorithms() {
    assert_eq!(Algorithm::named(""), Algorithm::named("lttb"));
    for unknown in ["LTTB", "nearest", "mean", "lttb "] {
        assert_eq!(Algorithm::named(unknown), Err(ResampleError::Algorithm));
    }
}

proptest! {
    #[test]
    fn only_points_of_the_data_in_their_order(
        data in proptest::collection::vec(-1e3f64..1e3, 1000..1500),
        step in 2i64..400,
    ) {
        let out = resampled(&data, 10 * step);
        prop_assert_eq!(out.len(), (data.len() / step as usize).max(2));
        prop_assert_eq!(out[0], data[0]);
        prop_assert_eq!(out[out.len() - 1], data[data.len() - 1]);
        let mut rest = data.iter();
        prop_assert!(out.iter().all(|kept| rest.any(|value| value == kept)));
    }

    #[test]
    fn gaps_and_infinities_do_no_harm(
        data in proptest::collection::vec(
            prop_oneof![4 => -1e3f64..1e3, 1 => Just(f64::NAN), 1 => any::<f64>()],
            1000..1200,
        ),
        step in 2i64..1000,
        algorithm in prop_oneof![
            Just(Algorithm::LargestTriangle), Just(Algorithm::Average), Just(Algorithm::First)
        ],
    ) {
        let points = resampled_by(algorithm, &data, 10 * step).len();
        let least = if algorithm == Algorithm::LargestTriangle { 2 } else { 1 };
        prop_assert_eq!(points, (data.len() / step as usize).max(least));
    }
}

/// Recorded answer at 240 seconds.
const RECORDED_240: [f64; 104] = [
    0.0, 9.19, 0.03, 9.5, 0.06, 9.81, 0.37, 9.31, 0.68, 9.62, 0.18, 9.93, 0.49, 9.43, 0.8, 9.74, 0.3, 9.24,
    0.61, 9.55, 0.11, 9.86, 0.42, 9.36, 0.73, 9.67, 0.23, 9.98, 0.54, 9.48, 0.04, 9.79, 0.35, 9.29, 0.66,
    9.6, 0.16, 9.91, 0.47, 9.41, 0.78, 9.72, 0.28, 9.22, 0.59, 9.53, 0.09, 9.84, 0.4, 9.34, 0.71, 9.65, 0.21,
    9.96, 0.52, 9.46, 0.02, 8.68, 0.33, 8.99, 0.64, 9.3, 0.14, 9.61, 0.17, 9.92, 0.48, 9.42, 0.79, 9.73,
    0.29, 9.23, 0.6, 9.54, 0.1, 9.85, 0.41, 9.35, 0.72, 9.66, 0.22, 9.97, 0.53, 9.47, 0.03, 9.78, 0.34, 9.28,
    0.65, 9.59, 0.15, 9.9, 0.46, 9.4, 0.77, 9.71, 0.27, 9.21, 0.58, 9.52, 0.08, 9.83, 0.39, 5.81,
];

/// Recorded answer at 600 seconds.
const RECORDED_600: [f64; 41] = [
    0.0, 9.19, 0.06, 9.84, 0.43, 9.4, 0.27, 9.24, 0.11, 9.61, 0.2, 9.98, 0.04, 9.82, 0.41, 9.38, 0.25, 9.75,
    0.09, 9.59, 0.18, 9.96, 0.02, 9.8, 0.39, 9.36, 0.23, 9.73, 0.07, 9.57, 0.16, 9.94, 0.0, 9.5, 0.37, 9.34,
    0.21, 9.71, 0.3, 0.67, 5.81,
];
