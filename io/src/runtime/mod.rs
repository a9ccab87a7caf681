//! The one module that knows the executor library: pinned cores, their heartbeat, sockets and the stop flag.
//!
//! Before it: the configuration (how many cores, which addresses). After it: `listen`, which reads requests and
//! streams out of a [`Stream`], and `core`, whose pump runs as a task of an executor started here. No type of
//! glommio appears in the public interface, so that the rest of the daemon could move to another runtime.
//!
//! Order of a start: [`probe()`] → [`usable_cpus`] → [`Listener::bind`] for every core (still on the main thread, so
//! that a taken port is an error of the start) → [`start_core`] for every core, which moves its listener in.

mod activity;
mod affinity;
mod busy_poll;
mod executor;
mod file;
mod listener;
mod peer_watch;
mod probe;
mod stop;
mod stream;
mod ticker;
mod turn;

pub use activity::Activity;
pub use affinity::{cores_default, usable_cpus};
pub use executor::{CoreDied, CoreThread, sleep, spawn, start_core, yield_if_needed};
pub use file::{
    DIRECTORY_MODE, FILE_MODE, OutputFile, SegmentFile, create_directory, entries, read_dir,
    read_dir_with_ages, read_file, remove, remove_directory, rename, run_aside, sync_directory, write_file,
};
pub use listener::{AcceptLoop, Listener};
pub use peer_watch::PeerWatch;
pub use probe::{ProbeError, probe};
pub use stop::StopFlag;
pub use stream::Stream;
pub use ticker::{TICK_MS, next_tick, now_ms, now_ns};
pub use turn::{reactor_turn, wake_after_turn};

#[cfg(test)]
pub(crate) mod testing;
