//! How many requests may be under way at one host.
//!
//! A host that has not answered lately is asked by one request first: those that wait for it find its connection open and its
//! TLS session known, so that a host sees one full handshake.

use super::CancelToken;
use crate::error::Result;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// How long others wait for the first answer of a host.
const FIRST: Duration = Duration::from_secs(1);
/// How long a host that nobody asks counts as one that has answered; shorter than connections are kept.
const LATELY: Duration = Duration::from_secs(30);
/// How long a stopped caller may have to wait.
const TICK: Duration = Duration::from_millis(50);

/// Hands out turns.
#[derive(Debug)]
pub struct HostSlots {
    most: usize,
    hosts: Mutex<HashMap<String, Host>>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Host {
    busy: usize,
    answered: Option<Instant>,
}

impl Host {
    /// Whether one more request may go out, after so long a wait.
    fn is_free(self, most: usize, now: Instant, waited: Duration) -> bool {
        let known = self.answered.is_some_and(|at| now.saturating_duration_since(at) < LATELY);
        self.busy < if known || waited >= FIRST { most } else { 1 }
    }
}

/// The right to have one request under way, until it is dropped.
#[derive(Debug)]
pub struct HostSlot {
    hosts: Arc<HostSlots>,
    host: String,
}

impl HostSlots {
    /// No more than `most` requests at a time for each host.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), hosts: Mutex::default(), changed: Condvar::new() })
    }

    /// Waits until the host of `url` may be asked.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::error::Error::Cancelled).
    pub fn turn(self: &Arc<Self>, url: &Url, cancel: &CancelToken) -> Result<HostSlot> {
        let host = url.origin().ascii_serialization();
        let start = Instant::now();
        let mut hosts = self.lock();
        loop {
            cancel.check()?;
            let now = Instant::now();
            let entry = hosts.entry(host.clone()).or_default();
            if entry.is_free(self.most, now, now.saturating_duration_since(start)) {
                entry.busy += 1;
                return Ok(HostSlot { hosts: Arc::clone(self), host });
            }
            hosts = self.changed.wait_timeout(hosts, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostSlot {
    /// Tells that the host has answered, or cannot be reached: no need to wait for either any longer.
    pub fn answered(&self) {
        if let Some(host) = self.hosts.lock().get_mut(&self.host) {
            host.answered = Some(Instant::now());
        }
        self.hosts.changed.notify_all();
    }
}

impl Drop for HostSlot {
    fn drop(&mut self) {
        if let Some(host) = self.hosts.lock().get_mut(&self.host) {
            host.busy -= 1;
        }
        self.hosts.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_first_and_then_as_many_as_may() {
        let now = Instant::now();
        let host = |busy, answered| Host { busy, answered };
        let free = |host: Host, waited| host.is_free(4, now, waited);
        assert!(free(host(0, None), Duration::ZERO));
        assert!(!free(host(1, None), Duration::ZERO), "nobody has heard of it yet");
        assert!(free(host(1, None), FIRST), "it need not answer at once");
        assert!(free(host(3, Some(now)), Duration::ZERO));
        assert!(!free(host(4, Some(now)), FIRST * 10));
        assert!(!Host { busy: 1, answered: Some(now) }.is_free(4, now + LATELY, Duration::ZERO));
    }

    #[test]
    fn a_turn_ends_when_it_is_dropped_and_whoever_waits_can_be_stopped() {
        let hosts = HostSlots::new(1);
        let (one, two) = (Url::parse("http://a:1/x").unwrap(), Url::parse("http://b:1/x").unwrap());
        let cancel = CancelToken::default();
        let turn = hosts.turn(&one, &cancel).unwrap();
        let _other = hosts.turn(&two, &cancel).unwrap();
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| hosts.turn(&one, &cancel).map(drop));
            cancel.cancel();
            waiting.join().unwrap()
        });
        assert_eq!(waiting.unwrap_err().code(), "cancelled");
        drop(turn);
        hosts.turn(&one, &CancelToken::default()).unwrap();
    }
}
