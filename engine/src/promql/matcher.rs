//! What a label must be, or must not be.

use regex::{Regex, RegexBuilder};

use super::PromError;
use super::alternatives::Alternatives;
use crate::limits;

/// `=`, `!=`, `=~` or `!~`, and what stands behind it.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// `=`
    Equal(Box<str>),
    /// `!=`
    NotEqual(Box<str>),
    /// `=~`
    Like(Regex),
    /// `!~`
    Unlike(Regex),
    /// `=~` with nothing but values written out, as Grafana does for all hosts.
    Among(Alternatives),
    /// `!~` with the same.
    NotAmong(Alternatives),
}

impl Matcher {
    /// `=~`, or `!~` if it is negated, with this regular expression, which means the whole value.
    ///
    /// # Errors
    /// [`PromError::BadData`] if it is none, or a machine of more than [`limits::PROMQL_PATTERN_BYTES_MAX`]: matching may take as
    /// long as that, times the length of a value.
    pub fn pattern(pattern: &str, is_negated: bool) -> Result<Self, PromError> {
        if let Some(values) = Alternatives::of(pattern) {
            return Ok(if is_negated { Self::NotAmong(values) } else { Self::Among(values) });
        }
        let regex = RegexBuilder::new(&format!("^(?:{pattern})$"))
            .size_limit(limits::PROMQL_PATTERN_BYTES_MAX)
            .dot_matches_new_line(true)
            .build();
        let regex = regex.map_err(|error| {
            let quoted: String = pattern.chars().take(limits::ERROR_QUOTE_BYTES_MAX).collect();
            let why = match error {
                regex::Error::CompiledTooBig(_) => "is too large",
                _ => "is none",
            };
            PromError::BadData(format!("the regular expression {quoted:?} {why}"))
        })?;
        Ok(if is_negated { Self::Unlike(regex) } else { Self::Like(regex) })
    }

    /// Whether a value is as it must be.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => **wanted == *value,
            Self::NotEqual(unwanted) => **unwanted != *value,
            Self::Like(pattern) => pattern.is_match(value),
            Self::Unlike(pattern) => !pattern.is_match(value),
            Self::Among(values) => values.contains(value),
            Self::NotAmong(values) => !values.contains(value),
        }
    }

    /// Whether it takes a while.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        matches!(self, Self::Like(_) | Self::Unlike(_))
    }
}
