//! The two versions that a swap lies between, and whose a path is while it does.
//!
//! A path is the updater's while its kind and content equal the plan's old or new; a mode is not
//! content. Everything else belongs to the user: the swap never deletes it and never fails because
//! of it.

use super::component::ComponentSwap;
use crate::disk::inventory::{PathContent, content_at};
use crate::error::{Error, Machine, Result};
use crate::state::journal::Step;
use std::io::ErrorKind;

/// The version that a swap brings a component to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The version before: a failed swap is undone, or a version on probation is rolled back.
    Old,
    /// The version after.
    New,
}

/// The relation of a path's present content to the side it is to be brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The path holds the wanted content, or nothing where nothing is wanted.
    Wanted,
    /// The path holds the content of the other side.
    Other,
    /// The path holds nothing.
    Nobody,
    /// The path holds something else, or something that cannot be read.
    User,
}

impl Side {
    /// Returns the content that a step ends with on this side.
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

    /// Tells whose a path with this content is; `None` stands for content that cannot be read.
    pub fn owner(self, step: &Step, found: Option<&PathContent>) -> Owner {
        let (wanted, other) = (self.wanted(step), self.other(step));
        match found {
            Some(found) if found == wanted => Owner::Wanted,
            // Where the swap changes nothing but a mode, the mode tells the sides apart.
            Some(found) if wanted.same_bytes(other) && found.same_bytes(wanted) => Owner::Other,
            Some(found) if found.same_bytes(wanted) => Owner::Wanted,
            Some(found) if found == other || found.same_bytes(other) => Owner::Other,
            Some(PathContent::Absent) => Owner::Nobody,
            _ => Owner::User,
        }
    }

    /// Examines the path of a step and tells whose it is.
    ///
    /// # Errors
    /// [`Machine::Io`] when the disk does not answer.
    pub fn examine(self, part: &ComponentSwap, step: &Step) -> Result<Owner> {
        let found = match content_at(&part.tree, step.place.as_str()) {
            Ok(content) => Some(content),
            Err(Error::Machine(Machine::UnsafePath { .. })) => None,
            Err(Error::Machine(Machine::Io { source, .. })) if is_unreadable(&source) => None,
            Err(error) => return Err(error),
        };
        Ok(self.owner(step, found.as_ref()))
    }
}

/// Tells whether a file cannot be read whoever tries again: its rights forbid it, or the medium is
/// damaged.
fn is_unreadable(error: &std::io::Error) -> bool {
    const EIO: i32 = 5;
    error.kind() == ErrorKind::PermissionDenied || (cfg!(unix) && error.raw_os_error() == Some(EIO))
}
