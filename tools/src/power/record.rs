//! The daemon works on the recording file system: three lives, with load, checkpoints, a kill, an orderly stop and a last kill.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::filesystem::Mounted;
use super::history::History;
use super::journal::Operation;
use crate::crash::process::{Process, Setting, Writer};

/// Connections that write at the same time.
const WRITERS: usize = 2;
/// Cores of each life, and how it ends.
const LIVES: [(usize, End); 3] = [(1, End::Kill), (2, End::Stop), (1, End::Kill)];

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// SIGKILL, under load.
    Kill,
    /// SIGTERM: the last checkpoint saves everything.
    Stop,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Recording {
    /// So many operations made what was there before.
    pub base: usize,
    /// Everything the file system was asked to do.
    pub journal: Vec<Operation>,
    /// What each client has sent.
    pub histories: Vec<History>,
}

/// Clients that have not sent anything yet.
#[must_use]
pub fn histories(seed: u64) -> Vec<History> {
    (0..WRITERS).map(|writer| History::new(seed, writer)).collect()
}

/// Lets the daemon work for this time. The data of `setting` must be on `mounted`; `histories` is what was sent before.
///
/// # Errors
/// The daemon does not start or stop, or refuses a write.
pub fn record(
    setting: &Setting,
    mounted: &Mounted,
    time: Duration,
    mut histories: Vec<History>,
) -> io::Result<Recording> {
    let base = mounted.position();
    for (cores, end) in LIVES {
        let mut process = setting.start(cores)?;
        live(&mut process, mounted, &mut histories, time / LIVES.len() as u32, end)?;
    }
    Ok(Recording { base, journal: mounted.journal(), histories })
}

impl Recording {
    /// How many operations of which kind there were.
    #[must_use]
    pub fn summary(&self) -> String {
        let operations = &self.journal[self.base..];
        let count =
            |is_counted: fn(&Operation) -> bool| operations.iter().filter(|&one| is_counted(one)).count();
        let acknowledged: usize = self.histories.iter().map(History::acknowledged).sum();
        format!(
            "{} operations: {} durable writes, {} others, {} syncs of files, {} of directories, {} of names; {acknowledged} batches acknowledged",
            operations.len(),
            count(Operation::is_durable_write),
            count(|one| matches!(one, Operation::Write { is_durable: false, .. })),
            count(|one| matches!(one, Operation::SyncFile { .. })),
            count(|one| matches!(one, Operation::SyncDirectory { .. })),
            count(|one| one.is_of_names() && !one.is_sync()),
        )
    }
}

fn live(
    process: &mut Process,
    mounted: &Mounted,
    histories: &mut [History],
    time: Duration,
    end: End,
) -> io::Result<()> {
    let port = process.port();
    let is_over = &AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = histories
            .iter_mut()
            .map(|history| scope.spawn(move || write(port, mounted, history, is_over)))
            .collect();
        // The moment is random: there is no event to wait for.
        thread::sleep(time);
        if end == End::Kill {
            process.kill();
        }
        is_over.store(true, Ordering::Relaxed);
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    if end == End::Stop { process.stop() } else { Ok(()) }
}

/// Writes until it is over, or the daemon is gone.
fn write(port: u16, mounted: &Mounted, history: &mut History, is_over: &AtomicBool) -> io::Result<()> {
    let mut connection = Writer::connect(port)?;
    let mut lines = String::new();
    while !is_over.load(Ordering::Relaxed) {
        history.next_lines(&mut lines);
        let sent_at = mounted.position();
        match connection.post(&lines) {
            Ok(200) => history.push(sent_at, Some(mounted.position())),
            Ok(status) => return Err(io::Error::other(format!("a write was answered with {status}"))),
            Err(_) => {
                history.push(sent_at, None);
                return Ok(());
            }
        }
    }
    Ok(())
}
