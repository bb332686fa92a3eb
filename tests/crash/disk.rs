//! A small ext4 in a file, mounted as an install root, which a test can shut down as a power cut
//! does.

use crate::support::deadline::wait_for;
use crate::support::left_out;
use crate::support::run::Run;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`.
const SHUTDOWN: u32 = 0x8004_587d;
/// Mount options with which the file system writes nothing before a sync: no commit for an hour.
const OPTIONS: &str = "loop,data=ordered,commit=3600,noauto_da_alloc";

/// The part of the file system's journal that survives a power cut.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// The journal's part in memory is lost.
    LosingTheLog,
    /// The whole journal is written, and nothing else.
    WithTheLog,
}

impl Cut {
    /// Returns `EXT4_GOING_FLAGS_NOLOGFLUSH` or `EXT4_GOING_FLAGS_LOGFLUSH`.
    fn flags(self) -> u32 {
        match self {
            Cut::LosingTheLog => 2,
            Cut::WithTheLog => 1,
        }
    }
}

/// An image and the folder that it is mounted at.
pub struct Disk {
    image: PathBuf,
    /// The number of times that its contents were restored.
    number: u32,
    at: PathBuf,
    mounted: bool,
}

impl Disk {
    /// Makes a new file system and mounts it; returns `None` if it cannot be mounted here.
    pub fn new(image: &Path, at: &Path, megabytes: u64) -> Option<Self> {
        let mkfs = left_out::program("mkfs.ext4")?;
        File::create(image).unwrap().set_len(megabytes << 20).unwrap();
        Run::of(Command::new(mkfs).args(["-q", "-m", "0"]).arg(image)).ends(0);
        let mut disk = Self { image: image.to_owned(), number: 0, at: at.to_owned(), mounted: false };
        if let Err(words) = disk.mount() {
            left_out::report(&format!("a file system cannot be mounted here: {words}"));
            return None;
        }
        Some(disk)
    }

    fn mount(&mut self) -> Result<(), String> {
        let run = Run::of(Command::new("mount").args(["-o", OPTIONS]).arg(&self.image).arg(&self.at));
        self.mounted = run.code == Some(0);
        if self.mounted { Ok(()) } else { Err(run.err) }
    }

    fn unmount(&mut self) {
        if self.mounted {
            // The killed program's last threads, and other tests' children before their exec, hold
            // on to it for a moment.
            let done = || Run::of(Command::new("umount").arg(&self.at)).code == Some(0);
            wait_for("the file system to be let go", || done().then_some(()));
            self.mounted = false;
        }
    }

    /// Saves a copy of the image, after all writes.
    pub fn save(&mut self, name: &Path) {
        self.unmount();
        fs::copy(&self.image, name).unwrap();
        self.mount().unwrap();
    }

    /// Restores a saved image, as a new file: other processes may still have the last one mounted
    /// in their own namespaces.
    pub fn bring_back(&mut self, name: &Path) {
        self.unmount();
        fs::remove_file(&self.image).unwrap();
        self.number += 1;
        self.image.set_extension(self.number.to_string());
        fs::copy(name, &self.image).unwrap();
        self.mount().unwrap();
    }

    /// Cuts the power, and mounts what is on the disk.
    pub fn cut(&mut self, cut: Cut) {
        let folder = File::open(&self.at).unwrap();
        let flags = cut.flags();
        shut_down(&folder, flags);
        drop(folder);
        self.unmount();
        self.mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
        }
    }
}

#[expect(unsafe_code, reason = "an ioctl that no library wraps")]
fn shut_down(folder: &File, flags: u32) {
    // SAFETY: the call takes a pointer to an unsigned 32-bit number and only reads it.
    let request = unsafe { rustix::ioctl::Setter::<SHUTDOWN, u32>::new(flags) };
    // SAFETY: the same; it leaves the file system in a state in which every call on it fails.
    unsafe { rustix::ioctl::ioctl(folder, request) }.unwrap();
}
