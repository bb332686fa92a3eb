//! The system calls that the standard library has no safe name for.
//!
//! Every call gets strings that end in a zero and live until it returns, and handles that their
//! owner keeps open; what the system allocates is freed here.

#![expect(unsafe_code, reason = "calls into the system; each says why it is sound")]

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsRawHandle as _;
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, DELETE, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_FLAG_WRITE_THROUGH, FILE_ID_INFO, FILE_RENAME_INFO, FileIdInfo, FileRenameInfoEx, FindClose, FindFirstFileW,
    GetDiskFreeSpaceExW, GetFileInformationByHandle, GetFileInformationByHandleEx, GetVolumeInformationByHandleW,
    MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW, SYNCHRONIZE, SetFileInformationByHandle,
    WIN32_FIND_DATAW,
};

/// Returns the name of an entry as it is written in its folder; `None` if it is absent.
pub fn stored_name(path: &Path) -> io::Result<Option<OsString>> {
    let path = wide(path);
    // SAFETY: plain data, for which zeros are a value.
    let mut found: WIN32_FIND_DATAW = unsafe { std::mem::zeroed() };
    // SAFETY: the string ends in a zero, `found` is written to before this returns.
    let search = unsafe { FindFirstFileW(path.as_ptr(), &mut found) };
    if search == INVALID_HANDLE_VALUE {
        return match io::Error::last_os_error() {
            error if is(&error, &[ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND]) => Ok(None),
            error => Err(error),
        };
    }
    // SAFETY: the search was begun above and is ended once.
    unsafe { FindClose(search) };
    let name = &found.cFileName;
    let length = name.iter().position(|unit| *unit == 0).unwrap_or(name.len());
    Ok(Some(OsString::from_wide(&name[..length])))
}

/// Renames a file on one volume, over another one if `replace` says so; returns when the rename is
/// on the disk.
pub fn move_file(from: &Path, to: &Path, replace: bool) -> io::Result<()> {
    // Where it fails for a reason that lasts, the older call fails too and gives the reason.
    if replace && replace_file(from, to).is_ok() {
        return Ok(());
    }
    let (from, to) = (wide(from), wide(to));
    let flags = MOVEFILE_WRITE_THROUGH | if replace { MOVEFILE_REPLACE_EXISTING } else { 0 };
    // SAFETY: both strings end in a zero.
    done(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), flags) })
}

/// Renames a file over another one as POSIX does (Windows 10 1607 and later, NTFS).
///
/// A target that a program holds open and shares for deletion loses its name at once. The older
/// call refuses to replace it.
fn replace_file(from: &Path, to: &Path) -> io::Result<()> {
    // `FILE_RENAME_FLAG_REPLACE_IF_EXISTS` and `FILE_RENAME_FLAG_POSIX_SEMANTICS`.
    const REPLACE_LIKE_POSIX: u32 = 0x1 | 0x2;
    let mut options = OpenOptions::new();
    // The rename is on the disk when it returns, as with `MOVEFILE_WRITE_THROUGH`.
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_WRITE_THROUGH;
    let file = options.access_mode(DELETE | SYNCHRONIZE).custom_flags(flags).open(from)?;
    let to = wide(to);
    let name_bytes = (to.len() - 1) * size_of::<u16>();
    // The structure ends in the first unit of the name. The buffer is aligned as the structure is.
    let size = size_of::<FILE_RENAME_INFO>() + to.len() * size_of::<u16>();
    let mut buffer = vec![0_u64; size.div_ceil(size_of::<u64>())];
    let info = buffer.as_mut_ptr().cast::<FILE_RENAME_INFO>();
    let length = u32::try_from(name_bytes).map_err(|_| io::ErrorKind::InvalidFilename)?;
    // SAFETY: the buffer holds the structure and the whole name. The handle is open.
    unsafe {
        (*info).Anonymous.Flags = REPLACE_LIKE_POSIX;
        (*info).FileNameLength = length;
        ptr::copy_nonoverlapping(to.as_ptr(), (&raw mut (*info).FileName).cast(), to.len());
        done(SetFileInformationByHandle(file.as_raw_handle(), FileRenameInfoEx, info.cast(), size as u32))
    }
}

/// The serial number of the volume that an open file or folder lies on: 64 bits, or 32 where the
/// file system has no more.
pub fn volume(file: &File) -> io::Result<u64> {
    // SAFETY: plain data, for which zeros are a value.
    let mut id: FILE_ID_INFO = unsafe { std::mem::zeroed() };
    let size = size_of::<FILE_ID_INFO>() as u32;
    // SAFETY: the handle is open, and `id` has the given size.
    if unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), FileIdInfo, (&raw mut id).cast(), size) } != 0 {
        return Ok(id.VolumeSerialNumber);
    }
    // SAFETY: plain data, for which zeros are a value.
    let mut found: BY_HANDLE_FILE_INFORMATION = unsafe { std::mem::zeroed() };
    // SAFETY: the handle is open, `found` is written to before this returns.
    done(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut found) })?;
    Ok(found.dwVolumeSerialNumber.into())
}

/// The name of the file system that an open file or folder lies on, such as `NTFS` or `exFAT`.
pub fn file_system(file: &File) -> io::Result<String> {
    let mut name = [0_u16; 64];
    let (handle, length) = (file.as_raw_handle(), name.len() as u32);
    let (label, serial, longest, flags) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the handle is open, the buffer has the given length, and the other results may be
    // null.
    done(unsafe {
        GetVolumeInformationByHandleW(handle, label, 0, serial, longest, flags, name.as_mut_ptr(), length)
    })?;
    let length = name.iter().position(|unit| *unit == 0).unwrap_or(name.len());
    Ok(String::from_utf16_lossy(&name[..length]))
}

/// The bytes that this user may still write to the volume of a folder.
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let folder = wide(folder);
    let mut bytes = 0;
    // SAFETY: the string ends in a zero; the two unused results may be null.
    done(unsafe { GetDiskFreeSpaceExW(folder.as_ptr(), &mut bytes, ptr::null_mut(), ptr::null_mut()) })?;
    Ok(bytes)
}

/// Returns `true` if the system answered with one of these numbers.
pub fn is(error: &io::Error, numbers: &[u32]) -> bool {
    error.raw_os_error().is_some_and(|number| numbers.contains(&(number as u32)))
}

pub fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

pub fn done(answer: i32) -> io::Result<()> {
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
