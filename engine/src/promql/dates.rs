//! Parts of a date, in UTC, from seconds since 1970.

/// Year, month from 1, and day of the month from 1 (the proleptic Gregorian calendar).
fn civil(seconds: f64) -> Option<(i64, i64, i64)> {
    let days = days(seconds)?;
    // Years that begin in March, so that a leap day is the last one; eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some((year, month, day))
}

/// Whole days since 1970, if there is a calendar for them.
fn days(seconds: f64) -> Option<i64> {
    (seconds.abs() < 1e15).then(|| (seconds as i64).div_euclid(86_400))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn of_date(seconds: f64, part: impl Fn((i64, i64, i64)) -> i64) -> f64 {
    civil(seconds).map_or(f64::NAN, |date| part(date) as f64)
}

/// The part of a date that a function of this name answers.
#[must_use]
pub fn part_of_name(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |seconds| {
            days(seconds).map_or(f64::NAN, |_| (seconds as i64).rem_euclid(3600).div_euclid(60) as f64)
        },
        "hour" => |seconds| {
            days(seconds).map_or(f64::NAN, |_| (seconds as i64).rem_euclid(86_400).div_euclid(3600) as f64)
        },
        // The first day of 1970 was a Thursday.
        "day_of_week" => |seconds| days(seconds).map_or(f64::NAN, |days| (days + 4).rem_euclid(7) as f64),
        "day_of_month" => |seconds| of_date(seconds, |(_, _, day)| day),
        "day_of_year" => |seconds| {
            of_date(seconds, |(year, month, day)| {
                (1..month).map(|month| month_days(year, month)).sum::<i64>() + day
            })
        },
        "days_in_month" => |seconds| of_date(seconds, |(year, month, _)| month_days(year, month)),
        "month" => |seconds| of_date(seconds, |(_, month, _)| month),
        "year" => |seconds| of_date(seconds, |(year, _, _)| year),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let parts = [
            "year",
            "month",
            "day_of_month",
            "day_of_week",
            "day_of_year",
            "days_in_month",
            "hour",
            "minute",
        ];
        for (seconds, expected) in [
            (0.0, [1970, 1, 1, 4, 1, 31, 0, 0]),
            (-1.0, [1969, 12, 31, 3, 365, 31, 23, 59]),
            (951_782_399.0, [2000, 2, 28, 1, 59, 29, 23, 59]),
            (951_782_400.0, [2000, 2, 29, 2, 60, 29, 0, 0]),
            (1_709_251_199.9, [2024, 2, 29, 4, 60, 29, 23, 59]),
            (4_107_542_400.0, [2100, 3, 1, 1, 60, 31, 0, 0]),
        ] {
            let found = parts.map(|name| part_of_name(name).unwrap()(seconds));
            assert_eq!(found, expected.map(f64::from), "{seconds}");
        }
        assert!(part_of_name("year").unwrap()(f64::NAN).is_nan());
        assert!(part_of_name("minute").unwrap()(1e300).is_nan());
    }
}
