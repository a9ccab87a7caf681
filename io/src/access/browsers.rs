//! Which web pages may call: without a key, the browser of anybody who can reach the daemon is a way in for whoever wrote the page it
//! shows.
//!
//! Before it: the head of a request. After it: `api`. Two ways are closed. A page of another site sends a request of its own (the
//! browser names it in `Origin`, `Sec-Fetch-Site` or `Referer`). Or its name is made to lead to the daemon, so that its scripts
//! are of the same site (DNS rebinding): then `Host` is a name that is none of this machine's. Collectors, cc-backend and scripts
//! send none of these headers, and may call under any name. `docs/security.md` has the rules.

use std::fs;
use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN, REFERER, USER_AGENT};
use hyper::{Method, Request, Version};
use nix::unistd::gethostname;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// What the page at `/` alone calls.
const PAGE_CALLS: &str = "/api/ui/";
/// How much of a foreign name an answer quotes.
const QUOTE_CHARS_MAX: usize = 64;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// RFC 9112, section 3.2.
    #[error("a request must have one Host header, with the name it was sent to")]
    NoHost,
    /// A name that is none of ours.
    #[error(
        "browsers may not call this daemon as {0:?}: use an address or the name of its machine, or add the name to main.allowed-hosts"
    )]
    Host(String),
    /// A page of another site.
    #[error("pages of {0:?} may not call this daemon: add its host to main.allowed-hosts if they should")]
    Page(String),
}

/// The rules of one daemon.
#[derive(Clone, Debug)]
pub struct Browsers {
    /// `main.allowed-hosts`, in lower case: of names the daemon is called by, and of pages that call it.
    allowed: Vec<String>,
    /// Other names the daemon is called by, in lower case.
    own: Vec<String>,
    /// Calls need a token, which no foreign page can make a browser send.
    has_key: bool,
    /// Connections are TLS: then a browser does not take the daemon for a site that it has no certificate of.
    has_tls: bool,
}

impl Browsers {
    /// Rules with these names; `addr` is where the daemon listens.
    #[must_use]
    pub fn new(allowed: &[String], addr: &str, has_key: bool, has_tls: bool) -> Self {
        let allowed = allowed.iter().map(|name| normal(name)).collect();
        let mut own = names_of_machine();
        own.push(normal(host_of(addr)));
        Self { allowed, own, has_key, has_tls }
    }

    /// Whether the request is one that may be looked at.
    ///
    /// # Errors
    /// See [`Stranger`].
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Stranger> {
        let headers = request.headers();
        let host = host(headers, request.version())?;
        // A browser sends a password by itself once its user has typed it.
        if self.has_key && !has_password(headers) {
            return Ok(());
        }
        let is_for_browsers = request.uri().path().starts_with(PAGE_CALLS);
        if !self.has_tls && (is_for_browsers || is_browser(headers)) && !self.is_ours(host_of(host)) {
            return Err(Stranger::Host(shortened(host_of(host))));
        }
        match foreign_page(headers, request.method(), host) {
            Some(page) if !self.is_allowed(host_of(page)) => Err(Stranger::Page(shortened(page))),
            _ => Ok(()),
        }
    }

    /// Whether nobody but us can answer to this name. One without a dot is no domain that anybody could own.
    fn is_ours(&self, name: &str) -> bool {
        let name = normal(name);
        !name.contains('.') && !name.contains(':')
            || name.parse::<IpAddr>().is_ok()
            || name.ends_with(".localhost")
            || self.own.contains(&name)
            || self.is_allowed(&name)
    }

    fn is_allowed(&self, name: &str) -> bool {
        let name = normal(name);
        self.allowed.iter().any(|allowed| match allowed.strip_prefix('*') {
            Some("") => true,
            Some(domain) => name.len() > domain.len() && name.ends_with(domain),
            None => *allowed == name,
        })
    }
}

/// The value of the one `Host`; empty if HTTP/1.0 has none.
fn host(headers: &HeaderMap, version: Version) -> Result<&str, Stranger> {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (Some(host), None) => host
            .to_str()
            .ok()
            .filter(|host| !host.contains([' ', '\t', ',', '/', '@', '\\']))
            .ok_or(Stranger::NoHost),
        (None, _) if version < Version::HTTP_11 => Ok(""),
        _ => Err(Stranger::NoHost),
    }
}

/// The site of the page that made the browser send this, if it is another one: what the browser calls it.
fn foreign_page<'a>(headers: &'a HeaderMap, method: &Method, host: &str) -> Option<&'a str> {
    let is_read = [Method::GET, Method::HEAD].contains(method);
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    // The browser says so itself, of all but links and bookmarks that lead here.
    if let Some(origin) = text(&ORIGIN) {
        return (!is_same(origin, host)).then_some(origin);
    }
    let page = text(&REFERER).filter(|page| !is_same(page, host));
    match text(&FETCH_SITE) {
        None => page.filter(|_| !is_read),
        Some("same-origin" | "none") => None,
        Some(site) => {
            let is_link = is_read
                && text(&FETCH_MODE) == Some("navigate")
                && text(&FETCH_DEST).is_none_or(|target| target == "document");
            (!is_link).then(|| page.unwrap_or(site))
        }
    }
}

/// Whether a URL is of this host and port.
fn is_same(url: &str, host: &str) -> bool {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let default_port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let plain = |text: &str| text.strip_suffix(default_port).unwrap_or(text).to_ascii_lowercase();
    !scheme.is_empty() && plain(authority) == plain(host)
}

fn has_password(headers: &HeaderMap) -> bool {
    let basic = |value: &[u8]| value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "));
    headers.get_all(AUTHORIZATION).iter().any(|value| basic(value.as_bytes()))
}

/// Whether a browser has sent this.
fn is_browser(headers: &HeaderMap) -> bool {
    [ORIGIN, REFERER, FETCH_SITE, FETCH_MODE, FETCH_DEST].iter().any(|name| headers.contains_key(name))
        || headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
}

/// The host of a URL, of an origin, or of `host:port`, without brackets.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// In the form in which names are compared.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn shortened(name: &str) -> String {
    name.chars().take(QUOTE_CHARS_MAX).collect()
}

/// The names that this machine knows itself by, without asking a name server.
fn names_of_machine() -> Vec<String> {
    let Some(name) = gethostname().ok().and_then(|name| name.into_string().ok()) else { return Vec::new() };
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    names_in(&normal(&name), &read("/etc/hosts"), &read("/etc/resolv.conf"))
}

/// All names of the machine called `name`, by the content of these two files.
fn names_in(name: &str, hosts: &str, resolv: &str) -> Vec<String> {
    let short = name.split('.').next().unwrap_or_default();
    let mut names = vec![name.to_owned(), short.to_owned()];
    for line in hosts.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let on_line: Vec<String> = line.split_ascii_whitespace().skip(1).map(normal).collect();
        if on_line.iter().any(|known| known == name || known == short) {
            names.extend(on_line);
        }
    }
    for line in resolv.lines() {
        let mut words = line.split_ascii_whitespace();
        if matches!(words.next(), Some("search" | "domain")) {
            names.extend(words.map(|domain| format!("{short}.{}", normal(domain))));
        }
    }
    names
}

#[cfg(test)]
mod tests;
