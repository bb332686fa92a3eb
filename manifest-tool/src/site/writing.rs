//! Writing: files appear on the site whole, by a rename.

use crate::error::{Error, Result};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use tempfile::NamedTempFile;

/// The start of the name of a file that is not complete yet.
pub const TEMPORARY_PREFIX: &str = ".patcher-new-";

/// Writes a file in one step. After an error, the old file is unchanged.
///
/// # Errors
/// An I/O error.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = temporary_in(dir)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(|error| Error::io("write", path, error))?;
    file.persist(path).map_err(|error| Error::io("replace", path, error.error))?;
    sync(dir)
}

/// Makes the renames and removals in a folder durable. Windows needs no such call.
///
/// # Errors
/// An I/O error.
pub fn sync(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("sync", dir, error))?;
    }
    Ok(())
}

/// Creates a temporary file, which is removed unless it is renamed.
///
/// It has the permissions of any other new file, because a web server reads it.
pub(crate) fn temporary_in(dir: &Path) -> Result<NamedTempFile> {
    fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(dir).map_err(|error| Error::io("write to", dir, error))
}
