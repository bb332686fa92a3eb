//! A ready swap: its backups and checks are made while the program still runs.
//!
//! After the program has ended, only the renames are left to do, so the program is away for a short
//! time. [`Ready::make`] reads the plan, makes the backups, hashes every file, and writes the next
//! states of the journal beside it.
//!
//! After the program has ended, an unchanged [`Fingerprint`] shows that a file is unchanged. A file
//! that can change without a new fingerprint is hashed again. If anything has changed, the swap
//! repeats all checks.

use super::component::ComponentSwap;
use super::{back_up, check, open_parts, prepared};
use crate::disk::fs::{Dir, FINGERPRINTS, Fingerprint};
use crate::disk::inventory::{PathContent, content_at};
use crate::disk::layout::InstallRoot;
use crate::error::Result;
use crate::state::journal::{Journal, JournalState};
use std::thread;
use std::time::Duration;

/// The longest tick of a file system's clock. Two changes within one tick have the same time.
const TICK: Duration = Duration::from_millis(12);

/// A prepared swap whose backups are made and whose files are checked.
#[derive(Debug)]
pub struct Ready {
    journal: Journal,
    fingerprints: Vec<Option<Fingerprint>>,
    /// For each component the steps whose old files can change without a new fingerprint.
    unseen: Vec<Vec<usize>>,
}

impl Ready {
    /// Prepares the swap that the journal names.
    ///
    /// The result is `None` if no swap is prepared, or if the system has no fingerprints that show
    /// every change of a file.
    ///
    /// # Errors
    /// The reason why the swap is not possible now. It may be possible after the program's end.
    pub(super) fn make(root: &InstallRoot, state_dir: &Dir) -> Result<Option<Self>> {
        if !FINGERPRINTS {
            return Ok(None);
        }
        let Some(journal) = prepared(state_dir)? else { return Ok(None) };
        let parts = open_parts(root, &journal.transaction)?;
        back_up(&parts)?;
        // A backup is a second name, and a new name changes the file's time.
        thread::sleep(TICK);
        let fingerprints = fingerprints(&parts)?;
        // The fingerprints come before the hashes: a program that begins to write later gives the
        // file a new fingerprint.
        let unseen = parts.iter().map(unseen).collect::<Result<_>>()?;
        parts.iter().try_for_each(check::check_forth)?;
        journal.write_ahead(state_dir, &[JournalState::Applying, journal.transaction.installed()])?;
        Ok(Some(Self { journal, fingerprints, unseen }))
    }

    /// Returns the swap if no file has changed since [`make`](Self::make), otherwise `None`.
    pub(super) fn if_untouched(self, root: &InstallRoot, state_dir: &Dir) -> Option<(Journal, Vec<ComponentSwap>)> {
        if Journal::peek(state_dir).ok()?? != (JournalState::Prepared, self.journal.plan) {
            return None;
        }
        let parts = open_parts(root, &self.journal.transaction).ok()?;
        if fingerprints(&parts).ok()? != self.fingerprints {
            return None;
        }
        for (part, unseen) in parts.iter().zip(&self.unseen) {
            for step in unseen.iter().map(|index| &part.steps.steps[*index]) {
                let found = content_at(&part.tree, step.path.as_str()).ok()?;
                if !found.same_bytes(&step.old) {
                    return None;
                }
            }
        }
        Some((self.journal, parts))
    }
}

/// Returns the steps of a component whose old files can change without a new fingerprint.
fn unseen(part: &ComponentSwap) -> Result<Vec<usize>> {
    let mut unseen = Vec::new();
    for (index, step) in part.steps.steps.iter().enumerate() {
        if matches!(step.old, PathContent::File { .. }) {
            let (dir, name) = part.tree.parent(step.path.as_str())?;
            if dir.may_change_unseen(name)? {
                unseen.push(index);
            }
        }
    }
    Ok(unseen)
}

/// Returns the fingerprints of all targets and staged files; `None` for a file that is absent.
fn fingerprints(parts: &[ComponentSwap]) -> Result<Vec<Option<Fingerprint>>> {
    let mut fingerprints = Vec::new();
    for part in parts {
        for step in &part.steps.steps {
            fingerprints.push(part.tree.fingerprint(step.path.as_str())?);
            if let Some((stage, staged)) = part.staged_file(step)? {
                fingerprints.push(stage.fingerprint(staged)?);
            }
        }
    }
    Ok(fingerprints)
}
