//! A manifest on the publisher's disk, parsed but not verified.

use crate::error::{Error, Result};
use patcher::internal::error::Refused;
use patcher::internal::fs::read_regular;
use patcher::internal::manifest::{self, MAX_MANIFEST_BYTES, Manifest, SignedBytes};
use std::path::{Path, PathBuf};

/// A manifest file, taken apart.
#[derive(Debug)]
pub struct ManifestFile {
    /// The path of the file.
    pub path: PathBuf,
    /// The file as it is.
    pub bytes: Vec<u8>,
    /// Its body and its signatures.
    pub signed: SignedBytes,
    /// The parsed body.
    pub manifest: Manifest,
}

impl ManifestFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Error::ManifestFile`] when it is not manifest format 1, or the system's answer.
    pub fn read(path: &Path) -> Result<Self> {
        Self::take_apart(path, SignedBytes::split)
    }

    /// Reads the file at `path`, which may be a body as well: a manifest that is not signed yet.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_signed_or_not(path: &Path) -> Result<Self> {
        Self::take_apart(path, |bytes| {
            let is_signed = bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"  <signature "));
            if is_signed { SignedBytes::split(bytes) } else { Ok(SignedBytes { body: bytes, signatures: Vec::new() }) }
        })
    }

    fn take_apart(path: &Path, split: impl Fn(Vec<u8>) -> Result<SignedBytes, Refused>) -> Result<Self> {
        let bytes = read_regular(path, MAX_MANIFEST_BYTES).map_err(|error| Error::io("read", path, error))?;
        Self::of(path, bytes, split)
    }

    /// Parses a manifest. `path` is its file or URL, for error messages.
    ///
    /// # Errors
    /// [`Error::ManifestFile`] when it is not manifest format 1.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        Self::of(path, bytes, SignedBytes::split)
    }

    fn of(path: &Path, bytes: Vec<u8>, split: impl Fn(Vec<u8>) -> Result<SignedBytes, Refused>) -> Result<Self> {
        let not_valid = |refused| Error::ManifestFile { path: path.to_owned(), source: Box::new(refused) };
        let signed = split(bytes.clone()).map_err(not_valid)?;
        let manifest = manifest::parse(&signed.body).map_err(not_valid)?;
        Ok(Self { path: path.to_owned(), bytes, signed, manifest })
    }
}
