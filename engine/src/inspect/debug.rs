//! A dump of the tree and its buffers as JSON, one metric or level a line (SPEC section 3).

use std::collections::BTreeMap;

use crate::memory::chain::Chain;
use crate::memory::shard::Shard;
use crate::query::number::push_integer;
use crate::query::request::push_json_string;
use crate::series::tree::{LevelId, ROOT};

/// What one core finds at or below a selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreDump {
    /// By cluster and host: the host's level as JSON, without its name. A selector that leads below a
    /// host has one entry, with the level it leads to.
    pub hosts: BTreeMap<(String, String), Vec<u8>>,
}

/// What `selector` (cluster, host, …) leads to on this core, being dumped host by host.
#[derive(Debug)]
pub struct DumpWork {
    /// Levels still to be dumped, with the cluster and host they are filed under.
    levels: Vec<(LevelId, (String, String))>,
    /// Nesting of their lines.
    depth: usize,
    dump: CoreDump,
}

impl DumpWork {
    /// Finds what there is to dump.
    #[must_use]
    pub fn new(shard: &Shard, selector: &[impl AsRef<str>]) -> Self {
        let tree = shard.tree();
        let name = |level: LevelId| tree.level(level).name().to_owned();
        let mut levels = Vec::new();
        if let Some(found) = tree.find(selector.iter().map(AsRef::as_ref)) {
            let clusters: Vec<LevelId> = match selector.len() {
                0 => tree.children(ROOT).collect(),
                1 => vec![found],
                _ => {
                    levels.push((found, (selector[0].as_ref().to_owned(), selector[1].as_ref().to_owned())));
                    Vec::new()
                }
            };
            for cluster in clusters {
                levels.extend(tree.children(cluster).map(|host| (host, (name(cluster), name(host)))));
            }
        }
        // Below `data`, and below the cluster and host if those are shown.
        let depth = 3usize.saturating_sub(selector.len()).max(1);
        Self { levels, depth, dump: CoreDump::default() }
    }

    /// Dumps one host; the whole dump when that was the last.
    pub fn step(&mut self, shard: &Shard) -> Option<CoreDump> {
        if let Some((level, place)) = self.levels.pop() {
            // Its data may have been freed since it was found.
            if shard.tree().level(level).is_live() {
                let mut text = Vec::new();
                push_level(shard, level, self.depth, &mut text);
                self.dump.hosts.insert(place, text);
            }
        }
        self.levels.is_empty().then(|| std::mem::take(&mut self.dump))
    }
}

/// Dumps what `selector` leads to on this core, at once.
#[must_use]
pub fn dump(shard: &Shard, selector: &[impl AsRef<str>]) -> CoreDump {
    let mut work = DumpWork::new(shard, selector);
    loop {
        if let Some(dump) = work.step(shard) {
            return dump;
        }
    }
}

/// Joins the dumps of all cores; `None` if none found anything.
#[must_use]
pub fn join(selector_length: usize, dumps: impl IntoIterator<Item = CoreDump>) -> Option<Vec<u8>> {
    let mut clusters: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for dump in dumps {
        for ((cluster, host), text) in dump.hosts {
            clusters.entry(cluster).or_default().insert(host, text);
        }
    }
    if clusters.is_empty() && selector_length > 0 {
        return None;
    }
    let mut out = b"{\"data\":".to_vec();
    let hosts = |hosts: BTreeMap<String, Vec<u8>>, depth, out: &mut Vec<u8>| {
        push_object(
            out,
            depth,
            hosts.into_iter().map(|(name, text)| {
                move |out: &mut Vec<u8>| {
                    push_json_string(out, &name);
                    out.push(b':');
                    out.extend_from_slice(&text);
                }
            }),
        );
    };
    match selector_length {
        0 => push_object(
            &mut out,
            1,
            clusters.into_iter().map(|(name, below)| {
                move |out: &mut Vec<u8>| {
                    push_json_string(out, &name);
                    out.push(b':');
                    hosts(below, 2, out);
                }
            }),
        ),
        1 => clusters.into_values().for_each(|below| hosts(below, 1, &mut out)),
        _ => clusters
            .into_values()
            .flat_map(BTreeMap::into_values)
            .for_each(|text| out.extend_from_slice(&text)),
    }
    out.extend_from_slice(b"}\n");
    Some(out)
}

/// Writes a level's metrics and children, nested `depth` deep.
fn push_level(shard: &Shard, level: LevelId, depth: usize, out: &mut Vec<u8>) {
    let series = shard.tree().level(level).series().iter().filter_map(|&(metric, series)| {
        let chain = shard.chain(series);
        (!chain.is_empty()).then_some(Line::Metric(&shard.metrics().get(metric).name, chain))
    });
    let children = shard.tree().children(level).map(Line::Level);
    let lines = series.chain(children).map(|line| {
        move |out: &mut Vec<u8>| match line {
            Line::Metric(name, chain) => {
                push_json_string(out, name);
                out.push(b':');
                push_chain(chain, out);
            }
            Line::Level(child) => {
                push_json_string(out, shard.tree().level(child).name());
                out.push(b':');
                push_level(shard, child, depth + 1, out);
            }
        }
    });
    push_object(out, depth, lines);
}

enum Line<'a> {
    Metric(&'a str, &'a Chain),
    Level(LevelId),
}

/// Braces around lines of one entry each.
fn push_object(out: &mut Vec<u8>, depth: usize, entries: impl Iterator<Item = impl FnOnce(&mut Vec<u8>)>) {
    out.extend_from_slice(b"{\n");
    let mut first = true;
    for entry in entries {
        if !first {
            out.extend_from_slice(b",\n");
        }
        first = false;
        out.resize(out.len() + depth, b'\t');
        entry(out);
    }
    if !first {
        out.push(b'\n');
    }
    out.resize(out.len() + depth - 1, b'\t');
    out.push(b'}');
}

/// A chain as a list of its buffers, oldest first.
fn push_chain(chain: &Chain, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, buffer) in chain.buffers().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let length = buffer.len() as i64;
        for (name, value) in [
            ("{\"start\":", buffer.start()),
            (",\"len\":", length),
            (",\"end\":", buffer.start() + length * chain.frequency()),
        ] {
            out.extend_from_slice(name.as_bytes());
            push_integer(out, value);
        }
        out.push(b'}');
    }
    out.push(b']');
}
