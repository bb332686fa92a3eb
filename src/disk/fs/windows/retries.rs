//! Retries: Windows refuses to change a file while a virus scanner, an indexer or a backup holds it
//! for a moment.

use super::calls;
use std::io;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION};

/// The time for attempts to change a file that another program holds.
pub const RETRY_TIMEOUT: Duration = Duration::from_secs(30);
/// The time for attempts to remove a leftover, which can also be removed later.
pub const LEFTOVER_RETRY_TIMEOUT: Duration = Duration::from_secs(2);
/// The time after which the holder of a file counts as a running program.
const ASIDE_DELAY: Duration = Duration::from_secs(1);
/// The first pause; each is twice as long as the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Returns `true` if another program may be the reason of the error.
///
/// Of the three possible codes, "access denied" has other reasons as well.
pub fn is_in_use(error: &io::Error) -> bool {
    calls::is(error, &[ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION])
}

/// Retries `action` while a file is in use, for at most `timeout`.
///
/// The argument of `action` is `true` after 1 s, when it should also try to move the file aside.
pub fn retry_while_in_use(timeout: Duration, mut action: impl FnMut(bool) -> io::Result<()>) -> io::Result<()> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let is_late = start.elapsed() >= ASIDE_DELAY;
        match action(is_late) {
            Err(error) if is_in_use(&error) && !(is_late && start.elapsed() >= timeout) => std::thread::sleep(pause),
            result => return result,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
