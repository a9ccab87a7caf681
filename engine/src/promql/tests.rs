//! Plans from questions, and expressions over series that are given.

use futures_lite::future::block_on;
use proptest::prelude::*;

use super::PromError;
use super::answer::push_point;
use super::expression::{Aggregate, Expression, LeafFunction};
use super::grid::Grid;
use super::labels::{Grouping, Label, Labels, exposed_name};
use super::matcher::Matcher;
use super::over_time::RangeFunction;
use super::plan::{Kind, PARSER_FAILED, Plan};
use super::series::Series;
use super::text::{Literal, Question, parse_duration_ms};
use super::value::Value;
use super::work::Work;
use crate::config::{Aggregation, Metric, Metrics};

const GRID: Grid = Grid { start_ms: 600_000, step_ms: 60_000, steps: 1 };
/// Not on the grid.
const END_MS: i64 = 607_000;

fn plan(text: &str) -> Result<Plan, PromError> {
    let metric = |name: &str| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::Sum };
    let names = ["cpu_load", "cpu_user", "nv-temp"];
    Plan::parse(text, &Metrics::new(names.map(metric).to_vec()).unwrap(), GRID, END_MS)
}

fn evaluate(expression: &Expression, leaves: Vec<Vec<Series>>) -> Result<Value, PromError> {
    block_on(super::evaluate::evaluate(expression, GRID, leaves, &mut Work::new(1_000_000)))
}

fn series(name: &str, host: &str, value: f64) -> Series {
    let mut labels = Labels::of_level(&["c", host]);
    labels.set(Label::Name, name);
    Series { labels, first_ms: GRID.start_ms, period_ms: GRID.step_ms, values: vec![value] }
}

#[test]
fn selectors_find_metrics_by_the_name_that_is_exposed() {
    for (text, metrics) in [
        ("cpu_load", 1),
        ("nv_temp", 1),
        ("{__name__=~\"cpu_.*\"}", 2),
        ("{__name__!=\"nv_temp\",host!=\"\"}", 2),
        ("{__name__=~\"cpu\"}", 0),
        ("none", 0),
        ("cpu_load{job=\"x\"}", 0),
        ("cpu_load{job!=\"x\"}", 1),
        ("{\"nv_temp\"}", 1),
        ("cpu_load{\"job\"=\"x\"}", 0),
    ] {
        assert_eq!(plan(text).unwrap().leaves[0].metrics.len(), metrics, "{text}");
    }
    assert_eq!(exposed_name("0a-b:c"), "_a_b:c");
}

#[test]
fn what_stands_right_above_a_selector_goes_to_its_owners() {
    let plan =
        plan("sum by (hostname, job) ((rate(cpu_load{host=\"h\", cluster=\"c\"}[5m] offset 1m)))").unwrap();
    let leaf = &plan.leaves[0];
    assert!(matches!(leaf.function, LeafFunction::OverTime(RangeFunction::Rate, _, 300_000)), "{leaf:?}");
    assert_eq!(leaf.grid, Grid { start_ms: 540_000, ..GRID });
    assert_eq!(leaf.aggregate, Some((Aggregate::Sum, Grouping::by(["host", "job"]))));
    assert_eq!(leaf.host(), Some(("c", "h")));
    assert!(leaf.matchers.iter().all(|(_, matcher)| matches!(matcher, Matcher::Equal(_))));
    assert!(matches!(plan.expression, Expression::Leaf(0)));
}

#[test]
fn times_of_leaves() {
    let leaf = |text: &str| plan(text).unwrap().leaves[0].clone();
    for (text, start_ms, step_ms) in [
        ("cpu_load offset 1m", 540_000, 60_000),
        ("cpu_load offset -1m", 660_000, 60_000),
        ("cpu_load @ 30", 30_000, 0),
        ("cpu_load @ end() offset 1m", 547_000, 0),
        ("cpu_load offset 1m @ start()", 540_000, 0),
        ("rate(cpu_load[5m] @ 300 offset 1m)", 240_000, 0),
    ] {
        let grid = leaf(text).grid;
        assert_eq!((grid.start_ms, grid.step_ms), (start_ms, step_ms), "{text}");
    }
    // A subquery is computed at multiples of its step.
    let grid = leaf("max_over_time(cpu_load[5m:70s] offset 1m)").grid;
    assert_eq!(grid, Grid { start_ms: 280_000, step_ms: 70_000, steps: 4 });
    assert_eq!(leaf("sum_over_time(cpu_load[10m:])").grid, Grid { start_ms: 0, step_ms: 60_000, steps: 11 });
}

#[test]
fn what_questions_come_to() {
    for (text, kind) in [
        ("1 + 1", Kind::Scalar),
        ("scalar(cpu_load)", Kind::Scalar),
        ("cpu_load + 1", Kind::Vector),
        ("vector(1)", Kind::Vector),
        ("(cpu_load[5m])", Kind::Samples),
        ("cpu_load[5m:1m]", Kind::Samples),
        ("\"x\"", Kind::Text),
    ] {
        assert_eq!(plan(text).unwrap().kind, kind, "{text}");
    }
    for text in
        ["absent_over_time(cpu_load[5m])", "holt_winters(cpu_load[5m], 0.5, 0.5)", "sum(absent(cpu_load))"]
    {
        assert!(plan(text).is_ok(), "{text}");
    }
    for text in ["limitk(2, cpu_load)", "cpu_load + fill(1) cpu_user", "cpu_load{host=\"a\" or host=\"b\"}"] {
        assert!(matches!(plan(text), Err(PromError::Execution(_))), "{text}");
    }
}

#[test]
fn labels_that_questions_make_up_are_in_order_with_the_others() {
    let mut labels = Labels::of_level(&["c", "h"]);
    for name in ["made", "A", "zone", "hostname"] {
        labels.set_named(name, name);
    }
    labels.set_named("made", "");
    assert_eq!(labels.to_string(), r#"{A="A", cluster="c", host="hostname", scope="node", zone="zone"}"#);
    let by = labels.grouped(&Grouping::by(["zone", "host", "none"]));
    assert_eq!(by.to_string(), r#"{host="hostname", zone="zone"}"#);
    let without = labels.grouped(&Grouping::without(["zone", "host", "none"]));
    assert_eq!(without.to_string(), r#"{A="A", cluster="c", scope="node"}"#);
}

#[test]
fn durations() {
    for (text, ms) in [
        ("15s", Some(15_000)),
        ("1h30m", Some(5_400_000)),
        ("2w1d5s10ms", Some(1_296_005_010)),
        ("10ms", Some(10)),
        ("9999y", None),
        ("99999999999999999999999y", None),
        ("x", None),
        ("5", None),
        ("m", None),
        ("5m5m", None),
        ("5s1m", None),
        ("-5s", None),
        ("5é", None),
        ("", None),
    ] {
        assert_eq!(parse_duration_ms(text), ms, "{text}");
    }
}

#[test]
fn hostile_questions_are_refused_before_they_are_parsed() {
    let hosts: Vec<String> = (0..1000).map(|host| format!("n-{host}")).collect();
    assert!(plan(&format!("cpu_load{{host=~\"{}\"}}", hosts.join("|"))).is_ok());
    let hidden = format!("# \"\n{}", "(".repeat(8000));
    for text in [
        hidden,
        "(".repeat(8000),
        "-".repeat(8000),
        "1 and ".repeat(1000),
        "a{b=~\"x\"}+".repeat(20),
        "[".repeat(300),
    ] {
        assert!(matches!(plan(&text), Err(PromError::BadData(_))));
    }
}

#[test]
fn series_meet_those_with_the_same_labels() {
    let plan = plan("cpu_load / cpu_user").unwrap();
    let left = vec![series("cpu_load", "a", 6.0), series("cpu_load", "b", 8.0), series("cpu_load", "x", 1.0)];
    let right =
        vec![series("cpu_user", "b", 4.0), series("cpu_user", "a", 3.0), series("cpu_user", "y", 1.0)];
    let value = evaluate(&plan.expression, vec![left.clone(), right]).unwrap();
    assert_eq!(value, Value::Vector(vec![series("", "a", 2.0), series("", "b", 2.0)]));
    let twice = vec![series("cpu_user", "a", 3.0), series("nv_temp", "a", 3.0)];
    assert!(matches!(evaluate(&plan.expression, vec![left, twice]), Err(PromError::Execution(_))));
}

#[test]
fn names_that_are_lost_do_not_mix_series_up() {
    let plan = plan("{__name__=~\"cpu_.*\"} * 2").unwrap();
    let both = vec![series("cpu_load", "a", 1.0), series("cpu_user", "a", 2.0)];
    assert!(matches!(evaluate(&plan.expression, vec![both]), Err(PromError::Execution(_))));
}

#[test]
fn strings_never_reach_the_parser() {
    let question =
        Question::new("m{a=\"x\\\"{\\\\.\\u00e9\", b=~ 'y' , c!~`\\d`, d != \"=~\"} != 1 !~ # \"=~").unwrap();
    assert_eq!(question.text, "m{a=\"0\", b=\"1\" , c=\"2\", d =\"3\"} != 1 !~  ");
    let expected =
        [("x\"{\\.\u{e9}", false, false), ("y", true, false), ("\\d", true, true), ("=~", false, true)];
    let expected = expected.map(|(value, is_pattern, is_negated)| Literal {
        value: value.to_owned(),
        is_pattern,
        is_negated,
    });
    assert_eq!(question.literals, expected);
    for inside in ["\"x", "\"\\\u{e9}\"", "\"\\x\u{e9}1\"", "\"\\ud800\"", "\"\\", "\"\\777\"", "\u{e9}"] {
        let text = format!("m{{a={inside}}}");
        assert!(matches!(Question::new(&text), Err(PromError::BadData(_))), "{text}");
    }
    for text in [
        "cpu_load !~ cpu_load",
        "cpu_load =~ cpu_load",
        "cpu_load != \"x\"",
        "cpu_load{host!~5}",
        "cpu_load{!=\"x\"}",
    ] {
        assert!(plan(text).is_err(), "{text}");
    }
    assert!(plan("cpu_load != cpu_user").is_ok());
}

#[test]
fn selectors_that_mean_everything_are_refused() {
    for text in ["{}", "{host=\"\"}", "{host=~\".*\"}", "{job!=\"x\"}", "sum({host!~\"x\"})"] {
        assert!(matches!(plan(text), Err(PromError::BadData(_))), "{text}");
    }
    for text in ["{host=~\".+\"}", "{host!=\"\"}", "cpu_load{host=~\".*\"}", "{__name__=~\"cpu.*\"}"] {
        assert!(plan(text).is_ok(), "{text}");
    }
}

#[test]
fn regular_expressions_mean_the_whole_value_and_are_bounded() {
    let like = |pattern: &str, value: &str| Matcher::pattern(pattern, false).unwrap().is_match(value);
    assert!(like("a|b", "b") && !like("a|b", "ab") && !like("a", "ab") && like("a.b", "a\nb"));
    assert!(Matcher::pattern("a", true).unwrap().is_match("b"));
    let hosts: Vec<String> = (0..3500).map(|host| format!("node{host:04}")).collect();
    assert!(like(&hosts.join("|"), "node3499"));
    // Written out, they are looked up: as many as a question holds.
    let hosts: Vec<String> = (0..30_000).map(|host| format!("node{host:05}\\.example\\.org")).collect();
    let among = Matcher::pattern(&format!("({})", hosts.join("|")), false).unwrap();
    assert!(matches!(among, Matcher::Among(_)));
    assert!(among.is_match("node29999.example.org") && !among.is_match("node29999xexample.org"));
    for (pattern, value, is_meant) in [
        ("a|b", "b", true),
        ("(?:a|b)", "a", true),
        ("a|", "", true),
        ("a\\|b", "a|b", true),
        ("(a)|(b)", "b", true),
        ("(a|b)c", "bc", true),
        ("(a|b)c", "b", false),
        ("a\\d", "a7", true),
        ("(?i)a", "A", true),
        ("()", "", true),
    ] {
        assert_eq!(like(pattern, value), is_meant, "{pattern} {value}");
    }
    for pattern in ["(", "[b-a]", "a{1000000}", "(\\pL{50}){50}", "((a{100}){100}){100}"] {
        assert!(matches!(Matcher::pattern(pattern, false), Err(PromError::BadData(_))), "{pattern}");
    }
}

#[test]
fn times_that_break_the_parser_do_not_reach_it() {
    for text in [
        "cpu_load[1e300]",
        "cpu_load[1e+300]",
        "cpu_load[99999999999999999999999]",
        "cpu_load offset 1e300",
        "cpu_load offset -1e300",
        "cpu_load offset - 1e300",
        "cpu_load @ 1e300",
        "cpu_load @ -1e300",
        "cpu_load @ Inf",
        "cpu_load @ 1e14",
        "cpu_load[5m:1e300]",
        "cpu_load[Inf]",
        "cpu_load[-5]",
    ] {
        let error = plan(text).expect_err(text);
        assert!(!error.to_string().contains(PARSER_FAILED), "{text}: {error}");
    }
    assert!(plan("cpu_load > 1e300").is_ok());
}

#[test]
fn values_have_bounded_length() {
    for (value, expected) in [
        (0.0, "0"),
        (-1.5, "-1.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-1.25e300, "-1.25e+300"),
        (5e-324, "5e-324"),
        (-1.5e-7, "-1.5e-07"),
        (f64::NAN, "NaN"),
        (1e-6, "0.000001"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ] {
        let mut out = Vec::new();
        push_point(&mut out, 1500, value);
        assert_eq!(String::from_utf8(out).unwrap(), format!("[1.500,\"{expected}\"]"));
    }
}

/// Pieces that questions are made of, and some that they are not.
fn soups() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "cpu_load",
            "sum",
            "by",
            "without",
            "(",
            ")",
            "{",
            "}",
            "[",
            "]",
            "host",
            "=",
            "!=",
            "=~",
            "!~",
            "\"a\"",
            "'.*'",
            "`\\d`",
            ",",
            "5m",
            "1e300",
            "0x7f",
            "-",
            "+",
            "*",
            "^",
            "@",
            "offset",
            "rate",
            "start()",
            ":",
            "bool",
            "on",
            "group_left",
            "topk",
            "1",
            "NaN",
            "Inf",
            "\"",
            "\\",
            "\u{e9}",
            "#",
            "\n",
            ">",
            "<=",
            "and",
            "08",
            "{{",
            "__name__",
            "1_0",
            ".",
            "0.5",
            "atan2",
            "ms",
            "9999999999y",
            "$",
            "fill",
            "label_replace",
            "count_values",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        any::<f64>().prop_map(|number| number.to_string()),
    ];
    (proptest::collection::vec(piece, 0..20), any::<bool>())
        .prop_map(|(pieces, spaces)| pieces.join(if spaces { " " } else { "" }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_the_parser(text in soups()) {
        if let Err(error) = plan(&text) {
            prop_assert!(!error.to_string().contains(PARSER_FAILED), "{error}");
        }
    }
}
