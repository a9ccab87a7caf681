//! Any bytes as the body of a query, a free and a health check: no panic, bounded answers, valid JSON (SPEC 3 and 4).

#![no_main]

#[path = "../../tests/store/mod.rs"]
mod store;

use engine::config::{Aggregation, Metrics};
use engine::query::request::{HealthRequest, QueryRequest, parse_selectors};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use store::{Store, metric};

const BASE: i64 = 1_700_000_000;
/// Most values of an answer; small, so that a run stays fast.
const VALUES_MAX: u64 = 10_000;

/// A store with two hosts, some series below them, and enough points for resampling.
fn filled(cores: usize) -> Store {
    let metrics = vec![
        metric("s", 60, Aggregation::Sum),
        metric("a", 7, Aggregation::Avg),
        metric("n", 1, Aggregation::None),
    ];
    let mut store = Store::new(&Metrics::new(metrics).expect("the metrics are valid"), cores, i64::MAX);
    for index in 0..1300 {
        let mut body = String::new();
        for (series, frequency) in [
            ("s,cluster=c,hostname=h,type=t,type-id=0", 60),
            ("s,cluster=c,hostname=h,type=t,type-id=1", 60),
            ("a,cluster=c,hostname=h", 7),
            ("a,cluster=c,hostname=i,type=t,type-id=0,stype=u,stype-id=0", 7),
            ("n,cluster=c,hostname=h", 1),
        ] {
            let (time, value) = (BASE + index * frequency, index * 919 % 1000);
            body += &format!("{series} value={value} {time}\n");
        }
        store.write("c", &body, BASE + 100_000).result.expect("the lines are good");
    }
    store
}

thread_local! {
    static STORES: [Store; 2] = [filled(1), filled(3)];
}

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = QueryRequest::parse(data) {
        let queries = request.queries.len();
        let answers = STORES
            .with(|stores| stores.each_ref().map(|store| store.query_parsed(request.clone(), VALUES_MAX)));
        assert_eq!(answers[0], answers[1], "the number of cores changes no answer");
        if answers[0].status == 200 {
            let answer: Value = serde_json::from_str(&answers[0].body).expect("an answer is JSON");
            let results = answer["results"].as_array().expect("an answer has results");
            let echoed = answer["queries"].as_array().map_or(0, Vec::len);
            assert_eq!(results.len(), queries + echoed, "one list per query");
            let rows = results.iter().flat_map(|rows| rows.as_array().expect("rows are a list"));
            let values =
                rows.filter_map(|row| row["data"].as_array()).map(|data| data.len() as u64).sum::<u64>();
            assert!(values <= VALUES_MAX);
        }
    }
    if let Ok(selectors) = parse_selectors(data) {
        STORES.with(|stores| {
            for selector in &selectors {
                let selector: Vec<&str> = selector.iter().map(String::as_str).collect();
                let dumps = stores.each_ref().map(|store| store.debug(&selector));
                assert_eq!(dumps[0], dumps[1], "the number of cores changes no dump");
                if dumps[0].status == 200 {
                    serde_json::from_str::<Value>(&dumps[0].body).expect("a dump is JSON");
                }
            }
        });
    }
    if HealthRequest::parse(data).is_ok() {
        let answers = STORES.with(|stores| stores.each_ref().map(|store| store.health(data, BASE + 10_000)));
        assert_eq!(answers[0], answers[1]);
        serde_json::from_str::<Value>(&answers[0].body).expect("an answer is JSON");
    }
});
