//! Changes of a file that its time of change does not show.
//!
//! A program that has mapped a file into its memory may write to it without a new time of change.
//! Some file systems store times in steps of 10 ms to 2 s. The updater reads such a file again.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

/// File systems whose first write through a new mapping sets the time of change, and that tell
/// whether a file is open for writing: ext4, XFS, Btrfs and F2FS.
const KNOWN: [i64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];
/// Steps of this size or more are too coarse: exFAT stores 10 ms.
const COARSE_STEP_NANOSECONDS: i64 = 10_000_000;
/// The command that chooses the signal of a lease, which `libc` lacks (`asm-generic/fcntl.h`).
const F_SETSIG: libc::c_int = 10;

/// Returns `true` if this file can change from now on without a new time of change.
///
/// It also returns `true` if the system does not tell.
pub fn may_change_unseen(file: &File) -> bool {
    // A finer time that is a multiple of the step by chance costs one more read.
    let is_coarse = file.metadata().map_or(true, |found| found.ctime_nsec() % COARSE_STEP_NANOSECONDS == 0);
    is_coarse || !is_known(file) || is_open_for_writing(file).unwrap_or(true)
}

#[cfg_attr(target_pointer_width = "64", expect(clippy::unnecessary_cast, reason = "the field has 32 bits elsewhere"))]
fn is_known(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|found| KNOWN.contains(&(found.f_type as i64)))
}

/// Returns `true` if a process has the file open or mapped for writing.
///
/// The system grants a lease for reading only on a file that no process can write to.
#[expect(unsafe_code, reason = "a call that no library wraps")]
fn is_open_for_writing(file: &File) -> io::Result<bool> {
    let fd = file.as_raw_fd();
    let fcntl = |command, value: libc::c_int| {
        // SAFETY: the descriptor is open, and these commands take a number and no pointer.
        let result = unsafe { libc::fcntl(fd, command, value) };
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // If a process opens the file during the lease, the system sends a signal to this process. The
    // default one would end the process; this one is ignored.
    fcntl(F_SETSIG, libc::SIGURG)?;
    match fcntl(libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(()) => fcntl(libc::F_SETLEASE, libc::F_UNLCK).map(|()| false),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_open_for_writing_may_change_unseen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        assert!(is_open_for_writing(&reader).unwrap());
        assert!(may_change_unseen(&reader));
        drop(writer);
        assert!(!is_open_for_writing(&reader).unwrap());
        // The lease has ended, so the next writer does not wait.
        File::options().write(true).open(&path).unwrap();
    }
}
