//! Line protocol over plain TCP (`main.tcp-addr`): one connection is one stream of lines, an orderly close is the
//! acknowledgement.

mod daemon;

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use daemon::http::Client;
use daemon::{Daemon, eventually, free_port};
use serde_json::{Value, json};

const TIME: i64 = 1_700_000_040;
const CLUSTER: &str = "tcp-default";

/// A daemon with a raw TCP listener, and the port of that.
#[track_caller]
fn start() -> (Daemon, u16) {
    let port = free_port();
    let daemon = Daemon::start_with(|config| {
        config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{port}"));
        config["main"]["tcp-cluster"] = json!(CLUSTER);
    });
    let listens =
        eventually(Duration::from_secs(10), || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(listens, "the raw TCP port listens");
    (daemon, port)
}

/// Closes the sending side and waits until the daemon has processed everything and closes its own.
#[track_caller]
fn finish(mut client: Client) {
    client.finish_sending().expect("the stream is open");
    assert_eq!(
        client.read_to_close().expect("the stream ends in order"),
        b"",
        "the daemon closes without a word"
    );
}

/// `count` lines of one host, a minute apart, with the values 0, 1, 2, ….
fn lines(host: &str, count: i64) -> String {
    (0..count)
        .map(|value| format!("cpu_load,cluster=c,hostname={host} value={value} {}\n", TIME + 60 * value))
        .collect()
}

/// What [`lines`] of this count reads back as.
fn values(count: i64) -> Value {
    json!((0..count).map(|value| value as f64).collect::<Vec<_>>())
}

#[track_caller]
fn stored(daemon: &Daemon, host: &str, count: i64) -> Value {
    daemon.data("c", host, "cpu_load", TIME, TIME + 60 * count)
}

#[test]
fn after_the_close_every_line_is_visible() {
    let (daemon, port) = start();
    for (host, count) in [("few", 3), ("many", 5000)] {
        let mut client = Client::connect(port);
        client.send(lines(host, count).as_bytes()).unwrap();
        finish(client);
        assert_eq!(stored(&daemon, host, count), values(count), "{host}");
    }
}

#[test]
fn lines_of_many_hosts_reach_every_core() {
    let (daemon, port) = start();
    let mut client = Client::connect(port);
    let body: String = (0..500).map(|host| lines(&format!("h{host}"), 4)).collect();
    client.send(body.as_bytes()).unwrap();
    finish(client);
    let query = json!({"cluster": "c", "from": TIME, "to": TIME + 240, "for-all-nodes": ["cpu_load"]});
    let answer = daemon.query(&query);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 500);
    for (query, result) in answer["queries"].as_array().unwrap().iter().zip(results) {
        assert_eq!(result[0]["data"], values(4), "{query}");
    }
}

#[test]
fn the_stream_may_be_cut_anywhere() {
    let (daemon, port) = start();
    for piece in [1, 2, 7, 53, 4096] {
        let host = format!("cut{piece}");
        let mut client = Client::connect(port);
        client.send_in_pieces(lines(&host, 20).as_bytes(), piece).unwrap();
        finish(client);
        assert_eq!(stored(&daemon, &host, 20), values(20), "pieces of {piece}");
    }
}

#[test]
fn a_last_line_without_newline_counts() {
    let (daemon, port) = start();
    let mut client = Client::connect(port);
    client.send(lines("h", 3).trim_end().as_bytes()).unwrap();
    finish(client);
    assert_eq!(stored(&daemon, "h", 3), values(3));
}

#[test]
fn a_bad_line_is_skipped_and_the_stream_goes_on() {
    let (daemon, port) = start();
    let bad: [&[u8]; 8] = [
        b"cpu_load,cluster=c,hostname=h value=x 1700000040\n",
        b"cpu_load,cluster=c,hostname=h\n",
        b"cpu_load,cluster=c,hostname=h value=1 tomorrow\n",
        b"\xff\xfe\x00\x01\n",
        b"POST /api/write HTTP/1.1\r\n",
        b"cpu_load\n",
        b",,,===\n",
        b"cpu_load,cluster=c,hostname=.. value=1 1700000040\n",
    ];
    let mut client = Client::connect(port);
    for (index, line) in lines("h", 40).split_inclusive('\n').enumerate() {
        client.send(bad[index % bad.len()]).unwrap();
        client.send(line.as_bytes()).unwrap();
    }
    finish(client);
    assert_eq!(stored(&daemon, "h", 40), values(40));
    assert!(daemon.logs("<4>"), "a warning is logged: {}", daemon.log());
    let warnings = daemon.log().matches("<4>").count();
    assert!(warnings < 40, "warnings are limited in rate: {warnings}");
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_the_stream_goes_on() {
    let (daemon, port) = start();
    let mut client = Client::connect(port);
    client.send("x".repeat(1 << 20).as_bytes()).unwrap();
    client.send(b"\n").unwrap();
    client.send(lines("h", 3).as_bytes()).unwrap();
    finish(client);
    assert_eq!(stored(&daemon, "h", 3), values(3));
}

#[test]
fn a_line_without_cluster_goes_to_the_default_of_the_listener() {
    let (daemon, port) = start();
    let mut client = Client::connect(port);
    client
        .send(
            format!(
                "cpu_load,cluster=c,hostname=h value=1 {TIME}\ncpu_load,hostname=h value=2 {TIME}\n\
                 cpu_load,cluster=d,hostname=h value=3 {TIME}\ncpu_load,hostname=g value=4 {TIME}\n"
            )
            .as_bytes(),
        )
        .unwrap();
    finish(client);
    for (cluster, host, value) in [("c", "h", 1.0), (CLUSTER, "h", 2.0), ("d", "h", 3.0), (CLUSTER, "g", 4.0)]
    {
        assert_eq!(
            daemon.data(cluster, host, "cpu_load", TIME, TIME + 60),
            json!([value]),
            "{cluster} {host}"
        );
    }
}

#[test]
fn two_streams_cut_in_the_middle_of_lines_do_not_mix() {
    let (daemon, port) = start();
    let (one, two) = (lines("one", 50), lines("two", 50));
    let mut first = Client::connect(port);
    let mut second = Client::connect(port);
    for (left, right) in one.as_bytes().chunks(37).zip(two.as_bytes().chunks(37)) {
        first.send(left).unwrap();
        second.send(right).unwrap();
    }
    finish(second);
    assert_eq!(stored(&daemon, "two", 50), values(50));
    finish(first);
    assert_eq!(stored(&daemon, "one", 50), values(50));
}

#[test]
fn whole_lines_are_stored_while_the_stream_stays_open() {
    let (daemon, port) = start();
    let mut client = Client::connect(port);
    client.send(lines("h", 5).as_bytes()).unwrap();
    let seen = eventually(Duration::from_secs(5), || stored(&daemon, "h", 5) == values(5));
    assert!(seen, "{}", stored(&daemon, "h", 5));
    finish(client);
}

#[test]
fn an_abrupt_end_loses_only_its_own_stream() {
    let (mut daemon, port) = start();
    for _ in 0..50 {
        let mut client = Client::connect(port);
        client.send(b"cpu_load,cluster=c,hostname=torn value=1 17000").unwrap();
    }
    let mut client = Client::connect(port);
    client.send(lines("h", 5).as_bytes()).unwrap();
    finish(client);
    assert_eq!(stored(&daemon, "h", 5), values(5));
    let mut open = Client::connect(port);
    daemon.signal("TERM");
    let (status, duration) = daemon.wait();
    assert_eq!(status.code(), Some(0));
    assert!(duration < Duration::from_secs(2), "an open stream held the stop up: {duration:?}");
    let end = open.read_to_close();
    assert!(end.is_err(), "an end that the client did not begin is no acknowledgement: {end:?}");
}

#[test]
fn a_stop_stores_whole_lines_and_resets_the_stream() {
    let (mut daemon, port) = start();
    let mut client = Client::connect(port);
    let cut = lines("h", 5) + "cpu_load,cluster=c,hostname=h value=9 17000";
    client.send(cut.as_bytes()).unwrap();
    let seen = eventually(Duration::from_secs(5), || stored(&daemon, "h", 5) == values(5));
    assert!(seen, "{}", stored(&daemon, "h", 5));
    daemon.signal("TERM");
    daemon.wait();
    let end = client.read_to_close();
    assert!(end.is_err(), "an orderly close would be an acknowledgement: {end:?}");
    assert!(!daemon.log().contains("bad line"), "the cut line is not read: {}", daemon.log());
}

#[test]
fn the_death_of_the_daemon_is_a_reset_to_every_stream() {
    let (mut daemon, port) = start();
    let idle = Client::connect(port);
    let mut busy = Client::connect(port);
    busy.send(lines("h", 5).as_bytes()).unwrap();
    let seen = eventually(Duration::from_secs(5), || stored(&daemon, "h", 5) == values(5));
    assert!(seen, "everything sent is read");
    daemon.kill();
    for mut client in [idle, busy] {
        let end = client.read_to_close();
        assert!(end.is_err(), "an orderly close would be an acknowledgement: {end:?}");
    }
}

#[test]
fn a_kill_acknowledges_nothing_that_is_not_stored() {
    const STREAMS: usize = 40;
    let (mut daemon, port) = start();
    let mut acknowledged = Vec::new();
    // Within the retention of every start.
    let begin = daemon::now() / 60 * 60 - 3600;
    for round in 0..8 {
        let clients: Vec<Client> = (0..STREAMS).map(|_| Client::connect(port)).collect();
        // All are accepted, and wait for lines.
        thread::sleep(Duration::from_millis(100));
        let time = begin + 60 * round;
        let mut sent = Vec::new();
        for (index, mut client) in clients.into_iter().enumerate() {
            let line = format!("cpu_load,cluster=c,hostname=k{index} value={round} {time}\n");
            client.send(line.as_bytes()).unwrap();
            client.finish_sending().unwrap();
            sent.push(client);
        }
        thread::sleep(Duration::from_micros(300 << round));
        daemon.kill();
        let ended = sent
            .into_iter()
            .enumerate()
            .filter_map(|(index, mut client)| client.read_to_close().is_ok().then_some((index, round)));
        acknowledged.extend(ended);
        daemon.restart();
        let listens = eventually(Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(listens, "the raw TCP port listens");
    }
    for (index, round) in &acknowledged {
        let time = begin + 60 * round;
        let found = daemon.data("c", &format!("k{index}"), "cpu_load", time, time + 60);
        assert_eq!(found, json!([*round as f64]), "stream {index} of round {round}, of {acknowledged:?}");
    }
}

#[test]
fn a_stream_that_asks_is_told_what_is_stored() {
    let (mut daemon, port) = start();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut told = move || {
        let mut line = String::new();
        answers.read_line(&mut line).expect("the daemon answers");
        line
    };
    // In two parts: what may be a greeting is waited for.
    stream.write_all(b"# ackn").unwrap();
    thread::sleep(Duration::from_millis(50));
    stream.write_all(b"owledge: bytes\n").unwrap();
    let time = daemon::now() / 60 * 60 - 3600;
    let line = |minute: i64| format!("cpu_load,cluster=c,hostname=h value={minute} {}\n", time + 60 * minute);
    let body: String = (0..3).map(line).collect();
    let (begin, rest) = body.split_at(body.len() - 7);
    let whole = begin.rfind('\n').unwrap() + 1;
    stream.write_all(begin.as_bytes()).unwrap();
    assert_eq!(told(), format!("# stored: {whole}\n"));
    stream.write_all(rest.as_bytes()).unwrap();
    assert_eq!(told(), format!("# stored: {}\n", body.len()));
    // A bad line is skipped as ever, and counts as done.
    stream.write_all(b"bad\n").unwrap();
    assert_eq!(told(), format!("# stored: {}\n", body.len() + 4));
    // What was told survives a kill.
    daemon.kill();
    daemon.restart();
    assert_eq!(daemon.data("c", "h", "cpu_load", time, time + 180), values(3));
}

#[test]
fn the_last_count_is_the_length_of_the_stream() {
    let (daemon, port) = start();
    let mut client = Client::connect(port);
    let body = lines("h", 2000);
    // With a line that nobody needs here, and without a newline at the end.
    let greeting = "# authorization: Bearer x\n# acknowledge: bytes\n";
    client.send(format!("{greeting}{}", body.trim_end()).as_bytes()).unwrap();
    client.finish_sending().unwrap();
    let answer = client.read_to_close().expect("the stream ends in order");
    let answer = String::from_utf8(answer).unwrap();
    let last = answer.lines().last().expect("something is told");
    assert_eq!(last, format!("# stored: {}", body.len() - 1), "{answer}");
    let counts: Vec<usize> =
        answer.lines().map(|line| line.strip_prefix("# stored: ").unwrap().parse().unwrap()).collect();
    assert!(counts.is_sorted_by(|one, other| one < other), "{counts:?}");
    assert_eq!(stored(&daemon, "h", 2000), values(2000));
}

#[test]
fn a_client_that_reads_no_counts_holds_nobody_up() {
    let (mut daemon, port) = start();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"# acknowledge: bytes\n").unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let line = b"# a comment\n";
    // Until its counts fill the way back, or for a while.
    let sent = (0..20_000).take_while(|_| stream.write_all(line).is_ok()).count();
    assert!(sent > 100, "{sent}");
    let mut other = Client::connect(port);
    other.send(lines("h", 3).as_bytes()).unwrap();
    finish(other);
    assert_eq!(stored(&daemon, "h", 3), values(3));
    daemon.stop();
    let _ = stream.shutdown(Shutdown::Both);
}
