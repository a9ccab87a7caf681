//! Data directories of the reference, opened by this daemon (SPEC section 5): snapshots, logs, damage, left-overs.
//!
//! As recorded, only the data of an answer is compared: the reference moves loaded data by half an interval
//! (SPEC section 9, fault 2), which shows in `from` and `to`.

mod daemon;

use std::fs;
use std::path::Path;

use daemon::scenario::send;
use daemon::{Daemon, now};
use serde_json::{Value, json};

#[test]
fn data_of_the_reference_is_read_on_two_cores() {
    replay(2);
}

#[test]
fn data_of_the_reference_is_read_on_one_core() {
    replay(1);
}

#[track_caller]
fn replay(cores: usize) {
    let scenarios: Vec<Value> =
        serde_json::from_str(include_str!("vectors/fixtures.json")).expect("the vectors are JSON");
    let (mut met, mut missed) = (0, 0);
    for scenario in &scenarios {
        let daemon = Daemon::start_with(|config| {
            config["metric-store"]["retention-in-memory"] = json!("87600h");
            config["metric-store"]["cores"] = json!(cores);
            let root = config["metric-store"]["checkpoints"]["directory"].as_str().expect("is set");
            place(Path::new(root), &scenario["files"]);
        });
        let minute = now() / 60 * 60;
        for (index, step) in scenario["steps"].as_array().expect("a scenario has steps").iter().enumerate() {
            let (status, text) = send(&daemon, step, minute).expect("fixtures write and query");
            let got = data_only(status, &text);
            if got == step["expect"] {
                met += 1;
            } else {
                missed += 1;
                println!("-- {} step {index} {}", scenario["name"], step["body"]);
                println!("   want {}\n   got  {got}", step["expect"]);
            }
        }
    }
    assert!(met + missed >= 25, "the vectors are there: {met} met, {missed} missed");
    assert_eq!(missed, 0, "{met} expectations met, {missed} missed");
}

/// Puts the files of a scenario below the directory of checkpoints.
fn place(root: &Path, files: &Value) {
    for (name, text) in files.as_object().expect("a fixture has files") {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("can be created");
        fs::write(path, from_base64(text.as_str().expect("files are texts"))).expect("can be written");
    }
}

/// The data arrays of a query's answer; any other answer as it is.
fn data_only(status: u16, text: &str) -> Value {
    let results = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut answer)) => answer.remove("results"),
        _ => None,
    };
    let Some(Value::Array(rows)) = results else { return json!({"status": status, "body": text}) };
    let data = |row: &Value| -> Vec<Value> {
        row.as_array().into_iter().flatten().map(|result| result["data"].clone()).collect()
    };
    json!({"status": status, "data": rows.iter().map(data).collect::<Vec<_>>()})
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter(|&byte| byte != b'=') {
        let value = DIGITS.iter().position(|&known| known == digit).expect("a digit of base 64");
        bits = bits << 6 | u32::try_from(value).expect("below 64");
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

#[test]
fn base_64_is_read() {
    for (text, bytes) in [
        ("", &b""[..]),
        ("Zg==", b"f"),
        ("Zm8=", b"fo"),
        ("Zm9v", b"foo"),
        ("zFsAAf8=", b"\xcc\x5b\x00\x01\xff"),
    ] {
        assert_eq!(from_base64(text), bytes, "{text}");
    }
}
