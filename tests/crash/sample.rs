//! The sample: the points of a scenario to try, which are all, or another share each day.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// One of this many points is tried, unless `CRASH_EVERY` names another number.
pub const EVERY: u64 = 30;
const SECONDS_A_DAY: u64 = 86_400;

/// Returns the points to try.
pub fn of<T>(points: Vec<T>) -> Vec<T> {
    let every = number("CRASH_EVERY").unwrap_or(EVERY).max(1);
    let today = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / SECONDS_A_DAY;
    let first = number("CRASH_SEED").unwrap_or_else(today) % every;
    points.into_iter().zip(0..).filter(|(_, at)| at % every == first).map(|(point, _)| point).collect()
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
