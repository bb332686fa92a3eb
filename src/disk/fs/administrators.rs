//! Files that only administrators can change.

use std::io;
use std::path::{Path, PathBuf};

/// Returns `true` if only administrators can change a file, or put another one in its place.
///
/// On Unix the file, every folder on the way to it and every link on the way belong to root, and no
/// other user can write to them. On Windows the file and its folder belong to the administrators or
/// the system, and so do the link and its folder if the file is reached through one. There, Windows
/// lets only the owner and administrators change a file in `%ProgramData%`.
///
/// # Errors
/// An I/O error; [`io::ErrorKind::NotFound`] without the file.
pub fn only_administrators_can_change(path: &Path) -> io::Result<bool> {
    let target = path.canonicalize()?;
    for place in places(&std::path::absolute(path)?, &target)? {
        if !belongs_to_administrators(&place)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns every folder and link on the way to a file, and the file.
///
/// A link counts as much as its target: who can replace it decides which file is read.
#[cfg(unix)]
fn places(path: &Path, _target: &Path) -> io::Result<Vec<PathBuf>> {
    use std::path::Component;
    let names = |path: &Path| -> Vec<PathBuf> {
        path.components().rev().map(|component| PathBuf::from(component.as_os_str())).collect()
    };
    let (mut places, mut place, mut left) = (Vec::new(), PathBuf::new(), names(path));
    while let Some(name) = left.pop() {
        if name.components().next() == Some(Component::ParentDir) {
            place.pop();
            continue;
        }
        let entry = place.join(name);
        places.push(entry.clone());
        if entry.symlink_metadata()?.is_symlink() {
            left.extend(names(&entry.read_link()?));
        } else {
            place = entry;
        }
        // The system follows at most 40 links, each of at most 4,096 bytes.
        if places.len() > MAX_PLACES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
    }
    Ok(places)
}

/// The most folders and links on the way to a file.
#[cfg(unix)]
const MAX_PLACES: usize = 4096;

#[cfg(windows)]
fn places(path: &Path, target: &Path) -> io::Result<Vec<PathBuf>> {
    let file_and_folder = |path: &Path| -> Vec<PathBuf> { path.ancestors().take(2).map(Path::to_owned).collect() };
    Ok([file_and_folder(path), file_and_folder(target)].concat())
}

#[cfg(unix)]
fn belongs_to_administrators(place: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let found = place.symlink_metadata()?;
    let mode = found.mode();
    // In a sticky folder, only the owner of an entry can replace it. The mode of a link means
    // nothing.
    let others_write = mode & 0o002 != 0 || (mode & 0o020 != 0 && found.gid() != 0);
    let is_protected = found.is_symlink() || found.is_dir() && mode & 0o1000 != 0;
    Ok(found.uid() == 0 && (!others_write || is_protected))
}

#[cfg(windows)]
fn belongs_to_administrators(place: &Path) -> io::Result<bool> {
    super::system::belongs_to_administrators(place)
}
