//! Is a node alive, and do all its metrics arrive (SPEC section 3)?

use crate::limits;
use crate::memory::shard::Shard;
use crate::query::request::push_json_string;
use crate::series::tree::LevelId;

/// How many of the expected metrics arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Full,
    Partial,
    Failed,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// Appends `"<node>":{"State":…,"HealthMetrics":…}`; `now` in seconds.
///
/// A metric is degraded if one of its series below the node ended too long ago, missing if there is none.
/// A node without data is failed, with an empty list.
pub fn push_node(
    shard: &Shard,
    cluster: &str,
    node: &str,
    metric_names: &[impl AsRef<str>],
    now: i64,
    out: &mut Vec<u8>,
) {
    let mut lists = String::new();
    let state = match shard.tree().find([cluster, node]) {
        None => State::Failed,
        Some(level) => {
            let (mut degraded, mut missing) = (Vec::new(), Vec::new());
            for name in metric_names {
                let name = name.as_ref();
                match arrives(shard, level, name, now) {
                    None => missing.push(name),
                    Some(false) => degraded.push(name),
                    Some(true) => {}
                }
            }
            lists = format!("{{\"degraded\":{},\"missing\":{}}}", list(&degraded), list(&missing));
            match degraded.len() + missing.len() {
                0 => State::Full,
                ill if ill < metric_names.len() => State::Partial,
                _ => State::Failed,
            }
        }
    };
    push_json_string(out, node);
    out.extend_from_slice(b":{\"State\":\"");
    out.extend_from_slice(state.name().as_bytes());
    out.extend_from_slice(b"\",\"HealthMetrics\":");
    push_json_string(out, &lists);
    out.push(b'}');
}

/// A JSON list of strings.
fn list(names: &[&str]) -> String {
    let mut out = vec![b'['];
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_json_string(&mut out, name);
    }
    out.push(b']');
    String::from_utf8(out).expect("JSON of strings is UTF-8")
}

/// Whether all series of a metric at or below a level are up to date; `None` if there are none.
fn arrives(shard: &Shard, node: LevelId, metric: &str, now: i64) -> Option<bool> {
    let metric = shard.metrics().find(metric.as_bytes())?;
    let mut arrives = None;
    let mut levels = vec![node];
    while let Some(level) = levels.pop() {
        levels.extend(shard.tree().children(level));
        let Some(series) = shard.tree().series(level, metric) else { continue };
        let chain = shard.chain(series);
        let Some(newest) = chain.newest() else { continue };
        let end = newest.start() + chain.frequency() * newest.len() as i64;
        let fresh = now - end <= limits::HEALTH_MISSING_SLOTS_MAX * chain.frequency();
        arrives = Some(arrives.unwrap_or(true) && fresh);
    }
    arrives
}
