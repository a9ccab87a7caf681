//! The reading part of Prometheus' HTTP API, as Grafana and client libraries use it.

mod daemon;

use daemon::issuer::Issuer;
use daemon::python::run_script;
use daemon::{Daemon, now};
use serde_json::{Value, json};

/// On the grid of minutes; some minutes ago, so that nothing is too old or too new.
fn base() -> i64 {
    (now() - 1200) / 60 * 60
}

/// Two hosts of a cluster and one of another; ten minutes each.
fn fill(daemon: &Daemon, base: i64) {
    let mut lines = String::new();
    for minute in 0..10 {
        let time = base + 60 * minute;
        for (cluster, host, value) in [("fritz", "f1", 1), ("fritz", "f2", 10), ("alex", "a1", 100)] {
            let value = value * (minute + 1);
            lines += &format!("cpu_load,cluster={cluster},hostname={host} value={value} {time}\n");
            for id in 0..2 {
                lines += &format!(
                    "flops_any,cluster={cluster},hostname={host},type=hwthread,type-id={id} value={value} {time}\n\
                     mem_bw,cluster={cluster},hostname={host},type=socket,type-id=0,stype=dimm,stype-id={id} value={id} {time}\n"
                );
            }
        }
    }
    assert_eq!(daemon.request("POST", "/api/write", lines).status, 200);
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[track_caller]
fn at(daemon: &Daemon, query: &str, time: i64) -> Value {
    let answer = daemon.request("GET", &format!("/api/v1/query?query={}&time={time}", encode(query)), "");
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    assert_eq!(answer.json()["status"], "success");
    answer.json()["data"].clone()
}

/// The values of a vector, by the labels that are named.
#[track_caller]
fn vector(daemon: &Daemon, query: &str, time: i64, labels: &[&str]) -> Vec<String> {
    let data = at(daemon, query, time);
    assert_eq!(data["resultType"], "vector", "{query}: {data}");
    let element = |element: &Value| {
        let mut text = String::new();
        for label in labels {
            text += element["metric"][label].as_str().unwrap_or("-");
            text += " ";
        }
        assert_eq!(element["value"][0], time);
        text + element["value"][1].as_str().expect("values are text")
    };
    data["result"].as_array().expect("a list").iter().map(element).collect()
}

#[test]
fn instant_questions() {
    let daemon = Daemon::start_with(|config| config["metric-store"]["cores"] = json!(2));
    let base = base();
    fill(&daemon, base);
    let time = base + 120;
    let hosts = &["cluster", "host"];
    for (query, labels, expected) in [
        (
            "cpu_load",
            &["__name__", "cluster", "host", "scope", "id"][..],
            &["cpu_load alex a1 node - 300", "cpu_load fritz f1 node - 3", "cpu_load fritz f2 node - 30"][..],
        ),
        ("cpu_load{cluster=\"fritz\",host=\"f1\"}", hosts, &["fritz f1 3"]),
        ("cpu_load{hostname=~\"f.\",host!=\"f2\"}", hosts, &["fritz f1 3"]),
        ("cpu_load{host!~\"f.*\"}", hosts, &["alex a1 300"]),
        ("cpu_load{cluster=\"nowhere\"}", hosts, &[]),
        ("unknown", hosts, &[]),
        ("{__name__=~\"cpu_l.*\",host=\"a1\"}", &["__name__"], &["cpu_load 300"]),
        ("flops_any{host=\"f1\",scope=\"hwthread\"}", &["scope", "id"], &["hwthread 0 3", "hwthread 1 3"]),
        ("flops_any{host=\"f1\",id=\"1\"}", &["id"], &["1 3"]),
        ("mem_bw{host=\"f1\"}", &["scope", "id", "parent"], &["dimm0 - socket0 0", "dimm1 - socket0 1"]),
        ("sum(cpu_load)", hosts, &["- - 333"]),
        ("sum by (cluster) (flops_any)", hosts, &["alex - 600", "fritz - 66"]),
        ("avg without (host) (cpu_load)", hosts, &["alex - 300", "fritz - 16.5"]),
        ("max(flops_any) - min(flops_any)", hosts, &["- - 297"]),
        ("count by (hostname) (flops_any)", hosts, &["- a1 2", "- f1 2", "- f2 2"]),
        ("sum(max by (host) (flops_any))", hosts, &["- - 333"]),
        ("max_over_time(cpu_load{host=\"f1\"}[5m])", &["__name__", "host"], &["- f1 3"]),
        // A range holds both of its ends.
        ("avg_over_time(cpu_load{host=\"f2\"}[2m])", &["host"], &["f2 20"]),
        ("sum(increase(cpu_load{cluster=\"fritz\"}[2m]))", hosts, &["- - 22"]),
        ("cpu_load{host=\"f1\"} offset 1m", &["host"], &["f1 2"]),
        ("cpu_load > 10", &["__name__", "host"], &["cpu_load a1 300", "cpu_load f2 30"]),
        ("cpu_load{host=\"f1\"} == bool 3", &["__name__", "host"], &["- f1 1"]),
        ("-cpu_load{host=\"f1\"} / 2 + 1", &["__name__", "host"], &["- f1 -0.5"]),
        ("topk(1, cpu_load)", &["host"], &["a1 300"]),
        ("sort_desc(cpu_load)", &["host"], &["a1 300", "f2 30", "f1 3"]),
        ("cpu_load and on (host) flops_any > 10", &["host"], &["a1 300", "f2 30"]),
        ("cpu_load unless cpu_load > 10", &["host"], &["f1 3"]),
        (
            "flops_any{cluster=\"fritz\"} / on (host) group_left sum by (host) (flops_any)",
            &["host", "id"],
            &["f1 0 0.5", "f1 1 0.5", "f2 0 0.5", "f2 1 0.5"],
        ),
        ("max_over_time(sum(cpu_load)[10m:1m])", &[], &["333"]),
        ("count_values(\"value\", cpu_load)", &["value"], &["300 1", "3 1", "30 1"]),
        (
            "label_replace(cpu_load{host=\"f1\"}, \"rack\", \"r$1\", \"hostname\", \"f(.)\")",
            &["rack", "__name__"],
            &["r1 cpu_load 3"],
        ),
        ("absent(cpu_load{host=\"none\",job=\"x\"})", &["host", "job"], &["none x 1"]),
        (
            "histogram_quantile(0.5, label_replace(cpu_load{cluster=\"fritz\",host=\"f2\"} or cpu_load{host=\"f1\"}, \"le\", \"+Inf\", \"host\", \"f2\"))",
            &[],
            &["NaN"],
        ),
        ("sum by (host) (flops_any) / cpu_load", &["host"], &[]),
        ("sum by (host) (flops_any) / sum by (host) (cpu_load)", &["host"], &["a1 2", "f1 2", "f2 2"]),
    ] {
        assert_eq!(vector(&daemon, query, time, labels), expected, "{query}");
    }
    // Nothing is newer than the look-back, which is five minutes here.
    assert_eq!(vector(&daemon, "cpu_load{host=\"f1\"}", base + 540 + 300, &["host"]), ["f1 10"]);
    assert_eq!(vector(&daemon, "cpu_load{host=\"f1\"}", base + 540 + 301, &["host"]), [""; 0]);
    assert_eq!(at(&daemon, "1 + 2 * 3", time), json!({"resultType": "scalar", "result": [time, "7"]}));
    let samples = at(&daemon, "cpu_load{host=\"f1\"}[3m]", time + 1);
    assert_eq!(samples["resultType"], "matrix");
    assert_eq!(samples["result"][0]["values"], json!([[base, "1"], [base + 60, "2"], [base + 120, "3"]]));
}

#[test]
fn ranges_of_time_by_get_and_post() {
    let daemon = Daemon::start();
    let base = base();
    fill(&daemon, base);
    let form =
        format!("query={}&start={base}&end={}&step=120", encode("sum by (cluster) (cpu_load)"), base + 300);
    let got = daemon.request("GET", &format!("/api/v1/query_range?{form}"), "");
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let posted = daemon.request_with("POST", "/api/v1/query_range/", &headers, &form);
    assert_eq!((got.status, &got.body), (200, &posted.body));
    assert_eq!(
        got.json()["data"],
        json!({"resultType": "matrix", "result": [
            {"metric": {"cluster": "alex"}, "values": [[base, "100"], [base + 120, "300"], [base + 240, "500"]]},
            {"metric": {"cluster": "fritz"}, "values": [[base, "11"], [base + 120, "33"], [base + 240, "55"]]},
        ]})
    );
    // Before and behind the data there is nothing.
    let form =
        format!("query={}&start={}&end={}&step=1m", encode("cpu_load{host=\"a1\"}"), base - 300, base + 3600);
    let values = daemon.request("GET", &format!("/api/v1/query_range?{form}"), "").json();
    let values = values["data"]["result"][0]["values"].as_array().expect("a list").clone();
    assert_eq!(
        (values.len(), &values[0], &values[14]),
        (15, &json!([base, "100"]), &json!([base + 840, "1000"]))
    );
    let scalar =
        daemon.request("GET", &format!("/api/v1/query_range?query=1&start={base}&end={base}&step=1"), "");
    assert_eq!(scalar.json()["data"]["result"], json!([{"metric": {}, "values": [[base, "1"]]}]));
}

#[test]
fn what_there_is() {
    let daemon = Daemon::start_with(|config| {
        config["metric-store"]["cores"] = json!(2);
        config["metrics"]["odd-name.x"] = json!({"frequency": 60, "aggregation": null});
    });
    fill(&daemon, base());
    let get = |path: &str| {
        let answer = daemon.request("GET", path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()["data"].clone()
    };
    assert_eq!(get("/api/v1/labels"), json!(["__name__", "cluster", "host", "id", "parent", "scope"]));
    assert_eq!(get("/api/v1/label/cluster/values"), json!(["alex", "fritz"]));
    assert_eq!(get("/api/v1/label/hostname/values/"), json!(["a1", "f1", "f2"]));
    assert_eq!(get("/api/v1/label/scope/values"), json!(["dimm0", "dimm1", "hwthread", "node"]));
    assert_eq!(get("/api/v1/label/id/values"), json!(["0", "1"]));
    assert_eq!(get("/api/v1/label/job/values"), json!([]));
    let names = get("/api/v1/label/__name__/values");
    assert!(
        names
            .as_array()
            .is_some_and(|names| names.contains(&json!("odd_name_x")) && names.contains(&json!("ipc")))
    );
    let selector = encode("cpu_load{cluster=\"fritz\"}");
    assert_eq!(get(&format!("/api/v1/label/host/values?match[]={selector}")), json!(["f1", "f2"]));
    assert_eq!(
        get(&format!(
            "/api/v1/series?match[]={selector}&match[]={}",
            encode("flops_any{host=\"a1\",id=\"0\"}")
        )),
        json!([
            {"__name__": "cpu_load", "cluster": "fritz", "host": "f1", "scope": "node"},
            {"__name__": "cpu_load", "cluster": "fritz", "host": "f2", "scope": "node"},
            {"__name__": "flops_any", "cluster": "alex", "host": "a1", "scope": "hwthread", "id": "0"},
        ])
    );
    assert_eq!(
        daemon
            .request("POST", "/api/write", format!("odd-name.x,cluster=c,host=h value=5 {}\n", now()))
            .status,
        200
    );
    assert_eq!(vector(&daemon, "odd_name_x", now() + 60, &["host"]), ["h 5"]);
}

#[test]
fn what_cannot_be_answered_says_why() {
    let daemon = Daemon::start_with(|config| config["main"]["query-limit"] = json!(30));
    let base = base();
    fill(&daemon, base);
    let deep = format!("{}1{}", "(".repeat(3000), ")".repeat(3000));
    let long = "1+".repeat(2000) + "1";
    for (path, status, kind) in [
        ("query?query=cpu_load%7B".to_owned(), 400, "bad_data"),
        ("query".to_owned(), 400, "bad_data"),
        (format!("query?query={}", encode(&deep)), 400, "bad_data"),
        (format!("query?query={}", encode(&long)), 400, "bad_data"),
        ("query?query=1&time=yesterday".to_owned(), 400, "bad_data"),
        ("query?query=1&time=1e300".to_owned(), 400, "bad_data"),
        (format!("query?query={}", encode("cpu_load{host=~\"(\"}")), 400, "bad_data"),
        // What the parser or the matching could not bear.
        (format!("query?query={}", encode("cpu_load[1e300]")), 400, "bad_data"),
        (format!("query?query={}", encode("cpu_load{host=\"\\é\"}")), 400, "bad_data"),
        (format!("query?query={}", encode("cpu_load{host=~\"(\\\\pL{50}){50}\"}")), 400, "bad_data"),
        (format!("query?query={}", encode("{}")), 400, "bad_data"),
        (format!("query?query={}", encode("1 < 2")), 400, "bad_data"),
        (format!("query?query={}", encode("limitk(3, cpu_load)")), 422, "execution"),
        (format!("query?query={}", encode("cpu_load{host=\"a\" or host=\"b\"}")), 422, "execution"),
        (format!("query?query={}&time={base}", encode("flops_any + on (host) flops_any")), 422, "execution"),
        (format!("query?query={}", encode("max_over_time(vector(1)[10y:1s])")), 422, "execution"),
        (format!("query?query={}", encode("max_over_time(vector(1)[1d:1s])")), 422, "execution"),
        (format!("query?query={}", encode("cpu_load and 1")), 400, "bad_data"),
        (
            format!("query?query={}&time={}", encode("sum(sum_over_time({host=\"f1\"}[1d]))"), base + 540),
            422,
            "execution",
        ),
        ("query_range?query=1&start=0&end=11000&step=1".to_owned(), 400, "bad_data"),
        ("query_range?query=1&start=0&end=-1&step=1".to_owned(), 400, "bad_data"),
        ("query_range?query=1&start=0&end=1&step=0".to_owned(), 400, "bad_data"),
        ("query_range?query=1&start=0&end=1".to_owned(), 400, "bad_data"),
        ("query_range?query=cpu_load%5B5m%5D&start=0&end=1&step=1".to_owned(), 400, "bad_data"),
        ("series".to_owned(), 400, "bad_data"),
        // Few values, but many looks at each.
        (
            format!(
                "query_range?query={}&start={base}&end={}&step=60",
                encode("max_over_time(cpu_load{host=\"f1\",cluster=\"fritz\"}[10m])"),
                base + 540
            ),
            422,
            "execution",
        ),
        (
            format!(
                "query_range?query={}&start={base}&end={}&step=60",
                encode("{host=~\".+\"}"),
                base + 6000
            ),
            422,
            "execution",
        ),
    ] {
        let answer = daemon.request("GET", &format!("/api/v1/{path}"), "");
        let short: String = path.chars().take(100).collect();
        assert_eq!(answer.status, status, "{short}: {}", answer.text());
        assert_eq!(
            (&answer.json()["status"], &answer.json()["errorType"]),
            (&json!("error"), &json!(kind)),
            "{short}"
        );
        assert!(answer.json()["error"].as_str().is_some_and(|text| text.len() > 5), "{short}");
    }
    let long = format!("query={}", "x".repeat(1_100_000));
    assert_eq!(daemon.request("POST", "/api/v1/query", long).status, 400);
    assert_eq!(daemon.request("DELETE", "/api/v1/query", "").status, 405);
    assert_eq!(daemon.request("GET", "/api/v1/status/nothing", "").status, 404);
    daemon.assert_answers();
}

#[test]
fn the_client_library_of_python_reads() {
    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| config["main"]["jwt-public-key"] = json!(issuer.public_key()));
    let bearer = format!("Bearer {}", issuer.token(&json!({"exp": now() + 3600})));
    let base = base();
    let lines: String = (0..10)
        .map(|minute| format!("cpu_load,cluster=c,hostname=h value={minute} {}\n", base + 60 * minute))
        .collect();
    assert_eq!(daemon.request_with("POST", "/api/write", &[("Authorization", &bearer)], lines).status, 200);
    let url = format!("http://127.0.0.1:{}", daemon.port());
    let told = run_script("prometheus_read.py", &[&url, &bearer, &base.to_string()]);
    assert!(told["metrics"].as_array().is_some_and(|names| names.contains(&json!("cpu_load"))), "{told}");
    assert_eq!(told["labels"], json!(["__name__", "cluster", "host", "id", "parent", "scope"]));
    assert_eq!(told["hosts"], json!(["h"]));
    assert_eq!(
        told["range"],
        json!((0..10).map(|minute| json!([base + 60 * minute, minute.to_string()])).collect::<Vec<_>>())
    );
    assert_eq!(told["steps"], json!([[base + 60, "0.5"], [base + 180, "2"]]));
    assert_eq!(told["sum"], "9");
    assert_eq!(told["error"], json!("PrometheusApiClientException"));
}
