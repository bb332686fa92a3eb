//! What all state files have in common: read whole, replaced in one step, set aside when they are
//! damaged.

use crate::disk::fs::Dir;
use crate::error::{Error, Machine, Result};
use crate::formats::xml::XmlError;

/// The ending that a damaged file gets.
const DAMAGED: &str = ".damaged";

/// A file of the state folder in XML.
pub trait StateFile: Default {
    /// Its name.
    const NAME: &'static str;
    /// The most bytes of one that is read.
    const MAX_BYTES: u64 = 4 << 20;

    /// Reads what [`write`](Self::write) gave.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    fn parse(bytes: &[u8]) -> Result<Self, XmlError>;

    /// The file's text.
    fn write(&self) -> String;

    /// Reads the file; none when there is none. A damaged one says nothing; it is set aside as
    /// `NAME.damaged`.
    ///
    /// # Errors
    /// [`Machine::Io`].
    fn load(state_dir: &Dir) -> Result<Option<Self>> {
        let read = match state_dir.read_small(Self::NAME, Self::MAX_BYTES) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => Self::parse(&bytes).ok(),
            Err(Error::Machine(Machine::StateDamaged { .. })) => None,
            Err(error) => return Err(error),
        };
        Ok(Some(read.unwrap_or_else(|| {
            // Where it cannot be set aside, the next `save` replaces it.
            let _ = state_dir.rename(Self::NAME, state_dir, &format!("{}{DAMAGED}", Self::NAME));
            Self::default()
        })))
    }

    /// Reads the file; an absent one says nothing.
    ///
    /// # Errors
    /// [`Machine::Io`].
    fn load_or_default(state_dir: &Dir) -> Result<Self> {
        Ok(Self::load(state_dir)?.unwrap_or_default())
    }

    /// Writes the file, durable when this returns.
    ///
    /// # Errors
    /// [`Machine::Io`].
    fn save(&self, state_dir: &Dir) -> Result<()> {
        state_dir.replace(Self::NAME, self.write().as_bytes(), 0o600)
    }
}

/// The names of the files that were found damaged and set aside.
///
/// # Errors
/// [`Machine::Io`].
pub fn damaged_files(state_dir: &Dir) -> Result<Vec<String>> {
    let mut names = state_dir.names()?;
    names.retain(|name| name.ends_with(DAMAGED));
    names.sort_unstable();
    Ok(names)
}
