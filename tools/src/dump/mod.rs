//! What `checkpoint-reader` does: a file becomes a list of series, and that becomes text or JSON.
//!
//! [`file_kind`] tells what a file is, [`content`] collects its series, [`report`] prints them.

pub mod content;
pub mod file_kind;
pub mod report;
