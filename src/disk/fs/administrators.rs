//! Files that only administrators can change.

use std::io;
use std::path::Path;

/// Returns `true` if only administrators can change a file, or put another one in its place.
///
/// On Unix the file and every folder above it belong to root, and no other user can write to them.
/// On Windows the file and its folder belong to the administrators or the system. There, Windows
/// lets only the owner and administrators change a file in `%ProgramData%`.
///
/// # Errors
/// An I/O error; [`io::ErrorKind::NotFound`] without the file.
pub fn only_administrators_can_change(path: &Path) -> io::Result<bool> {
    // A link counts as its target. Only root can have made a link in the folder of the default
    // path.
    let path = path.canonicalize()?;
    for place in levels(&path) {
        if !belongs_to_administrators(place)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(unix)]
fn levels(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors()
}

#[cfg(windows)]
fn levels(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().take(2)
}

#[cfg(unix)]
fn belongs_to_administrators(place: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let found = place.metadata()?;
    let (mode, is_folder) = (found.mode(), found.is_dir());
    // In a sticky folder, only the owner of an entry can replace it.
    let others_write = mode & 0o002 != 0 || (mode & 0o020 != 0 && found.gid() != 0);
    Ok(found.uid() == 0 && (!others_write || is_folder && mode & 0o1000 != 0))
}

#[cfg(windows)]
fn belongs_to_administrators(place: &Path) -> io::Result<bool> {
    super::system::belongs_to_administrators(place)
}
