//! Listening addresses as the configuration writes them: `host:port`, `:8082`, `[::1]:8082`.
//!
//! Checked when the configuration is read, looked up when the listeners start: a name may
//! change its address between the two, and checking must not wait for a name server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// No `:port` at the end.
    #[error("{addr:?} has no port; write it as \"host:port\", or \":8082\" for all interfaces")]
    MissingPort {
        /// The address as written.
        addr: String,
    },
    /// What follows the colon is no port.
    #[error("{port:?} in {addr:?} is no port (0 to 65535)")]
    Port {
        /// The address as written.
        addr: String,
        /// The part after the last colon.
        port: String,
    },
    /// An IPv6 address without brackets, or brackets around something else.
    #[error("{addr:?} cannot be read; an IPv6 address needs brackets, as in \"[::1]:8082\"")]
    Brackets {
        /// The address as written.
        addr: String,
    },
    /// The name server does not know the host.
    #[error("the host of {addr:?} cannot be looked up: {source}")]
    Lookup {
        /// The address as written.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// The host has no address.
    #[error("the host of {addr:?} has no address")]
    NoAddress {
        /// The address as written.
        addr: String,
    },
}

/// Splits `host:port` and checks its form, without asking a name server. An empty host stands for
/// all addresses; brackets are taken off.
///
/// # Errors
/// All of [`AddressError`] but the two about names.
pub(super) fn split(addr: &str) -> Result<(&str, u16), AddressError> {
    let owned = || addr.to_owned();
    let (host, port) = addr.rsplit_once(':').ok_or_else(|| AddressError::MissingPort { addr: owned() })?;
    let host = match host.strip_prefix('[') {
        Some(inner) => {
            let inner = inner.strip_suffix(']').ok_or_else(|| AddressError::Brackets { addr: owned() })?;
            inner.parse::<Ipv6Addr>().map_err(|_| AddressError::Brackets { addr: owned() })?;
            inner
        }
        None if host.contains([':', ']']) => return Err(AddressError::Brackets { addr: owned() }),
        None => host,
    };
    // `u16::from_str` would take a plus sign.
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if digits => Ok((host, number)),
        _ => Err(AddressError::Port { addr: owned(), port: port.to_owned() }),
    }
}

/// The socket addresses `addr` may mean, the preferred one first: **listen on the first that this machine
/// has**, not on all.
///
/// `:8082`, `0.0.0.0:8082` and `[::]:8082` mean all addresses, IPv6 and IPv4 at once, as for the reference,
/// and IPv4 alone where the kernel has no IPv6. Names prefer IPv4, as the reference does. Blocks while a name
/// is looked up.
///
/// # Errors
/// See [`AddressError`].
pub fn resolve(addr: &str) -> Result<Vec<SocketAddr>, AddressError> {
    let (host, port) = split(addr)?;
    if host.is_empty() || host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified()) {
        let all: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
        return Ok(all.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    let found = (host, port).to_socket_addrs();
    let found = found.map_err(|source| AddressError::Lookup { addr: addr.to_owned(), source })?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    if addresses.is_empty() {
        return Err(AddressError::NoAddress { addr: addr.to_owned() });
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_every_form() {
        for (addr, expected) in [
            ("127.0.0.1:8082", vec!["127.0.0.1:8082"]),
            ("0.0.0.0:0", vec!["[::]:0", "0.0.0.0:0"]),
            (":8082", vec!["[::]:8082", "0.0.0.0:8082"]),
            ("[::1]:8082", vec!["[::1]:8082"]),
            ("[::]:65535", vec!["[::]:65535", "0.0.0.0:65535"]),
            ("[0:0::0]:1", vec!["[::]:1", "0.0.0.0:1"]),
        ] {
            let expected: Vec<SocketAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(resolve(addr).unwrap(), expected, "{addr}");
        }
    }

    #[test]
    fn a_name_prefers_ipv4() {
        let found = resolve("localhost:8082").unwrap();
        assert_eq!(found[0], "127.0.0.1:8082".parse().unwrap(), "{found:?}");
    }

    #[test]
    fn says_what_is_wrong() {
        for (addr, expected) in [
            ("8082", "\"8082\" has no port"),
            ("", "has no port"),
            ("localhost", "has no port"),
            ("localhost:", "\"\" in \"localhost:\" is no port"),
            ("localhost:http", "\"http\""),
            (":65536", "\"65536\""),
            (":+80", "\"+80\""),
            (":-1", "\"-1\""),
            ("::1:8082", "brackets"),
            ("::1", "brackets"),
            ("[::1]", "brackets"),
            ("[::1:8082", "brackets"),
            ("::1]:8082", "brackets"),
            ("[localhost]:8082", "brackets"),
            ("no such host.invalid:80", "no such host.invalid:80"),
        ] {
            let error = resolve(addr).expect_err(addr).to_string();
            assert!(error.contains(expected), "{addr:?}: {error}");
        }
    }
}
