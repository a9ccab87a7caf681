//! The table of `docs/operations/sizing.md` is what `-size` prints.

use std::fs;

use crate::daemon::run;
use crate::read;

/// The figure in a line of the answer that begins with this name.
fn figure(answer: &str, name: &str) -> String {
    let line = answer.lines().find(|line| line.starts_with(&format!("{name}  ")));
    let line = line.unwrap_or_else(|| panic!("no line {name}: {answer}"));
    line[name.len()..].trim().split("  ").next().expect("a figure").to_owned()
}

#[test]
fn the_table_is_what_the_program_prints() {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let page = read("docs/operations/sizing.md");
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with("| `hosts=")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let finished = run(&["-size", cells[0].trim_matches('`')], directory.path());
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let answer = finished.stdout;
        let names = [
            "series",
            "samples per second",
            "memory",
            "memory at worst",
            "log",
            "checkpoints",
            "archive per day",
        ];
        let expected: Vec<String> = names.iter().map(|name| figure(&answer, name)).collect();
        assert_eq!(cells[1..], expected, "the row should be\n| {} | {} |", cells[0], expected.join(" | "));
        rows += 1;
    }
    assert!(rows > 4, "only {rows} rows were found");
}

#[test]
fn the_configuration_is_taken_into_account() {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let config = r#"{"metrics": {"a": {"frequency": 10, "aggregation": "sum"}, "b": {"frequency": 60, "aggregation": null}},
        "metric-store": {"retention-in-memory": "24h", "checkpoint-interval": "1h", "cores": 3, "wal": {"sync": "off"}}}"#;
    fs::write(directory.path().join("config.json"), config).expect("the scratch directory is writable");
    let answer = run(&["-size", "hosts=100,threads=4"], directory.path()).stdout;
    assert!(answer.contains("3 cores, retention-in-memory 24 h, checkpoint-interval 1 h"), "{answer}");
    assert!(answer.contains("1 metrics every 10 s of a thread, 1 metrics every 60 s of a host"), "{answer}");
    // A thread has the metric that is aggregated, the host the other one.
    assert_eq!(figure(&answer, "series"), "500");
    assert_eq!(figure(&answer, "samples per second"), "42");
    assert_eq!(figure(&answer, "log"), "0 MB");
    // Nothing was started.
    assert_eq!(fs::read_dir(directory.path()).expect("it can be listed").count(), 1);
}

#[test]
fn what_is_not_understood_is_an_error() {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    for (site, expected) in
        [("hosts=many", "hosts is \"many\""), ("threads=2", "how many hosts"), ("nodes=2", "keys: hosts")]
    {
        let finished = run(&["-size", site], directory.path());
        assert_eq!(finished.code, Some(1), "{site}");
        assert!(
            finished.stderr.contains(expected) && finished.stdout.is_empty(),
            "{site}: {}",
            finished.stderr
        );
    }
}
