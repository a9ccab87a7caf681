//! Prometheus' `remote_write`, version 1.0: a compressed message of time series becomes lines.
//!
//! Before it: `io/src/api/prometheus/write.rs`, with the body of a request. [`message`] takes the message apart, one series at a
//! time, and [`lines`] writes each as line protocol, which goes the way of all lines ([`crate::line`]): what may be a name, which
//! samples are too old and how many series there may be is decided there.

pub mod lines;
pub mod message;

#[cfg(test)]
mod tests;

/// A body that is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is not what the encoding says.
    #[error("the body is no snappy block: {0}")]
    Compression(String),
    /// It would be longer than is taken.
    #[error(
        "the message has {bytes} bytes, and may have {bytes_max}: send fewer samples at once (max_samples_per_send)"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
        /// What is taken.
        bytes_max: usize,
    },
    /// What was compressed is no message of `remote_write` 1.0.
    #[error("the message is no prometheus.WriteRequest: {0}")]
    Message(String),
    /// One series takes more than is taken.
    #[error("a time series has {bytes} bytes, and may have {bytes_max}: send fewer samples at once")]
    SeriesTooLong {
        /// Its length.
        bytes: usize,
        /// What is taken.
        bytes_max: usize,
    },
}
