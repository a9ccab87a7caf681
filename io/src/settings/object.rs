//! Typed reading of a JSON object that remembers everything it finds wrong.
//!
//! Between the JSON values of the file and the sections: a section asks for its keys one by one and
//! goes on after a bad one, so that the user sees all problems at once.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Map, Value};

use super::problem::Problem;
use super::secret::Secret;
use super::{address, bounds, duration, suggest};

/// Collects what is found while sections are read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: RefCell<Vec<Problem>>,
    notes: RefCell<Vec<String>>,
}

impl Findings {
    /// Something the daemon must not start with.
    pub(super) fn problem(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Something the user should know but that keeps nobody from starting.
    pub(super) fn note(&self, note: impl Into<String>) {
        self.notes.borrow_mut().push(note.into());
    }

    /// What was found: problems, notes.
    pub(super) fn into_parts(self) -> (Vec<Problem>, Vec<String>) {
        (self.problems.into_inner(), self.notes.into_inner())
    }
}

/// A JSON object at a known place of the configuration.
///
/// `null` counts as absent everywhere, and an empty text too where a text is optional: the reference
/// cannot tell them apart. Keys match without regard to case, as they do there.
#[derive(Debug)]
pub(super) struct Object<'a> {
    path: String,
    map: &'a Map<String, Value>,
    findings: &'a Findings,
}

impl<'a> Object<'a> {
    /// The object in `value`; reports another type and every key that is not in `known`.
    pub(super) fn new(
        path: String,
        value: &'a Value,
        known: &'static [&'static str],
        findings: &'a Findings,
    ) -> Option<Self> {
        let Value::Object(map) = value else {
            findings.problem(Problem::WrongType { path, expected: "an object", found: describe(value) });
            return None;
        };
        let object = Self { path, map, findings };
        for key in object.keys_beside(known) {
            findings.problem(Problem::unknown_key(object.path.clone(), key, known));
        }
        Some(object)
    }

    /// The file as an object, whatever keys it has: later versions of the reference add sections.
    pub(super) fn top_level(value: &'a Value, findings: &'a Findings) -> Option<Self> {
        value.as_object().map(|map| Self { path: String::new(), map, findings })
    }

    /// The keys that are not in `known`, shortened for messages.
    pub(super) fn keys_beside(&self, known: &'static [&'static str]) -> impl Iterator<Item = String> {
        let is_known = move |key: &str| known.iter().any(|name| name.eq_ignore_ascii_case(key));
        self.map.keys().filter(move |key| !is_known(key)).map(|key| shortened(key))
    }

    /// The full path of a key of this object.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where this object reports to.
    pub(super) fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// The value of a key, unless absent or null.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        let exact = self.map.get(key);
        let folded =
            || self.map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        exact.or_else(folded).filter(|value| !value.is_null())
    }

    fn typed<T>(&self, key: &str, expected: &'static str, get: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.value(key)?;
        let typed = get(value);
        if typed.is_none() {
            let (path, found) = (self.path_of(key), describe(value));
            self.findings.problem(Problem::WrongType { path, expected, found });
        }
        typed
    }

    /// A text that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.typed(key, "a text", Value::as_str).filter(|text| !text.is_empty())
    }

    /// A text that no message may quote.
    pub(super) fn secret(&self, key: &str) -> Option<Secret> {
        let value = self.value(key)?;
        let Some(text) = value.as_str() else {
            let (path, found) = (self.path_of(key), "another type".to_owned());
            self.findings.problem(Problem::WrongType { path, expected: "a text", found });
            return None;
        };
        Some(text).filter(|text| !text.is_empty()).map(|text| Secret::new(text.to_owned()))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A list.
    pub(super) fn list(&self, key: &str) -> Option<&'a Vec<Value>> {
        self.typed(key, "a list", Value::as_array)
    }

    /// Any whole number.
    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        self.typed(key, "a whole number", Value::as_i64)
    }

    /// A whole number from `min` to `max`; `unit` follows the bounds in the message.
    pub(super) fn integer_within(&self, key: &str, min: u64, max: u64, unit: &str) -> Option<u64> {
        let number = match self.value(key)? {
            Value::Number(number) if number.is_i64() || number.is_u64() => number,
            other => {
                let (path, found) = (self.path_of(key), describe(other));
                self.findings.problem(Problem::WrongType { path, expected: "a whole number", found });
                return None;
            }
        };
        let within = number.as_u64().filter(|number| (min..=max).contains(number));
        if within.is_none() {
            let expected = format!("a number from {min} to {max}{unit}");
            let (path, found) = (self.path_of(key), number.to_string());
            self.findings.problem(Problem::OutOfRange { path, expected, found });
        }
        within
    }

    /// A number from 0 to `max`, with or without a fraction; `unit` follows the bounds in the message.
    pub(super) fn number_up_to(&self, key: &str, max: f64, unit: &str) -> Option<f64> {
        let number = self.typed(key, "a number", Value::as_f64)?;
        let is_within = (0.0..=max).contains(&number);
        if !is_within {
            let expected = format!("a number from 0 to {max}{unit}");
            let (path, found) = (self.path_of(key), number.to_string());
            self.findings.problem(Problem::OutOfRange { path, expected, found });
        }
        is_within.then_some(number)
    }

    /// A duration of at least `min`.
    pub(super) fn duration(&self, key: &str, min: Duration) -> Option<Duration> {
        let text = self.text(key)?;
        let path = self.path_of(key);
        match duration::parse(text) {
            Ok(duration) if duration >= min => Some(duration),
            Ok(_) => {
                let expected = format!("a duration of at least {min:?}");
                self.findings.problem(Problem::OutOfRange { path, expected, found: shortened(text) });
                None
            }
            Err(source) => {
                self.findings.problem(Problem::Duration { path, text: shortened(text), source });
                None
            }
        }
    }

    /// One of the `known` values; returns its index.
    pub(super) fn choice(&self, key: &str, known: &'static [&'static str]) -> Option<usize> {
        let text = self.text(key)?;
        let index = known.iter().position(|name| *name == text);
        if index.is_none() {
            let suggestion = suggest::closest(text, known);
            let (path, found) = (self.path_of(key), shortened(text));
            self.findings.problem(Problem::UnknownValue { path, found, known, suggestion });
        }
        index
    }

    /// An address to listen on, checked in its form only.
    pub(super) fn address(&self, key: &str) -> Option<&'a str> {
        let text = self.text(key)?;
        if let Err(source) = address::split(text) {
            self.findings.problem(Problem::Address { path: self.path_of(key), source });
            return None;
        }
        Some(text)
    }

    /// An object below this one.
    pub(super) fn object(&self, key: &str, known: &'static [&'static str]) -> Option<Object<'a>> {
        Object::new(self.path_of(key), self.value(key)?, known, self.findings)
    }
}

/// A value in words, for "found …".
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {:?}", shortened(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// At most [`bounds::QUOTE_CHARS_MAX`] characters of a text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(bounds::QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
