//! Lists of series and labels in Prometheus' HTTP API, and what its clients ask besides.

mod daemon;

use daemon::{Daemon, now};
use serde_json::{Value, json};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const TRUNCATED: &str = "results truncated due to limit";

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[track_caller]
fn whole(daemon: &Daemon, path: &str) -> Value {
    let answer = daemon.request("GET", &format!("/api/v1/{path}"), "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.json()["status"], "success", "{path}");
    answer.json()
}

#[track_caller]
fn get(daemon: &Daemon, path: &str) -> Value {
    let whole = whole(daemon, path);
    assert_eq!(whole.get("warnings"), None, "{path}: {whole}");
    whole["data"].clone()
}

#[track_caller]
fn post(daemon: &Daemon, path: &str, form: &str) -> Value {
    let answer = daemon.request_with("POST", &format!("/api/v1/{path}"), &[FORM], form);
    assert_eq!(answer.status, 200, "{path} {form}: {}", answer.text());
    answer.json()["data"].clone()
}

#[track_caller]
fn refused(daemon: &Daemon, path: &str) -> String {
    let answer = daemon.request("GET", &format!("/api/v1/{path}"), "");
    assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    let error = answer.json();
    assert_eq!((&error["status"], &error["errorType"]), (&json!("error"), &json!("bad_data")), "{path}");
    error["error"].as_str().expect("a text").to_owned()
}

/// An hour ago, on the grid of minutes.
fn base() -> i64 {
    (now() - 3600) / 60 * 60
}

/// Two clusters; `old` stopped half an hour before `base`, and `f1` has levels.
fn filled(cores: u32) -> (Daemon, i64) {
    let daemon = Daemon::start_with(|config| config["metric-store"]["cores"] = json!(cores));
    let base = base();
    daemon.write(format!(
        "cpu_load,cluster=fritz,hostname=f1 value=1 {base}\n\
         cpu_load,cluster=fritz,hostname=f2 value=1 {base}\n\
         cpu_load,cluster=alex,hostname=a1 value=1 {base}\n\
         flops_any,cluster=fritz,hostname=f1,type=hwthread,type-id=0 value=1 {base}\n\
         flops_any,cluster=fritz,hostname=f1,type=hwthread,type-id=1 value=1 {base}\n\
         mem_bw,cluster=alex,hostname=a1,type=socket,type-id=0,stype=dimm,stype-id=1 value=1 {base}\n\
         ipc,cluster=gone,hostname=old value=1 {}\n",
        base - 1800
    ));
    (daemon, base)
}

#[test]
fn labels_and_values_obey_their_selectors() {
    let (daemon, _) = filled(3);
    for (selector, names) in [
        ("cpu_load{cluster=\"fritz\"}", &["__name__", "cluster", "host", "scope"][..]),
        ("flops_any", &["__name__", "cluster", "host", "id", "scope"]),
        ("mem_bw", &["__name__", "cluster", "host", "parent", "scope"]),
        ("{host=~\".+\"}", &["__name__", "cluster", "host", "id", "parent", "scope"]),
        ("cpu_load{host=\"nobody\"}", &[]),
        ("unknown", &[]),
        ("cpu_load{job=\"x\"}", &[]),
    ] {
        let form = format!("match[]={}", encode(selector));
        assert_eq!(get(&daemon, &format!("labels?{form}")), json!(names), "{selector}");
        assert_eq!(post(&daemon, "labels", &form), json!(names), "{selector}");
    }
    let union = format!("match[]={}&match[]={}", encode("flops_any"), encode("mem_bw{host=\"a1\"}"));
    assert_eq!(
        get(&daemon, &format!("labels?{union}")),
        json!(["__name__", "cluster", "host", "id", "parent", "scope"])
    );
    // Those of the form and those of the URL together.
    let half = format!("match[]={}", encode("flops_any"));
    let other = format!("label/host/values?match[]={}", encode("mem_bw"));
    assert_eq!(post(&daemon, &other, &half), json!(["a1", "f1"]));
    for (label, selector, values) in [
        ("host", "cpu_load", json!(["a1", "f1", "f2"])),
        ("host", "{cluster=~\"f.*|gone\"}", json!(["f1", "f2", "old"])),
        ("cluster", "{cluster!=\"\",host!=\"old\"}", json!(["alex", "fritz"])),
        ("__name__", "{host=\"f1\"}", json!(["cpu_load", "flops_any"])),
        ("scope", "{cluster=~\".+\"}", json!(["dimm1", "hwthread", "node"])),
        ("id", "{cluster=~\".+\"}", json!(["0", "1"])),
        ("parent", "{cluster=~\".+\"}", json!(["socket0"])),
        ("job", "cpu_load", json!([])),
        ("U__my_2e_label", "cpu_load", json!([])),
    ] {
        let path = format!("label/{label}/values?match[]={}", encode(selector));
        assert_eq!(get(&daemon, &path), values, "{path}");
    }
    for raw in ["h%6Fst", "U__host", "hostname", "%68%6f%73%74"] {
        assert_eq!(get(&daemon, &format!("label/{raw}/values")), json!(["a1", "f1", "f2", "old"]), "{raw}");
    }
    for raw in ["a-b", "1a", "a%2Db", "%FF", "U__", "my.label"] {
        assert!(refused(&daemon, &format!("label/{raw}/values")).contains("invalid label name"), "{raw}");
    }
    for selector in
        ["{", "{}", "", "sum(cpu_load)", "cpu_load[5m]", "1", "cpu_load{host=~\"(\"}", "{job=\"\"}"]
    {
        for path in ["labels", "series", "label/host/values", "label/job/values"] {
            refused(&daemon, &format!("{path}?match[]={}", encode(selector)));
            refused(&daemon, &format!("{path}?match[]=cpu_load&match[]={}", encode(selector)));
        }
    }
    assert_eq!(refused(&daemon, "series"), "no match[] parameter");
}

#[test]
fn series_are_sorted_as_prometheus_sorts_them() {
    let (daemon, _) = filled(2);
    let path = format!("series?match[]={}&match[]=flops_any", encode("{cluster=~\"fritz|alex\"}"));
    assert_eq!(
        get(&daemon, &path),
        json!([
            {"__name__": "cpu_load", "cluster": "alex", "host": "a1", "scope": "node"},
            {"__name__": "cpu_load", "cluster": "fritz", "host": "f1", "scope": "node"},
            {"__name__": "cpu_load", "cluster": "fritz", "host": "f2", "scope": "node"},
            {"__name__": "flops_any", "cluster": "fritz", "host": "f1", "scope": "hwthread", "id": "0"},
            {"__name__": "flops_any", "cluster": "fritz", "host": "f1", "scope": "hwthread", "id": "1"},
            {"__name__": "mem_bw", "cluster": "alex", "host": "a1", "scope": "dimm1", "parent": "socket0"},
        ])
    );
    // A label that is missing stands behind all its values.
    daemon.write(format!("flops_any,cluster=fritz,hostname=f1 value=1 {}\n", base()));
    let found = get(&daemon, "series?match[]=flops_any");
    let ids: Vec<_> = found.as_array().expect("a list").iter().map(|series| series["id"].clone()).collect();
    assert_eq!(ids, [json!("0"), json!("1"), Value::Null]);
}

#[test]
fn start_and_end_choose_what_has_data_there() {
    let (daemon, base) = filled(2);
    let rfc = "1970-01-01T00:00:00Z";
    for (bounds, hosts) in [
        (String::new(), json!(["a1", "f1", "f2", "old"])),
        ("start=&end=".to_owned(), json!(["a1", "f1", "f2", "old"])),
        (format!("start={rfc}&end={}", base + 600), json!(["a1", "f1", "f2", "old"])),
        (format!("start={}", base - 60), json!(["a1", "f1", "f2"])),
        (format!("start={}.5&end={}", base - 60, base + 600), json!(["a1", "f1", "f2"])),
        (format!("end={}", base - 600), json!(["old"])),
        (format!("start={}", base + 600), json!([])),
        (format!("start={}&end={}", base + 600, base), json!([])),
        (
            "start=-292273086-05-16T16:47:06Z&end=292277025-08-18T07:12:54.999999999Z".to_owned(),
            json!(["a1", "f1", "f2", "old"]),
        ),
        ("end=1e30".to_owned(), json!(["a1", "f1", "f2", "old"])),
    ] {
        assert_eq!(get(&daemon, &format!("label/host/values?{bounds}")), hosts, "{bounds}");
        let all = format!("match[]={}&{bounds}", encode("{host=~\".+\"}"));
        assert_eq!(get(&daemon, &format!("label/host/values?{all}")), hosts, "{bounds}");
        let series = get(&daemon, &format!("series?{all}"));
        let mut found: Vec<_> =
            series.as_array().expect("a list").iter().map(|series| series["host"].clone()).collect();
        found.sort_by_key(Value::to_string);
        found.dedup();
        assert_eq!(json!(found), hosts, "{bounds}");
    }
    assert_eq!(get(&daemon, &format!("label/__name__/values?end={}", base - 600)), json!(["ipc"]));
    assert_eq!(get(&daemon, &format!("label/cluster/values?start={base}")), json!(["alex", "fritz"]));
    assert_eq!(
        get(&daemon, &format!("labels?end={}", base - 600)),
        json!(["__name__", "cluster", "host", "scope"])
    );
    assert_eq!(get(&daemon, &format!("labels?start={}", base + 6000)), json!([]));
    for wrong in ["start=x", "end=x", "start=NaN", "end=2023-11-14"] {
        for path in ["labels", "series", "label/host/values"] {
            refused(&daemon, &format!("{path}?match[]=cpu_load&{wrong}"));
        }
    }
}

#[test]
fn limits_leave_out_and_say_so() {
    let daemon = Daemon::start_with(|config| config["metric-store"]["cores"] = json!(2));
    let base = base();
    let mut lines = String::new();
    for host in 0..100 {
        for id in 0..210 {
            lines += &format!(
                "flops_any,cluster=c,hostname=h{host:03},type=hwthread,type-id={id} value=1 {base}\n"
            );
        }
    }
    daemon.write(lines);
    let all = get(&daemon, "series?match[]=flops_any");
    assert_eq!(all.as_array().map(Vec::len), Some(21_000));
    for (path, length, total) in [
        ("series?match[]=flops_any", 100, 21_000),
        ("label/host/values?match[]=flops_any", 5, 100),
        ("label/host/values?match[]=flops_any&match[]=flops_any&start=0", 5, 100),
        ("label/host/values?", 5, 100),
        ("label/__name__/values?", 1, 8),
        ("label/id/values?", 7, 210),
        ("labels?", 2, 6),
        ("labels?match[]=flops_any", 2, 5),
    ] {
        let truncated = whole(&daemon, &format!("{path}&limit={length}"));
        let complete = get(&daemon, &format!("{path}&limit={total}"));
        let complete = complete.as_array().expect("a list");
        assert_eq!(complete.len(), total, "{path}");
        assert_eq!(truncated["data"], json!(complete[..length]), "{path}");
        assert_eq!(truncated["warnings"], json!([TRUNCATED]), "{path}");
        for none in ["0", ""] {
            assert_eq!(&get(&daemon, &format!("{path}&limit={none}")), &json!(complete), "{path}");
        }
        for wrong in ["x", "-1", "1.5", "99999999999999999999"] {
            refused(&daemon, &format!("{path}&limit={wrong}"));
        }
    }
    // Questions have a limit as well.
    let question = format!("query?query={}&time={}&limit=3", encode("flops_any{host=\"h000\"}"), base + 1);
    let truncated = whole(&daemon, &question);
    assert_eq!(truncated["data"]["result"].as_array().map(Vec::len), Some(3));
    assert_eq!(truncated["warnings"], json!([TRUNCATED]));
    refused(&daemon, "query?query=1&limit=x");
}

#[test]
fn a_list_without_end_is_bounded_by_the_query_limit() {
    let daemon = Daemon::start_with(|config| config["metric-store"]["query-limit"] = json!(1000));
    let base = base();
    let line = |host: u32| format!("cpu_load,cluster=c,hostname=h{host:05} value=1 {base}\n");
    daemon.write((0..500).map(line).collect::<String>());
    let answer = daemon.request("GET", "/api/v1/series?match[]=cpu_load", "");
    assert_eq!((answer.status, &answer.json()["errorType"]), (422, &json!("execution")));
    assert!(answer.text().contains("query-limit"), "{}", answer.text());
    let some = whole(&daemon, "series?match[]=cpu_load&limit=10");
    assert_eq!(some["data"].as_array().map(Vec::len), Some(10));
    assert_eq!(some["data"][9]["host"], "h00009");
    daemon.assert_answers();
}

#[test]
fn what_clients_ask_of_prometheus_itself() {
    let (daemon, _) = filled(2);
    let build = get(&daemon, "status/buildinfo");
    let version: Vec<u32> = build["version"]
        .as_str()
        .expect("a text")
        .split('.')
        .map(|part| part.parse().expect("a number"))
        .collect();
    assert!(version[..2] >= [2, 24][..], "Grafana asks label values with match[]: {build}");
    for key in ["revision", "branch", "buildUser", "buildDate", "goVersion"] {
        assert!(build[key].is_string(), "{key}");
    }
    let info = get(&daemon, "status/runtimeinfo");
    assert!(info["startTime"].as_str().is_some_and(|time| time.ends_with('Z')), "{info}");
    assert_eq!((&info["timeSeriesCount"], &info["GOMAXPROCS"]), (&json!(7), &json!(2)));
    assert_eq!(get(&daemon, "status/tsdb")["headStats"]["numSeries"], 7);
    for (path, data) in [
        ("status/config", json!({"yaml": ""})),
        ("status/flags", json!({})),
        ("rules", json!({"groups": []})),
        ("rules?type=alert", json!({"groups": []})),
        ("alerts", json!({"alerts": []})),
        ("alertmanagers", json!({"activeAlertmanagers": [], "droppedAlertmanagers": []})),
        (
            "targets?state=active",
            json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}}),
        ),
        ("targets/metadata", json!([])),
        ("query_exemplars?query=cpu_load&start=0&end=1", json!([])),
        ("format_query?query=%20cpu_load%7Bhost%3D%22x%22%7D%0A", json!("cpu_load{host=\"x\"}")),
    ] {
        assert_eq!(get(&daemon, path), data, "{path}");
        let slash = path.replacen('?', "/?", 1);
        assert_eq!(get(&daemon, &slash), data, "{slash}");
    }
    for wrong in [
        "rules?type=x",
        "query_exemplars?query=%7B",
        "query_exemplars",
        "query_exemplars?query=a&start=2&end=1",
        "format_query?query=(",
        "format_query",
    ] {
        refused(&daemon, wrong);
    }
    let metadata = get(&daemon, "metadata");
    assert_eq!(metadata.as_object().map(serde_json::Map::len), Some(8));
    assert_eq!(
        (&metadata["cpu_load"][0]["type"], &metadata["cpu_load"][0]["unit"]),
        (&json!("gauge"), &json!(""))
    );
    assert_eq!(
        get(&daemon, "metadata?metric=clock").as_object().map(|all| all.keys().cloned().collect()),
        Some(vec!["clock".to_owned()])
    );
    assert_eq!(get(&daemon, "metadata?metric=none"), json!({}));
    assert_eq!(
        get(&daemon, "metadata?limit=2&limit_per_metric=1").as_object().map(serde_json::Map::len),
        Some(2)
    );
    refused(&daemon, "metadata?limit=x");
}

#[test]
fn parameters_are_those_of_go() {
    let (daemon, base) = filled(1);
    assert_eq!(get(&daemon, "query?query=1&time=&timeout=&limit=")["resultType"], "scalar");
    assert_eq!(post(&daemon, "query?query=1", "query=2")["result"][1], "2");
    assert_eq!(post(&daemon, "query?query=2", "")["result"][1], "2");
    assert_eq!(get(&daemon, "query?query=1&time=1970-01-01T01:00:00.5%2B01:00")["result"], json!([0.5, "1"]));
    assert_eq!(get(&daemon, "query?query=2&query=3")["result"][1], "2");
    for wrong in [
        "query?query=1&time=x",
        "query?query=",
        "query?query=1&timeout=x",
        "query_range?query=1&start=&end=1&step=1",
        "query_range?query=1&start=0&end=1&step=",
    ] {
        refused(&daemon, wrong);
    }
    for path in ["status/buildinfo", "labels", "query?query=1"] {
        let head = daemon.request("HEAD", &format!("/api/v1/{path}"), "");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let options = daemon.request("OPTIONS", &format!("/api/v1/{path}"), "");
        assert_eq!((options.status, options.body.len()), (204, 0), "{path}");
        assert!(options.header("allow").is_some_and(|methods| methods.contains("GET")), "{path}");
        assert_eq!(daemon.request("PUT", &format!("/api/v1/{path}"), "").status, 405, "{path}");
    }
    assert_eq!(daemon.request("POST", "/api/v1/metadata", "").status, 405);
    // Names of 2,000 hosts, written out, as Grafana does.
    let hosts: Vec<String> = (0..2000).map(|host| format!("node{host:05}.cluster.example.org")).collect();
    daemon.write(
        hosts
            .iter()
            .map(|host| format!("mem_used,cluster=c,hostname={host} value=1 {base}\n"))
            .collect::<String>(),
    );
    let names = hosts.iter().map(|host| host.replace('.', "\\\\.")).collect::<Vec<_>>().join("|");
    let question = format!("sum(mem_used{{host=~\"({names})\"}})");
    assert!(question.len() > 60_000);
    let form = format!("time={base}&query={}", encode(&question));
    assert_eq!(post(&daemon, "query", &form)["result"][0]["value"][1], "2000");
    let form = format!("match[]={}", encode(&format!("{{host=~\"{names}\"}}")));
    assert_eq!(post(&daemon, "label/host/values", &form).as_array().map(Vec::len), Some(2000));
    // A megabyte is taken, and more than that is refused in time.
    let long = format!("query=1%20%23{}", "x".repeat(1_000_000));
    assert_eq!(post(&daemon, "query", &long)["result"][1], "1");
    let longer = format!("query=1%20%23{}", "x".repeat(1_100_000));
    assert_eq!(daemon.request_with("POST", "/api/v1/query", &[FORM], longer).status, 400);
    assert_eq!(daemon.request_with("POST", "/api/v1/query", &[FORM], vec![b'&'; 6_000_000]).status, 413);
    daemon.assert_answers();
}
