//! The schedule of checks: pure calculations on durations.
//!
//! The calendar counts only when a watcher starts, for the time since the last check. A clock that
//! jumps and a machine that wakes up trigger no check. Otherwise all clients would call the server
//! at the same time.

use crate::values::timestamp::Timestamp;
use std::time::Duration;

/// The longest pause after the first failure. It doubles with each further one.
const FIRST_RETRY_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause before a watcher looks again if the programs have ended.
const MAX_APPLY_PERIOD: Duration = Duration::from_secs(60);

/// The times of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The time between two checks, which varies by 10 %.
    pub interval: Duration,
    /// The first check happens at a random time within this one.
    pub first_within: Duration,
}

impl Schedule {
    /// Returns the pause before the first check. `random` is between 0 and 1.
    ///
    /// `last` is the time of the last check with the failures in a row that it ends. After a
    /// failure the next check comes as early as in a watcher that was not stopped.
    pub fn first(&self, last: Option<(Timestamp, u32)>, now: Timestamp, random: f64) -> Duration {
        let delay = self.first_within.mul_f64(random);
        let Some((at, failures)) = last else { return delay };
        // A last check in the future was recorded by a wrong clock and does not count.
        let Ok(since) = u64::try_from(now.unix() - at.unix()).map(Duration::from_secs) else { return delay };
        let pause = if failures == 0 { self.interval } else { self.retry(failures, None, random) };
        pause.saturating_sub(since).max(delay)
    }

    /// Returns the pause after a successful check.
    pub fn next(&self, random: f64) -> Duration {
        self.interval.mul_f64(0.9 + random / 5.0)
    }

    /// Returns the time between two attempts to apply an update that waits for the end of programs.
    ///
    /// An attempt asks no server: 60 s for the usual interval of 4 h, and less for shorter ones.
    pub fn apply_period(&self) -> Duration {
        (self.interval / 240).clamp(Duration::from_secs(1), MAX_APPLY_PERIOD)
    }

    /// Returns the pause after the last of `failures` in a row.
    ///
    /// It doubles with each failure, and is never shorter than the server's retry-after.
    pub fn retry(&self, failures: u32, retry_after: Option<Duration>, random: f64) -> Duration {
        let doubled = FIRST_RETRY_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let pause = doubled.min(self.interval).mul_f64(0.5 + random / 2.0);
        pause.max(retry_after.map_or(Duration::ZERO, |delay| delay.mul_f64(1.0 + random / 10.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SCHEDULE: Schedule = Schedule { interval: HOUR, first_within: Duration::from_secs(100) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_000_000 + seconds)
    }

    #[test]
    fn the_first_check_comes_at_a_random_time_soon() {
        assert_eq!(SCHEDULE.first(None, at(0), 0.0), Duration::ZERO);
        assert_eq!(SCHEDULE.first(None, at(0), 0.5), Duration::from_secs(50));
        assert_eq!(SCHEDULE.first(Some((at(-99_999), 0)), at(0), 0.5), Duration::from_secs(50));
    }

    #[test]
    fn a_watcher_that_starts_anew_does_not_ask_before_its_time() {
        assert_eq!(SCHEDULE.first(Some((at(-600), 0)), at(0), 0.5), Duration::from_secs(3000));
        assert_eq!(SCHEDULE.first(Some((at(-3590), 0)), at(0), 0.5), Duration::from_secs(50));
    }

    #[test]
    fn a_watcher_that_starts_anew_after_a_failure_retries_as_soon_as_the_one_before() {
        let first = |seconds: i64, failures| SCHEDULE.first(Some((at(-seconds), failures)), at(0), 1.0).as_secs();
        assert_eq!([first(0, 1), first(600, 1), first(0, 5), first(800, 5), first(0, 99)], [100, 100, 960, 160, 3600]);
    }

    #[test]
    fn a_check_in_the_future_was_none() {
        assert_eq!(SCHEDULE.first(Some((at(600), 0)), at(0), 0.5), Duration::from_secs(50));
    }

    #[test]
    fn the_interval_varies_by_a_tenth() {
        assert_eq!((SCHEDULE.next(0.0), SCHEDULE.next(1.0)), (HOUR.mul_f64(0.9), HOUR.mul_f64(1.1)));
    }

    #[test]
    fn failures_are_retried_after_longer_and_longer_pauses() {
        let pauses: Vec<u64> = (1..=8).map(|failures| SCHEDULE.retry(failures, None, 1.0).as_secs()).collect();
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(SCHEDULE.retry(u32::MAX, None, 1.0), HOUR);
        assert_eq!(SCHEDULE.retry(1, None, 0.0), Duration::from_secs(30));
    }

    #[test]
    fn a_waiting_update_is_applied_soon_after_the_end_of_programs() {
        let period = |interval| Schedule { interval, ..SCHEDULE }.apply_period().as_secs();
        assert_eq!((period(4 * HOUR), period(24 * HOUR), period(HOUR), period(HOUR / 3600)), (60, 60, 15, 1));
    }

    #[test]
    fn a_server_is_left_alone_for_as_long_as_it_asks() {
        assert_eq!(SCHEDULE.retry(1, Some(24 * HOUR), 0.0), 24 * HOUR);
        assert_eq!(SCHEDULE.retry(1, Some(Duration::from_secs(1)), 1.0), Duration::from_secs(60));
    }
}
