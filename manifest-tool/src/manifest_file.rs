//! A manifest on the publisher's disk, read without asking who signed it: to number the next release and to look at it.

use crate::error::{Error, Result};
use patcher::manifest::{self, Manifest, SignedBytes};
use std::fs;
use std::path::Path;

/// A manifest file, taken apart.
#[derive(Debug)]
pub struct ManifestFile {
    /// The file as it is.
    pub bytes: Vec<u8>,
    /// Its body and its signatures.
    pub signed: SignedBytes,
    /// What the body says.
    pub manifest: Manifest,
}

impl ManifestFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Error::ManifestFile`] when it is not manifest format 1, or the system's answer.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|error| Error::io("read", path, error))?;
        let not_valid = |refused| Error::ManifestFile { path: path.to_owned(), source: Box::new(refused) };
        let signed = SignedBytes::split(bytes.clone()).map_err(not_valid)?;
        let manifest = manifest::parse(&signed.body).map_err(not_valid)?;
        Ok(Self { bytes, signed, manifest })
    }
}
