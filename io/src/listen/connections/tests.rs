//! The table with real connections; what HTTP does with it is tested there.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    time::Instant,
};

use super::*;
use crate::runtime::{
    CoreThread, Listener,
    testing::{cpu, start},
};

/// A core that reads each connection until it ends or is told to, and reports the counts of its table at the end.
fn start_reader(
    limits: ConnectionLimits,
    stop: &StopFlag,
) -> (SocketAddr, CoreThread, mpsc::Receiver<[u64; 3]>) {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr();
    let (counts_tx, counts) = mpsc::channel();
    let stop = stop.clone();
    let core = start(0, cpu(0), async move || {
        let table = ConnectionTable::start(limits, stop.clone());
        let registry = table.clone();
        listener.accept_loop(
            move |mut stream, _| {
                let Some(handle) = registry.register(&stream) else { return };
                spawn("reader", async move {
                    let read = async {
                        let mut buffer = [0; 100];
                        while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                            if buffer[..bytes].contains(&b'w') {
                                // Work for longer than the idle timeout.
                                sleep(Duration::from_millis(2500)).await;
                            }
                            stream.write_all(b"ok").await.unwrap();
                        }
                    };
                    let told_to_end = async {
                        handle.closing(None).await;
                    };
                    read.or(told_to_end).await;
                });
            },
            stop.clone(),
        );
        stop.stopped().await;
        table.drained().await;
        counts_tx.send([table.open() as u64, table.refused(), table.swept()]).unwrap();
    });
    (addr, core, counts)
}

fn limits(connections_max: usize, idle_timeout: Duration) -> ConnectionLimits {
    ConnectionLimits {
        connections_max,
        idle_timeout,
        stop_idle_timeout: Duration::from_millis(200),
        stop_timeout: Duration::from_millis(600),
    }
}

/// Whether the server closes the connection before `timeout`.
fn is_closed_within(mut client: &TcpStream, timeout: Duration) -> bool {
    client.set_read_timeout(Some(timeout)).unwrap();
    matches!(client.read(&mut [0; 1]), Ok(0))
}

#[test]
fn a_connection_beyond_the_limit_is_closed_and_room_is_given_back() {
    let stop = StopFlag::new();
    let (addr, core, counts) = start_reader(limits(2, Duration::from_secs(60)), &stop);
    let mut open: Vec<_> = (0..2).map(|_| TcpStream::connect(addr).unwrap()).collect();
    for client in &mut open {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0; 2]).unwrap();
    }
    let refused = TcpStream::connect(addr).unwrap();
    assert!(is_closed_within(&refused, Duration::from_secs(5)));
    drop(open.pop());
    // The server notices the end of the closed one at its own time.
    let begin = Instant::now();
    let mut tries = 1;
    loop {
        let mut client = TcpStream::connect(addr).unwrap();
        let _ = client.write_all(b"x");
        if client.read_exact(&mut [0; 2]).is_ok() {
            break;
        }
        tries += 1;
        assert!(begin.elapsed() < Duration::from_secs(5), "no room although one was closed");
    }
    stop.set();
    core.join().unwrap();
    assert_eq!(counts.recv().unwrap(), [0, tries, 0]);
}

#[test]
fn the_silent_are_swept_the_talking_and_the_working_are_not() {
    let stop = StopFlag::new();
    let (addr, core, counts) = start_reader(limits(100, Duration::from_millis(1200)), &stop);
    let silent = TcpStream::connect(addr).unwrap();
    let mut working = TcpStream::connect(addr).unwrap();
    working.write_all(b"w").unwrap();
    let mut talking = TcpStream::connect(addr).unwrap();
    let begin = Instant::now();
    let mut silent_closed_after = None;
    silent.set_nonblocking(true).unwrap();
    while begin.elapsed() < Duration::from_millis(3500) {
        talking.write_all(b"x").unwrap();
        talking.read_exact(&mut [0; 2]).unwrap();
        if silent_closed_after.is_none() && matches!((&silent).read(&mut [0; 1]), Ok(0)) {
            silent_closed_after = Some(begin.elapsed());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let closed_after = silent_closed_after.expect("the silent connection was swept");
    assert!(closed_after >= Duration::from_millis(1100), "{closed_after:?}");
    // Its work took longer than the idle timeout, and its answer came.
    working.read_exact(&mut [0; 2]).unwrap();
    stop.set();
    core.join().unwrap();
    let [open, refused, swept] = counts.recv().unwrap();
    assert_eq!([open, refused], [0, 0]);
    assert!(
        (1..=2).contains(&swept),
        "the silent one, and the working one at most after its answer: {swept}"
    );
}

#[test]
fn the_stop_reaches_every_connection() {
    let stop = StopFlag::new();
    let (addr, core, counts) = start_reader(limits(1000, Duration::from_secs(60)), &stop);
    let clients: Vec<_> = (0..200).map(|_| TcpStream::connect(addr).unwrap()).collect();
    // All accepted, before the stop is raised.
    for mut client in &clients {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0; 2]).unwrap();
    }
    let raised = Instant::now();
    stop.set();
    for client in &clients {
        assert!(is_closed_within(client, Duration::from_secs(5)));
    }
    core.join().unwrap();
    assert!(raised.elapsed() < Duration::from_secs(1), "{:?}", raised.elapsed());
    assert_eq!(counts.recv().unwrap(), [0, 0, 0]);
}
