//! State files in XML: read whole, replaced in one step, and renamed if they are damaged.

use crate::disk::fs::Dir;
use crate::disk::layout::DAMAGED_SUFFIX;
use crate::error::{Error, Machine, Result};
use crate::formats::xml::XmlError;
use crate::state::journal::set_aside;

/// A file of the state folder in XML.
pub trait StateFile: Default {
    /// The name of the file.
    const NAME: &'static str;
    /// The largest file that is read, in bytes.
    const MAX_BYTES: u64 = 4 << 20;

    /// Parses the text of [`write`](Self::write).
    ///
    /// # Errors
    /// The first rule that the bytes break.
    fn parse(bytes: &[u8]) -> Result<Self, XmlError>;

    /// Returns the text of the file.
    fn write(&self) -> String;

    /// Reads the file; returns `None` if it is absent or damaged.
    ///
    /// A damaged file, or an entry of another kind, is renamed to `NAME.damaged`.
    ///
    /// # Errors
    /// [`Machine::Io`].
    fn load(state_dir: &Dir) -> Result<Option<Self>> {
        let read = match state_dir.read_small(Self::NAME, Self::MAX_BYTES) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => Self::parse(&bytes).ok(),
            Err(Error::Machine(Machine::StateDamaged { .. } | Machine::UnsafePath { .. })) => None,
            Err(error) => return Err(error),
        };
        Ok(Some(read.unwrap_or_else(|| {
            // A folder does not replace a file. Where a file cannot be renamed, the next `save`
            // replaces it.
            let aside = format!("{}{DAMAGED_SUFFIX}", Self::NAME);
            let _ = state_dir.rename(Self::NAME, state_dir, &aside).or_else(|_| set_aside(state_dir, Self::NAME));
            Self::default()
        })))
    }

    /// Reads the file; returns the default if it is absent or damaged.
    ///
    /// # Errors
    /// [`Machine::Io`].
    fn load_or_default(state_dir: &Dir) -> Result<Self> {
        Ok(Self::load(state_dir)?.unwrap_or_default())
    }

    /// Writes the file. It is durable when this returns.
    ///
    /// # Errors
    /// [`Machine::Io`].
    fn save(&self, state_dir: &Dir) -> Result<()> {
        state_dir.replace(Self::NAME, self.write().as_bytes(), 0o600)
    }
}

/// Returns the names of damaged files, which were renamed.
///
/// # Errors
/// [`Machine::Io`].
pub fn damaged_files(state_dir: &Dir) -> Result<Vec<String>> {
    let mut names = state_dir.names()?;
    names.retain(|name| name.ends_with(DAMAGED_SUFFIX));
    names.sort_unstable();
    Ok(names)
}
