//! Answers to queries against the model's, byte for byte (SPEC section 4).

mod generate;
mod model;
mod store;

use generate::{Event, history_and_requests, resampled_history_and_requests, settings};
use model::Model;
use model::query::Request;
use model::site::{BASE, metrics};
use proptest::prelude::*;
use store::{Answer, Store, hide_errors};

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/query_model.proptest-regressions");
/// Everything in the histories is younger, and older than this.
const RETENTION_SECONDS: i64 = 10_000_000;
const NOW: i64 = BASE + 1_000_000;
/// Small enough that a test writes every answer out.
const VALUES_MAX: u64 = 500_000;

fn replay(store: &mut Store, events: &[Event]) {
    for event in events {
        match event {
            Event::Write { runs, tagged } => {
                let samples = runs.iter().flat_map(|run| run.samples(*tagged));
                let body: String = samples.map(|sample| sample.line).collect();
                let cluster = if *tagged { "other" } else { runs[0].cluster() };
                store.write(cluster, &body, NOW).result.expect("the lines are good");
            }
            Event::Free { selectors, to } => {
                let body = format!("{selectors:?}");
                assert_eq!(store.free(body.as_bytes(), Some(*to)).status, 200);
            }
        }
    }
}

fn replay_on_model(model: &mut Model, events: &[Event]) {
    for event in events {
        match event {
            Event::Write { runs, tagged } => {
                for sample in runs.iter().flat_map(|run| run.samples(*tagged)) {
                    model.write(&sample.path, sample.metric, sample.time, sample.value, NOW);
                }
            }
            Event::Free { selectors, to } => {
                model.free(selectors, *to);
            }
        }
    }
}

fn check(store: &Store, model: &Model, request: &Request) -> Result<(), TestCaseError> {
    let json = request.to_json();
    let mut answer = if request.full_range {
        store.query_full_range(json.as_bytes(), VALUES_MAX)
    } else {
        store.query(json.as_bytes(), VALUES_MAX)
    };
    answer.body = hide_errors(&answer.body);
    let expected = model.query(request);
    // Rows count as well, in a way that is nobody's business.
    let (least, most) = (expected.values, expected.values + expected.rows);
    if least > u128::from(VALUES_MAX) {
        prop_assert_eq!(answer, Answer::bad_request());
    } else if most <= u128::from(VALUES_MAX) {
        let text = expected.text.expect("it is small");
        prop_assert_eq!(&answer, &Answer::ok(text), "{}", request.to_json());
    }
    Ok(())
}

/// What will be an error is small, even if the nulls before its data would be too many to answer.
#[test]
fn an_error_is_never_too_large() {
    let mut store = Store::new(&metrics(), 2, RETENTION_SECONDS);
    let body = format!(
        "n60,hostname=h,type=socket,type-id=0 value=1 {BASE}\nn60,hostname=h,type=socket,type-id=1 value=1 {BASE}\n\
         s60,hostname=h value=1 {BASE}\n"
    );
    store.write("c0", &body, NOW).result.expect("the lines are good");
    let error = r#"{"error":"*","from":0,"to":0,"resolution":0,"avg":0.00,"min":0.00,"max":0.00}"#;
    for (metric, resolution, from, to) in
        [("n60", 0, i64::MIN, i64::MAX), ("s60", 90, i64::MIN, i64::MAX), ("s60", 0, i64::MIN + 1, i64::MIN)]
    {
        let request = format!(
            r#"{{"cluster":"c0","from":{from},"to":{to},"queries":[{{"metric":"{metric}","host":"h","resolution":{resolution}}}]}}"#
        );
        let answer = store.query(request.as_bytes(), VALUES_MAX);
        assert_eq!(answer.status, 200, "{request}");
        assert_eq!(hide_errors(&answer.body), format!("{{\"results\":[[{error}]]}}\n"));
    }
    // Nulls are what there would be too many of, also before data that begin long behind a short range.
    for (from, to) in [(i64::MIN, 0), (0, 60)] {
        let request = format!(
            r#"{{"cluster":"c0","from":{from},"to":{to},"queries":[{{"metric":"s60","host":"h"}}]}}"#
        );
        assert_eq!(store.query(request.as_bytes(), VALUES_MAX), Answer::bad_request(), "{request}");
    }
}

/// Own data hides the levels below only as long as it is there.
#[test]
fn a_level_without_own_data_any_more_stands_for_those_below() {
    let mut store = Store::new(&metrics(), 2, RETENTION_SECONDS);
    let later = BASE + 600;
    let body =
        format!("s60,hostname=h value=1 {BASE}\ns60,hostname=h,type=socket,type-id=0 value=2 {later}\n");
    store.write("c0", &body, NOW).result.expect("the lines are good");
    let request = format!(
        r#"{{"cluster":"c0","from":{BASE},"to":{NOW},"with-stats":false,"with-padding":false,"queries":[{{"metric":"s60","host":"h"}}]}}"#
    );
    let answer = |value: i64, from: i64| {
        let tail = r#""resolution":60,"avg":0.00,"min":0.00,"max":0.00"#;
        Answer::ok(format!(
            "{{\"results\":[[{{\"data\":[{value}.000],\"from\":{from},\"to\":{},{tail}}}]]}}\n",
            from + 60
        ))
    };
    assert_eq!(store.query(request.as_bytes(), VALUES_MAX), answer(1, BASE));
    assert_eq!(store.free(br#"[["c0","h"]]"#, Some(later)), Answer::ok("buffers freed: 1\n"));
    assert_eq!(store.query(request.as_bytes(), VALUES_MAX), answer(2, later));
}

proptest! {
    #![proptest_config(settings(800, REGRESSIONS))]

    #[test]
    fn any_query_is_answered_as_the_model_does(
        cores in 1..=4usize,
        (events, requests) in history_and_requests(6, 8),
    ) {
        let mut store = Store::new(&metrics(), cores, RETENTION_SECONDS);
        let mut model = Model::new(&metrics(), RETENTION_SECONDS);
        replay(&mut store, &events);
        replay_on_model(&mut model, &events);
        for request in &requests {
            check(&store, &model, request)?;
        }
    }

    #[test]
    fn any_series_is_resampled_as_the_model_does((events, requests) in resampled_history_and_requests()) {
        let mut store = Store::new(&metrics(), 1, RETENTION_SECONDS);
        let mut model = Model::new(&metrics(), RETENTION_SECONDS);
        replay(&mut store, &events);
        replay_on_model(&mut model, &events);
        for request in &requests {
            check(&store, &model, request)?;
        }
    }

    #[test]
    fn the_number_of_cores_changes_no_answer((events, requests) in history_and_requests(4, 4)) {
        let mut stores: Vec<Store> =
            (1..=4).map(|cores| Store::new(&metrics(), cores, RETENTION_SECONDS)).collect();
        stores.iter_mut().for_each(|store| replay(store, &events));
        for request in &requests {
            let json = request.to_json();
            let answers = stores.iter().map(|store| store.query(json.as_bytes(), VALUES_MAX));
            let answers: Vec<Answer> = answers.collect();
            prop_assert!(answers.iter().all(|answer| *answer == answers[0]), "{} {:?}", json, answers);
        }
    }
}
