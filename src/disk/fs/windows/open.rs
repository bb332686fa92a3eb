//! Opening folders and files: the paths and flags that the system needs for it.

use super::calls;
use super::retries::{RETRY_TIMEOUT, retry_while_in_use};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_DIRECTORY};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_SHARE_READ, FILE_SHARE_WRITE,
    READ_CONTROL, SYNCHRONIZE,
};

/// Returns the absolute path with the prefix `\\?\`, so that Windows takes each name literally.
pub fn verbatim(path: &Path) -> io::Result<PathBuf> {
    use std::path::{Component, Prefix};
    let absolute = std::path::absolute(path)?;
    let start = match absolute.components().next() {
        Some(Component::Prefix(prefix)) => match prefix.kind() {
            Prefix::Disk(_) => r"\\?\",
            Prefix::UNC(..) => r"\\?\UNC",
            _ => "",
        },
        _ => "",
    };
    let mut verbatim = OsString::from(start);
    let rest = absolute.as_os_str();
    match start {
        // `\\server` becomes `\\?\UNC\server`: one of its two backslashes goes.
        r"\\?\UNC" => verbatim.push(OsString::from_wide(&rest.encode_wide().skip(1).collect::<Vec<_>>())),
        _ => verbatim.push(rest),
    }
    Ok(verbatim.into())
}

/// Opens a folder so that no program can rename or remove it while the handle is open.
pub fn open_folder(path: &Path, flags: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.access_mode(FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | READ_CONTROL | SYNCHRONIZE);
    options.share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS | flags);
    match retry_open(|| options.open(path)) {
        // The path is that of a file, with a slash at its end.
        Err(error) if calls::is(&error, &[ERROR_DIRECTORY]) => Err(io::ErrorKind::NotADirectory.into()),
        opened => opened,
    }
}

/// Retries `open` while another program uses the file; "access denied" is returned at once.
pub fn retry_open(mut open: impl FnMut() -> io::Result<File>) -> io::Result<File> {
    let mut opened = None;
    let tried = retry_while_in_use(RETRY_TIMEOUT, |_| match open() {
        Err(error) if calls::is(&error, &[ERROR_ACCESS_DENIED]) => {
            opened = Some(Err(error));
            Ok(())
        }
        Err(error) => Err(error),
        Ok(file) => {
            opened = Some(Ok(file));
            Ok(())
        }
    });
    match opened {
        Some(opened) => opened,
        None => Err(tried.err().unwrap_or_else(|| io::ErrorKind::Other.into())),
    }
}
