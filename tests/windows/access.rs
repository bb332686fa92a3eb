//! Access lists of the state folder.

#![expect(unsafe_code, reason = "sets access lists the way administrators do")]

use patcher::internal::fs::{Dir, FolderWriters};
use patcher::internal::layout::InstallRoot;
use patcher::internal::state;
use std::fs;
use std::os::windows::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;
use tempfile::TempDir;
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::ConvertStringSecurityDescriptorToSecurityDescriptorW;
use windows_sys::Win32::Security::{DACL_SECURITY_INFORMATION, SetFileSecurityW};

/// The rights of the system, the administrators and the owner of a folder.
const TRUSTED: &str = "(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;CO)";

/// Sets the access list of a folder, in the language of security descriptors.
fn set_access(folder: &Path, list: &str) {
    let wide = |text: &std::ffi::OsStr| text.encode_wide().chain([0]).collect::<Vec<u16>>();
    let (path, list) = (wide(folder.as_os_str()), wide(list.as_ref()));
    let mut descriptor = ptr::null_mut();
    // SAFETY: both strings end in a zero. The system allocates the descriptor, which is freed once.
    unsafe {
        let read =
            ConvertStringSecurityDescriptorToSecurityDescriptorW(list.as_ptr(), 1, &mut descriptor, ptr::null_mut());
        assert!(read != 0, "{}", std::io::Error::last_os_error());
        let set = SetFileSecurityW(path.as_ptr(), DACL_SECURITY_INFORMATION, descriptor);
        assert!(set != 0, "{}", std::io::Error::last_os_error());
        LocalFree(descriptor);
    }
}

/// Returns an install root that all users may write to.
fn open_root() -> (TempDir, InstallRoot) {
    let dir = TempDir::new().unwrap();
    let root = InstallRoot::new(dir.path().join("root"));
    fs::create_dir(&root.dir).unwrap();
    set_access(&root.dir, &format!("D:{TRUSTED}(A;OICI;FA;;;WD)"));
    (dir, root)
}

#[test]
fn only_its_user_can_write_to_a_new_state_folder() {
    let (_dir, root) = open_root();
    assert_eq!(Dir::open(&root.dir).unwrap().writers().unwrap(), FolderWriters::Others);
    let state_dir = state::open_or_create(&root).unwrap();
    assert_eq!(state_dir.writers().unwrap(), FolderWriters::Owner);
    let inner = state_dir.folder_or_new("txn", 0o700).unwrap();
    assert_eq!(inner.writers().unwrap(), FolderWriters::Owner);
}

#[test]
fn a_state_folder_that_others_can_write_is_refused() {
    let (_dir, root) = open_root();
    drop(state::open_or_create(&root).unwrap());
    // All rights, and those to write. wine does not keep others.
    for rights in ["FA", "FW"] {
        set_access(&root.state.dir, &format!("D:P{TRUSTED}(A;;{rights};;;WD)"));
        let error = state::open(&root).unwrap_err();
        assert_eq!(error.code(), "writable-by-others", "{rights}");
    }
    for rights in ["FR", "FX"] {
        set_access(&root.state.dir, &format!("D:P{TRUSTED}(A;;{rights};;;WD)"));
        state::open(&root).unwrap().unwrap();
    }
}
