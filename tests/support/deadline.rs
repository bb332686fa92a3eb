//! Waiting for an event, and never longer than a deadline.

use std::time::{Duration, Instant};

/// How long anything may take: far more than it ever does, as machines are sometimes slow.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look for something that cannot tell that it has happened.
const PACE: Duration = Duration::from_millis(5);

/// Looks until there is something to be found.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(PACE);
    }
}
