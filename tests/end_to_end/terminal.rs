//! A terminal: this process holds the screen's side, and programs get the other one.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A terminal without a window.
pub struct Terminal {
    screen: File,
    line: File,
    /// The name of its device, without folders.
    pub name: String,
}

impl Terminal {
    pub fn new() -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let path = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
        let no_controlling = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap();
        let line = File::options().read(true).write(true).custom_flags(no_controlling).open(&path).unwrap();
        Self { screen: File::from(screen), line, name: path.rsplit('/').next().unwrap().to_owned() }
    }

    /// Creates a terminal of 24 lines with this number of columns.
    pub fn with_columns(columns: u16) -> Self {
        let terminal = Self::new();
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal.line, size).unwrap();
        terminal
    }

    /// Starts a program with the terminal as its input and output.
    pub fn start(&self, command: &mut Command) -> Child {
        let line = || Stdio::from(self.line.try_clone().unwrap());
        command.stdin(line()).stdout(line()).stderr(line()).spawn().unwrap()
    }

    /// Runs a program to its end. Returns its status and all that it has written.
    pub fn run(self, command: &mut Command) -> (ExitStatus, String) {
        let mut child = self.start(command);
        // The command keeps copies of the line's file descriptor.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Self { mut screen, line, .. } = self;
        drop(line);
        let mut written = Vec::new();
        let mut buffer = [0; 4096];
        // Linux ends a terminal without programs by an error.
        while let Ok(count @ 1..) = screen.read(&mut buffer) {
            written.extend_from_slice(&buffer[..count]);
        }
        (child.wait().unwrap(), String::from_utf8(written).unwrap())
    }
}
