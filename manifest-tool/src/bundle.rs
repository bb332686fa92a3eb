//! The bundle: a signed build folder as an archive, for first installations.
//!
//! The archive has one folder, named after the component, with the files of the release and its
//! manifest. Extracted in an install root, it is an installed component. Equal releases make equal
//! archives.

use crate::error::{Error, Result};
use crate::site::site_keys::SiteKeys;
use liblzma::write::XzEncoder;
use patcher::internal::digest::Sha256Hasher;
use patcher::internal::fs::{open_regular, read_regular};
use patcher::internal::manifest::{MAX_MANIFEST_BYTES, Meta};
use patcher::internal::rel_path::MANIFEST_NAME;
use patcher::internal::trust::{VerifiedManifest, authenticate};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;

/// The preset of xz, which needs 64 MiB to decompress.
const PRESET: u32 = 9;

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
        let manifest = keys.verify(&path, |keys| authenticate(bytes, keys))?;
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    /// Returns the description of the release.
    pub fn meta(&self) -> &Meta {
        &self.manifest.manifest().meta
    }

    /// Returns the name of the archive, as in `core-2.0.0-x86_64-linux.tar.xz`.
    pub fn archive_name(&self) -> String {
        let Meta { component, version, platform, .. } = self.meta();
        format!("{component}-{version}-{platform}.tar.xz")
    }

    /// Writes the archive, which appears whole or not at all, and returns its size in bytes.
    ///
    /// # Errors
    /// [`Error::Changed`] for a file that is not as it was signed, or an I/O error.
    pub fn pack(&self, archive: &Path) -> Result<u64> {
        let failed = |error| Error::io("write", archive, error);
        let dir = archive.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut output = NamedTempFile::new_in(dir).map_err(failed)?;
        let mut tar = Builder::new(XzEncoder::new(output.as_file_mut(), PRESET));
        let manifest = self.manifest.manifest();
        for file in &manifest.files {
            let path = file.path.under(&self.dir);
            let opened = open_regular(&path).map_err(|error| Error::io("read", &path, error))?;
            let mut content = HashingReader { inner: opened, hasher: Sha256Hasher::default() };
            let mut header = self.header(file.size, if file.executable { 0o755 } else { 0o644 });
            tar.append_data(&mut header, self.inner(file.path.as_str()), &mut content).map_err(failed)?;
            if content.hasher.finish() != (file.sha256, file.size) {
                return Err(Error::Changed { path });
            }
        }
        for link in &manifest.links {
            let mut header = self.header(0, 0o777);
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, self.inner(link.path.as_str()), &link.target).map_err(failed)?;
        }
        // Last, so that an extraction that is cut off leaves no component that counts as installed.
        let bytes = self.manifest.bytes();
        let mut header = self.header(bytes.len() as u64, 0o644);
        tar.append_data(&mut header, self.inner(MANIFEST_NAME), bytes).map_err(failed)?;
        tar.into_inner().and_then(XzEncoder::finish).map_err(failed)?;
        let size = output.as_file().metadata().map_err(failed)?.len();
        set_readable(&output).map_err(failed)?;
        output.persist(archive).map_err(|error| failed(error.error))?;
        Ok(size)
    }

    fn inner(&self, path: &str) -> String {
        format!("{}/{path}", self.meta().component)
    }

    fn header(&self, size: u64, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_size(size);
        header.set_mode(mode);
        header.set_mtime(u64::try_from(self.meta().issued.unix()).unwrap_or(0));
        header
    }
}

/// Lets all users read a temporary file, which only its owner can.
fn set_readable(file: &NamedTempFile) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
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
