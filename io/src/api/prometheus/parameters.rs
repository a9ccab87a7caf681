//! The parameters of a call, as Go's `net/http` gives them to Prometheus: those of the form, then those of the URL.

use std::sync::Arc;

use engine::limits;
use engine::promql::PromError;
use engine::promql::expression::Leaf;
use engine::promql::plan::Plan;
use engine::promql::text::parse_duration_ms;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};

use crate::api::Refusal;
use crate::api::request::body_within;
use crate::core::Core;
use crate::core::held::Lease;

/// Longest form: the longest question, each byte of it as `%XX`, and some more.
const FORM_BYTES_MAX: usize = 5 * 1024 * 1024;
const _: () = assert!(FORM_BYTES_MAX > 4 * limits::PROMQL_BYTES_MAX);
/// Most parameters of one call; none needs more than some beside its selectors.
const PARAMETERS_MAX: usize = 4096;
/// Most selectors of one call for series or labels.
const SELECTORS_MAX: usize = 256;
/// Most regular expressions in all of them.
const PATTERNS_MAX: usize = 2 * limits::PROMQL_PATTERNS_MAX;

/// The least and the greatest time of Go's, as clients of Prometheus write them: no bound.
const TIMES_UNBOUNDED: [(&str, i64); 2] = [
    ("-292273086-05-16T16:47:06Z", -limits::TIME_SECONDS_MAX * 1000),
    ("292277025-08-18T07:12:54.999999999Z", limits::TIME_SECONDS_MAX * 1000),
];

/// All parameters of a call.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them, and takes their memory: a form wins over the URL.
    pub(super) async fn read(core: &Core, request: &mut Request<Incoming>) -> Result<(Self, Lease), Refusal> {
        let (form, mut lease) = if request.method() == Method::POST {
            body_within(core, request, FORM_BYTES_MAX).await?
        } else {
            (Vec::new(), core.held.lease())
        };
        let url = request.uri().query().unwrap_or_default().as_bytes();
        let parts = [&form[..], url];
        let all = parts.into_iter().flat_map(|part| form_urlencoded::parse(part).into_owned());
        let parameters: Vec<_> = all.take(PARAMETERS_MAX + 1).collect();
        if parameters.len() > PARAMETERS_MAX {
            return Err(Refusal::bad_request(format_args!("at most {PARAMETERS_MAX} parameters are taken")));
        }
        lease.set(parameters.iter().map(|(name, value)| (name.capacity() + value.capacity()) as u64).sum());
        Ok((Self(parameters), lease))
    }

    /// The first of this name; an empty one is as good as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(found, _)| found == name);
        first.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// One that must be there.
    pub fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::bad_request(format_args!("the parameter {name} is missing")))
    }

    /// A time in milliseconds, if there is one.
    pub fn time_ms(&self, name: &str) -> Result<Option<i64>, Refusal> {
        const MS_MAX: i64 = limits::TIME_SECONDS_MAX * 1000;
        let Some(text) = self.get(name) else { return Ok(None) };
        match time_ms(text) {
            Some(ms) if (-MS_MAX..=MS_MAX).contains(&ms) => Ok(Some(ms)),
            _ => Err(wrong_time(name, text)),
        }
    }

    /// A time that must be there.
    pub fn needed_time_ms(&self, name: &str) -> Result<i64, Refusal> {
        self.needed(name)?;
        self.time_ms(name).map(|ms| ms.unwrap_or_default())
    }

    /// A time that bounds a list: one before or behind all times is no bound.
    pub fn bound_seconds(&self, name: &str) -> Result<Option<i64>, Refusal> {
        const SECONDS_MAX: i64 = limits::TIME_SECONDS_MAX;
        let Some(text) = self.get(name) else { return Ok(None) };
        let ms = time_ms(text).ok_or_else(|| wrong_time(name, text))?;
        Ok(Some(ms.div_euclid(1000).clamp(-SECONDS_MAX, SECONDS_MAX)))
    }

    /// A duration in milliseconds, as PromQL or in seconds, if there is one.
    pub fn duration_ms(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let ms = match text.parse::<f64>() {
            Ok(seconds) => Some(seconds * 1000.0).filter(|ms| ms.abs() < 1e15).map(|ms| ms as i64),
            Err(_) => parse_duration_ms(text),
        };
        let wrong = || Refusal::bad_request(format_args!("{name}: {:?} is no duration", shortened(text)));
        ms.map(Some).ok_or_else(wrong)
    }

    /// At most so many entries; no parameter, or 0: all.
    pub fn entries_max(&self) -> Result<usize, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(usize::MAX) };
        let number: Option<usize> = text.parse().ok();
        let wrong =
            || Refusal::bad_request(format_args!("limit: {:?} is no number from 0 on", shortened(text)));
        Ok(Some(number.ok_or_else(wrong)?).filter(|&number| number > 0).unwrap_or(usize::MAX))
    }

    /// What every `match[]` means.
    pub fn selectors(&self, core: &Core) -> Result<Vec<Leaf>, Refusal> {
        let texts = self.0.iter().filter(|(name, _)| name == "match[]").map(|(_, text)| text);
        if texts.clone().count() > SELECTORS_MAX {
            return Err(Refusal::bad_request(format_args!("at most {SELECTORS_MAX} match[] are taken")));
        }
        let metrics = Arc::clone(core.router.borrow().metrics());
        let mut leaves = Vec::new();
        let mut patterns = 0;
        for text in texts {
            let leaf = Plan::parse_selector(text, &metrics).map_err(|error| refusal(&error))?;
            patterns += leaf.matchers.iter().filter(|(_, matcher)| matcher.is_pattern()).count();
            if patterns > PATTERNS_MAX {
                let what =
                    format_args!("all match[] together have more than {PATTERNS_MAX} regular expressions");
                return Err(Refusal::bad_request(what));
            }
            leaves.push(leaf);
        }
        Ok(leaves)
    }
}

/// The answer to a question that is wrong, or too much.
pub(super) fn refusal(error: &PromError) -> Refusal {
    let status = match error {
        PromError::BadData(_) => StatusCode::BAD_REQUEST,
        PromError::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Refusal { status, message: error.to_string() }
}

/// Seconds with a fraction, or a time of RFC 3339, in milliseconds; what is out of reach is as far as can be.
fn time_ms(text: &str) -> Option<i64> {
    if let Some((_, ms)) = TIMES_UNBOUNDED.iter().find(|(name, _)| *name == text) {
        return Some(*ms);
    }
    match text.parse::<f64>() {
        Ok(seconds) => seconds.is_finite().then_some((seconds * 1000.0).round() as i64),
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
    }
}

fn wrong_time(name: &str, text: &str) -> Refusal {
    let text = shortened(text);
    Refusal::bad_request(format_args!(
        "{name}: {text:?} is neither seconds since 1970 nor a time of RFC 3339"
    ))
}

fn shortened(text: &str) -> String {
    text.chars().take(limits::ERROR_QUOTE_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(text: &str) -> Parameters {
        Parameters(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    #[test]
    fn times_are_seconds_or_of_rfc_3339() {
        for (text, ms) in [
            ("1700000000", Some(1_700_000_000_000)),
            ("1700000000.5", Some(1_700_000_000_500)),
            ("1.7e9", Some(1_700_000_000_000)),
            ("-1.5", Some(-1500)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000)),
            ("2023-11-14T23:13:20.25%2B01:00", Some(1_700_000_000_250)),
            ("292277025-08-18T07:12:54.999999999Z", Some(limits::TIME_SECONDS_MAX * 1000)),
        ] {
            let read = parameters(&format!("t={text}")).time_ms("t").unwrap();
            assert_eq!(read, ms, "{text}");
        }
        for wrong in ["x", "NaN", "Inf", "1e300", "9999-12-31T23:59:59Z", "2023-11-14"] {
            assert!(parameters(&format!("t={wrong}")).time_ms("t").is_err(), "{wrong}");
        }
        assert_eq!(parameters("t=").time_ms("t").unwrap(), None);
        assert_eq!(parameters("").time_ms("t").unwrap(), None);
        assert!(parameters("t=").needed_time_ms("t").is_err());
    }

    #[test]
    fn bounds_of_lists_may_be_out_of_reach() {
        for (text, seconds) in [
            ("1e300", limits::TIME_SECONDS_MAX),
            ("9999-12-30T00:00:00Z", limits::TIME_SECONDS_MAX),
            ("-292273086-05-16T16:47:06Z", -limits::TIME_SECONDS_MAX),
            ("-0.5", -1),
            ("7.9", 7),
        ] {
            assert_eq!(parameters(&format!("t={text}")).bound_seconds("t").unwrap(), Some(seconds), "{text}");
        }
        assert!(parameters("t=x").bound_seconds("t").is_err());
    }

    #[test]
    fn limits_are_whole_numbers() {
        for (text, max) in
            [("limit=5", 5), ("limit=%2B5", 5), ("limit=0", usize::MAX), ("limit=", usize::MAX)]
        {
            assert_eq!(parameters(text).entries_max().unwrap(), max, "{text}");
        }
        for wrong in ["x", "-1", "1.5", "1e3", "99999999999999999999999"] {
            assert!(parameters(&format!("limit={wrong}")).entries_max().is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_seconds_or_of_promql() {
        for (text, ms) in [("15", 15_000), ("0.5", 500), ("1m30s", 90_000), ("0", 0)] {
            assert_eq!(parameters(&format!("step={text}")).duration_ms("step").unwrap(), Some(ms), "{text}");
        }
        for wrong in ["x", "1e300", "NaN", "5m3h"] {
            assert!(parameters(&format!("step={wrong}")).duration_ms("step").is_err(), "{wrong}");
        }
    }
}
