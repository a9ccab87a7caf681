//! No line, whatever it says, names a directory outside its place: cluster and host of everything that is accepted are one
//! plain name each (SPEC section 2, docs/security.md). Seeds of failures are printed by proptest.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use engine::config::{Aggregation, Metric, Metrics};
use engine::line::decode::{BadLine, LineStream, Outbox};
use engine::series::route::Router;
use proptest::prelude::*;

const CORES: usize = 3;

/// Names made of the parts that could lead somewhere else.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => prop::sample::select(vec![
            "..", ".", "/", "\\", "\\\\", "\\,", "\\ ", "\\=", "\0", "~", "etc", "a", "\u{2024}\u{2024}",
            "\u{ff0f}", "%2e%2e%2f", "..\\", "./", "\u{202e}", "\t", "\"", "'", ":", "\u{7f}", "-rf", "C:",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => (250usize..260).prop_map(|length| vec![b'n'; length]),
        1 => (84usize..88).prop_map(|count| "\u{20ac}".repeat(count).into_bytes()),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

/// A line with these names, with and without each of the tags.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let cluster_tag = prop::sample::select(vec!["cluster=", ",cluster=", "cluster", ""]);
    let host_tag = prop::sample::select(vec!["hostname=", "host=", "hostname", ""]);
    (cluster_tag, name(), host_tag, name(), name()).prop_map(
        |(cluster_tag, cluster, host_tag, host, scope)| {
            let mut line = b"m,".to_vec();
            for part in [
                cluster_tag.as_bytes(),
                &cluster,
                b",",
                host_tag.as_bytes(),
                &host,
                b",type=t,type-id=",
                &scope,
            ] {
                line.extend_from_slice(part);
            }
            line.extend_from_slice(b" value=1 1700000000\n");
            line
        },
    )
}

/// Cluster and host of every series that these lines declare.
fn declared(lines: &[Vec<u8>], cluster_default: &str) -> BTreeSet<(String, String)> {
    let metric = Metric { name: "m".into(), frequency: 60, aggregation: Aggregation::None };
    let metrics = Metrics::new(vec![metric]).expect("a metric");
    let mut router = Router::new(metrics, CORES, 1);
    let (mut stream, mut outbox) = (LineStream::new(BadLine::Skip), Outbox::new(CORES));
    for line in lines {
        stream
            .push(&mut router, cluster_default, 1_700_000_000, line, &mut outbox)
            .expect("bad lines are skipped");
    }
    stream.finish(&mut router, cluster_default, 1_700_000_000, &mut outbox).expect("bad lines are skipped");
    let mut names = BTreeSet::new();
    for (core, samples) in outbox.samples.into_iter().enumerate() {
        for declared in router.seal(core, samples).declarations.iter() {
            let mut path = declared.path();
            let mut next = || path.next().expect("cluster and host come first").to_owned();
            names.insert((next(), next()));
        }
    }
    names
}

/// Whether the two name exactly one directory two levels below any root.
fn stays_below(cluster: &str, host: &str) -> bool {
    let root = Path::new("/root");
    let path = root.join(cluster).join(host);
    let Ok(below) = path.strip_prefix(root) else { return false };
    let parts: Vec<_> = below.components().collect();
    let plain = |name: &str| !name.is_empty() && name.len() <= 255 && !name.contains(['/', '\\', '\0']);
    matches!(parts[..], [Component::Normal(first), Component::Normal(second)] if first == cluster && second == host)
        && plain(cluster)
        && plain(host)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_accepted_name_is_one_plain_name(lines in prop::collection::vec(line(), 1..6), default in name()) {
        let default = String::from_utf8_lossy(&default).into_owned();
        for (cluster, host) in declared(&lines, &default) {
            prop_assert!(stays_below(&cluster, &host), "{cluster:?} {host:?} from {lines:?}");
        }
    }
}

#[test]
fn plain_names_are_accepted_and_the_others_seen_through() {
    let line = |cluster: &str, host: &str| {
        format!("m,cluster={cluster},hostname={host} value=1 1700000000\n").into_bytes()
    };
    for name in ["f0201", "a.b", "n-1_x", "...x".trim_start_matches('.'), "\u{fc}ber", "~", "-rf"] {
        assert_eq!(declared(&[line("c", name), line(name, "h")], "").len(), 2, "{name:?}");
    }
    for name in ["", ".", "..", "../x", "x/..", "a/b", "/etc", "a\\\\b", "a..b", "\0", &"n".repeat(256)] {
        assert!(declared(&[line("c", name), line(name, "h")], "").is_empty(), "{name:?}");
        assert!(declared(&[b"m,hostname=h value=1\n".to_vec()], name).is_empty(), "as a default: {name:?}");
    }
    assert!(
        !stays_below("c", "..") && !stays_below("c", "/etc") && !stays_below("a/b", "c"),
        "the test sees it"
    );
}
