//! The bundle: a signed build folder as one file, for first installations.
//!
//! For Windows it is an installer (`installer`), for all other platforms an archive (`archive`).

mod archive;
mod installer;

pub use installer::Uninstalling;

use crate::error::{Error, Result};
use crate::site::site_keys::SiteKeys;
use patcher::internal::digest::Sha256Hasher;
use patcher::internal::fs::{open_regular, read_regular};
use patcher::internal::manifest::{File, MAX_MANIFEST_BYTES, Meta};
use patcher::internal::rel_path::MANIFEST_NAME;
use patcher::internal::trust::{VerifiedManifest, authenticate};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A signed build folder.
pub struct SignedBuild {
    dir: PathBuf,
    manifest: VerifiedManifest,
}

impl SignedBuild {
    /// Reads the manifest that `sign` has written into a build folder.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], [`Error::ManifestFile`], or an I/O error.
    pub fn read(dir: &Path, keys: &SiteKeys) -> Result<Self> {
        let path = dir.join(MANIFEST_NAME);
        let bytes = read_regular(&path, MAX_MANIFEST_BYTES).map_err(|error| Error::io("read", &path, error))?;
        let manifest = keys.verify(&path, |keys| authenticate(bytes.clone(), keys))?;
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    /// Returns the description of the release.
    pub fn meta(&self) -> &Meta {
        &self.manifest.manifest().meta
    }

    /// Returns `true` if the release is for Windows.
    pub fn is_for_windows(&self) -> bool {
        self.meta().platform.as_str().ends_with("-windows")
    }

    /// Returns the name of the bundle, as in `core-2.0.0-x86_64-linux.tar.xz`.
    pub fn file_name(&self) -> String {
        let Meta { component, version, platform, .. } = self.meta();
        let ending = if self.is_for_windows() { "exe" } else { "tar.xz" };
        format!("{component}-{version}-{platform}.{ending}")
    }

    /// Passes the content of a file to `copy`, and checks that all of it is as it was signed.
    fn copy_file(&self, file: &File, copy: impl FnOnce(&mut dyn Read) -> Result<()>) -> Result<()> {
        let path = file.path.under(&self.dir);
        let opened = open_regular(&path).map_err(|error| Error::io("read", &path, error))?;
        let mut content = HashingReader { inner: opened, hasher: Sha256Hasher::default() };
        copy(&mut content)?;
        if content.hasher.finish() == (file.sha256, file.size) { Ok(()) } else { Err(Error::Changed { path }) }
    }
}

/// Creates a temporary file in the folder of `output`, which [`publish_output`] gives its name.
fn create_output(output: &Path) -> Result<NamedTempFile> {
    let dir = output.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    NamedTempFile::new_in(dir).map_err(|error| Error::io("write", output, error))
}

/// Gives a complete file its name, and returns its size in bytes.
fn publish_output(file: NamedTempFile, output: &Path) -> Result<u64> {
    let failed = |error| Error::io("write", output, error);
    set_readable(&file).map_err(failed)?;
    file.persist(output).map_err(|error| failed(error.error))?;
    Ok(fs::metadata(output).map_err(failed)?.len())
}

/// Lets all users read a temporary file, which only its owner can.
fn set_readable(file: &NamedTempFile) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    let _ = file;
    Ok(())
}

/// Hashes what it passes on.
struct HashingReader<R> {
    inner: R,
    hasher: Sha256Hasher,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
