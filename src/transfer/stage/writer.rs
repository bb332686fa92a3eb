//! Files that are being written, and those that are complete.

use crate::disk::fs::{self, Dir};
use crate::disk::inventory::PathContent;
use crate::error::{Error, Result};
use crate::values::digest::{Sha256, Sha256Hasher};
use std::fs::File;
use std::io::{self, Read as _, Write as _};

/// The name of a file that is not complete.
pub fn partial(name: &str) -> String {
    format!("{name}.part")
}

/// Writes one file of the stage: its bytes are counted and hashed on the way, and it gets its name only when they are the
/// right ones.
pub struct Writer<'a> {
    dir: &'a Dir,
    partial: String,
    pub file: File,
    hasher: Sha256Hasher,
}

impl<'a> Writer<'a> {
    /// Begins the file `name` in `dir`; whatever was begun under that name before is dropped.
    pub fn new(dir: &'a Dir, name: &str) -> Result<Self> {
        let partial = partial(name);
        dir.remove_file(&partial)?;
        let file = dir.create(&partial)?;
        Ok(Self { dir, partial, file, hasher: Sha256Hasher::default() })
    }

    /// Begins anew; what was written is dropped.
    pub fn start_over(self, name: &str) -> Result<Self> {
        drop(self.file);
        Self::new(self.dir, name)
    }

    /// Goes on with the file `name` where an earlier writer stopped; what is there already is hashed again.
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
                Err(error) => return Err(Error::io("read", dir.join(&writer.partial), error)),
            }
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// The error of a write that did not work.
    pub fn failed(&self, error: io::Error) -> Error {
        Error::io("write", self.dir.join(&self.partial), error)
    }

    /// The hash and number of the bytes so far.
    pub fn digest(&self) -> (Sha256, u64) {
        self.hasher.clone().finish()
    }

    /// How many bytes there are so far.
    pub fn length(&self) -> u64 {
        self.hasher.length()
    }

    /// Sets the mode and gives the file its name. It is made durable with all others when the swap is prepared ([`steps`](super::swap_steps));
    /// until then a power cut may leave anything under that name, which is why what is staged is hashed before it is used.
    pub fn finish(self, name: &str, mode: u32) -> Result<()> {
        fs::set_mode(&self.file, mode).map_err(|error| self.failed(error))?;
        self.dir.rename(&self.partial, self.dir, name)
    }

    /// Drops the file.
    pub fn discard(self) -> Result<()> {
        drop(self.file);
        self.dir.remove_file(&self.partial)
    }
}

/// Whether a staged file is there with the content it should have; its mode is set right if it is.
pub fn is_staged(dir: &Dir, name: &str, wanted: &PathContent) -> Result<bool> {
    let PathContent::File { sha256, mode } = wanted else { return Ok(false) };
    let Some(mut file) = dir.open_file(name)? else { return Ok(false) };
    if fs::hash(&mut file, &dir.join(name))?.0 != *sha256 {
        return Ok(false);
    }
    dir.ensure_mode(name, *mode)?;
    Ok(true)
}
