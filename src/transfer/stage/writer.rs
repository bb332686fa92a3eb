//! A writer: one file of the stage that is being written, and its hash.
//!
//! An incomplete file is named `NAME.part`. It gets its name only after its size and SHA-256 were
//! checked.

use crate::disk::fs::{self, Dir};
use crate::disk::inventory::PathContent;
use crate::error::{Error, Result};
use crate::values::digest::{Sha256, Sha256Hasher};
use std::fs::File;
use std::io::{self, Read as _, Write as _};

/// Returns the name of an incomplete file.
pub fn partial(name: &str) -> String {
    format!("{name}.part")
}

/// Writes one file of the stage, and counts and hashes its bytes on the way.
pub struct Writer<'a> {
    dir: &'a Dir,
    partial: String,
    pub file: File,
    hasher: Sha256Hasher,
}

impl<'a> Writer<'a> {
    /// Begins the file `name` in `dir`, and discards an incomplete one of that name.
    pub fn new(dir: &'a Dir, name: &str) -> Result<Self> {
        let partial = partial(name);
        dir.remove_file(&partial)?;
        let file = dir.create(&partial)?;
        Ok(Self { dir, partial, file, hasher: Sha256Hasher::default() })
    }

    /// Discards what was written and begins again.
    pub fn start_over(self, name: &str) -> Result<Self> {
        drop(self.file);
        Self::new(self.dir, name)
    }

    /// Continues the incomplete file `name`, and hashes the bytes that it has.
    pub fn resume(dir: &'a Dir, name: &str) -> Result<Self> {
        let partial = partial(name);
        let file = dir.open_or_create(&partial)?;
        let mut writer = Self { dir, partial, file, hasher: Sha256Hasher::default() };
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match writer.file.read(&mut buffer) {
                Ok(0) => return Ok(writer),
                Ok(count) => writer.hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(writer.read_error(error)),
            }
        }
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Returns the error of a failed read.
    pub fn read_error(&self, error: io::Error) -> Error {
        Error::io("read", self.dir.join(&self.partial), error)
    }

    /// Returns the error of a failed write.
    pub fn write_error(&self, error: io::Error) -> Error {
        Error::io("write", self.dir.join(&self.partial), error)
    }

    /// Returns the hash and the number of the bytes so far.
    pub fn digest(&self) -> (Sha256, u64) {
        self.hasher.clone().finish()
    }

    /// Returns the number of bytes so far.
    pub fn length(&self) -> u64 {
        self.hasher.length()
    }

    /// Sets the mode and gives the file its name.
    ///
    /// The file is made durable later, together with all others of the swap
    /// ([`swap_steps`](super::swap_steps)). Until then a power cut may leave any content under the
    /// name. Therefore staged files are hashed again before they are used.
    pub fn finish(self, name: &str, mode: u32) -> Result<()> {
        fs::set_mode(&self.file, mode).map_err(|error| self.write_error(error))?;
        self.dir.rename(&self.partial, self.dir, name)
    }

    /// Removes the file's name and returns the open file. The system deletes it on close.
    pub fn into_unnamed(self) -> Result<File> {
        let file = self.file.try_clone().map_err(|error| self.read_error(error))?;
        self.discard()?;
        Ok(file)
    }

    /// Removes the file.
    pub fn discard(self) -> Result<()> {
        drop(self.file);
        self.dir.remove_file(&self.partial)
    }
}

/// Returns `true` if a staged file has the wanted content. Corrects its mode if it has.
pub fn is_staged(dir: &Dir, name: &str, wanted: &PathContent) -> Result<bool> {
    let PathContent::File { sha256, mode } = wanted else { return Ok(false) };
    let Some(mut file) = dir.open_file(name)? else { return Ok(false) };
    if fs::hash(&mut file, &dir.join(name))?.0 != *sha256 {
        return Ok(false);
    }
    dir.ensure_mode(name, *mode)?;
    Ok(true)
}
