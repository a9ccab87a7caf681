//! Two answers of `query` or `query_range`, and whether they mean the same.

use std::collections::BTreeMap;

use serde_json::Value;

/// Relative, and for values near zero absolute: sums of another order.
const TOLERANCE: f64 = 1e-9;

/// What differs, if anything does.
pub(crate) fn difference(ours: &Value, theirs: &Value) -> Option<String> {
    if ours["status"] != theirs["status"] {
        return Some(format!("status {} instead of {}", ours["status"], theirs["status"]));
    }
    if theirs["status"] != "success" {
        return None;
    }
    let (ours, theirs) = (&ours["data"], &theirs["data"]);
    if ours["resultType"] != theirs["resultType"] {
        return Some(format!("{} instead of {}", ours["resultType"], theirs["resultType"]));
    }
    if matches!(theirs["resultType"].as_str(), Some("scalar" | "string")) {
        return point(&ours["result"], &theirs["result"]);
    }
    let (ours, theirs) = (by_labels(&ours["result"]), by_labels(&theirs["result"]));
    for labels in theirs.keys().chain(ours.keys()) {
        match (ours.get(labels), theirs.get(labels)) {
            (Some(_), None) => return Some(format!("{labels} is too many")),
            (None, _) => return Some(format!("{labels} is missing")),
            (Some(ours), Some(theirs)) => {
                if ours.len() != theirs.len() {
                    return Some(format!("{labels} has {} points instead of {}", ours.len(), theirs.len()));
                }
                let found = ours.iter().zip(theirs).find_map(|(ours, theirs)| point(ours, theirs));
                if let Some(found) = found {
                    return Some(format!("{labels}: {found}"));
                }
            }
        }
    }
    None
}

/// The values in the order in which they come, for functions that sort.
pub(crate) fn order(answer: &Value) -> Vec<String> {
    let elements = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    elements.iter().map(|element| element["value"][1].as_str().unwrap_or_default().to_owned()).collect()
}

/// The points of every series.
fn by_labels(result: &Value) -> BTreeMap<String, Vec<Value>> {
    let mut found = BTreeMap::new();
    for element in result.as_array().unwrap_or_else(|| panic!("no list: {result}")) {
        let labels: BTreeMap<&String, &Value> = element["metric"].as_object().into_iter().flatten().collect();
        let points = match element.get("value") {
            Some(value) => vec![value.clone()],
            None => element["values"].as_array().cloned().unwrap_or_default(),
        };
        assert!(!points.is_empty(), "a series has no points: {result}");
        assert!(found.insert(format!("{labels:?}"), points).is_none(), "a series comes twice: {result}");
    }
    found
}

fn point(ours: &Value, theirs: &Value) -> Option<String> {
    let number = |text: &Value| text.as_str().and_then(|text| text.parse::<f64>().ok());
    let is_near = |a: f64, b: f64| {
        a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * (1.0 + a.abs().max(b.abs()))
    };
    let is_same = ours[0].as_f64() == theirs[0].as_f64()
        && (ours[1] == theirs[1]
            || number(&ours[1]).zip(number(&theirs[1])).is_some_and(|(ours, theirs)| is_near(ours, theirs)));
    (!is_same).then(|| format!("{ours} instead of {theirs}"))
}
