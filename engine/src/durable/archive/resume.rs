//! What an interrupted round left in the archive of a cluster.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::{ARCHIVE_SUFFIX, ArchiveOptions};
use crate::archive::Sources;
pub(super) use crate::archive::sources::SOURCES_SUFFIX;
use crate::checkpoint::file_name::TEMPORARY_SUFFIX;
use crate::durable::cleanup::Outcome;
use crate::durable::load::corrupt_name;
use crate::limits;
use crate::platform::{Archiving, remove_if_there};

/// Removes what never became an archive file, and deletes the snapshots that are in one, those of wanted hosts.
///
/// None if the archive of the cluster could not be brought in order: nothing of the cluster may be archived then.
pub(super) async fn resume<P: Archiving>(
    platform: &P,
    options: &ArchiveOptions,
    cluster: &str,
    is_wanted: impl Fn(&str, &str) -> bool,
    outcome: &mut Outcome,
) -> Option<()> {
    let directory = options.directory.join(cluster);
    let entries = match platform.read_dir(&directory).await {
        // None of ours, as the `lost+found` of a file system.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
        result => outcome.take(result)?,
    };
    let names: Vec<String> = entries.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect();
    let is_ours = |name: &str| {
        let name = name.strip_suffix(SOURCES_SUFFIX).unwrap_or(name);
        let time = name.strip_suffix(ARCHIVE_SUFFIX);
        time.is_some_and(|time| time.parse::<i64>().is_ok())
    };
    let lists =
        names.iter().filter_map(|name| name.strip_suffix(SOURCES_SUFFIX)).filter(|name| is_ours(name));
    for archive in lists {
        let list = directory.join(format!("{archive}{SOURCES_SUFFIX}"));
        let is_over = if names.iter().any(|name| name == archive) {
            // Its name may not be durable yet.
            outcome.take(platform.sync_directory(&directory).await)?;
            let deleted = delete_sources(platform, options, cluster, &list, &is_wanted).await;
            outcome.take(deleted).map(|(files, is_over)| {
                outcome.files += files;
                is_over
            })?
        } else {
            true
        };
        if is_over {
            outcome.take(remove_if_there(platform, &list).await)?;
        }
    }
    let temporary = names.iter().filter(|name| name.strip_suffix(TEMPORARY_SUFFIX).is_some_and(is_ours));
    for name in temporary {
        outcome.take(remove_if_there(platform, &directory.join(name)).await)?;
    }
    Some(())
}

/// Deletes the snapshots of a list, if they are what was archived; how many, and whether the list is done.
async fn delete_sources<P: Archiving>(
    platform: &P,
    options: &ArchiveOptions,
    cluster: &str,
    list: &Path,
    is_wanted: impl Fn(&str, &str) -> bool,
) -> io::Result<(u64, bool)> {
    let bytes = platform.read_file(list, limits::ARCHIVE_SOURCES_BYTES_MAX).await?;
    let Some(Sources { sources }) = Sources::decode(&bytes) else {
        tracing::error!(
            "{} is damaged: snapshots that are in the archive beside it may be archived again; it is set aside as .corrupt",
            list.display()
        );
        platform.rename(list, &corrupt_name(list)).await?;
        return Ok((0, true));
    };
    let (mut files, mut is_over) = (0, true);
    let mut directories = BTreeSet::new();
    for source in sources {
        if !is_wanted(cluster, &source.host) {
            is_over = false;
            continue;
        }
        let directory = options.cleanup.checkpoints.join(cluster).join(&source.host);
        let path = directory.join(&source.name);
        directories.insert(directory);
        let content = match platform.read_file(&path, limits::ARCHIVE_SNAPSHOT_BYTES_MAX).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            result => result?,
        };
        // Another one has its name by now: it is in no archive.
        if source.is(&content) {
            platform.remove(&path).await?;
            files += 1;
        }
    }
    // Also for those that were gone already: that may not be durable.
    for directory in directories {
        match platform.sync_directory(&directory).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok((files, is_over))
}
