//! Made-up histories of writes, frees and queries: the store answers as the naive model of the tests does.

#![no_main]

#[path = "../../tests/model/mod.rs"]
mod model;
#[path = "../../tests/store/mod.rs"]
mod store;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use model::query::{Query, Request};
use model::site::{BASE, METRICS, metrics};
use model::{Fate, Model};
use store::{Answer, Store, hide_errors};

const HOSTS: [&str; 2] = ["h0", "h1"];
/// Type, type-id, stype, stype-id.
const LEVELS: [[&str; 4]; 5] = [
    ["", "", "", ""],
    ["socket", "0", "", ""],
    ["socket", "1", "", ""],
    ["socket", "0", "memctrl", "0"],
    ["socket", "0", "memctrl", "1"],
];
const EVENTS_MAX: usize = 24;
/// The clock stands still, behind most samples.
const NOW: i64 = BASE + 50_000;
const RETENTION_SECONDS: i64 = 80_000;
const VALUES_MAX: u64 = 50_000;

/// Seconds from [`BASE`], or any time at all.
#[derive(Arbitrary, Debug)]
enum Time {
    Near(i16),
    Slots { slots: i8, seconds: u8 },
    Any(i64),
}

impl Time {
    fn seconds(&self) -> i64 {
        match *self {
            Self::Near(seconds) => BASE + i64::from(seconds),
            Self::Slots { slots, seconds } => BASE + i64::from(slots) * 60 * 10 + i64::from(seconds),
            Self::Any(seconds) => seconds,
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Event {
    Write {
        host: u8,
        level: u8,
        metric: u8,
        time: i16,
        slots: i8,
        count: u8,
        step: i8,
    },
    Free {
        host: Option<u8>,
        to: Time,
    },
    Query {
        from: Time,
        to: Time,
        host: u8,
        metric: u8,
        kind: Option<bool>,
        aggregate: bool,
        steps: u8,
        switches: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct History {
    cores: u8,
    events: Vec<Event>,
}

fn pick<T: Copy>(choice: &[T], index: u8) -> T {
    choice[usize::from(index) % choice.len()]
}

fn text(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn apply(store: &mut Store, model: &mut Model, event: &Event) {
    match event {
        &Event::Write { host, level, metric, time, slots, count, step } => {
            let (host, [kind, id, subkind, sub_id]) = (pick(&HOSTS, host), pick(&LEVELS, level));
            let (name, frequency, _) = pick(&METRICS, metric);
            let mut path = text(&["c", host]);
            let mut key = format!("{name},cluster=c,hostname={host}");
            for (kind, id, prefix) in [(kind, id, ""), (subkind, sub_id, "s")] {
                if !kind.is_empty() {
                    path.push(format!("{kind}{id}"));
                    key += &format!(",{prefix}type={kind},{prefix}type-id={id}");
                }
            }
            let (mut body, mut fates) = (String::new(), [0; 3]);
            for index in 0..i64::from(count) * 3 {
                let slot = i64::from(slots) * 8 + index * i64::from(step).rem_euclid(4);
                let (time, value) = (BASE + i64::from(time) + slot * frequency, index as f64 + 0.5);
                body += &format!("{key} value={value} {time}\n");
                fates[match model.write(&path, name, time, value, NOW) {
                    Fate::Stored => 0,
                    Fate::TooOld => 1,
                    Fate::Future => 2,
                }] += 1;
            }
            let written = store.write("c", &body, NOW);
            assert_eq!(written.result, Ok(()));
            assert_eq!([written.applied.stored, written.applied.too_old, written.counts.future], fates);
        }
        Event::Free { host, to } => {
            let selector = match host {
                Some(host) => text(&["c", pick(&HOSTS, *host)]),
                None => text(&["c"]),
            };
            let body = format!("[{selector:?}]");
            let freed = model.free(&[selector], to.seconds());
            let answer = store.free(body.as_bytes(), Some(to.seconds()));
            assert_eq!(answer, Answer::ok(format!("buffers freed: {freed}\n")));
        }
        Event::Query { from, to, host, metric, kind, aggregate, steps, switches } => {
            let (metric, frequency, _) = pick(&METRICS, *metric);
            let query = Query {
                metric: metric.to_owned(),
                host: pick(&HOSTS, *host).to_owned(),
                kind: kind.map(|_| "socket".to_owned()),
                ids: text(&["1", "0", "2"]),
                subkind: kind.filter(|&below| below).map(|_| "memctrl".to_owned()),
                sub_ids: text(&["0", "1"]),
                aggregate: *aggregate,
                resolution: i64::from(*steps) * frequency,
                scale_by: f64::from(switches >> 4) / 4.0,
            };
            let request = Request {
                cluster: "c".to_owned(),
                from: from.seconds(),
                to: to.seconds(),
                with_stats: switches & 1 == 0,
                with_data: switches & 2 == 0,
                with_padding: switches & 4 == 0,
                queries: vec![query],
                for_all_nodes: (switches & 8 != 0).then(|| text(&[metric])),
                resample_algo: None,
                full_range: false,
            };
            check(store, model, &request);
        }
    }
}

fn check(store: &Store, model: &Model, request: &Request) {
    let mut answer = store.query(request.to_json().as_bytes(), VALUES_MAX);
    answer.body = hide_errors(&answer.body);
    let expected = model.query(request);
    if expected.values > u128::from(VALUES_MAX) {
        assert_eq!(answer, Answer::bad_request());
    } else if expected.values + expected.rows <= u128::from(VALUES_MAX) {
        assert_eq!(Some(&answer.body), expected.text.as_ref());
    }
}

fuzz_target!(|history: History| {
    let mut store = Store::new(&metrics(), usize::from(history.cores % 4) + 1, RETENTION_SECONDS);
    let mut model = Model::new(&metrics(), RETENTION_SECONDS);
    for event in history.events.iter().take(EVENTS_MAX) {
        apply(&mut store, &mut model, event);
    }
    assert_eq!(Some(store.debug(&[]).body), model.debug(&[]));
});
