//! One archive file of a cluster: read, merged, written, made durable; then its sources are deleted.

use std::io;
use std::path::{Path, PathBuf};

use super::resume::SOURCES_SUFFIX;
use super::{ARCHIVE_SUFFIX, ArchiveOptions, Progress};
use crate::archive::{ArchiveError, ArchiveWriter, HostRows, Source, Sources};
use crate::checkpoint::SnapshotError;
use crate::checkpoint::file_name::parse;
use crate::durable::cleanup::{ExpiredHost, Outcome, delete};
use crate::durable::load::corrupt_name;
use crate::limits;
use crate::platform::{Archiving, Clock, create_directory_durably, remove_if_there, write_atomically};

/// A file to be written.
pub(super) struct ArchiveFile<'a, P, G> {
    pub(super) platform: &'a P,
    pub(super) options: &'a ArchiveOptions,
    pub(super) cluster: &'a str,
    /// now − retention, in seconds: its name, unless there is such a file.
    pub(super) oldest: i64,
    pub(super) progress: &'a G,
}

/// What was written under the temporary name.
#[derive(Default)]
struct Written {
    sources: Sources,
    /// As in `sources`, to be deleted.
    hosts: Vec<ExpiredHost>,
    rows: u64,
}

impl<P: Clock + Archiving, G: Progress> ArchiveFile<'_, P, G> {
    /// Writes the file and deletes what is in it. If the round is cancelled before the file has its name, nothing has
    /// happened.
    ///
    /// # Errors
    /// Those of the disk; then nothing was deleted. What fails of a single host, or after the file is durable, is counted
    /// in `outcome`, and is done by the next round.
    pub(super) async fn write(&self, hosts: &[ExpiredHost], outcome: &mut Outcome) -> io::Result<()> {
        let directory = self.options.directory.join(self.cluster);
        create_directory_durably(self.platform, &directory).await?;
        let name = self.free_name(&directory).await?;
        let temporary = directory.join(format!("{name}.tmp"));
        let named = self.write_named(hosts, &directory, &name, &temporary, outcome).await;
        let Ok(Some(written)) = named else {
            // The first error is the one to report.
            let _ = self.platform.remove(&temporary).await;
            return named.map(drop);
        };
        let failures = outcome.failures;
        for host in &written.hosts {
            delete(self.platform, host, outcome).await;
        }
        if written.rows > 0 {
            outcome.archives += 1;
            outcome.rows += written.rows;
            // The list stays while anything in it does.
            if outcome.failures == failures {
                let sources = directory.join(format!("{name}{SOURCES_SUFFIX}"));
                outcome.take(remove_if_there(self.platform, &sources).await);
            }
        }
        Ok(())
    }

    /// Steps 1 to 3; none if the round was cancelled.
    async fn write_named(
        &self,
        hosts: &[ExpiredHost],
        directory: &Path,
        name: &str,
        temporary: &Path,
        outcome: &mut Outcome,
    ) -> io::Result<Option<Written>> {
        let Some(written) = self.write_rows(hosts, temporary, outcome).await? else { return Ok(None) };
        if written.rows == 0 {
            // Nothing but missing values: there is no need of a file.
            self.platform.remove(temporary).await?;
            return Ok(Some(written));
        }
        let sources = format!("{name}{SOURCES_SUFFIX}");
        write_atomically(self.platform, directory, &sources, written.sources.encode()).await?;
        self.platform.rename(temporary, &directory.join(name)).await?;
        self.platform.sync_directory(directory).await?;
        Ok(Some(written))
    }

    /// Writes all rows and syncs them.
    async fn write_rows(
        &self,
        hosts: &[ExpiredHost],
        temporary: &Path,
        outcome: &mut Outcome,
    ) -> io::Result<Option<Written>> {
        let mut written = Written::default();
        let mut output = self.platform.create_output(temporary).await?;
        let mut writer = ArchiveWriter::new(self.cluster).map_err(refused)?;
        for host in hosts {
            if self.progress.is_cancelled() {
                return Ok(None);
            }
            let read = self.read_host(host, outcome).await;
            // A host that cannot be read as a whole waits for the next round.
            let Some((rows, sources)) = outcome.take(read) else { continue };
            (writer, output) = self.write_host(writer, output, &host.host, rows).await?;
            let bytes = sources.iter().map(|source| source.bytes).sum();
            self.progress.archived(bytes, writer.rows_written() - written.rows);
            written.rows = writer.rows_written();
            let is_source = |name: &str| sources.iter().any(|source| source.name == name);
            let files = host.files.iter().filter(|file| is_source(&file.name)).cloned().collect();
            written.hosts.push(ExpiredHost { files, ..host.clone_without_files() });
            written.sources.sources.extend(sources);
        }
        let end = self.platform.run_aside(move || writer.finish()).await?.map_err(refused)?;
        output = self.platform.append(output, end).await?;
        self.platform.sync_output(output).await?;
        Ok(Some(written))
    }

    /// The values of a host's snapshots, and which these are. Damaged ones are set aside.
    async fn read_host(
        &self,
        host: &ExpiredHost,
        outcome: &mut Outcome,
    ) -> io::Result<(HostRows, Vec<Source>)> {
        let (mut rows, mut sources) = (HostRows::default(), Vec::new());
        for file in &host.files {
            let path = host.directory.join(&file.name);
            let Some((_, kind)) = parse(&file.name) else { continue };
            let bytes = self.platform.read_file(&path, limits::ARCHIVE_SNAPSHOT_BYTES_MAX).await?;
            let (host, name) = (host.host.clone(), file.name.clone());
            let add = move || {
                let added = rows.add(kind, &bytes).map(|()| Source::new(&host, &name, &bytes));
                (rows, added)
            };
            let added;
            (rows, added) = self.platform.run_aside(add).await?;
            match added {
                Ok(source) => sources.push(source),
                Err(error) => self.set_aside(&path, &error, outcome).await,
            }
        }
        Ok((rows, sources))
    }

    async fn write_host(
        &self,
        mut writer: ArchiveWriter,
        mut output: P::Output,
        host: &str,
        rows: HostRows,
    ) -> io::Result<(ArchiveWriter, P::Output)> {
        let host = host.to_owned();
        let begin = move || {
            writer.begin_host(&host, rows);
            writer
        };
        writer = self.platform.run_aside(begin).await?;
        let mut is_more = true;
        while is_more {
            let next = move || {
                let is_more = writer.write_rows()?;
                let bytes = writer.take_bytes()?;
                Ok((writer, bytes, is_more))
            };
            let bytes;
            (writer, bytes, is_more) = self.platform.run_aside(next).await?.map_err(refused)?;
            if !bytes.is_empty() {
                output = self.platform.append(output, bytes).await?;
            }
        }
        Ok((writer, output))
    }

    /// Gives a damaged snapshot a name under which nobody reads or deletes it.
    async fn set_aside(&self, path: &Path, error: &SnapshotError, outcome: &mut Outcome) {
        tracing::error!(
            "{} is damaged and was not archived: {error}; it is set aside as .corrupt",
            path.display()
        );
        let renamed = self.platform.rename(path, &corrupt_name(path)).await;
        outcome.set_aside += u64::from(outcome.take(renamed).is_some());
        outcome.take(self.platform.sync_directory(path.parent().unwrap_or(path)).await);
    }

    /// The first name from now − retention on that neither a file nor a list of sources has.
    async fn free_name(&self, directory: &Path) -> io::Result<String> {
        let taken: Vec<PathBuf> =
            self.platform.read_dir(directory).await?.into_iter().map(|entry| entry.name.into()).collect();
        let names = (self.oldest..).map(|time| format!("{time}{ARCHIVE_SUFFIX}"));
        let is_free = |name: &String| {
            let sources = format!("{name}{SOURCES_SUFFIX}");
            !taken.iter().any(|taken| taken == Path::new(name) || taken == Path::new(&sources))
        };
        names
            .take(taken.len() + 1)
            .find(is_free)
            .ok_or_else(|| io::Error::other("no name is free for the archive"))
    }
}

fn refused(error: ArchiveError) -> io::Error {
    io::Error::other(error)
}
