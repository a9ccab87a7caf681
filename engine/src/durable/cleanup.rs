//! Cleanup: snapshots out of retention, removed host by host (SPEC section 6).
//!
//! Comes once per retention, beside the checkpoints; [`expiry`](crate::checkpoint::expiry) decides which files. Every
//! step is a call of the disk, so ingest goes on between any two. What cannot be removed is left for the next round.
//!
//! With an archive, [`archive`](super::archive) takes the files, and a round here only removes directories left empty.

use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoint::expiry::{AgedFile, expired as expired_snapshots};
use crate::line::key::is_path_safe;
use crate::platform::{Clock, Disk, Housekeeping, remove_if_there};

/// What is out of retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleanupOptions {
    /// Root of the snapshots.
    pub checkpoints: PathBuf,
    /// How long samples are kept, in seconds.
    pub retention_seconds: i64,
    /// Time between two checkpoints, in seconds.
    pub checkpoint_interval_seconds: i64,
    /// Files are left to the archive.
    pub keeps_files: bool,
}

/// One file out of retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredFile {
    /// Its name in the host's directory.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// The files of one host that are out of retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredHost {
    /// The host.
    pub host: String,
    /// Its directory.
    pub directory: PathBuf,
    /// Those in it, oldest first.
    pub files: Vec<ExpiredFile>,
    /// Whether the directory is empty without them.
    pub is_last: bool,
}

impl ExpiredHost {
    /// The host alone.
    pub(super) fn clone_without_files(&self) -> Self {
        let Self { host, directory, .. } = self;
        Self { host: host.clone(), directory: directory.clone(), files: Vec::new(), is_last: false }
    }
}

/// What a round did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Snapshots deleted.
    pub files: u64,
    /// Directories removed, of hosts and clusters.
    pub directories: u64,
    /// Archive files written.
    pub archives: u64,
    /// Rows in those.
    pub rows: u64,
    /// Damaged snapshots set aside instead of being archived.
    pub set_aside: u64,
    /// Calls of the disk that failed; what they were for is left for the next round.
    pub failures: u64,
    /// The first of them.
    pub first_failure: Option<io::Error>,
}

impl Outcome {
    /// Counts a failure; the value, if there was none.
    pub(super) fn take<T>(&mut self, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.failures += 1;
                self.first_failure.get_or_insert(error);
                None
            }
        }
    }
}

impl Outcome {
    /// Says in the log what `who` did in a round; failures in one line, however many.
    pub fn report(&self, who: &str) {
        let Self { files, directories, archives, rows, set_aside, failures, first_failure } = self;
        if *archives > 0 {
            tracing::info!("{who}: {rows} samples archived in {archives} files");
        }
        if *files > 0 || *directories > 0 {
            tracing::info!(
                "{who}: {files} snapshots out of retention deleted, {directories} empty directories removed"
            );
        }
        if *set_aside > 0 {
            tracing::error!(
                "{who}: {set_aside} damaged snapshots were set aside as .corrupt, and are in no archive"
            );
        }
        if let Some(error) = first_failure {
            tracing::error!(
                "{who}: cleanup failed {failures} times, the next round tries again; the first: {error}"
            );
        }
    }
}

/// One round over all clusters: deletes what is out of retention of the hosts (cluster, host) that are `mine`, and the
/// directories left empty.
pub async fn round<P: Clock + Housekeeping>(
    platform: &P,
    options: &CleanupOptions,
    mine: impl Fn(&str, &str) -> bool,
) -> Outcome {
    let mut outcome = Outcome::default();
    for cluster in directories(platform, &options.checkpoints, &mut outcome).await {
        let directory = options.checkpoints.join(&cluster);
        let hosts = expired(platform, options, &cluster, &mine, &mut outcome).await;
        let mut is_emptied = false;
        for host in hosts.iter().filter(|host| !options.keeps_files || host.files.is_empty()) {
            is_emptied |= delete(platform, host, &mut outcome).await;
        }
        if is_emptied {
            remove_empty(platform, &directory, &mut outcome).await;
        }
    }
    outcome
}

/// The hosts of a cluster with files out of retention, or without any.
pub async fn expired<P: Clock + Housekeeping>(
    platform: &P,
    options: &CleanupOptions,
    cluster: &str,
    mine: impl Fn(&str, &str) -> bool,
    outcome: &mut Outcome,
) -> Vec<ExpiredHost> {
    let (now, directory) = (platform.now_seconds(), options.checkpoints.join(cluster));
    let mut found = Vec::new();
    for host in directories(platform, &directory, outcome).await {
        if !mine(cluster, &host) {
            continue;
        }
        let directory = directory.join(&host);
        let all = match platform.read_dir_with_ages(&directory).await {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            result => outcome.take(result),
        };
        let Some(all) = all else { continue };
        let files = all.iter().filter(|(entry, _)| entry.is_file).filter_map(|(entry, modified)| {
            entry.name.to_str().map(|name| AgedFile { name, modified: *modified })
        });
        let files =
            expired_snapshots(files, now, options.retention_seconds, options.checkpoint_interval_seconds);
        let is_last = files.len() == all.len();
        if is_last || !files.is_empty() {
            let length =
                |name: &str| all.iter().find(|(entry, _)| entry.name == name).map(|(entry, _)| entry.bytes);
            let files = files.into_iter().map(|file| ExpiredFile {
                name: file.name.to_owned(),
                bytes: length(file.name).unwrap_or(0),
            });
            let files = files.collect();
            found.push(ExpiredHost { host, directory, files, is_last });
        }
    }
    found
}

/// Deletes a host's files and its directory, if nothing else is in it; `true` if the directory is gone.
pub async fn delete(disk: &impl Housekeeping, host: &ExpiredHost, outcome: &mut Outcome) -> bool {
    let mut are_gone = true;
    for file in &host.files {
        let is_gone = outcome.take(remove_if_there(disk, &host.directory.join(&file.name)).await).is_some();
        outcome.files += u64::from(is_gone);
        are_gone &= is_gone;
    }
    if host.is_last && are_gone {
        return remove_empty(disk, &host.directory, outcome).await;
    }
    // Not durable without it: a crash might bring them back, and the next round would remove them.
    outcome.take(disk.sync_directory(&host.directory).await);
    false
}

/// Removes a directory in which nothing is; `true` if it is gone.
async fn remove_empty(disk: &impl Housekeeping, directory: &Path, outcome: &mut Outcome) -> bool {
    match disk.remove_directory(directory).await {
        // Something came in meanwhile.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => false,
        result => {
            let is_gone = outcome.take(result).is_some();
            outcome.directories += u64::from(is_gone);
            is_gone
        }
    }
}

/// The names of the directories in a directory that may be clusters or hosts; none if it does not exist.
pub(super) async fn directories(disk: &impl Disk, path: &Path, outcome: &mut Outcome) -> Vec<String> {
    let entries = match disk.read_dir(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        // None of ours, as the `lost+found` of a file system: a start has warned of it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Vec::new(),
        result => outcome.take(result).unwrap_or_default(),
    };
    let directories = entries.into_iter().filter(|entry| entry.is_directory);
    let mut names: Vec<_> = directories
        .filter_map(|entry| entry.name.into_string().ok())
        .filter(|name| is_path_safe(name))
        .collect();
    names.sort_unstable();
    names
}
