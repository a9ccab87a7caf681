//! A whole store against the model: what writes come to, frees, the debug dump, health (SPEC sections 2, 3 and 9).

mod generate;
mod model;
mod store;

use engine::line::decode::BadLine;
use generate::{CLUSTERS, Event, history, selector, settings};
use model::site::{BASE, METRICS, metrics};
use model::{Fate, Model};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use store::{Answer, Store};

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store_model.proptest-regressions");

/// Clock and retention: from generous to such that part of a history is too old or too early.
fn clock() -> impl Strategy<Value = (i64, i64)> {
    prop_oneof![
        Just((BASE + 1_000_000, 10_000_000)),
        (-3000..40_000i64, 0..40_000i64).prop_map(|(now, retention)| (BASE + now, retention)),
    ]
}

/// The body of one write, and what the model makes of its samples.
fn write_to_model(model: &mut Model, event: &Event, now: i64) -> (String, [u64; 3]) {
    let Event::Write { runs, tagged } = event else { return (String::new(), [0; 3]) };
    let mut fates = [0; 3];
    let mut body = String::new();
    for sample in runs.iter().flat_map(|run| run.samples(*tagged)) {
        let fate = model.write(&sample.path, sample.metric, sample.time, sample.value, now);
        fates[match fate {
            Fate::Stored => 0,
            Fate::TooOld => 1,
            Fate::Future => 2,
        }] += 1;
        body += &sample.line;
    }
    (body, fates)
}

fn cluster_of(event: &Event) -> &'static str {
    match event {
        Event::Write { runs, tagged: false } => runs[0].cluster(),
        _ => "other",
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn check_dumps(store: &Store, model: &Model, selectors: &[Vec<String>]) -> Result<(), TestCaseError> {
    for selector in selectors {
        let parts: Vec<&str> = selector.iter().map(String::as_str).collect();
        let expected = model.debug(selector).map_or_else(Answer::bad_request, Answer::ok);
        let answer = store.debug(&parts);
        prop_assert_eq!(&answer, &expected);
        if answer.status == 200 {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_ok());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(settings(500, REGRESSIONS))]

    #[test]
    fn writes_frees_dumps_and_health_are_those_of_the_model(
        cores in 1..=4usize,
        (now, retention) in clock(),
        events in history(8),
        selectors in vec(selector(), 3),
        health_at in any::<Index>(),
        health_seconds in prop_oneof![-1..=1i64, -500..3000i64],
    ) {
        let mut store = Store::new(&metrics(), cores, retention);
        let mut model = Model::new(&metrics(), retention);
        for event in &events {
            if let Event::Free { selectors, to } = event {
                let freed = model.free(selectors, *to);
                let answer = store.free(format!("{selectors:?}").as_bytes(), Some(*to));
                prop_assert_eq!(answer, Answer::ok(format!("buffers freed: {freed}\n")));
            }
            let (body, [stored, too_old, future]) = write_to_model(&mut model, event, now);
            let written = store.write(cluster_of(event), &body, now);
            prop_assert!(written.result.is_ok());
            prop_assert_eq!((written.applied.stored, written.applied.too_old), (stored, too_old));
            prop_assert_eq!((written.counts.samples, written.counts.future), (stored + too_old, future));
            check_dumps(&store, &model, &selectors)?;
        }
        check_dumps(&store, &model, &[Vec::new()])?;

        let turns = model.degraded_behind();
        let now = if turns.is_empty() { BASE } else { turns[health_at.index(turns.len())] } + health_seconds;
        let nodes = strings(&["h0", "h1", "nope"]);
        let names: Vec<String> = METRICS.iter().take(4).map(|(name, ..)| (*name).to_owned()).collect();
        for names in [&names[..], &names[..1], &strings(&["s60", "nope"]), &[]] {
            for cluster in CLUSTERS {
                let body = format!(r#"{{"cluster":"{cluster}","nodes":{nodes:?},"metric-names":{names:?}}}"#);
                let expected = model.health(cluster, &nodes, names, now);
                prop_assert_eq!(store.health(body.as_bytes(), now), Answer::ok(expected));
            }
        }
    }

    #[test]
    fn chunk_borders_change_nothing(
        events in history(3),
        sizes in vec(prop_oneof![1..8usize, 1..300usize, 1..5000usize], 1..20),
        noise in vec(select_noise(), 0..4),
    ) {
        let now = BASE + 1_000_000;
        let mut model = Model::new(&metrics(), i64::MAX);
        for bad_line in [BadLine::Stop, BadLine::Skip] {
            let mut whole = Store::new(&metrics(), 2, now);
            let mut pieces = Store::new(&metrics(), 2, now);
            for event in &events {
                let (mut body, _) = write_to_model(&mut model, event, now);
                for (text, place) in &noise {
                    let lines: Vec<usize> = body.match_indices('\n').map(|(at, _)| at + 1).collect();
                    let at = lines.get(place % lines.len().max(1)).copied().unwrap_or(0);
                    body.insert_str(at, text);
                }
                let cluster = cluster_of(event);
                let one = whole.write_chunks(cluster, [body.as_bytes()], now, bad_line);
                let many = pieces.write_chunks(cluster, cut(body.as_bytes(), &sizes), now, bad_line);
                prop_assert_eq!(&one.result, &many.result);
                prop_assert_eq!(one.counts, many.counts);
                prop_assert_eq!(one.applied, many.applied);
                prop_assert!(bad_line == BadLine::Stop || one.result.is_ok());
            }
            prop_assert_eq!(whole.debug(&[]), pieces.debug(&[]));
        }
    }
}

/// A piece of text between lines, and between which.
fn select_noise() -> impl Strategy<Value = (&'static str, usize)> {
    let texts = [
        "# a comment\n",
        "\r\n",
        "   \n",
        "job_event,cluster=c0 event=\"two\nlines\" 1\n",
        "log,hostname=h0 value=\"never closed\n",
        "s60,hostname=h0 value=true\n",
        "s60,hostname=h0 value=1,other=2\n",
        "s60,hostname=../h value=1\n",
        "s60 value=1\n",
        "n1,hostname=h0 value=7\n",
    ];
    (proptest::sample::select(texts.to_vec()), 0..1000usize)
}

/// Pieces of these sizes, again and again.
fn cut<'a>(mut body: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &size in sizes.iter().cycle() {
        let (piece, rest) = body.split_at(size.min(body.len()));
        pieces.push(piece);
        body = rest;
        if body.is_empty() {
            break;
        }
    }
    pieces
}
