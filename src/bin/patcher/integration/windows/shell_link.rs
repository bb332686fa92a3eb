//! A shell link: the file of a shortcut (`.lnk`), which Windows itself writes.
//!
//! Crates that write the format by themselves lose names outside of the system's code page.

#![expect(unsafe_code, reason = "calls into the system; each says why it is sound")]

use std::io;
use std::path::Path;
use windows::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, COINIT_APARTMENTTHREADED, CoCreateInstance, CoInitializeEx, CoUninitialize, IPersistFile,
};
use windows::Win32::UI::Shell::{IShellLinkW, ShellLink as ShellLinkClass};
use windows::core::{HSTRING, Interface as _, Result};

/// The program that a shortcut starts, and the file with its icon.
pub struct ShellLink<'a> {
    pub target: &'a Path,
    pub working_dir: &'a Path,
    pub icon: &'a Path,
}

impl ShellLink<'_> {
    /// Writes the shortcut, and replaces an earlier one.
    ///
    /// # Errors
    /// The system's error.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let saved = ComApartment::enter().and_then(|_apartment| self.save_in_apartment(path));
        saved.map_err(io::Error::from)
    }

    fn save_in_apartment(&self, path: &Path) -> Result<()> {
        // SAFETY: COM is initialized in this thread. Each text lives until its call returns, and
        // the interfaces are released before the apartment is left.
        unsafe {
            let link: IShellLinkW = CoCreateInstance(&ShellLinkClass, None, CLSCTX_INPROC_SERVER)?;
            link.SetPath(&HSTRING::from(self.target))?;
            link.SetWorkingDirectory(&HSTRING::from(self.working_dir))?;
            link.SetIconLocation(&HSTRING::from(self.icon), 0)?;
            link.cast::<IPersistFile>()?.Save(&HSTRING::from(path), true)
        }
    }
}

/// The use of COM by this thread, which ends when this is dropped.
struct ComApartment;

impl ComApartment {
    fn enter() -> Result<Self> {
        // SAFETY: no pointer is passed, and `drop` ends each successful call.
        unsafe { CoInitializeEx(None, COINIT_APARTMENTTHREADED) }.ok().map(|()| Self)
    }
}

impl Drop for ComApartment {
    fn drop(&mut self) {
        // SAFETY: this thread has initialized COM, and no interface is in use.
        unsafe { CoUninitialize() };
    }
}
