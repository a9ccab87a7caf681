//! Answers as text: the JSON of Prometheus' HTTP API.

use std::fmt::Write;

use super::labels::Labels;
use super::number::{shortest, with_exponent};
use super::series::{MISSING, Series, is_present};
use crate::query::request::push_json_string;

/// A time in milliseconds as seconds.
fn push_time(out: &mut Vec<u8>, time_ms: i64) {
    let mut text = time_ms.div_euclid(1000).to_string();
    let part = time_ms.rem_euclid(1000);
    if part != 0 {
        if time_ms < 0 {
            // Floor and rest do not write a negative number.
            text = format!("{}", time_ms as f64 / 1000.0);
        } else {
            write!(text, ".{part:03}").expect("memory takes it");
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// `[time,"value"]`.
pub fn push_point(out: &mut Vec<u8>, time_ms: i64, value: f64) {
    out.push(b'[');
    push_time(out, time_ms);
    let text = match value.abs() {
        // At most 24 letters; without the exponent, they could be hundreds.
        size if size.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) => with_exponent(value),
        _ => shortest(value),
    };
    out.extend_from_slice(b",\"");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\"]");
}

/// `[time,"text"]`.
pub fn push_text(out: &mut Vec<u8>, time_ms: i64, text: &str) {
    out.push(b'[');
    push_time(out, time_ms);
    out.push(b',');
    push_json_string(out, text);
    out.push(b']');
}

/// `{"__name__":…,…}`.
pub fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_json_string(out, name);
        out.push(b':');
        push_json_string(out, value);
    }
    out.push(b'}');
}

/// An element of a matrix: `{"metric":…,"values":[…]}`.
pub fn push_matrix_element(out: &mut Vec<u8>, series: &Series) {
    out.extend_from_slice(b"{\"metric\":");
    push_labels(out, &series.labels);
    out.extend_from_slice(b",\"values\":[");
    let mut is_first = true;
    for (index, &value) in series.values.iter().enumerate().filter(|(_, value)| is_present(**value)) {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        push_point(out, series.first_ms + index as i64 * series.period_ms, value);
    }
    out.extend_from_slice(b"]}");
}

/// An element of a vector: `{"metric":…,"value":[…]}`.
pub fn push_vector_element(out: &mut Vec<u8>, series: &Series) {
    out.extend_from_slice(b"{\"metric\":");
    push_labels(out, &series.labels);
    out.extend_from_slice(b",\"value\":");
    push_point(out, series.first_ms, series.values.first().copied().unwrap_or(MISSING));
    out.push(b'}');
}
