//! What the daemon makes on disk is for its user to write, for the group to read, and for nobody else; a limit of file sizes is an error.
#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

mod daemon;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use daemon::http::Client;
use daemon::{BINARY, Killed, default_config, eventually, free_port, now, write_config};
use serde_json::json;

/// Starts the daemon behind a command of the shell, such as `umask`.
fn start_behind(command: &str, directory: &Path, port: u16) -> Killed {
    let mut config = default_config(directory, port);
    config["metric-store"]["cores"] = json!(1);
    config["metric-store"]["retention-in-memory"] = json!("2h");
    config["metric-store"]["checkpoint-interval"] = json!("1s");
    config["metric-store"]["cleanup"] = json!({"mode": "archive", "directory": directory.join("archive")});
    write_config(directory, &config);
    let child = Command::new("sh")
        .args(["-c", &format!("{command}; exec \"$0\" \"$@\""), BINARY, "-config", "config.json"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(directory.join("log")).unwrap())
        .spawn()
        .unwrap();
    Killed(child)
}

/// Everything below, with its mode.
fn modes(directory: &Path, found: &mut Vec<(PathBuf, bool, u32)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        found.push((path.clone(), metadata.is_dir(), metadata.permissions().mode() & 0o7777));
        if metadata.is_dir() {
            modes(&path, found);
        }
    }
}

#[track_caller]
fn write(port: u16) {
    let written = eventually(Duration::from_secs(30), || {
        let line = format!("cpu_load,cluster=c,hostname=h value=1 {}\n", now() - 60);
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
            && Client::connect(port)
                .request("POST", "/api/write", &[], line.as_bytes())
                .is_ok_and(|answer| answer.status == 200)
    });
    assert!(written, "the daemon takes writes");
}

#[test]
fn no_umask_changes_the_modes() {
    for umask in ["000", "022", "077"] {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut daemon = start_behind(&format!("umask {umask}"), directory.path(), port);
        write(port);
        let snapshots = directory.path().join("checkpoints/c/h");
        let snapshot = || {
            let mut paths = fs::read_dir(&snapshots).ok()?.map(|entry| entry.unwrap().path());
            paths.find(|path| path.extension().is_some_and(|extension| extension == "bin"))
        };
        assert!(eventually(Duration::from_secs(20), || snapshot().is_some()), "there is a snapshot");
        // While it runs: its segments and its lock.
        let mut found = Vec::new();
        modes(&directory.path().join("checkpoints"), &mut found);
        modes(&directory.path().join("wal"), &mut found);
        let has = |end: &str| found.iter().any(|(path, ..)| path.to_string_lossy().ends_with(end));
        assert!(has("lock") && has(".log") && has("checkpoints/c/h"), "{found:?}");
        daemon.0.kill().unwrap();
        daemon.0.wait().unwrap();

        // A round of the archive, of a snapshot that is out of retention.
        let name = format!("{}.bin", now() - 100_000);
        fs::rename(snapshot().unwrap(), snapshots.join(&name)).unwrap();
        // Written so long ago that no load needs it.
        let ago = SystemTime::now() - Duration::from_secs(36_000);
        fs::File::options().write(true).open(snapshots.join(name)).unwrap().set_modified(ago).unwrap();
        let script = format!("umask {umask}; exec \"$0\" -config config.json -cleanup-checkpoints");
        let round =
            Command::new("sh").args(["-c", &script, BINARY]).current_dir(directory.path()).output().unwrap();
        assert!(round.status.success(), "{}", String::from_utf8_lossy(&round.stderr));
        let archive = directory.path().join("archive");
        assert!(
            archive.join("c").exists(),
            "something was archived: {}",
            String::from_utf8_lossy(&round.stderr)
        );
        modes(&archive, &mut found);
        found.push((archive.clone(), true, fs::metadata(&archive).unwrap().permissions().mode() & 0o7777));
        for (path, is_directory, mode) in &found {
            let expected = if *is_directory { 0o750 } else { 0o640 };
            assert_eq!(format!("{mode:o}"), format!("{expected:o}"), "umask {umask}: {}", path.display());
        }
    }
}

#[test]
fn a_limit_of_file_sizes_is_no_death() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    // Less than a segment of the log, in units of 512 or 1024 bytes.
    let mut daemon = start_behind("ulimit -f 8192", directory.path(), port);
    let line = format!("cpu_load,cluster=c,hostname=h value=1 {}\n", now() - 60);
    let (mut ended, mut answer) = (None, None);
    let is_decided = || {
        ended = daemon.0.try_wait().unwrap();
        answer = Client::connect_if_there(port)
            .and_then(|mut client| client.request("POST", "/api/write", &[], line.as_bytes()).ok());
        ended.is_some() || answer.is_some()
    };
    assert!(eventually(Duration::from_secs(30), is_decided));
    if let Some(answer) = answer {
        // It runs without a log: writes are refused, and it ends in order when it is asked to.
        answer.error(503);
        Command::new("kill").arg(daemon.0.id().to_string()).status().unwrap();
        ended = Some(daemon.0.wait().unwrap());
    }
    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    let ended = ended.unwrap();
    assert_eq!(ended.signal(), None, "{ended}: {log}");
    assert!(log.contains("File too large"), "{log}");
}
