//! `main.user` and `main.group` (SPEC section 7). As root, as CI runs it, the whole change; as anybody else, that it is refused.
#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

mod daemon;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use daemon::tls::Pair;
use daemon::{Daemon, Finished, default_config, free_port, run, write_config};
use nix::unistd::{Gid, Group, User, geteuid, setgroups};
use serde_json::{Value, json};

const LINE: &str = "cpu_load,cluster=c,hostname=h value=1 1700000040\n";
/// There is one on every system.
const USER: &str = "nobody";

fn nobody() -> User {
    User::from_name(USER).unwrap().expect("this test needs the user nobody, which every system has")
}

/// A directory that `nobody` owns, below one that everybody may pass.
fn own(directory: &Path, name: &str) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.join(name);
    fs::create_dir_all(&path).unwrap();
    let user = nobody();
    chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
}

/// Starts with a changed configuration that must be refused; returns what it said.
#[track_caller]
fn refused(prepare: impl Fn(&Path), change: impl Fn(&mut Value)) -> String {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    let mut config = default_config(directory.path(), free_port());
    config["metric-store"]["wal"] = json!({"directory": directory.path().join("wal")});
    change(&mut config);
    write_config(directory.path(), &config);
    let Finished { code, stderr, .. } = run(&["-config", "config.json"], directory.path());
    assert!(code.is_some_and(|code| code != 0), "it must end with an error: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

/// A field of `/proc/…/status`.
fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel names it");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn unknown_names_are_refused_by_key() {
    let said = refused(|_| {}, |config| config["main"]["user"] = json!("no-such-user"));
    assert!(said.contains("main.user") && said.contains("no-such-user"), "{said}");
    let said = refused(|_| {}, |config| config["main"]["group"] = json!("no-such-group"));
    assert!(said.contains("main.group") && said.contains("no-such-group"), "{said}");
}

#[test]
fn every_thread_runs_as_the_user_and_the_data_are_the_users() {
    if !geteuid().is_root() {
        let said = refused(|_| {}, |config| config["main"]["user"] = json!(USER));
        assert!(said.contains("only root") && said.contains("main.user"), "{said}");
        return;
    }
    // Some that root has and nobody must not keep.
    setgroups(&[Gid::from_raw(0), Gid::from_raw(4)]).unwrap();
    let secret = tempfile::tempdir().unwrap();
    // Only root can read these, and the port is bound while we are.
    let pair = Pair::make(secret.path());
    fs::set_permissions(secret.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let mut daemon = Daemon::start_on(|directory, config| {
        ["checkpoints", "wal", "archive"].iter().for_each(|name| own(directory, name));
        config["main"]["user"] = json!(USER);
        config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{}", free_port()));
    });
    let user = nobody();
    let check = |daemon: &Daemon| {
        let tasks: Vec<_> = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().collect();
        assert!(tasks.len() >= 2, "there are cores");
        for task in tasks {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let (uid, gid) = (user.uid, user.gid);
            assert_eq!(field(&status, "Uid:"), format!("{uid} {uid} {uid} {uid}"));
            assert_eq!(field(&status, "Gid:"), format!("{gid} {gid} {gid} {gid}"));
            assert!(
                field(&status, "Groups:").split(' ').all(|group| group != "0" && group != "4"),
                "{status}"
            );
            for set in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:", "CapBnd:"] {
                assert_eq!(field(&status, set).trim_start_matches('0'), "", "{set} {status}");
            }
            assert_eq!(field(&status, "NoNewPrivs:"), "1");
        }
    };
    check(&daemon);
    let now = daemon::now();
    daemon.write(LINE.replace("1700000040", &now.to_string()));
    let stored = |daemon: &Daemon| daemon.data("c", "h", "cpu_load", now, now + 60);
    assert_eq!(stored(&daemon), json!([1.0]));
    // What the log has, then what the snapshots have.
    daemon.restart();
    assert_eq!(stored(&daemon), json!([1.0]));
    daemon.stop();
    let host = daemon.checkpoints().join("c/h");
    assert_eq!(fs::metadata(&host).unwrap().uid(), user.uid.as_raw());
    daemon.restart();
    check(&daemon);
    assert_eq!(stored(&daemon), json!([1.0]));

    // The key stays root's: it is read before, and a warning says what SIGHUP will not do.
    daemon.restart_with(|config| {
        config["main"]["https-cert-file"] = json!(pair.cert_file);
        config["main"]["https-key-file"] = json!(pair.key_file);
    });
    check(&daemon);
    assert!(daemon.logs("SIGHUP will not renew"), "{}", daemon.log());
}

#[test]
fn a_group_alone_is_taken_too() {
    if !geteuid().is_root() {
        return;
    }
    let group = Group::from_gid(nobody().gid).unwrap().expect("the group of nobody has a name");
    let daemon = Daemon::start_on(|_, config| config["main"]["group"] = json!(group.name));
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let gid = group.gid;
    assert_eq!(field(&status, "Gid:"), format!("{gid} {gid} {gid} {gid}"));
    assert_eq!(field(&status, "Groups:"), gid.to_string());
    assert_eq!(field(&status, "Uid:"), "0 0 0 0");
    daemon.write(LINE);
}

#[test]
fn data_that_the_user_cannot_use_are_an_error_of_the_start() {
    if !geteuid().is_root() {
        return;
    }
    let as_nobody = |config: &mut Value| config["main"]["user"] = json!(USER);
    let usable = |directory: &Path| {
        own(directory, "checkpoints");
        own(directory, "wal");
    };
    let expect = |prepare: &dyn Fn(&Path), key: &str, path: &str| {
        let said = refused(prepare, as_nobody);
        assert!(
            said.contains(key) && said.contains(path) && said.contains("chown -R nobody"),
            "{path}: {said}"
        );
    };
    let checkpoints = "metric-store.checkpoints.directory";
    expect(&usable, "metric-store.cleanup.directory", "archive");
    expect(&|_| {}, checkpoints, "checkpoints");
    expect(&|directory| own(directory, "checkpoints"), "metric-store.wal.directory", "wal");
    expect(
        &|directory| {
            usable(directory);
            fs::create_dir(directory.join("checkpoints/c")).unwrap();
        },
        checkpoints,
        "checkpoints/c",
    );
    expect(
        &|directory| {
            usable(directory);
            own(directory, "checkpoints/c");
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
            fs::create_dir(directory.join("checkpoints/c/h")).unwrap();
        },
        checkpoints,
        "checkpoints/c/h",
    );
    expect(
        &|directory| {
            usable(directory);
            fs::write(directory.join("wal/core000-0000000000000001.log"), "x").unwrap();
            fs::set_permissions(
                directory.join("wal/core000-0000000000000001.log"),
                fs::Permissions::from_mode(0o600),
            )
            .unwrap();
        },
        "metric-store.wal.directory",
        "core000-0000000000000001.log",
    );
}
