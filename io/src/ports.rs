//! The ports of the configuration, bound: one listener a core for each.
//!
//! Before it: [`boot`](crate::boot), which may still be root. After it: the cores, which accept on them.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::runtime::Listener;
use crate::settings::{Settings, resolve};
use crate::start::CoreListeners;

/// How long the start waits for a port that is in use.
const BIND_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between two attempts.
const BIND_INTERVAL: Duration = Duration::from_millis(20);

/// The listeners of so many cores, and of raw line protocol if that is configured.
///
/// # Errors
/// An address that cannot be listened on.
pub(crate) fn bind_all(settings: &Settings, cores: usize) -> Result<Vec<CoreListeners>, String> {
    let http = bind(&settings.main.addr, cores)?;
    tracing::info!("HTTP on {}", http[0].local_addr());
    let mut tcp: Vec<Option<Listener>> = match &settings.main.tcp_addr {
        None => (0..cores).map(|_| None).collect(),
        Some(addr) => bind(addr, cores)?.into_iter().map(Some).collect(),
    };
    if let Some(listener) = &tcp[0] {
        tracing::info!("line protocol over TCP on {}", listener.local_addr());
    }
    Ok(http.into_iter().zip(tcp.drain(..)).map(|(http, tcp)| CoreListeners { http, tcp }).collect())
}

/// One listener a core, all on the first of the address's alternatives that this machine has.
///
/// A port in use is in use, also if it is free at another alternative: a second instance must not get away
/// with that one. The sockets of a daemon that was just killed linger until the kernel has taken its rings
/// down, so it is an error only after [`BIND_TIMEOUT`].
fn bind(addr: &str, cores: usize) -> Result<Vec<Listener>, String> {
    let alternatives = resolve(addr).map_err(|error| error.to_string())?;
    let until = Instant::now() + BIND_TIMEOUT;
    loop {
        match bind_first(&alternatives, |alternative| bind_alternative(alternative, cores)) {
            Ok(listeners) => return Ok(listeners),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                thread::sleep(BIND_INTERVAL);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// What `bind` makes of the first address that this machine has.
fn bind_first<T>(
    addresses: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut failure = io::Error::other("there is no address to listen on");
    for &address in addresses {
        match bind(address) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => failure = error,
            result => return result,
        }
    }
    Err(failure)
}

fn bind_alternative(addr: SocketAddr, cores: usize) -> io::Result<Vec<Listener>> {
    Listener::probe(addr)?;
    let first = Listener::bind(addr)?;
    let addr = first.local_addr();
    let rest = (1..cores).map(|_| Listener::bind(addr));
    std::iter::once(Ok(first)).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of addresses that fail so, in order; `None` works.
    fn bound(failures: &[Option<io::ErrorKind>]) -> Result<usize, io::ErrorKind> {
        let addresses: Vec<SocketAddr> = vec![([0, 0, 0, 0], 0).into(); failures.len()];
        let mut next = failures.iter().enumerate();
        let bind = |_| {
            let (index, failure) = next.next().expect("no more is tried than there is");
            failure.map_or(Ok(index), |kind| Err(kind.into()))
        };
        bind_first(&addresses, bind).map_err(|error| error.kind())
    }

    #[test]
    fn another_address_is_tried_only_if_the_machine_lacks_the_first() {
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied, Unsupported};
        assert_eq!(bound(&[None, None]), Ok(0));
        // No IPv6 in the kernel, or none configured.
        assert_eq!(bound(&[Some(Unsupported), None]), Ok(1));
        assert_eq!(bound(&[Some(AddrNotAvailable), None]), Ok(1));
        assert_eq!(bound(&[Some(AddrInUse), None]), Err(AddrInUse), "a second instance has to notice");
        assert_eq!(bound(&[Some(Unsupported), Some(PermissionDenied)]), Err(PermissionDenied));
        assert!(bound(&[]).is_err());
    }
}
