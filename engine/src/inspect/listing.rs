//! What series a host has, as JSON: for the page that plots them.
//!
//! Before it: the tree of the core that owns the host. After it: `GET /api/ui/series`, whose answer says how to ask a query
//! for each series. Levels are named `<type><id>`, and the tree does not keep where one ends and the other begins, so a
//! name is cut before its first digit; a query that joins both again finds the level whatever the cut.

use std::collections::BTreeMap;

use crate::config::MetricId;
use crate::limits::LISTED_SERIES_MAX;
use crate::memory::shard::Shard;
use crate::query::request::push_json_string;
use crate::series::tree::LevelId;

/// The ids of a group, and those one level further down.
type Ids<'a> = Vec<(&'a str, &'a str)>;
/// Series by metric, type and subtype.
type Groups<'a> = BTreeMap<(MetricId, &'a str, &'a str), Ids<'a>>;

/// Appends `{"series":[{"metric":…,"type":…,"ids":[…],"subtype":…,"subids":[…]},…],"complete":…}`.
///
/// One entry for each metric and kind of level that holds data of its own. The host itself has neither `type` nor `ids`;
/// `subtype` is there only two levels below the host, and then `subids` has one entry for each of `ids`. `complete` is
/// false if there are more than [`LISTED_SERIES_MAX`] series or levels. A host without data has none.
pub fn push_host(shard: &Shard, cluster: &str, host: &str, out: &mut Vec<u8>) {
    let tree = shard.tree();
    let mut groups = Groups::new();
    let (mut levels, mut series) = (0, 0);
    let mut is_complete = true;
    if let Some(host) = tree.find([cluster, host]) {
        let types = tree.children(host).map(|level| (level, cut(tree.level(level).name())));
        'levels: for (level, (kind, id)) in std::iter::once((host, ("", ""))).chain(types) {
            let deeper = tree.children(level).filter(|_| level != host);
            let deeper = deeper.map(|level| (level, cut(tree.level(level).name())));
            for (level, (subkind, subid)) in std::iter::once((level, ("", ""))).chain(deeper) {
                levels += 1;
                for metric in metrics_with_data(shard, level) {
                    groups.entry((metric, kind, subkind)).or_default().push((id, subid));
                    series += 1;
                }
                if levels >= LISTED_SERIES_MAX || series >= LISTED_SERIES_MAX {
                    is_complete = false;
                    break 'levels;
                }
            }
        }
    }
    out.extend_from_slice(b"{\"series\":[");
    for (index, ((metric, kind, subkind), ids)) in groups.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"metric\":");
        push_json_string(out, &shard.metrics().get(*metric).name);
        if !kind.is_empty() {
            out.extend_from_slice(b",\"type\":");
            push_json_string(out, kind);
            push_list(out, b",\"ids\":", ids.iter().map(|(id, _)| *id));
        }
        if !subkind.is_empty() {
            out.extend_from_slice(b",\"subtype\":");
            push_json_string(out, subkind);
            push_list(out, b",\"subids\":", ids.iter().map(|(_, subid)| *subid));
        }
        out.push(b'}');
    }
    out.extend_from_slice(if is_complete { b"],\"complete\":true}\n" } else { b"],\"complete\":false}\n" });
}

/// The metrics of which a level itself holds data.
fn metrics_with_data(shard: &Shard, level: LevelId) -> impl Iterator<Item = MetricId> {
    let series = shard.tree().level(level).series().iter();
    series.filter(|(_, series)| !shard.chain(*series).is_empty()).map(|(metric, _)| *metric)
}

/// `hwthread12` → `hwthread`, `12`. What has nothing before its first digit, or no digit, is a type without an id.
fn cut(name: &str) -> (&str, &str) {
    match name.find(|character: char| character.is_ascii_digit()) {
        None | Some(0) => (name, ""),
        Some(at) => name.split_at(at),
    }
}

fn push_list<'a>(out: &mut Vec<u8>, name: &[u8], ids: impl Iterator<Item = &'a str>) {
    out.extend_from_slice(name);
    out.push(b'[');
    for (index, id) in ids.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_json_string(out, id);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Aggregation, Metric, Metrics};
    use crate::series::declare::Declarations;
    use crate::series::route::{Batch, Sample};

    const NOW: i64 = 1_000_000;

    fn listed(paths: &[(&str, u16)], host: &str) -> serde_json::Value {
        let metric = |name: &str| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::None };
        let metrics = Metrics::new(vec![metric("a"), metric("b")]).unwrap();
        let mut shard = Shard::new(metrics, 1, i64::MAX);
        let mut declarations = Declarations::default();
        for (path, metric) in paths {
            let names: Vec<[&str; 2]> = path.split('/').map(|name| [name, ""]).collect();
            declarations.push(names, MetricId(*metric));
        }
        let samples = (0..).zip(paths).map(|(link, _)| Sample { link, time: NOW, value: 1.0 }).collect();
        shard.apply(0, &Batch { declarations, samples }, NOW, None);
        let mut json = Vec::new();
        push_host(&shard, "c", host, &mut json);
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn every_series_is_in_the_group_of_its_metric_and_kind_of_level() {
        let paths = [
            ("c/h", 1),
            ("c/h/hwthread0", 0),
            ("c/h/hwthread10", 0),
            ("c/h/accelerator00000000:49:00.0", 0),
            ("c/h/socket0/memctrl1", 1),
            ("c/h/socket1/memctrl0", 1),
            ("c/h/rack", 0),
            ("c/other/hwthread7", 0),
        ];
        let expected = serde_json::json!({"complete": true, "series": [
            {"metric": "a", "type": "accelerator", "ids": ["00000000:49:00.0"]},
            {"metric": "a", "type": "hwthread", "ids": ["0", "10"]},
            {"metric": "a", "type": "rack", "ids": [""]},
            {"metric": "b"},
            {"metric": "b", "type": "socket", "ids": ["0", "1"], "subtype": "memctrl", "subids": ["1", "0"]},
        ]});
        assert_eq!(listed(&paths, "h"), expected);
    }

    #[test]
    fn an_unknown_host_has_none() {
        assert_eq!(listed(&[("c/h", 0)], "i"), serde_json::json!({"series": [], "complete": true}));
    }

    #[test]
    fn what_a_client_made_up_without_end_is_listed_in_part() {
        let paths: Vec<String> = (0..=LISTED_SERIES_MAX).map(|level| format!("c/h/t{level}")).collect();
        let paths: Vec<(&str, u16)> = paths.iter().map(|path| (path.as_str(), 0)).collect();
        let listed = listed(&paths, "h");
        assert_eq!(listed["complete"], false);
        assert!(listed["series"][0]["ids"].as_array().unwrap().len() <= LISTED_SERIES_MAX);
    }
}
