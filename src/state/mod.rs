//! The updater's state between runs: files in the state folder, each replaced in one step.

#[cfg(feature = "client")]
mod active;
#[cfg(feature = "client")]
mod choices;
mod file;
#[cfg(feature = "client")]
mod history;
pub mod journal;
mod outcomes;
mod seen;
#[cfg(feature = "client")]
mod sights;
mod starts;
#[cfg(feature = "client")]
mod update;
mod verdicts;
mod waiting;
#[cfg(feature = "client")]
mod watched;

#[cfg(feature = "client")]
pub use active::{ActiveUpdate, ActiveUpdates, ObjectDownload};
#[cfg(feature = "client")]
pub use choices::Choices;
pub use file::{StateFile, damaged_files};
#[cfg(feature = "client")]
pub use history::{DEFAULT_KEPT_UPDATES, History, PastUpdate, load_updates, move_outcomes_to_history};
#[cfg(feature = "client")]
pub use outcomes::has_outcomes;
pub use outcomes::{OUTCOMES_FILE, SwapOutcome, record_outcome, sync_outcomes};
pub use seen::{RetryAfter, SeenRelease, SeenReleases};
#[cfg(feature = "client")]
pub use sights::FirstSights;
pub use starts::{PendingNotice, Starts};
#[cfg(feature = "client")]
pub use update::{UnknownAttribute, UnknownWord, UpdateState, UpdateType};
pub use verdicts::{BadRelease, MAX_SWAP_ATTEMPTS, NotARollbackReason, RollbackReason, Verdicts};
pub use waiting::WaitingCleanups;
#[cfg(feature = "client")]
pub use watched::WatcherState;

use crate::disk::fs::{Dir, FolderWriters, Found, Lock};
use crate::disk::layout::InstallRoot;
use crate::error::{Error, Machine, Result};
use std::time::Duration;

/// Opens the state folder of an install root.
///
/// # Errors
/// [`Machine::UnsafePath`] for a link, [`Machine::OtherOwner`], [`Machine::WritableByOthers`],
/// [`Machine::Io`]. An absent folder is no error.
pub fn open(root: &InstallRoot) -> Result<Option<Dir>> {
    let path = &root.state.dir;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(Machine::UnsafePath { path: path.clone() }.into());
    };
    let parent = match Dir::open(parent) {
        Err(Error::Machine(Machine::Io { source, .. })) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        parent => parent?,
    };
    let Some(dir) = parent.folder(name)? else { return Ok(None) };
    check_folder(&dir)?;
    Ok(Some(dir.with_own_aside()))
}

/// Checks that a folder of the updater belongs to this user, and that no other user can write to
/// it.
///
/// # Errors
/// [`Machine::OtherOwner`], [`Machine::WritableByOthers`], [`Machine::Io`].
pub fn check_folder(dir: &Dir) -> Result<()> {
    let path = || dir.path().to_owned();
    match dir.writers()? {
        FolderWriters::Owner => Ok(()),
        FolderWriters::OtherOwner => Err(Machine::OtherOwner { path: path() }.into()),
        FolderWriters::Others => Err(Machine::WritableByOthers { path: path() }.into()),
    }
}

/// Checks that every entry of the state folder belongs to this user alone.
///
/// # Errors
/// [`Machine::WritableByOthers`] for an entry of another user, or one that another user can write;
/// [`Machine::Io`].
pub fn check_entries(state_dir: &Dir) -> Result<()> {
    match state_dir.foreign_entry()? {
        Some(name) => Err(Machine::WritableByOthers { path: state_dir.join(&name) }.into()),
        None => Ok(()),
    }
}

/// Opens the state folder, or creates it for this user alone.
///
/// # Errors
/// As [`open`]; [`Machine::NotWritable`] if it cannot be created.
pub fn open_or_create(root: &InstallRoot) -> Result<Dir> {
    if let Some(dir) = open(root)? {
        return Ok(dir);
    }
    let path = &root.state.dir;
    let (Some(above), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(Machine::UnsafePath { path: path.clone() }.into());
    };
    crate::disk::fs::create_root(above)?;
    let parent = Dir::open(above)?;
    if parent.find(name)? == Found::Absent && !parent.is_writable() {
        return Err(Machine::NotWritable { path: above.to_owned() }.into());
    }
    parent.make_folder(name, 0o700)?;
    // A journal that a power cut takes away with its folder undoes nothing.
    parent.sync()?;
    open(root)?.ok_or_else(|| Machine::UnsafePath { path: path.clone() }.into())
}

/// Locks the root for this updater; waits at most `patience` for another one.
///
/// # Errors
/// [`Error::Busy`] with the id of the other process, [`Machine::Io`].
pub fn lock_updater(state_dir: &Dir, patience: Duration) -> Result<Lock> {
    Lock::exclusive(state_dir, "lock", "the install root", patience)
}

/// The name of the running lock in messages.
pub const PROGRAM: &str = "the program";

/// Takes the running lock, which all instances of the program share.
///
/// # Errors
/// As [`lock_updater`].
pub fn lock_running(state_dir: &Dir, patience: Duration) -> Result<Lock> {
    Lock::shared(state_dir, "running", PROGRAM, patience)
}

/// Waits until no instance of the program runs, and locks out new ones.
///
/// # Errors
/// As [`lock_updater`].
pub fn lock_not_running(state_dir: &Dir, patience: Duration) -> Result<Lock> {
    Lock::exclusive(state_dir, "running", PROGRAM, patience)
}

/// Takes the lock under which one process checks and downloads.
///
/// The process holds it while it waits for the network. Meanwhile other processes can swap, confirm
/// and start.
///
/// # Errors
/// As [`lock_updater`].
pub fn lock_downloading(state_dir: &Dir, patience: Duration) -> Result<Lock> {
    Lock::exclusive(state_dir, "downloading", "the download", patience)
}

/// Takes the short lock under which the user's choices are read, changed and saved.
///
/// # Errors
/// As [`lock_updater`].
#[cfg(feature = "client")]
pub fn lock_choosing(state_dir: &Dir) -> Result<Lock> {
    Lock::exclusive(state_dir, "choosing", "the user's choices", Duration::from_secs(60))
}

/// Takes the short lock under which a version on probation is confirmed or rolled back.
///
/// A process holds it for one check and one change of the journal. It never waits for a user, a
/// program or the network meanwhile.
///
/// # Errors
/// As [`lock_updater`].
pub fn lock_deciding(state_dir: &Dir) -> Result<Lock> {
    Lock::exclusive(state_dir, "deciding", "the decision about the new version", Duration::from_secs(60))
}
