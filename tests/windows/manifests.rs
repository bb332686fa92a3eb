//! The manifests inside of the programs, which tell Windows how to run them.

#![expect(unsafe_code, reason = "reads a resource the way Windows does")]

use crate::world::program;
use std::os::windows::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::FreeLibrary;
use windows_sys::Win32::System::LibraryLoader::{
    FindResourceW, LOAD_LIBRARY_AS_DATAFILE, LoadLibraryExW, LoadResource, LockResource, SizeofResource,
};

/// The type of manifests among the resources (`RT_MANIFEST`).
const MANIFEST: *const u16 = ptr::without_provenance(24);
/// The number of a program's own manifest (`CREATEPROCESS_MANIFEST_RESOURCE_ID`).
const OF_THE_PROCESS: *const u16 = ptr::without_provenance(1);

/// Reads the manifest of a program as the system does when it starts the program.
fn manifest(path: &Path) -> String {
    let path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    // SAFETY: the path ends in a zero. The resource is read before the library is freed.
    unsafe {
        let module = LoadLibraryExW(path.as_ptr(), ptr::null_mut(), LOAD_LIBRARY_AS_DATAFILE);
        let found = FindResourceW(module, OF_THE_PROCESS, MANIFEST);
        assert!(!found.is_null(), "no manifest");
        let (start, size) = (LockResource(LoadResource(module, found)), SizeofResource(module, found) as usize);
        let bytes = std::slice::from_raw_parts(start.cast::<u8>(), size).to_vec();
        FreeLibrary(module);
        String::from_utf8(bytes).unwrap()
    }
}

#[test]
fn programs_need_no_elevation_and_know_long_paths_and_utf_8() {
    for name in ["patcher.exe", "patcher-helper.exe", "manifest-tool.exe"] {
        let manifest = manifest(&program(name));
        for part in [r#"level="asInvoker""#, ">true</longPathAware>", ">UTF-8</activeCodePage>"] {
            assert!(manifest.contains(part), "{name}: {part} is not in {manifest}");
        }
    }
}
