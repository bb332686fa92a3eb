//! The session: the child process `patcher session` and its JSON lines.

use crate::story::StoryEvent;
use serde_json::Value;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// The longest line of a session. Release notes are the longest part of a line.
const MAX_LINE_BYTES: u64 = 4 << 20;
/// The time that a session has to end after its input. It may still write fetched bytes.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// A running session. It ends when it is dropped.
pub struct SessionProcess {
    child: Child,
    input: Option<ChildStdin>,
    /// Disconnected when the session's output has ended.
    ended: Receiver<()>,
}

impl SessionProcess {
    /// Starts `patcher` with these arguments. `report` gets each line, and the end, in a thread.
    ///
    /// # Errors
    /// Those of the system, as if the program is missing.
    pub fn start(
        program: &OsString,
        arguments: &[OsString],
        report: impl Fn(StoryEvent) + Send + 'static,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| io::Error::other("the session has no output"))?;
        let (alive, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let _alive: mpsc::Sender<()> = alive;
            let mut lines = BufReader::new(output);
            let message = loop {
                let mut line = Vec::new();
                match lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
                    Ok(0) => break "the session has ended".to_owned(),
                    Err(error) => break format!("the session's output cannot be read: {error}"),
                    Ok(_) => {}
                }
                match serde_json::from_slice::<Value>(&line) {
                    Ok(line) => report(StoryEvent::Line(line)),
                    Err(error) => break format!("the session printed a line that is no JSON: {error}"),
                }
            };
            report(StoryEvent::SessionEnded(message));
        });
        Ok(Self { child, input, ended })
    }

    /// Sends a request. If the session has ended, its reader reports that.
    pub fn send(&mut self, request: &Value) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{request}");
        }
    }
}

impl Drop for SessionProcess {
    /// Ends the session and waits for it, so that its locks are free afterwards.
    fn drop(&mut self) {
        self.input = None;
        if self.ended.recv_timeout(END_TIMEOUT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
