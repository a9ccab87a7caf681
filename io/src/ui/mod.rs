//! The page at `/` (`main.ui`): its files, embedded, and how they are served.
//!
//! Before it: `api`, which asks here before it asks for a token: the files are the same for everybody and hold no data. After
//! it: the browser, which runs `page.js` and calls `/api/ui/…`, `/api/healthcheck` and `/api/query`, with a token if needed.

mod swagger;

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use ring::digest::{SHA256, digest};

use crate::api::ApiResponse;
use crate::api::body::ApiBody;

/// Nothing but the daemon's own files, and no calls but to the daemon.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
/// Kept, but asked for again: after an update nobody runs old files against a new daemon. An unchanged file costs a 304.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
const NO_PERMISSIONS: HeaderValue = HeaderValue::from_static("camera=(), geolocation=(), microphone=()");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, content type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("index.html")),
    ("/ui/page.css", CSS, include_str!("page.css")),
    ("/ui/plot.css", CSS, include_str!("plot.css")),
    ("/ui/icon.svg", SVG, include_str!("icon.svg")),
    ("/ui/page.js", SCRIPT, include_str!("page.js")),
    ("/ui/view.js", SCRIPT, include_str!("view.js")),
    ("/ui/calls.js", SCRIPT, include_str!("calls.js")),
    ("/ui/element.js", SCRIPT, include_str!("element.js")),
    ("/ui/hosts.js", SCRIPT, include_str!("hosts.js")),
    ("/ui/series.js", SCRIPT, include_str!("series.js")),
    ("/ui/figure.js", SCRIPT, include_str!("figure.js")),
    ("/ui/plot.js", SCRIPT, include_str!("plot.js")),
    ("/ui/axis.js", SCRIPT, include_str!("axis.js")),
];

/// The pages that are served; the default is none.
#[derive(Debug, Default)]
pub struct Pages {
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    path: &'static str,
    content_type: HeaderValue,
    content: Bytes,
    tag: HeaderValue,
    /// What the file may load and do.
    policy: HeaderValue,
}

impl Pages {
    /// The page at `/` and Swagger UI, each if it is wanted.
    #[must_use]
    pub fn new(serves_ui: bool, serves_swagger: bool) -> Self {
        let files = FILES.iter().filter(|_| serves_ui);
        let mut files: Vec<File> = files
            .map(|&(path, content_type, content)| {
                File::new(path, content_type, Bytes::from_static(content.as_bytes()), POLICY)
            })
            .collect();
        if serves_swagger {
            files.extend(swagger::files());
        }
        Self { files }
    }

    /// The file of this path, to who wants to read one; none: this is another call.
    #[must_use]
    pub fn answer<B>(&self, request: &Request<B>) -> Option<ApiResponse> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return None;
        }
        let file = self.files.iter().find(|file| file.path == request.uri().path())?;
        Some(file.answer(request.headers()))
    }
}

impl File {
    fn new(path: &'static str, content_type: &'static str, content: Bytes, policy: HeaderValue) -> Self {
        let (content_type, tag) = (HeaderValue::from_static(content_type), tag(&content));
        Self { path, content_type, content, tag, policy }
    }

    fn answer(&self, asked: &HeaderMap) -> ApiResponse {
        let is_known =
            asked.get_all(IF_NONE_MATCH).iter().any(|tags| names(tags.as_bytes(), self.tag.as_bytes()));
        let mut response = if is_known {
            let mut unchanged = Response::new(ApiBody::empty());
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            unchanged
        } else {
            // The HTTP library leaves the body out for HEAD, but not its length.
            Response::new(ApiBody::full(self.content.clone()))
        };
        response.headers_mut().extend([
            (CONTENT_TYPE, self.content_type.clone()),
            (ETAG, self.tag.clone()),
            (CACHE_CONTROL, REVALIDATE),
            (CONTENT_SECURITY_POLICY, self.policy.clone()),
            (X_CONTENT_TYPE_OPTIONS, NOSNIFF),
            (REFERRER_POLICY, NO_REFERRER),
            (PERMISSIONS, NO_PERMISSIONS),
        ]);
        response
    }
}

/// A strong tag of the content.
fn tag(content: &[u8]) -> HeaderValue {
    let hash = digest(&SHA256, content);
    let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).expect("hexadecimal digits are header text")
}

/// Whether the list of tags of `If-None-Match` has this one.
fn names(tags: &[u8], tag: &[u8]) -> bool {
    tags.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(pages: &Pages, method: &str, path: &str, known: &str) -> Option<ApiResponse> {
        let request = Request::builder().method(method).uri(path).header(IF_NONE_MATCH, known);
        pages.answer(&request.body(()).unwrap())
    }

    #[test]
    fn files_are_served_to_readers_only_and_only_if_wanted() {
        let pages = Pages::new(true, false);
        for &(path, content_type, content) in FILES {
            let answer = get(&pages, "GET", path, "").unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[CONTENT_TYPE], content_type);
            assert_eq!(answer.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(http_body::Body::size_hint(answer.body()).exact(), Some(content.len() as u64));
            assert!(get(&pages, "HEAD", path, "").is_some());
            assert!(get(&pages, "POST", path, "").is_none());
            assert!(get(&Pages::new(false, true), "GET", path, "").is_none());
        }
        assert!(get(&pages, "GET", "/api/query", "").is_none());
    }

    #[test]
    fn who_has_the_file_gets_304() {
        let pages = Pages::new(true, false);
        let first = get(&pages, "GET", "/", "\"another\"").unwrap();
        let tag = first.headers()[ETAG].to_str().unwrap();
        for known in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let answer = get(&pages, "GET", "/", &known).unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(answer.headers()[ETAG], tag);
        }
    }

    #[test]
    fn every_file_that_a_file_names_is_there_and_nothing_comes_from_elsewhere() {
        for (path, _, content) in FILES {
            for named in content.split(['"', '\'', '(', ')']).filter(|word| word.starts_with("/ui/")) {
                assert!(FILES.iter().any(|file| file.0 == named), "{path} names {named}");
            }
            let elsewhere = content.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{path}");
        }
    }
}
