//! `label_replace` and `label_join`: labels made of others.

use regex::RegexBuilder;

use super::PromError;
use super::labels::is_label_name;
use super::output::Output;
use super::series::Series;
use super::work::Work;
use crate::limits;

fn checked(name: &str) -> Result<(), PromError> {
    if is_label_name(name) {
        return Ok(());
    }
    Err(PromError::Execution(format!("{name:?} is no name of a label")))
}

/// Gives the label `to` what `replacement` says, in series whose label `from` matches.
///
/// # Errors
/// No name of a label, no regular expression, or series that then have the same labels.
pub async fn replace(
    series: Vec<Series>,
    [to, replacement, from, pattern]: [&str; 4],
    work: &mut Work,
) -> Result<Vec<Series>, PromError> {
    let regex =
        RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(limits::PROMQL_PATTERN_BYTES_MAX).build();
    let regex = regex.map_err(|_| {
        let quoted: String = pattern.chars().take(limits::ERROR_QUOTE_BYTES_MAX).collect();
        PromError::Execution(format!("the regular expression {quoted:?} is none, or is too large"))
    })?;
    checked(to)?;
    relabel(series, work, |series| {
        let captures = regex.captures(series.labels.named(from))?;
        let mut value = String::new();
        captures.expand(replacement, &mut value);
        Some((to, value))
    })
    .await
}

/// Gives the label `to` the values of others, with a separator between them.
///
/// # Errors
/// No name of a label, or series that then have the same labels.
pub async fn join(
    series: Vec<Series>,
    to: &str,
    separator: &str,
    from: &[&str],
    work: &mut Work,
) -> Result<Vec<Series>, PromError> {
    checked(to)?;
    from.iter().try_for_each(|name| checked(name))?;
    relabel(series, work, |series| {
        let values: Vec<&str> = from.iter().map(|name| series.labels.named(name)).collect();
        Some((to, values.join(separator)))
    })
    .await
}

async fn relabel<'a>(
    series: Vec<Series>,
    work: &mut Work,
    value_of: impl Fn(&Series) -> Option<(&'a str, String)>,
) -> Result<Vec<Series>, PromError> {
    let mut output = Output::default();
    for mut series in series {
        work.series(series.values.len()).await;
        if let Some((to, value)) = value_of(&series) {
            work.hold(value.len() / size_of::<f64>())?;
            series.labels.set_named(to, &value);
        }
        output.add(series.labels, series.values)?;
    }
    Ok(output.into_series())
}
