//! Tools beside the daemon.
