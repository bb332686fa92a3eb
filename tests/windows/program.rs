//! A program that runs until a test ends it: a copy of this test program, with one test as the
//! body.

#![expect(unsafe_code, reason = "loads a library the way programs do")]

use crate::deadline::wait_for;
use std::fs::{self, File, OpenOptions};
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use windows_sys::Win32::Foundation::{FreeLibrary, HMODULE};
use windows_sys::Win32::Storage::FileSystem::FILE_SHARE_READ;
use windows_sys::Win32::System::LibraryLoader::{DONT_RESOLVE_DLL_REFERENCES, LoadLibraryExW};

/// The variable with the folder through which the program and its test exchange messages.
const TALK: &str = "PATCHER_TEST_TALK";
/// The arguments with which the test harness runs the body only.
pub const BODY: [&str; 4] = ["program::body", "--exact", "--ignored", "--nocapture"];

/// The last bytes of a program that does not work.
pub const BROKEN: &str = "broken";
/// The exit code of such a program.
pub const FAILURE: i32 = 3;

/// The body of the program: reports its working folder, and ends when a file `stop` exists.
///
/// A broken program fails at once.
#[test]
#[ignore = "the body of a program that other tests start"]
fn body() {
    if fs::read(std::env::current_exe().unwrap()).unwrap().ends_with(BROKEN.as_bytes()) {
        println!("this version is broken");
        std::process::exit(FAILURE);
    }
    let talk = PathBuf::from(std::env::var_os(TALK).unwrap());
    let words = format!("{}\n{}", std::process::id(), std::env::current_dir().unwrap().display());
    fs::write(talk.join("started.new"), words).unwrap();
    // The rename fails while the test reads the message of an earlier program.
    wait_for("the words to be taken", || fs::rename(talk.join("started.new"), talk.join("started")).ok());
    wait_for("the order to stop", || talk.join("stop").exists().then_some(()));
    fs::write(talk.join("stopped"), "").unwrap();
}

/// Returns the bytes of a program. Each version has other bytes at the end, which have no effect.
pub fn bytes(version: &str) -> Vec<u8> {
    let mut bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
    bytes.extend(version.as_bytes());
    bytes
}

/// The running program. The test ends it and waits for it when this is dropped.
pub struct Program {
    talk: PathBuf,
    pub child: Option<Child>,
}

impl Program {
    /// Starts `program` with `talk` as the folder to talk in, and waits until it runs.
    pub fn start(program: &Path, talk: &Path) -> Self {
        let mut command = Command::new(program);
        command.args(BODY).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = with_talk(&mut command, talk).spawn().unwrap();
        let program = Self { talk: talk.to_owned(), child: Some(child) };
        program.started();
        program
    }

    /// Returns a program that another process starts.
    pub fn started_by_another(talk: &Path) -> Self {
        Self { talk: talk.to_owned(), child: None }
    }

    /// Waits until it runs, and returns its process id and working folder.
    pub fn started(&self) -> (u32, PathBuf) {
        let words = wait_for("the program", || fs::read_to_string(self.talk.join("started")).ok());
        let (pid, dir) = words.split_once('\n').unwrap();
        (pid.parse().unwrap(), dir.into())
    }

    pub fn stop(&mut self) {
        fs::write(self.talk.join("stop"), "").unwrap();
        wait_for("the program's end", || self.talk.join("stopped").exists().then_some(()));
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.talk.join("stopped").exists() && self.talk.join("started").exists() {
            self.stop();
        }
    }
}

/// Lets a program, and the programs that it starts, exchange messages through a folder.
pub fn with_talk<'a>(command: &'a mut Command, talk: &Path) -> &'a mut Command {
    fs::create_dir_all(talk).unwrap();
    command.env(TALK, talk)
}

/// A library that this process has loaded.
pub struct Library(HMODULE);

impl Library {
    pub fn load(path: &Path) -> Self {
        let wide: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
        // SAFETY: the string ends in a zero; nothing of the library is run.
        let module = unsafe { LoadLibraryExW(wide.as_ptr(), std::ptr::null_mut(), DONT_RESOLVE_DLL_REFERENCES) };
        assert!(!module.is_null(), "{}: {}", path.display(), std::io::Error::last_os_error());
        Self(module)
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: it was loaded, and nothing of it is used.
        unsafe { FreeLibrary(self.0) };
    }
}

/// Opens a file so that no process can replace or remove it.
pub fn hold(path: &Path) -> File {
    OpenOptions::new().read(true).share_mode(FILE_SHARE_READ).open(path).unwrap()
}
