//! `helper.log`: the record of what the helper did, for people who look for the cause of a problem.

use crate::disk::layout::InstallRoot;
use crate::error::Error;
use crate::state;
use crate::values::timestamp::Timestamp;
use std::fmt;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

/// A log that has grown beyond this many bytes starts anew.
const MAX_BYTES: u64 = 256 * 1024;

/// The log. If it cannot be opened or written, the helper works without it.
pub struct Log(Option<File>);

impl Log {
    /// Opens the log of a root's state folder.
    pub fn open(root: &InstallRoot) -> Self {
        let file = state::open(root).ok().flatten().and_then(|dir| dir.open_or_create("helper.log").ok());
        Self(file.and_then(|mut file| {
            if file.seek(SeekFrom::End(0)).ok()? > MAX_BYTES {
                file.set_len(0).ok()?;
                file.rewind().ok()?;
            }
            Some(file)
        }))
    }

    /// Adds a line with the time and the helper's process id.
    pub fn line(&mut self, text: fmt::Arguments<'_>) {
        if let Some(file) = &mut self.0 {
            // In one call, so that another process's line cannot come between the words.
            let _ = file.write_all(format!("{} [{}] {text}\n", Timestamp::now(), std::process::id()).as_bytes());
        }
    }

    /// Adds a line about an error.
    pub fn error(&mut self, error: &Error) {
        self.line(format_args!("{error} ({})", error.code()));
    }
}
