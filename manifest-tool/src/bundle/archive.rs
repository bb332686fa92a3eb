//! The archive: a `.tar.xz` that users extract in an install root.
//!
//! It has one folder, named after the component, with the files of the release and its manifest.
//! Extracted, it is an installed component. Equal releases make equal archives.

use super::{SignedBuild, create_output, publish_output};
use crate::error::{Error, Result};
use liblzma::write::XzEncoder;
use patcher::internal::rel_path::MANIFEST_NAME;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// The preset of xz, which needs 64 MiB to decompress.
const PRESET: u32 = 9;

impl SignedBuild {
    /// Writes the archive, which appears whole or not at all, and returns its size in bytes.
    ///
    /// # Errors
    /// [`Error::Changed`] for a file that is not as it was signed, or an I/O error.
    pub fn pack(&self, archive: &Path) -> Result<u64> {
        let failed = |error| Error::io("write", archive, error);
        let mut output = create_output(archive)?;
        let mut tar = Builder::new(XzEncoder::new(output.as_file_mut(), PRESET));
        let manifest = self.manifest.manifest();
        for file in &manifest.files {
            let mut header = self.header(file.size, if file.executable { 0o755 } else { 0o644 });
            self.copy_file(file, |content| {
                tar.append_data(&mut header, self.inner(file.path.as_str()), content).map_err(failed)
            })?;
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
        publish_output(output, archive)
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
