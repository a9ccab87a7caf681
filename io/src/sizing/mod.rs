//! `-size`: what a site of so many hosts will need of memory and disk.
//!
//! Beside the daemon's way of life: after the configuration is read nothing is started, the answer is printed. The site comes from
//! the command line ([`site`]), is multiplied by measured bytes ([`estimate`]) and printed ([`report`]).
//! `docs/operations/sizing.md` is the table for those who do not want to run it.

pub mod estimate;
pub mod report;
pub mod site;

pub use estimate::Estimate;
pub use site::{Site, SizeError};

use crate::settings::Settings;

/// The text of `-size`, for the site that `spec` describes on top of `settings`.
///
/// # Errors
/// See [`SizeError`].
pub fn size(settings: &Settings, spec: &str) -> Result<String, SizeError> {
    let site = Site::parse(spec, settings)?;
    Ok(report::text(&site, &Estimate::of(&site)))
}
