//! The two versions of a swap, and the owner of each path between them.
//!
//! A path belongs to the updater while it has the old or the new content of the plan. A mode is not
//! content. Everything else belongs to the user: the swap never deletes it and never fails because
//! of it.

use super::component::ComponentSwap;
use crate::disk::inventory::{PathContent, content_at};
use crate::error::{Error, Machine, Result};
use crate::state::journal::Step;
use std::io::ErrorKind;

/// The version that the exchange brings a component to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The version before: a failed swap is undone, or a version on probation is rolled back.
    Old,
    /// The version after.
    New,
}

/// The owner of a path's present content, as seen from the wanted side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The path holds the wanted content, or is free as wanted.
    Wanted,
    /// The path holds the content of the other side.
    Other,
    /// The path is free.
    Nobody,
    /// The path holds other content, or content that cannot be read.
    User,
}

impl Side {
    /// Returns the content of a step's path on this side.
    pub fn wanted(self, step: &Step) -> &PathContent {
        match self {
            Side::Old => &step.old,
            Side::New => &step.new,
        }
    }

    /// Returns the content that a step replaces on the way to this side.
    pub fn other(self, step: &Step) -> &PathContent {
        match self {
            Side::Old => &step.new,
            Side::New => &step.old,
        }
    }

    /// Returns the owner of this content; `None` stands for content that cannot be read.
    pub fn owner(self, step: &Step, found: Option<&PathContent>) -> Owner {
        let (wanted, other) = (self.wanted(step), self.other(step));
        match found {
            Some(found) if found == wanted => Owner::Wanted,
            // If the sides differ only in the mode, the mode decides which side it is.
            Some(found) if wanted.same_bytes(other) && found.same_bytes(wanted) => Owner::Other,
            Some(found) if found.same_bytes(wanted) => Owner::Wanted,
            Some(found) if found == other || found.same_bytes(other) => Owner::Other,
            Some(PathContent::Absent) => Owner::Nobody,
            _ => Owner::User,
        }
    }

    /// Reads the path of a step, and returns the owner of its content.
    ///
    /// # Errors
    /// [`Machine::Io`] if the disk does not answer.
    pub fn examine(self, part: &ComponentSwap, step: &Step) -> Result<Owner> {
        let found = match content_at(&part.tree, step.path.as_str()) {
            Ok(content) => Some(content),
            Err(Error::Machine(Machine::UnsafePath { .. })) => None,
            Err(Error::Machine(Machine::Io { source, .. })) if is_unreadable(&source) => None,
            Err(error) => return Err(error),
        };
        Ok(self.owner(step, found.as_ref()))
    }
}

/// Returns `true` if no retry can read the file: its rights forbid it, or the medium is damaged.
fn is_unreadable(error: &std::io::Error) -> bool {
    const EIO: i32 = 5;
    error.kind() == ErrorKind::PermissionDenied || (cfg!(unix) && error.raw_os_error() == Some(EIO))
}
