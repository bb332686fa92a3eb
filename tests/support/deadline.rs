//! Waiting for an event, and never longer than a deadline.

use std::time::{Duration, Instant};

/// How long anything may take: far more than it ever does, as machines are sometimes slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look for something that cannot tell that it has happened.
const PACE: Duration = Duration::from_millis(5);

/// Looks until there is something to be found.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match wait_at_most(PATIENCE, look) {
        Some(found) => found,
        None => panic!("waited in vain for {what}"),
    }
}

/// Looks until there is something to be found, or the time is over.
pub fn wait_at_most<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            None if Instant::now() < deadline => std::thread::sleep(PACE),
            found => return found,
        }
    }
}
