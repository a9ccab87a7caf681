//! JetStream subscriptions, on a real `nats-server`: what is acknowledged is stored, what is not comes again, and a daemon
//! that is killed in the middle loses nothing and invents nothing.

mod broker;
mod daemon;

use std::thread;
use std::time::Duration;

use broker::{Place, log_says};
use daemon::disk::SmallDisk;
use daemon::random::Random;
use daemon::{Daemon, eventually, now};
use serde_json::{Value, json};
use tools::nats::client::{Client, Consumer};

const TIME: i64 = 1_700_000_040;
/// Longer than the broker waits before it delivers what a killed daemon was given.
const SOON: Duration = Duration::from_secs(40);
const HOSTS: i64 = 4;
/// Lines of a message, a second apart.
const LINES: i64 = 50;

fn subscription() -> Value {
    json!([{"subscribe-to": "js.*", "cluster-tag": "c", "stream": "METRICS", "durable": "store"}])
}

/// The message number `message` of a host.
fn body(host: i64, message: i64) -> String {
    let line = |index: i64| {
        let at = message * LINES + index;
        format!("clock,hostname=h{host} value={}.5 {}\n", at * HOSTS + host, TIME + at)
    };
    (0..LINES).map(line).collect()
}

/// Waits until the broker has an acknowledgement for everything.
#[track_caller]
fn all_acknowledged(place: &Place) {
    let mut client = place.client();
    let mut last = None;
    let is_done = eventually(SOON, || {
        last = client.consumer("METRICS", "store").ok();
        last.is_some_and(|consumer| consumer.is_done())
    });
    assert!(is_done, "{last:?}");
}

/// Every sample of so many messages of each host is there with its value, and no other.
#[track_caller]
fn assert_all_stored(daemon: &Daemon, messages: i64) {
    for host in 0..HOSTS {
        let end = TIME + messages * LINES + 10;
        let got = daemon.data("c", &format!("h{host}"), "clock", TIME, end);
        let wanted: Vec<f64> = (0..messages * LINES).map(|at| (at * HOSTS + host) as f64 + 0.5).collect();
        assert_eq!(got, json!(wanted), "h{host}");
    }
}

#[test]
fn what_was_published_before_the_daemon_came_is_stored_and_acknowledged() {
    let place = Place::with_jet_stream();
    let mut client = place.client();
    client.create_stream("METRICS", &["js.*"]).unwrap();
    let publish = |client: &mut Client, message| {
        for host in 0..HOSTS {
            client.request(&format!("js.{host}"), body(host, message).as_bytes()).unwrap();
        }
    };
    (0..5).for_each(|message| publish(&mut client, message));
    let mut daemon = place.daemon(subscription());
    assert!(log_says(&daemon, "NATS: pulling js.* from stream METRICS as store"));
    all_acknowledged(&place);
    assert_all_stored(&daemon, 5);
    // What is published while it is away waits on the broker, and nothing comes twice.
    daemon.stop();
    (5..10).for_each(|message| publish(&mut client, message));
    assert_eq!(client.consumer("METRICS", "store").unwrap().undelivered, 5 * HOSTS as u64);
    daemon.restart_with(|_| {});
    all_acknowledged(&place);
    assert_all_stored(&daemon, 10);
    daemon.stop();
    let said = daemon.log();
    assert!(said.contains(&format!("NATS: {} messages received, 0 lost", 5 * HOSTS)), "{said}");
}

#[test]
fn a_stream_may_come_later_and_the_broker_may_go() {
    let mut place = Place::with_jet_stream();
    let daemon = place.daemon(subscription());
    assert!(log_says(&daemon, "NATS: cannot pull from stream METRICS as store"), "{}", daemon.log());
    place.client().create_stream("METRICS", &["js.*"]).unwrap();
    for message in 0..3 {
        assert!(
            eventually(SOON, || daemon.log().matches("NATS: pulling").count() as i64 == message + 1),
            "{}",
            daemon.log()
        );
        let mut client = place.client();
        for host in 0..HOSTS {
            client.request(&format!("js.{host}"), body(host, message).as_bytes()).unwrap();
        }
        all_acknowledged(&place);
        assert_all_stored(&daemon, message + 1);
        place.start_broker(&place.jet_stream());
    }
}

#[test]
fn a_bad_message_is_not_delivered_for_ever() {
    let place = Place::with_jet_stream();
    let mut client = place.client();
    client.create_stream("METRICS", &["js.*"]).unwrap();
    client.request("js.0", format!("{}clock,hostname=h0 value=x\n", body(0, 0)).as_bytes()).unwrap();
    client.request("js.0", b"").unwrap();
    let daemon = place.daemon(subscription());
    all_acknowledged(&place);
    assert!(log_says(&daemon, "NATS: message on js.0: "), "{}", daemon.log());
    let got = daemon.data("c", "h0", "clock", TIME, TIME + LINES);
    assert_eq!(got.as_array().map(Vec::len), Some(LINES as usize));
}

#[test]
fn what_a_full_disk_refuses_is_delivered_again_when_there_is_room() {
    let mount = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(mount.path()) else {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    };
    let place = Place::with_jet_stream();
    let mut client = place.client();
    client.create_stream("METRICS", &["js.*"]).unwrap();
    let mut daemon = place.daemon(json!([]));
    daemon.restart_with(|config| {
        config["metric-store"]["nats-subscriptions"] = subscription();
        config["metric-store"]["checkpoints"]["directory"] = json!(mount.path().join("checkpoints"));
        config["metric-store"]["checkpoint-interval"] = json!("1s");
        config["metric-store"]["cores"] = json!(1);
    });
    disk.fill();
    // The log goes on until the segment that it has is full.
    let line = |index: i64| format!("clock,cluster=c,hostname=flood value={index}.25 {}\n", now() - 600);
    let flood: String = (0..100_000).map(line).collect();
    let mut messages = 0;
    let is_refused = eventually(Duration::from_secs(120), || {
        if daemon.request("POST", "/api/write", &flood).status != 503 {
            return false;
        }
        for host in 0..HOSTS {
            client.request(&format!("js.{host}"), body(host, messages).as_bytes()).unwrap();
        }
        messages += 1;
        daemon.log().contains("a message will be delivered again")
    });
    assert!(is_refused, "a full disk is noticed");
    assert!(client.consumer("METRICS", "store").unwrap().unacknowledged > 0);
    disk.free();
    all_acknowledged(&place);
    assert_all_stored(&daemon, messages);
    daemon.kill();
}

#[test]
fn messages_larger_than_what_is_asked_for_come_one_by_one() {
    let mut place = Place::without_broker();
    place.start_broker(&format!("{}\nmax_payload: 8MB", place.jet_stream()));
    let mut client = place.client();
    client.create_stream("METRICS", &["js.*"]).unwrap();
    let messages = 12;
    let mut expected = Vec::new();
    for message in 0..messages {
        let mut text = body(0, message);
        expected.extend((0..LINES).map(|index| ((message * LINES + index) * HOSTS) as f64 + 0.5));
        // About a megabyte is asked for: some of these fit together, some not, and some are larger.
        let padding = [300_000, 700_000, 2_500_000][message as usize % 3];
        text.push('#');
        text.push_str(&" ".repeat(padding));
        client.request("js.0", text.as_bytes()).unwrap();
    }
    place.start_broker(&place.jet_stream());
    let daemon = place.daemon_with(subscription(), json!({"max-held-bytes": 1 << 20}));
    all_acknowledged(&place);
    assert_eq!(daemon.data("c", "h0", "clock", TIME, TIME + messages * LINES + 10), json!(expected));
    assert!(!daemon.log().contains("cannot pull"), "{}", daemon.log());
}

#[test]
fn a_consumer_for_something_else_is_left_alone() {
    let place = Place::with_jet_stream();
    let mut client = place.client();
    client.create_stream("METRICS", &["js.*"]).unwrap();
    let other = json!({"stream_name": "METRICS", "config": {"durable_name": "store", "ack_policy": "explicit",
        "deliver_policy": "all", "replay_policy": "instant", "filter_subject": "js.other"}});
    client.request("$JS.API.CONSUMER.DURABLE.CREATE.METRICS.store", other.to_string().as_bytes()).unwrap();
    let daemon = place.daemon(subscription());
    assert!(log_says(&daemon, "this consumer exists, for \"js.other\""), "{}", daemon.log());
}

/// How far the daemon's consumer is.
fn look(client: &mut Client) -> Consumer {
    client.consumer("METRICS", "store").expect("the daemon has made it")
}

/// Publishes without a pause while the daemon is killed and started again so many times.
fn kill_rounds(rounds: usize) {
    let mut random = Random::from_environment();
    let place = Place::with_jet_stream();
    place.client().create_stream("METRICS", &["js.*"]).expect("the broker makes a stream");
    let mut daemon = place.daemon(subscription());
    let (tell, stop) = std::sync::mpsc::channel::<()>();
    let mut client = place.client();
    assert!(log_says(&daemon, "NATS: pulling"));
    // Each message is on the broker's disk before the next one is sent.
    let publisher = thread::spawn(move || {
        let mut message = 0;
        while stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            for host in 0..HOSTS {
                client
                    .request(&format!("js.{host}"), body(host, message).as_bytes())
                    .expect("the broker keeps the message");
            }
            message += 1;
            // A machine that loads a log slowly must not end up with more than it can ever take.
            while message % 100 == 0 && look(&mut client).undelivered > 4000 {
                thread::sleep(Duration::from_millis(10));
            }
        }
        message
    });
    let mut client = place.client();
    let mut unacknowledged = 0;
    for round in 0..rounds {
        // Every round makes progress, and the kill comes at any moment after that.
        assert!(log_says(&daemon, "NATS: pulling"), "round {round}");
        let before = look(&mut client);
        assert!(eventually(SOON, || look(&mut client) != before));
        thread::sleep(Duration::from_micros(random.next() % 300_000));
        daemon.kill();
        unacknowledged += look(&mut client).unacknowledged;
        daemon.restart();
    }
    tell.send(()).expect("the publisher runs");
    let messages = publisher.join().expect("the publisher does not panic");
    all_acknowledged(&place);
    println!("{rounds} kills, {} messages, {unacknowledged} of them under way when killed", messages * HOSTS);
    assert_all_stored(&daemon, messages);
    daemon.stop();
    daemon.restart();
    // Through a snapshot, which holds f32.
    let end = TIME + messages * LINES;
    let got = daemon.data("c", "h1", "clock", TIME, end);
    assert_eq!(got.as_array().map(Vec::len), Some((messages * LINES) as usize));
}

#[test]
fn nothing_is_lost_or_invented_by_three_kills() {
    kill_rounds(3);
}

#[test]
#[ignore = "takes minutes: for whoever changes the bridge"]
fn nothing_is_lost_or_invented_by_twenty_kills() {
    kill_rounds(20);
}
