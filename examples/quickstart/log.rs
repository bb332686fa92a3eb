//! The logs of programs without a terminal, read line by line as they grow.

use crate::Result;
use crate::narrator::tell;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The time limit for every wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A log of lines `TIME [PROCESS] TEXT`.
pub struct Log {
    who: &'static str,
    path: PathBuf,
    root: PathBuf,
    lines_told: usize,
}

impl Log {
    /// Opens the log of the program `who`, a file in the install root.
    pub fn new(who: &'static str, root: &Path, path: &str) -> Self {
        Self { who, path: root.join(path), root: root.to_owned(), lines_told: 0 }
    }

    /// Prints each new line until one contains `text`.
    pub fn wait_for(&mut self, text: &str) -> Result<()> {
        let what = format!("`{text}` in {}", self.path.display());
        wait_until(&what, || {
            while let Some((_, line)) = self.lines().nth(self.lines_told) {
                self.lines_told += 1;
                tell(self.who, &line.replace(&format!("{}/", self.root.display()), ""));
                if line.contains(text) {
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
    }

    /// Returns the ids of the processes that have written to it.
    pub fn processes(&self) -> impl Iterator<Item = u32> {
        self.lines().map(|(process, _)| process)
    }

    /// Returns all complete lines, each with the id of its process.
    fn lines(&self) -> impl Iterator<Item = (u32, String)> + use<> {
        // The file does not exist before the first line.
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        let parsed = complete.lines().filter_map(|line| {
            let (process, text) = line.split_once('[')?.1.split_once("] ")?;
            Some((process.parse().ok()?, text.to_owned()))
        });
        parsed.collect::<Vec<_>>().into_iter()
    }
}

/// Calls `ready` repeatedly until it returns a value.
pub fn wait_until<T>(what: &str, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ready()? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            return Err(format!("waited for {what}, which did not come within {} s", PATIENCE.as_secs()).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}
