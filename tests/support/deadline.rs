//! Waits for events with a deadline.

use std::time::{Duration, Instant};

/// The longest wait for any event: slow machines need far less.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The interval between two looks at something that sends no notice.
const INTERVAL: Duration = Duration::from_millis(5);

/// Waits until `look` returns a value, and panics after 60 s.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match wait_at_most(TIMEOUT, look) {
        Some(found) => found,
        None => panic!("waited in vain for {what}"),
    }
}

/// Waits until `look` returns a value or the time is over.
pub fn wait_at_most<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            None if Instant::now() < deadline => std::thread::sleep(INTERVAL),
            found => return found,
        }
    }
}
