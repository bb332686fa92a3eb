//! One installation for several users: a service updates it, and the programs of all users share a
//! lock while they run.
//!
//! The service creates the lock file in the install root, where no other user can write. Programs
//! of other users open it for reading. A malicious user can hold this lock: the service therefore
//! has a deadline, and a starting program waits for a short time only.

use super::{Patcher, UpdatesOff};
use crate::disk::fs::{Dir, Lock, PLAIN_MODE};
use crate::disk::layout::ALL_USERS_LOCK_NAME;
use crate::error::{Error, Result};
use crate::formats::manifest::Component;
use crate::state::ActiveUpdate;
use crate::values::rel_path::MANIFEST_NAME;
use crate::values::timestamp::Timestamp;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

/// The name of the lock in messages.
const OTHER_USERS: &str = "the program of another user";
/// The longest wait of a starting program for the end of a swap.
const SWAP_TIMEOUT: Duration = Duration::from_secs(5);

/// The run of a program that a service updates.
#[derive(Debug)]
pub(super) struct UserSession {
    /// The shared lock; `None` if it was not free.
    _lock: Option<Lock>,
}

/// The times at which the manifests of the components were replaced last.
pub(super) type ManifestTimes = BTreeMap<Component, SystemTime>;

impl Patcher {
    /// Creates the lock of all users, if this process updates for them.
    pub(super) fn serve_all_users(&self) -> Result<()> {
        if self.shared.all_users.is_some() {
            let dir = Dir::open(&self.shared.root.dir)?;
            drop(dir.open_or_create(ALL_USERS_LOCK_NAME)?);
            dir.ensure_mode(ALL_USERS_LOCK_NAME, PLAIN_MODE)?;
        }
        Ok(())
    }

    /// Locks out the programs of other users; returns `None` if the installation is not shared, or
    /// if the staged updates have waited until the deadline.
    ///
    /// # Errors
    /// [`Error::Busy`] while a program of another user runs.
    pub(super) fn lock_out_other_users(&self) -> Result<Option<Lock>> {
        let dir = Dir::open(&self.shared.root.dir)?;
        if dir.open_file(ALL_USERS_LOCK_NAME)?.is_none() {
            return Ok(None);
        }
        match Lock::exclusive(&dir, ALL_USERS_LOCK_NAME, OTHER_USERS, Duration::ZERO) {
            Err(Error::Busy { .. }) if self.is_past_deadline(Timestamp::now())? => Ok(None),
            // The next programs cannot remove the id of this process: they may not write.
            lock => Ok(Some(lock?.nameless())),
        }
    }

    /// Returns `true` if all staged updates have waited for the programs of other users until the
    /// deadline.
    fn is_past_deadline(&self, now: Timestamp) -> Result<bool> {
        let Some(deadline) = self.shared.all_users else { return Ok(false) };
        let staged = self.active_updates()?.into_iter().filter_map(|ActiveUpdate { staged, .. }| staged);
        Ok(staged.max().is_some_and(|staged| now.unix().saturating_sub(staged.unix()) >= deadline.as_secs() as i64))
    }

    /// Registers this process as a program of another user; `None` if no service updates it.
    pub(super) fn begin_user_session(&self) -> Option<UpdatesOff> {
        let dir = Dir::open(&self.shared.root.dir).ok()?;
        dir.open_file(ALL_USERS_LOCK_NAME).ok()??;
        // The program starts in any case. Without the lock, a swap may happen while it runs.
        let lock = Lock::shared_of_other_user(&dir, ALL_USERS_LOCK_NAME, OTHER_USERS, SWAP_TIMEOUT);
        let session = UserSession { _lock: lock.ok().flatten() };
        *self.shared.user_session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Some(UpdatesOff::Service { root: self.shared.root.dir.clone() })
    }

    /// Returns `true` if a service updates the program of this process.
    pub(super) fn is_updated_by_service(&self) -> bool {
        self.shared.user_session.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Returns the times at which the manifests of the components were replaced last.
    pub(super) fn manifest_times(&self) -> ManifestTimes {
        let time = |component: Component| {
            let path = self.shared.root.component(&component).join(MANIFEST_NAME);
            Some((component, path.symlink_metadata().ok()?.modified().ok()?))
        };
        self.components().unwrap_or_default().into_iter().filter_map(time).collect()
    }
}
