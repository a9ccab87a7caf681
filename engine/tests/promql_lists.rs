//! Lists of series, label names and values against a model that knows every series, and nothing of trees, cores or steps.

mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::config::{Aggregation, Metric, Metrics};
use engine::promql::labels::Label;
use engine::promql::listing::{ListQuestion, Listed, Listing};
use engine::promql::plan::Plan;
use engine::promql::scan::{PromQuestion, PromScan, Wanted};
use proptest::prelude::*;
use store::Store;

const BASE: i64 = 1_700_000_040;
const PERIOD: i64 = 60;
const NOW: i64 = BASE + 1_000_000;

/// Labels of a series, by name.
type Series = BTreeMap<&'static str, String>;

fn metrics() -> Arc<Metrics> {
    let metric = |name: &str| Metric { name: name.into(), frequency: PERIOD, aggregation: Aggregation::None };
    Metrics::new(["m", "n", "never"].map(metric).to_vec()).expect("the metrics are valid")
}

/// Tags of a level below a host, and its labels.
const LEVELS: [(&str, &[(&str, &str)]); 4] = [
    ("", &[("scope", "node")]),
    (",type=hwthread,type-id=0", &[("scope", "hwthread"), ("id", "0")]),
    (",type=hwthread,type-id=1", &[("scope", "hwthread"), ("id", "1")]),
    (",type=socket,type-id=1,stype=dimm,stype-id=0", &[("scope", "dimm0"), ("parent", "socket1")]),
];

/// A selector, and whether it means a series.
type Selector = (&'static str, fn(&Series) -> bool);

const SELECTORS: [Selector; 8] = [
    ("m", |series| series["__name__"] == "m"),
    ("{__name__=~\"m|n\"}", |_| true),
    ("{cluster=\"c1\"}", |series| series["cluster"] == "c1"),
    ("n{host!=\"h0\"}", |series| series["__name__"] == "n" && series["host"] != "h0"),
    ("{cluster=\"c0\",host=\"h1\"}", |series| series["cluster"] == "c0" && series["host"] == "h1"),
    ("{__name__!=\"\",id=\"\"}", |series| !series.contains_key("id")),
    ("{parent=~\"s.+\"}", |series| series.contains_key("parent")),
    ("never", |_| false),
];

/// Whole labels as text, or names or values.
fn entries(listing: &Listing) -> BTreeSet<String> {
    let series =
        listing.series.iter().map(|labels| format!("{:?}", labels.iter().collect::<BTreeMap<_, _>>()));
    series.chain(listing.texts.iter().map(ToString::to_string)).collect()
}

fn expected(series: &Series, listed: Listed) -> Vec<String> {
    match listed {
        Listed::Series => vec![format!("{series:?}")],
        Listed::Names => series.keys().map(ToString::to_string).collect(),
        Listed::Values(label) => series.get(label.name()).cloned().into_iter().collect(),
    }
}

fn series_strategy() -> impl Strategy<Value = BTreeMap<(u8, u8, u8, bool), Vec<i64>>> {
    let slots = proptest::collection::vec(0..2000i64, 1..4);
    proptest::collection::btree_map((0..3u8, 0..3u8, 0..4u8, any::<bool>()), slots, 0..20)
}

fn listed_strategy() -> impl Strategy<Value = Listed> {
    let label = (0..Label::ALL.len()).prop_map(|index| Listed::Values(Label::ALL[index]));
    prop_oneof![Just(Listed::Series), Just(Listed::Names), label]
}

proptest! {
    #[test]
    fn lists_hold_what_the_selected_series_have(
        history in series_strategy(),
        selectors in proptest::collection::vec(0..SELECTORS.len(), 1..3),
        listed in listed_strategy(),
        cores in 1..4usize,
        times in proptest::option::of((0..2000i64, 0..2000i64)),
        entries_max in prop_oneof![Just(usize::MAX), 0..5usize],
    ) {
        let metrics = metrics();
        let mut store = Store::new(&metrics, cores, 100_000_000);
        let mut all = Vec::new();
        for (&(cluster, host, level, is_m), slots) in &history {
            let (tags, labels) = LEVELS[usize::from(level)];
            let name = if is_m { "m" } else { "n" };
            let mut lines = String::new();
            for slot in slots {
                let time = BASE + slot * PERIOD;
                lines += &format!("{name},cluster=c{cluster},hostname=h{host}{tags} value=1 {time}\n");
            }
            store.write("", &lines, NOW).result.expect("the lines are good");
            let mut series = Series::from([("__name__", name.to_owned()), ("cluster", format!("c{cluster}")), ("host", format!("h{host}"))]);
            series.extend(labels.iter().map(|(name, value)| (*name, (*value).to_owned())));
            let (first, last) = (slots.iter().min().copied(), slots.iter().max().copied());
            all.push((series, first.unwrap_or_default(), last.unwrap_or_default()));
        }
        // Which slots of its first and last sample a series has in between depends on its buffers: a range is asked that holds one
        // of both, or none at all.
        let times = times.map(|(a, b)| (a.min(b), a.max(b)));
        let is_clear = |first: i64, last: i64| times.is_none_or(|(from, to)| {
            (from..=to).contains(&first) || (from..=to).contains(&last) || last < from || to < first
        });
        prop_assume!(all.iter().all(|(_, first, last)| is_clear(*first, *last)));
        let is_there = |first: i64, last: i64| times.is_none_or(|(from, to)| first <= to && from <= last);

        let mut model = BTreeSet::new();
        for (series, ..) in all.iter().filter(|(series, first, last)| {
            is_there(*first, *last) && selectors.iter().any(|&index| SELECTORS[index].1(series))
        }) {
            model.extend(expected(series, listed));
        }
        let leaf = |&index: &usize| Plan::parse_selector(SELECTORS[index].0, &metrics).expect("the selector is good");
        let question = ListQuestion {
            listed,
            times: times.map(|(from, to)| BASE + from * PERIOD..BASE + to * PERIOD + 1),
            entries_max,
            bytes_max: u64::MAX,
        };
        let wanted = Wanted::List(question);
        let question = Arc::new(PromQuestion { leaves: selectors.iter().map(leaf).collect(), wanted, values_max: u64::MAX });
        let mut found = BTreeSet::new();
        for shard in &store.shards {
            let mut scan = PromScan::new(Arc::clone(&question));
            let answer = (0..1_000_000).find_map(|_| scan.step(shard)).expect("a scan ends").expect("it is small");
            let listing = answer.listing;
            prop_assert!(listing.series.len().max(listing.texts.len()) <= entries_max.saturating_add(1));
            prop_assert_eq!(listing.bytes == 0, listing.series.is_empty() && listing.texts.is_empty());
            found.extend(entries(&listing));
        }
        if entries_max == usize::MAX {
            prop_assert_eq!(found, model);
        } else if !matches!(listed, Listed::Series) {
            // The first ones are there, one more if there is one, and nothing is made up.
            let first: BTreeSet<_> = model.iter().take(entries_max + 1).cloned().collect();
            prop_assert!(first.is_subset(&found) && found.is_subset(&model), "{found:?} of {model:?}");
        } else {
            prop_assert!(found.is_subset(&model) && found.len() >= model.len().min(entries_max + 1));
        }
    }
}
