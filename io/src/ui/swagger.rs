//! Swagger UI at `/swagger/` (`-dev`): a crate's archive of its files, unpacked once, with a page of our own around them.
//!
//! Before it: `Pages`. After it: the browser, which reads the description of the API from here, as it needs no token to read
//! what it is, and calls the API with the token that the user gives it.

use std::io::{Cursor, Read};
use std::sync::OnceLock;

use bytes::Bytes;
use hyper::header::HeaderValue;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

use super::{CSS, File, HTML, SCRIPT};
use crate::api::DESCRIPTION;

/// Swagger UI styles its elements itself, and its style sheet has pictures in it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// Largest file that is unpacked; the largest has 1.5 MB.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The files, unpacked at the first call.
pub(super) fn files() -> Vec<File> {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(unpack).clone()
}

fn unpack() -> Vec<File> {
    let page = Bytes::from_static(include_bytes!("swagger.html"));
    let mut files = vec![
        File::new("/swagger/", HTML, page.clone(), POLICY),
        File::new("/swagger", HTML, page, POLICY),
        File::new("/swagger/start.js", SCRIPT, Bytes::from_static(include_bytes!("swagger.js")), POLICY),
        File::new(
            "/swagger/openapi.json",
            "application/json",
            Bytes::from_static(DESCRIPTION.as_bytes()),
            POLICY,
        ),
    ];
    let mut archive =
        ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).expect("the crate holds a zip archive");
    for (end, path, content_type) in [
        ("/dist/swagger-ui.css", "/swagger/swagger-ui.css", CSS),
        ("/dist/swagger-ui-bundle.js", "/swagger/swagger-ui-bundle.js", SCRIPT),
    ] {
        let name =
            archive.file_names().flatten().find(|name| name.ends_with(end)).map(|name| name.into_owned());
        let name = name.expect("every release of Swagger UI has it");
        let mut content = Vec::new();
        let file = archive.by_name(&name).expect("it was just found");
        file.take(FILE_BYTES_MAX).read_to_end(&mut content).expect("the archive is whole");
        files.push(File::new(path, content_type, Bytes::from(content), POLICY));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_of_the_crate_has_what_the_page_names() {
        let files = files();
        for named in include_str!("swagger.html").split('"').filter(|word| word.starts_with("/swagger/")) {
            let file = files.iter().find(|file| file.path == named);
            assert!(file.is_some_and(|file| !file.content.is_empty()), "{named}");
        }
        let bundle = files.iter().find(|file| file.path.ends_with("bundle.js")).unwrap();
        assert!(bundle.content.len() > 1_000_000, "it is whole");
    }
}
