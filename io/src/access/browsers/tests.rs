//! Requests as browsers and others send them.

use super::*;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// Rules of the machine monitor01.example.org, and the page of a Grafana that may call.
fn rules(has_key: bool, has_tls: bool) -> Browsers {
    let allowed = ["grafana.example.org".to_owned(), "*.metrics.example.org".to_owned()];
    let mut rules = Browsers::new(&allowed, "store.example.org:8082", has_key, has_tls);
    rules.own.extend(names_in("monitor01", "10.0.0.1 monitor01.example.org monitor01", ""));
    rules
}

#[track_caller]
fn check(rules: &Browsers, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<(), Stranger> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    rules.check(&request.body(()).unwrap())
}

#[track_caller]
fn post(headers: &[(&str, &str)]) -> Result<(), Stranger> {
    check(&rules(false, false), "POST", "/api/write", headers)
}

#[test]
fn collectors_call_under_any_name() {
    for host in ["monitor01.example.org:8082", "alias.example.com", "10.0.0.1:8082", "[::1]:8082", "x", ""] {
        assert_eq!(post(&[("Host", host)]), Ok(()), "{host}");
        let agent = ("User-Agent", "Go-http-client/1.1");
        assert_eq!(
            check(&rules(false, false), "GET", "/api/query", &[("Host", host), agent]),
            Ok(()),
            "{host}"
        );
    }
}

#[test]
fn one_host_is_needed() {
    assert_eq!(post(&[]), Err(Stranger::NoHost));
    assert_eq!(post(&[("Host", "a"), ("Host", "a")]), Err(Stranger::NoHost));
    for host in ["a b", "a,b", "a/b", "u@a"] {
        assert_eq!(post(&[("Host", host)]), Err(Stranger::NoHost), "{host}");
    }
    let old = Request::builder().version(Version::HTTP_10).uri("/ping");
    assert_eq!(rules(false, false).check(&old.body(()).unwrap()), Ok(()));
    // With a key as well.
    assert_eq!(check(&rules(true, true), "GET", "/ping", &[]), Err(Stranger::NoHost));
}

#[test]
fn a_name_that_was_made_to_lead_here_is_refused() {
    let agent = ("User-Agent", FIREFOX);
    let same = ("Sec-Fetch-Site", "same-origin");
    for host in [
        "evil.example:8082",
        "evil.example",
        "monitor01.evil.example",
        "localhost.evil.example",
        "evil.example.",
    ] {
        let refused = Err(Stranger::Host(host_of(host).to_owned()));
        let origin = format!("http://{host}");
        for header in [agent, same, ("Origin", &*origin), ("Referer", &*origin)] {
            for method in ["GET", "POST"] {
                assert_eq!(
                    check(&rules(false, false), method, "/api/query", &[("Host", host), header]),
                    refused
                );
            }
        }
        // Whatever it says of itself.
        assert_eq!(check(&rules(false, false), "GET", "/api/ui/clusters", &[("Host", host)]), refused);
        // A certificate of that name is what such a page does not have.
        assert_eq!(check(&rules(false, true), "GET", "/api/query", &[("Host", host), agent, same]), Ok(()));
    }
    for host in [
        "localhost:8082",
        "LOCALHOST",
        "a.localhost",
        "127.0.0.1:8082",
        "[::1]:8082",
        "[fe80::1]",
        "monitor01:8082",
        "monitor01.example.org:8082",
        "Monitor01.Example.Org.",
        "store.example.org:8082",
        "grafana.example.org",
        "a.metrics.example.org",
    ] {
        for path in ["/", "/api/ui/clusters", "/api/query"] {
            let headers = [("Host", host), agent, same];
            assert_eq!(check(&rules(false, false), "GET", path, &headers), Ok(()), "{host} {path}");
        }
    }
}

#[test]
fn a_page_of_another_site_is_refused() {
    let host = ("Host", "monitor01:8082");
    let cross = ("Sec-Fetch-Site", "cross-site");
    for origin in [
        "http://evil.example",
        "http://monitor01",
        "http://monitor01:3000",
        "https://monitor01.evil.example:8082",
        "http://127.0.0.1:8082",
        "null",
    ] {
        let refused = Err(Stranger::Page(origin.to_owned()));
        assert_eq!(post(&[host, ("Origin", origin)]), refused, "{origin}");
        assert_eq!(post(&[host, ("Origin", origin), cross]), refused, "{origin}");
        assert_eq!(
            check(&rules(false, true), "POST", "/api/free", &[host, ("Origin", origin)]),
            refused,
            "{origin}"
        );
        // A password is sent by the browser itself, a token is not.
        let password = ("Authorization", "basic dTpw");
        assert_eq!(
            check(&rules(true, true), "POST", "/api/write", &[host, ("Origin", origin), password]),
            refused
        );
        let token = ("Authorization", "Bearer x");
        assert_eq!(
            check(&rules(true, true), "POST", "/api/write", &[host, ("Origin", origin), token]),
            Ok(())
        );
    }
    for site in ["cross-site", "same-site"] {
        let site = ("Sec-Fetch-Site", site);
        assert!(matches!(post(&[host, site]), Err(Stranger::Page(_))));
        for mode in ["no-cors", "cors", "navigate"] {
            assert!(matches!(post(&[host, site, ("Sec-Fetch-Mode", mode)]), Err(Stranger::Page(_))));
        }
    }
    assert!(matches!(post(&[host, ("Referer", "http://evil.example/page")]), Err(Stranger::Page(_))));
    for headers in [
        &[("Origin", "http://monitor01:8082")][..],
        &[("Origin", "HTTP://Monitor01:8082"), ("Sec-Fetch-Site", "same-origin")],
        &[("Origin", "https://grafana.example.org:3000"), cross],
        &[("Referer", "http://monitor01:8082/ui")],
        &[("Sec-Fetch-Site", "none")],
    ] {
        let headers: Vec<_> = [host].into_iter().chain(headers.iter().copied()).collect();
        assert_eq!(post(&headers), Ok(()), "{headers:?}");
    }
    // Ports that need not be written.
    assert_eq!(post(&[("Host", "monitor01"), ("Origin", "http://monitor01:80")]), Ok(()));
    assert_eq!(post(&[("Host", "monitor01:443"), ("Origin", "https://monitor01")]), Ok(()));
}

#[test]
fn links_lead_here_and_nothing_else_does() {
    let base = [("Host", "monitor01:8082"), ("Sec-Fetch-Site", "cross-site")];
    let get = |more: &[(&str, &str)]| {
        let headers: Vec<_> = base.iter().chain(more).copied().collect();
        check(&rules(false, false), "GET", "/", &headers)
    };
    assert_eq!(get(&[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]), Ok(()));
    assert_eq!(get(&[("Sec-Fetch-Mode", "navigate")]), Ok(()));
    for more in [
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")][..],
        &[("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "script")],
        &[],
    ] {
        assert!(matches!(get(more), Err(Stranger::Page(_))), "{more:?}");
    }
}

#[test]
fn a_star_switches_the_rules_off() {
    let rules = Browsers::new(&["*".to_owned()], "0.0.0.0:8082", false, false);
    let headers = [("Host", "evil.example"), ("Origin", "http://other.example")];
    assert_eq!(check(&rules, "POST", "/api/write", &headers), Ok(()));
}

#[test]
fn the_machine_is_found_in_its_own_files() {
    let hosts = "127.0.0.1 localhost\n# 10.0.0.9 monitor01 commented.example\n10.0.0.1 Monitor01.example.org monitor01 # own\n";
    let resolv = "# search x\nnameserver 10.0.0.2\nsearch cluster.example example.org.\n";
    let names = names_in("monitor01", hosts, resolv);
    for name in ["monitor01", "monitor01.example.org", "monitor01.cluster.example"] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("localhost") || name.contains("commented")), "{names:?}");
    assert_eq!(names_in("a.b.example", "", "")[..2], ["a.b.example", "a"]);
}
