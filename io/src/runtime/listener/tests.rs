//! Listeners over real sockets: sharing a port, errors of a bind, the stop.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::process::ExitStatusExt,
    sync::mpsc,
    time::Instant,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::*;
use crate::runtime::testing::{cpu, log_to_stderr, rerun_in_child, start};

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Answers each connection with the number of the core that accepted it.
fn start_naming_core(index: usize, listener: Listener, stop: &StopFlag) -> crate::runtime::CoreThread {
    let stop = stop.clone();
    start(index, cpu(index), async move || {
        let name = b'0' + u8::try_from(index).unwrap();
        listener.accept_loop(
            move |mut stream, peer| {
                assert!(peer.is_some());
                spawn("name", async move {
                    stream.write_all(&[name]).await.unwrap();
                });
            },
            stop.clone(),
        );
        stop.stopped().await;
        // The accept task sees the stop at the same tick; give it its turn.
        sleep(Duration::from_millis(50)).await;
    })
}

fn ask_core(addr: SocketAddr) -> u8 {
    let mut answer = [0];
    TcpStream::connect(addr).unwrap().read_exact(&mut answer).unwrap();
    answer[0]
}

#[test]
fn two_cores_share_a_port_and_refuse_connections_after_the_stop() {
    let stop = StopFlag::new();
    let first = Listener::bind(any_port()).unwrap();
    let addr = first.local_addr();
    let second = Listener::bind(addr).unwrap();
    let cores = [start_naming_core(0, first, &stop), start_naming_core(1, second, &stop)];
    let mut seen = [0; 2];
    for _ in 0..200 {
        seen[usize::from(ask_core(addr) - b'0')] += 1;
    }
    // The kernel hashes 200 source ports onto two sockets: both get some, or sharing does not work.
    assert!(seen.iter().all(|&count| count > 20), "{seen:?}");

    let raised = Instant::now();
    stop.set();
    while TcpStream::connect(addr).is_ok() {
        assert!(raised.elapsed() < Duration::from_secs(1), "still accepting after the stop");
    }
    for core in cores {
        core.join().unwrap();
    }
    // Nothing of the ring holds the port.
    TcpListener::bind(addr).unwrap();
}

#[test]
fn a_connection_in_the_backlog_at_the_stop_is_still_served() {
    let stop = StopFlag::new();
    let listener = Listener::bind(any_port()).unwrap();
    let mut early = TcpStream::connect(listener.local_addr()).unwrap();
    stop.set();
    let core = start_naming_core(0, listener, &stop);
    let mut answer = [0];
    early.read_exact(&mut answer).unwrap();
    core.join().unwrap();
}

#[test]
fn an_idle_listener_accepts_at_once() {
    let stop = StopFlag::new();
    let listener = Listener::bind(any_port()).unwrap();
    let addr = listener.local_addr();
    let core = start_naming_core(0, listener, &stop);
    let mut latencies: Vec<_> = (0..50)
        .map(|_| {
            let start = Instant::now();
            ask_core(addr);
            start.elapsed()
        })
        .collect();
    latencies.sort_unstable();
    // The median, because a test machine has hiccups; a listener that polled at ticks would need 2.5 ms.
    assert!(latencies[25] < Duration::from_micros(2500), "{latencies:?}");
    stop.set();
    core.join().unwrap();
}

#[test]
fn a_port_taken_by_a_foreign_program_is_an_error_that_names_it() {
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = foreign.local_addr().unwrap();
    let error = Listener::bind(addr).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[test]
fn an_address_of_another_machine_is_an_error() {
    let error = Listener::bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
}

#[test]
fn a_restart_does_not_wait_for_old_connections() {
    let old = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = old.local_addr().unwrap();
    let client = TcpStream::connect(addr).unwrap();
    let (server, _) = old.accept().unwrap();
    // The side that closes first keeps the port in TIME_WAIT.
    drop(server);
    drop(client);
    drop(old);
    Listener::bind(addr).unwrap();
}

#[test]
fn running_out_of_descriptors_pauses_accepting_and_does_not_end_it() {
    let child = rerun_in_child(
        "runtime::listener::tests::running_out_of_descriptors_pauses_accepting_and_does_not_end_it",
        || {
            log_to_stderr();
            let stop = StopFlag::new();
            let listener = Listener::bind(any_port()).unwrap();
            let addr = listener.local_addr();
            let (echo_tx, echo) = mpsc::channel();
            let core = start(0, cpu(0), {
                let stop = stop.clone();
                async move || {
                    listener.accept_loop(
                        move |mut stream, _| {
                            let echo = echo_tx.clone();
                            spawn("read", async move {
                                let mut byte = [0];
                                stream.read(&mut byte).await.unwrap();
                                echo.send(byte[0]).unwrap();
                            });
                        },
                        stop.clone(),
                    );
                    stop.stopped().await;
                }
            });
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            let mut client = TcpStream::connect(addr).unwrap();
            client.write_all(b"1").unwrap();
            assert_eq!(echo.recv().unwrap(), b'1');
            // A client that exists already, and no descriptor for the server's end of it.
            let waiting = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
            waiting.connect(&addr.into()).unwrap();
            let mut waiting = TcpStream::from(waiting);
            waiting.write_all(b"2").unwrap();
            assert!(echo.recv_timeout(Duration::from_millis(300)).is_err());
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            assert_eq!(echo.recv_timeout(Duration::from_secs(5)).unwrap(), b'2');
            stop.set();
            core.join().unwrap();
        },
    );
    let Some(output) = child else { return };
    let stderr =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "signal {:?}: {stderr}", output.status.signal());
    assert_eq!(stderr.matches("cannot accept").count(), 1, "one warning, rate-limited: {stderr}");
}
