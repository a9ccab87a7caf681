//! The description of the calls against the calls there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{DESCRIPTION, Verb};

/// Methods by path.
type Calls = BTreeMap<String, BTreeSet<String>>;

fn described() -> Calls {
    let document: Value = serde_json::from_str(DESCRIPTION).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys().map(|method| method.to_ascii_uppercase());
            (path.clone(), methods.collect())
        })
        .collect()
}

/// Every path that stands in `Verb::of`, with what the verb takes. The paths are read off the source: a path can be matched there
/// without being in any list.
fn handled() -> Calls {
    let source = include_str!("mod.rs");
    let router = &source[source.find("fn of(path: &str)").unwrap()..source.find("fn methods(self)").unwrap()];
    let paths = router.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/') && text.len() > 1);
    // What stands behind the prefix is read off its own file.
    let source = include_str!("prometheus/mod.rs");
    let endpoints = &source[source.find("pub fn of(path: &str)").unwrap()
        ..source.find("/// The methods that are described").unwrap()];
    let endpoints = endpoints.split('"').skip(1).step_by(2).chain(["label/{name}/values"]);
    let endpoints = endpoints.map(|endpoint| format!("/api/v1/{endpoint}"));
    paths
        .filter(|path| *path != "/api/v1/")
        .map(str::to_owned)
        .chain(endpoints)
        .map(|path| {
            let verb = Verb::of(&path).unwrap_or_else(|| panic!("{path} is a call"));
            assert_eq!(Verb::of(&format!("{path}/")), Some(verb), "with and without a slash at its end");
            (path, verb.methods().iter().map(ToString::to_string).collect())
        })
        .collect()
}

#[test]
fn every_call_is_described_and_every_description_is_a_call() {
    assert_eq!(described(), handled());
    assert!(handled().len() >= 20, "the source was read: {:?}", handled());
}

#[test]
fn every_call_needs_a_token_and_names_its_errors() {
    let document: Value = serde_json::from_str(DESCRIPTION).unwrap();
    assert_eq!(document["security"], serde_json::json!([{"token": []}]));
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            assert!(
                call.get("security").is_none() && call["responses"].get("401").is_some(),
                "{method} {path}"
            );
            assert!(ids.insert(call["operationId"].as_str().unwrap()), "{method} {path}: an id of its own");
        }
    }
}
