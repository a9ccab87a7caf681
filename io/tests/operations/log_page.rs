//! `docs/operations/log.md` has every warning, error and critical message of the code, and none that is gone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{read, root};

/// Macro calls and the level they log at.
const CALLS: [(&str, &str); 3] =
    [("tracing::warn!(", "warning"), ("tracing::error!(", "error"), ("critical!(", "critical")];

/// (text with `…` for what changes, level).
type Line = (String, &'static str);

/// The first string literal of `code`, and whether it is where the text of a message stands.
fn literal(code: &str) -> Option<String> {
    let code = code.trim_start();
    let code = match code.strip_prefix("target:") {
        None => code,
        Some(rest) => rest.split_once(',')?.1.trim_start(),
    };
    let mut characters = code.strip_prefix('"')?.chars();
    let mut text = String::new();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => match characters.next()? {
                // A line that goes on below.
                '\n' => {
                    let rest = characters.as_str().trim_start().to_owned();
                    return Some(text + &literal(&format!("\"{rest}"))?);
                }
                escaped => text.push(escaped),
            },
            other => text.push(other),
        }
    }
}

/// `{…}` → `…`.
fn without_placeholders(text: &str) -> String {
    let mut plain = String::new();
    for (index, piece) in text.split('{').enumerate() {
        match piece.split_once('}') {
            Some((_, rest)) if index > 0 => {
                plain.push('…');
                plain.push_str(rest);
            }
            _ => plain.push_str(piece),
        }
    }
    plain
}

/// What a file logs outside its tests.
fn logged_by(text: &str) -> BTreeSet<Line> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().expect("the part before the tests");
    let mut found = BTreeSet::new();
    for (call, level) in CALLS {
        for (_, rest) in code.match_indices(call).map(|(at, _)| code.split_at(at + call.len())) {
            let text = literal(rest).unwrap_or_else(|| panic!("{call} without a text: {:.80}", rest));
            found.insert((without_placeholders(&text), level));
        }
    }
    found
}

fn collect(directory: &Path, found: &mut BTreeSet<Line>) {
    for entry in fs::read_dir(directory).expect("sources can be listed") {
        let path = entry.expect("sources can be listed").path();
        let is_test =
            path.file_name().is_some_and(|name| name == "tests.rs" || name == "tests" || name == "testing");
        if path.is_dir() && !is_test {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !is_test
            // It defines the macro.
            && !path.ends_with("io/src/telemetry.rs")
        {
            found.append(&mut logged_by(&fs::read_to_string(&path).expect("sources can be read")));
        }
    }
}

#[test]
fn every_message_has_an_entry_and_every_entry_a_message() {
    let mut in_code = BTreeSet::new();
    for part in ["engine/src", "io/src", "tools/src"] {
        collect(&root().join(part), &mut in_code);
    }
    assert!(in_code.len() > 50, "only {} messages were found", in_code.len());
    let page = read("docs/operations/log.md");
    let on_page: BTreeSet<(&str, &str)> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let mut cells = line.trim_start_matches("| ").split(" | ");
            let text = cells.next().expect("a text").trim_matches('`');
            (text, cells.next().expect("a level").trim())
        })
        .collect();
    let in_code: BTreeSet<(&str, &str)> =
        in_code.iter().map(|(text, level)| (text.as_str(), *level)).collect();
    let missing: Vec<_> = in_code.difference(&on_page).collect();
    let gone: Vec<_> = on_page.difference(&in_code).collect();
    assert!(missing.is_empty(), "docs/operations/log.md has no entry for {missing:#?}");
    assert!(gone.is_empty(), "docs/operations/log.md has entries that nothing logs: {gone:#?}");
}

#[test]
fn texts_are_found_however_they_are_written() {
    let code = "tracing::warn!(\"core {index}: {:.1} left\", x);\ntracing::error!(\n    target: T, \"a \\\n     b\"\n);\n\
                critical!(\"{line}\");\n#[cfg(test)]\nmod tests { tracing::warn!(\"c\"); }";
    let expected = [("core …: … left", "warning"), ("a b", "error"), ("…", "critical")];
    assert_eq!(logged_by(code), expected.map(|(text, level)| (text.to_owned(), level)).into_iter().collect());
}
