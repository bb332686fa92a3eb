//! The input of a session: its requests as lines, and its end.

use patcher::internal::relaunch;
use std::io::{self, BufRead as _, Read as _};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// The longest request.
pub const MAX_LINE_BYTES: u64 = 64 << 10;

/// A part of the input.
pub enum Input {
    /// A line of standard input.
    Line(Vec<u8>),
    /// A line of more than [`MAX_LINE_BYTES`].
    TooLong,
    /// The end of standard input or of the program.
    End,
}

/// Returns the lines of standard input, up to the end of process `pid` at the latest.
///
/// A child of the program may have inherited the other end of standard input, and hold it open for
/// longer than the program runs.
pub fn inputs(pid: u32) -> Receiver<Input> {
    let (sender, inputs) = sync_channel(1);
    let of_program = sender.clone();
    // Both threads end with this process. Sending fails when the session no longer reads.
    thread::spawn(move || {
        relaunch::wait_for_exit(pid, None);
        let _ = of_program.send(Input::End);
    });
    thread::spawn(move || while sender.send(next()).is_ok() {});
    inputs
}

/// Reads a line of standard input.
fn next() -> Input {
    let mut line = Vec::new();
    match io::stdin().lock().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => Input::End,
        Ok(_) if line.len() as u64 == MAX_LINE_BYTES && !line.ends_with(b"\n") => Input::TooLong,
        Ok(_) => Input::Line(line),
    }
}
