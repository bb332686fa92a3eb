//! What of a swap can be done while the program still runs, so that it is away for no longer than
//! the renames take: the plan is read, the backups are made, every file is hashed, the journal's
//! next states are written beside it.
//!
//! Once the program has ended it is enough to see that nobody has touched a file since: its
//! [`Stamp`] is the same. A file that can change without a new stamp is hashed again. If anything
//! is not as it was, whatever it may be, everything is done anew.

use super::component::ComponentSwap;
use super::{check, open_parts, prepared};
use crate::disk::fs::{Dir, STAMPS, Stamp};
use crate::disk::inventory::{PathContent, content_at};
use crate::disk::layout::InstallRoot;
use crate::error::Result;
use crate::state::journal::{Journal, State};
use std::thread;
use std::time::Duration;

/// The clocks of file systems go by ticks of at most so long. A change in the tick of the change
/// before it cannot be told.
const TICK: Duration = Duration::from_millis(12);

/// A prepared swap whose backups are made and whose files are checked.
#[derive(Debug)]
pub struct Ready {
    journal: Journal,
    stamps: Vec<Option<Stamp>>,
    /// For each component the steps whose old files can change without a new stamp.
    unseen: Vec<Vec<usize>>,
}

impl Ready {
    /// Makes the prepared swap ready; none when none is prepared, or where a change of a file could
    /// not be told.
    ///
    /// # Errors
    /// What keeps the swap from being done now. Nothing of it is lost: it may be possible when the
    /// program has ended.
    pub(super) fn make(root: &InstallRoot, state_dir: &Dir) -> Result<Option<Self>> {
        if !STAMPS {
            return Ok(None);
        }
        let Some(journal) = prepared(state_dir)? else { return Ok(None) };
        let parts = open_parts(root, &journal.transaction)?;
        parts.iter().try_for_each(ComponentSwap::back_up)?;
        // A second name is a change, too.
        thread::sleep(TICK);
        let stamps = stamps(&parts)?;
        // Before the files are hashed: a program that begins to write later gives them new stamps.
        let unseen = parts.iter().map(unseen).collect::<Result<_>>()?;
        parts.iter().try_for_each(check::check_forth)?;
        journal.write_ahead(state_dir, &[State::Applying, journal.transaction.installed()])?;
        Ok(Some(Self { journal, stamps, unseen }))
    }

    /// The swap, if it is as ready as it was.
    pub(super) fn if_untouched(self, root: &InstallRoot, state_dir: &Dir) -> Option<(Journal, Vec<ComponentSwap>)> {
        if Journal::peek(state_dir).ok()?? != (State::Prepared, self.journal.plan) {
            return None;
        }
        let parts = open_parts(root, &self.journal.transaction).ok()?;
        if stamps(&parts).ok()? != self.stamps {
            return None;
        }
        for (part, unseen) in parts.iter().zip(&self.unseen) {
            for step in unseen.iter().map(|index| &part.steps.steps[*index]) {
                let found = content_at(&part.tree, step.place.as_str()).ok()?;
                if !found.same_bytes(&step.old) {
                    return None;
                }
            }
        }
        Some((self.journal, parts))
    }
}

/// Returns the steps of a component whose old files can change without a new stamp.
fn unseen(part: &ComponentSwap) -> Result<Vec<usize>> {
    let mut unseen = Vec::new();
    for (index, step) in part.steps.steps.iter().enumerate() {
        if matches!(step.old, PathContent::File { .. }) {
            let (dir, name) = part.tree.parent(step.place.as_str())?;
            if dir.may_change_unseen(name)? {
                unseen.push(index);
            }
        }
    }
    Ok(unseen)
}

/// The stamps of all targets and staged files; none for what is absent.
fn stamps(parts: &[ComponentSwap]) -> Result<Vec<Option<Stamp>>> {
    let mut stamps = Vec::new();
    for part in parts {
        for step in &part.steps.steps {
            stamps.push(part.tree.stamp(step.place.as_str())?);
            if let Some((stage, staged)) = part.staged_file(step)? {
                stamps.push(stage.stamp(staged)?);
            }
        }
    }
    Ok(stamps)
}
