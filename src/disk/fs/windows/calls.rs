//! The system calls that the standard library has no safe name for.
//!
//! Every call gets strings that end in a zero and live until it returns, and handles that their
//! owner keeps open; what the system allocates is freed here.

#![expect(unsafe_code, reason = "calls into the system; each says why it is sound")]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, INVALID_HANDLE_VALUE, LocalFree};
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_FILE_OBJECT};
use windows_sys::Win32::Security::{
    EqualSid, GetTokenInformation, IsWellKnownSid, OWNER_SECURITY_INFORMATION, PSID, TOKEN_OWNER, TOKEN_QUERY,
    TOKEN_USER, TokenOwner, TokenUser, WinBuiltinAdministratorsSid, WinLocalSystemSid,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FindClose, FindFirstFileW, GetDiskFreeSpaceExW, GetFileInformationByHandle,
    MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW, WIN32_FIND_DATAW,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

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
    let (from, to) = (wide(from), wide(to));
    let flags = MOVEFILE_WRITE_THROUGH | if replace { MOVEFILE_REPLACE_EXISTING } else { 0 };
    // SAFETY: both strings end in a zero.
    done(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), flags) })
}

/// The serial number of the volume that an open file or folder lies on.
pub fn volume(file: &File) -> io::Result<u32> {
    // SAFETY: plain data, for which zeros are a value.
    let mut found: BY_HANDLE_FILE_INFORMATION = unsafe { std::mem::zeroed() };
    // SAFETY: the handle is open, `found` is written to before this returns.
    done(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut found) })?;
    Ok(found.dwVolumeSerialNumber)
}

/// The bytes that this user may still write to the volume of a folder.
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let folder = wide(folder);
    let mut bytes = 0;
    // SAFETY: the string ends in a zero; the two unused results may be null.
    done(unsafe { GetDiskFreeSpaceExW(folder.as_ptr(), &mut bytes, ptr::null_mut(), ptr::null_mut()) })?;
    Ok(bytes)
}

/// Returns `true` if an open folder belongs to this process's user, to the group that what the user
/// makes belongs to, or to those who may do anything here anyway: administrators and the system
/// itself.
pub fn is_own(folder: &File) -> io::Result<bool> {
    with_owner(folder, is_own_id)
}

/// Returns `true` if an open file or folder belongs to the administrators or the system itself.
#[cfg(feature = "client")]
pub fn belongs_to_administrators(file: &File) -> io::Result<bool> {
    with_owner(file, |owner| Ok(is_administrators_id(owner)))
}

/// Calls `answer` with the id of the owner of an open file or folder.
fn with_owner(file: &File, answer: impl FnOnce(PSID) -> io::Result<bool>) -> io::Result<bool> {
    let mut owner: PSID = ptr::null_mut();
    let mut descriptor = ptr::null_mut();
    // SAFETY: the handle is open and allows it; `owner` points into `descriptor`, which is freed
    // below.
    let error = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &mut owner,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &mut descriptor,
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error as i32));
    }
    let answer = answer(owner);
    // SAFETY: the system allocated it for the caller to free, and `owner` is not used any more.
    unsafe { LocalFree(descriptor) };
    answer
}

fn is_administrators_id(owner: PSID) -> bool {
    // SAFETY: the caller's id is valid.
    (unsafe { IsWellKnownSid(owner, WinBuiltinAdministratorsSid) | IsWellKnownSid(owner, WinLocalSystemSid) }) != 0
}

fn is_own_id(owner: PSID) -> io::Result<bool> {
    if is_administrators_id(owner) {
        return Ok(true);
    }
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle of this process needs no closing; `token` is written to before this
    // returns.
    done(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) })?;
    // SAFETY: it was opened above, and is closed here only.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // An id has at most 68 bytes; eight are aligned for the structure that points to it.
    let mut buffer = [0_u64; 16];
    for kind in [TokenUser, TokenOwner] {
        let size = size_of_val(&buffer) as u32;
        let mut used = 0;
        // SAFETY: the buffer has the given size.
        done(unsafe { GetTokenInformation(token.as_raw_handle(), kind, buffer.as_mut_ptr().cast(), size, &mut used) })?;
        // SAFETY: the system has filled the buffer with the structure of that kind, whose id points
        // into the buffer.
        let id = unsafe {
            if kind == TokenUser {
                (*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid
            } else {
                (*buffer.as_ptr().cast::<TOKEN_OWNER>()).Owner
            }
        };
        // SAFETY: both ids are valid.
        if unsafe { EqualSid(owner, id) } != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns `true` if the system answered with one of these numbers.
pub fn is(error: &io::Error, numbers: &[u32]) -> bool {
    error.raw_os_error().is_some_and(|number| numbers.contains(&(number as u32)))
}

fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

fn done(answer: i32) -> io::Result<()> {
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
