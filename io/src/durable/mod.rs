//! The engine's platform on this machine: disk and clock of a core through the [`runtime`](crate::runtime), and the
//! file system as recovery sees it.

mod files;
mod platform;

pub use files::RealFiles;
pub use platform::RealPlatform;

#[cfg(test)]
mod commit_tests;
#[cfg(test)]
mod faulty;
#[cfg(test)]
mod measure;
#[cfg(test)]
mod segments_tests;
