//! A checked file: a file of the site that is open, and whose bytes were verified.

use crate::error::{Error, Result};
use patcher::internal::digest::Sha256;
use patcher::internal::fs::open_regular;
use patcher::internal::manifest::Object;
use std::fs::File;
use std::io::{Read as _, Seek as _, Take};
use std::path::{Path, PathBuf};

/// An open file of the site, with the bytes that were verified.
///
/// A file is opened once, for its check and for sending. Otherwise an attacker who can write to the
/// site could put a link to a private file in its place in between.
#[derive(Debug)]
pub struct CheckedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl CheckedFile {
    /// Opens a file; returns `None` if its bytes are not those of `object`.
    ///
    /// # Errors
    /// An I/O error.
    pub fn open(path: &Path, object: &Object) -> Result<Option<Self>> {
        let failed = |error| Error::io("read", path, error);
        let mut file = open_regular(path).map_err(failed)?;
        let found = Sha256::of_reader(&mut file).map_err(failed)?;
        let checked = Self { path: path.to_owned(), file, bytes: object.size };
        Ok((found == (object.sha256, object.size)).then_some(checked))
    }

    /// Returns the path for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns a reader from the beginning. A later one moves an earlier one back.
    ///
    /// # Errors
    /// An I/O error.
    pub fn reader(&self) -> Result<Take<File>> {
        let rewound = self.file.try_clone().and_then(|mut file| file.rewind().map(|()| file));
        Ok(rewound.map_err(|error| Error::io("read", &self.path, error))?.take(self.bytes))
    }
}
