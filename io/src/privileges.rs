//! From root to the user and group of the configuration, once the ports are bound and the TLS key is read.
//!
//! Before it: listening sockets. After it: everything that touches data, and every thread: there is only one when this
//! happens, and the C library would change all others, too.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use caps::CapSet;
use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::unistd::{
    AccessFlags, Gid, Group, Uid, User, eaccess, getegid, geteuid, getgroups, getuid, initgroups, setgid,
    setgroups, setuid,
};

/// Levels below the checkpoints' directory that must be usable: clusters and hosts.
const CHECKPOINT_LEVELS: usize = 2;
/// Levels below that of the archive: clusters.
const ARCHIVE_LEVELS: usize = 1;

/// Whom to become.
#[derive(Clone, Debug)]
pub struct Identity {
    user: Option<User>,
    group: Option<Group>,
}

/// Why the daemon cannot run as somebody else.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// Nobody is called so.
    #[error("{key}: there is no {name:?} on this machine")]
    Unknown {
        /// `main.user` or `main.group`.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// The system's tables cannot be read.
    #[error("{key}: {name:?} cannot be looked up: {source}")]
    Lookup {
        /// `main.user` or `main.group`.
        key: &'static str,
        /// The name.
        name: String,
        /// What the system said.
        source: Errno,
    },
    /// Only root may.
    #[error(
        "{key} is {name:?}, but only root may become somebody else, and this is uid {uid}: start as root or as {name:?}, or remove {key}"
    )]
    NotRoot {
        /// `main.user` or `main.group`.
        key: &'static str,
        /// The name.
        name: String,
        /// Who we are.
        uid: Uid,
    },
    /// The kernel refuses.
    #[error("main.user, main.group: {call} failed: {source}")]
    Refused {
        /// The system call.
        call: &'static str,
        /// What the system said.
        source: Errno,
    },
    /// The way back is open.
    #[error("main.user, main.group: the privileges of root are not gone")]
    NotGone,
    /// Files of another owner.
    #[error(
        "{path:?} ({key}) cannot be read and written by {who}, as which the daemon runs: {source}; try `chown -R {who} {directory:?}`"
    )]
    Unusable {
        /// The key of the configuration.
        key: &'static str,
        /// What was tried.
        path: PathBuf,
        /// What the key says.
        directory: PathBuf,
        /// `user:group`.
        who: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Identity {
    /// Looks `main.user` and `main.group` up; `None` if neither is set.
    ///
    /// # Errors
    /// See [`PrivilegeError`].
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Option<Self>, PrivilegeError> {
        let user = user.map(|name| found("main.user", name, User::from_name(name))).transpose()?;
        let group = group.map(|name| found("main.group", name, Group::from_name(name))).transpose()?;
        Ok((user.is_some() || group.is_some()).then_some(Self { user, group }))
    }

    /// The group to run as: that of the configuration, else the user's.
    fn gid(&self) -> Option<Gid> {
        self.group.as_ref().map(|group| group.gid).or(self.user.as_ref().map(|user| user.gid))
    }

    /// Becomes user and group, with the other groups of the user and no others, for good.
    ///
    /// # Errors
    /// See [`PrivilegeError`]; the process must then end.
    pub fn assume(&self) -> Result<(), PrivilegeError> {
        if !geteuid().is_root() {
            return self.is_assumed();
        }
        // Later nobody may raise it. What does not work here shows when the rings are made.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        if self.user.as_ref().is_some_and(|user| !user.uid.is_root()) {
            drop_bounds();
        }
        let refused = |call| move |source| PrivilegeError::Refused { call, source };
        if let Some(gid) = self.gid() {
            match self.user.as_ref().and_then(|user| CString::new(user.name.as_bytes()).ok()) {
                Some(name) => initgroups(&name, gid).map_err(refused("initgroups"))?,
                None => setgroups(&[gid]).map_err(refused("setgroups"))?,
            }
            setgid(gid).map_err(refused("setgid"))?;
        }
        if let Some(user) = &self.user {
            setuid(user.uid).map_err(refused("setuid"))?;
            let is_back = !user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok();
            if is_back || getuid() != user.uid || geteuid() != user.uid {
                return Err(PrivilegeError::NotGone);
            }
        }
        Ok(())
    }

    /// Whether we are who we should be already.
    fn is_assumed(&self) -> Result<(), PrivilegeError> {
        let uid = geteuid();
        if let Some(user) = self.user.as_ref().filter(|user| user.uid != uid) {
            return Err(PrivilegeError::NotRoot { key: "main.user", name: user.name.clone(), uid });
        }
        let groups = getgroups().unwrap_or_default();
        let is_ours = |group: &&Group| group.gid == getegid() || groups.contains(&group.gid);
        if let Some(group) = self.group.as_ref().filter(|group| !is_ours(group)) {
            return Err(PrivilegeError::NotRoot { key: "main.group", name: group.name.clone(), uid });
        }
        Ok(())
    }

    /// Whether the daemon can work with its data now: directories that are missing are made, those of clusters and hosts
    /// must be writable, and so must be the files of the log. `archive` only if there is one.
    ///
    /// # Errors
    /// [`PrivilegeError::Unusable`].
    pub fn check_data(
        &self,
        checkpoints: &Path,
        log: &Path,
        archive: Option<&Path>,
    ) -> Result<(), PrivilegeError> {
        let unusable = |key, directory: &Path| {
            let (directory, who) = (directory.to_owned(), self.to_string());
            move |(path, source)| PrivilegeError::Unusable { key, path, directory, who, source }
        };
        check_tree(checkpoints, CHECKPOINT_LEVELS, false)
            .map_err(unusable("metric-store.checkpoints.directory", checkpoints))?;
        check_tree(log, 0, true).map_err(unusable("metric-store.wal.directory", log))?;
        if let Some(archive) = archive {
            check_tree(archive, ARCHIVE_LEVELS, false)
                .map_err(unusable("metric-store.cleanup.directory", archive))?;
        }
        Ok(())
    }
}

/// As `chown` takes it.
impl std::fmt::Display for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            formatter.write_str(&user.name)?;
        }
        match &self.group {
            Some(group) => write!(formatter, ":{}", group.name),
            None => Ok(()),
        }
    }
}

/// Empties the capability bounding set and sets `no_new_privs`: no program that this process might ever run gets a privilege back,
/// whatever its file says. Needs privileges, so it comes before the change of the user; what is refused (in a container, say) is not
/// needed for the rest.
fn drop_bounds() {
    if let Err(error) = caps::clear(None, CapSet::Bounding) {
        tracing::warn!("the capability bounding set stays as it is: {error}");
    }
    if let Err(error) = set_no_new_privs() {
        tracing::warn!("no_new_privs cannot be set: {error}");
    }
}

fn found<T>(key: &'static str, name: &str, looked_up: nix::Result<Option<T>>) -> Result<T, PrivilegeError> {
    let name = name.to_owned();
    match looked_up {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(PrivilegeError::Unknown { key, name }),
        Err(source) => Err(PrivilegeError::Lookup { key, name, source }),
    }
}

/// Makes `directory` and looks at what is in it: `levels` of directories, and the files if they are `files_too`.
fn check_tree(directory: &Path, levels: usize, files_too: bool) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    fs::create_dir_all(directory).map_err(at(directory))?;
    let all = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    eaccess(directory, all).map_err(|error| at(directory)(error.into()))?;
    if levels == 0 && !files_too {
        return Ok(());
    }
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let entry = entry.map_err(at(directory))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(at(directory))?);
        if kind.is_dir() && levels > 0 && is_stray(&path) {
            tracing::warn!("{} may not be read and is passed over", path.display());
        } else if kind.is_dir() && levels > 0 {
            check_tree(&path, levels - 1, files_too)?;
        } else if kind.is_file() && files_too {
            eaccess(&path, AccessFlags::R_OK | AccessFlags::W_OK).map_err(|error| at(&path)(error.into()))?;
        }
    }
    Ok(())
}

/// Whether a directory is none of ours, as the `lost+found` of a file system: we may not even look into it.
fn is_stray(directory: &Path) -> bool {
    eaccess(directory, AccessFlags::R_OK | AccessFlags::X_OK).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_named_with_their_key() {
        let error = Identity::find(Some("no-such-user"), None).unwrap_err().to_string();
        assert!(error.contains("main.user") && error.contains("no-such-user"), "{error}");
        let error = Identity::find(Some("root"), Some("no-such-group")).unwrap_err().to_string();
        assert!(error.contains("main.group") && error.contains("no-such-group"), "{error}");
        assert!(Identity::find(None, None).unwrap().is_none());
    }

    #[test]
    fn who_is_there_already_need_not_be_root() {
        let me = User::from_uid(geteuid()).unwrap().expect("the tests run as a user with a name");
        let identity = Identity::find(Some(&me.name), None).unwrap().unwrap();
        identity.is_assumed().unwrap();
        let nobody = Identity::find(Some("nobody"), None).unwrap().unwrap();
        let error = nobody.is_assumed().unwrap_err().to_string();
        assert!(error.contains("only root") && error.contains("nobody"), "{error}");
    }
}
