//! `/query` of InfluxDB 1: what clients say and ask in InfluxQL before they write, answered as if it existed.
//!
//! `CREATE DATABASE` succeeds, for a cluster comes into being with its first line; `SHOW …` lists clusters and metrics. Everything
//! else, `SELECT` among it, is an error in the result, where clients look for it.

use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Request};
use serde_json::{Value, json};

use super::databases;
use crate::api::body::ApiBody;
use crate::api::request::{body_within, parameter};
use crate::api::{ApiResponse, Refusal, reply};
use crate::core::Core;

mod statement;

use statement::{Shown, Statement};

/// Largest form; questions before a write are short.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// Statements of one request that are answered.
const STATEMENTS_MAX: usize = 100;
/// The tags of a line that say what series it is, in the order of their names.
const TAG_KEYS: [&str; 6] = ["cluster", "hostname", "stype", "stype-id", "type", "type-id"];
/// A field of a measurement.
const FIELD_KEY: [&str; 2] = ["value", "float"];

/// What a client of InfluxDB 1 may put into the URL or into a form.
#[derive(Debug)]
pub struct Question {
    /// The statements.
    text: Option<String>,
    /// The password of a form: who puts it there has no header.
    pub(in crate::api) password: Option<String>,
}

/// Reads the question of a request.
///
/// # Errors
/// 400 for a broken body, 413 for one that is too large, 503 if all bodies together hold too much.
pub async fn read(core: &Core, request: &mut Request<Incoming>) -> Result<Question, Refusal> {
    let text = parameter(request, "q").map(std::borrow::Cow::into_owned);
    if request.method() != Method::POST {
        return Ok(Question { text, password: None });
    }
    let (body, _lease) = body_within(core, request, FORM_BYTES_MAX).await?;
    let field = |name: &str| {
        form_urlencoded::parse(&body).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    };
    Ok(Question { text: field("q").or(text), password: field("p") })
}

/// Answers it.
///
/// # Errors
/// 400 if there is none.
pub fn answer(core: &Rc<Core>, question: &Question, retention_seconds: i64) -> Result<ApiResponse, Refusal> {
    let text = question.text.as_deref().filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| Refusal::bad_request("missing required parameter \"q\""))?;
    let mut results = Vec::new();
    for (index, words) in statement::split(text).iter().take(STATEMENTS_MAX).enumerate() {
        let mut result = match Statement::of(words) {
            Ok(statement) => answer_statement(core, &statement, retention_seconds),
            Err(error) => json!({"error": error}),
        };
        result["statement_id"] = json!(index);
        results.push(result);
    }
    let text = json!({"results": results});
    Ok(reply::json(ApiBody::full(Bytes::from(format!("{text}\n")))))
}

fn answer_statement(core: &Rc<Core>, statement: &Statement, retention_seconds: i64) -> Value {
    let measurements = || core.metrics.iter().map(|(_, metric)| metric.name.to_string());
    let named = |names: &mut dyn Iterator<Item = String>| names.map(|name| json!([name])).collect::<Vec<_>>();
    let shown = match statement {
        Statement::CreateDatabase(name) => {
            return databases::create(name).map_or_else(|error| json!({"error": error}), |()| json!({}));
        }
        Statement::RetentionPolicy => {
            let text = "retention is that of the configuration, metric-store.retention-in-memory";
            return json!({"messages": [{"level": "warning", "text": text}]});
        }
        Statement::Show(shown) => shown,
    };
    let (name, columns, values): (_, &[&str], _) = match shown {
        Shown::Databases => ("databases", &["name"], named(&mut databases::names(core).into_iter())),
        Shown::RetentionPolicies => {
            let hours = format!("{}h0m0s", retention_seconds / 3600);
            let columns = &["name", "duration", "shardGroupDuration", "replicaN", "default"];
            ("", columns, vec![json!(["autogen", hours, hours, 1, true])])
        }
        Shown::Measurements(window) => ("measurements", &["name"], named(&mut window.of(measurements()))),
        Shown::TagKeys(from, window) => {
            return keys(from.as_deref(), measurements(), "tagKey", &|| {
                window.of(TAG_KEYS.into_iter()).map(|key| json!([key])).collect()
            });
        }
        Shown::FieldKeys(from, window) => {
            return keys(from.as_deref(), measurements(), "fieldKey", &|| {
                window.of([FIELD_KEY].into_iter()).map(|key| json!(key)).collect()
            });
        }
    };
    if values.is_empty() {
        return json!({});
    }
    let mut series = json!({"columns": columns, "values": values});
    if !name.is_empty() {
        series["name"] = json!(name);
    }
    json!({"series": [series]})
}

/// A series for each measurement, or for the one that is named.
fn keys(
    from: Option<&str>,
    measurements: impl Iterator<Item = String>,
    column: &str,
    values: &dyn Fn() -> Vec<Value>,
) -> Value {
    let columns = if column == "fieldKey" { json!([column, "fieldType"]) } else { json!([column]) };
    let series: Vec<Value> = measurements
        .filter(|name| from.is_none_or(|from| from == name))
        .map(|name| json!({"name": name, "columns": columns, "values": values()}))
        .collect();
    if series.is_empty() { json!({}) } else { json!({"series": series}) }
}
