//! The databases (InfluxDB 1, 3) or buckets (2) that clients are shown: the clusters, and those that somebody has created.
//!
//! Nothing has to be created here: a cluster comes into being with its first line. But a client that created a database wants to
//! find it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use engine::line::key::{has_control_character, is_path_safe};

use crate::core::Core;

/// Clusters that are listed; a site has a few.
const CLUSTERS_MAX: usize = 1000;
/// Created ones that are remembered, until the process ends.
const CREATED_MAX: usize = 256;

/// Of all cores: clients ask each call on another connection. Nothing of a sample's way waits for it.
static CREATED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// In the order of their names.
pub(super) fn names(core: &Core) -> BTreeSet<String> {
    let mut names = CREATED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    names.extend(core.directory.clusters(CLUSTERS_MAX).into_keys().map(|name| name.to_string()));
    names
}

/// Remembers a name.
///
/// # Errors
/// No cluster can be called so.
pub(super) fn create(name: &str) -> Result<(), String> {
    if !is_path_safe(name) || has_control_character(name.as_bytes()) {
        return Err(format!(
            "{name:?} cannot be the name of a cluster, for it cannot be that of a directory"
        ));
    }
    let mut created = CREATED.lock().unwrap_or_else(PoisonError::into_inner);
    if created.len() < CREATED_MAX {
        created.insert(name.to_owned());
    }
    Ok(())
}
