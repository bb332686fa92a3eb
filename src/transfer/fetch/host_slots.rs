//! Host slots: the limit on concurrent requests to one host.
//!
//! A host that has not answered within [`WARM_PERIOD`] gets one request first. The others wait up
//! to [`FIRST_RESPONSE_TIMEOUT`]: they then reuse its connection (HTTP/2) or its TLS session, and
//! the host does one full handshake.

use super::CancelToken;
use super::cancel::CANCEL_POLL_PERIOD;
use crate::error::Result;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// The time that further requests wait for the first response of a host.
const FIRST_RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The time that a host counts as known after a response. Idle connections are kept longer.
const WARM_PERIOD: Duration = Duration::from_secs(30);

/// Hands out the request slots of all hosts.
#[derive(Debug)]
pub struct HostSlots {
    slots_per_host: usize,
    hosts: Mutex<HashMap<String, Host>>,
    changed: Condvar,
}

/// The permission for one request to a host, until it is dropped.
#[derive(Debug)]
pub struct HostSlot {
    slots: Arc<HostSlots>,
    host: String,
}

impl HostSlots {
    /// Allows `slots_per_host` concurrent requests to each host, but at least one.
    pub fn new(slots_per_host: usize) -> Arc<Self> {
        Arc::new(Self { slots_per_host: slots_per_host.max(1), hosts: Mutex::default(), changed: Condvar::new() })
    }

    /// Waits for a free slot of the host of `url`.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::error::Error::Cancelled).
    pub fn acquire(self: &Arc<Self>, url: &Url, cancel: &CancelToken) -> Result<HostSlot> {
        let host = url.origin().ascii_serialization();
        let start = Instant::now();
        let mut hosts = self.lock();
        loop {
            cancel.check()?;
            let now = Instant::now();
            let entry = hosts.entry(host.clone()).or_default();
            if entry.has_free_slot(self.slots_per_host, now, now.saturating_duration_since(start)) {
                entry.busy += 1;
                return Ok(HostSlot { slots: Arc::clone(self), host });
            }
            hosts = self.changed.wait_timeout(hosts, CANCEL_POLL_PERIOD).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostSlot {
    /// Records that the host has answered or failed, so that waiting requests may start.
    pub fn record_answer(&self) {
        if let Some(host) = self.slots.lock().get_mut(&self.host) {
            host.answered_at = Some(Instant::now());
        }
        self.slots.changed.notify_all();
    }
}

impl Drop for HostSlot {
    fn drop(&mut self) {
        if let Some(host) = self.slots.lock().get_mut(&self.host) {
            host.busy -= 1;
        }
        self.slots.changed.notify_all();
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Host {
    /// The requests in progress.
    busy: usize,
    answered_at: Option<Instant>,
}

impl Host {
    /// Returns `true` if a request that has waited for `waited` may start.
    fn has_free_slot(self, slots: usize, now: Instant, waited: Duration) -> bool {
        let is_warm = self.answered_at.is_some_and(|at| now.saturating_duration_since(at) < WARM_PERIOD);
        self.busy < if is_warm || waited >= FIRST_RESPONSE_TIMEOUT { slots } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_host_gets_one_request_first_and_then_all_slots() {
        let now = Instant::now();
        let host = |busy, answered_at| Host { busy, answered_at };
        let free = |host: Host, waited| host.has_free_slot(4, now, waited);
        assert!(free(host(0, None), Duration::ZERO));
        assert!(!free(host(1, None), Duration::ZERO), "the host has not answered yet");
        assert!(free(host(1, None), FIRST_RESPONSE_TIMEOUT), "a slow host does not block forever");
        assert!(free(host(3, Some(now)), Duration::ZERO));
        assert!(!free(host(4, Some(now)), FIRST_RESPONSE_TIMEOUT * 10));
        assert!(!Host { busy: 1, answered_at: Some(now) }.has_free_slot(4, now + WARM_PERIOD, Duration::ZERO));
    }

    #[test]
    fn a_dropped_slot_is_free_again_and_waiting_can_be_cancelled() {
        let slots = HostSlots::new(1);
        let (one, two) = (Url::parse("http://a:1/x").unwrap(), Url::parse("http://b:1/x").unwrap());
        let cancel = CancelToken::default();
        let slot = slots.acquire(&one, &cancel).unwrap();
        let _other = slots.acquire(&two, &cancel).unwrap();
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.acquire(&one, &cancel).map(drop));
            cancel.cancel();
            waiting.join().unwrap()
        });
        assert_eq!(waiting.unwrap_err().code(), "cancelled");
        drop(slot);
        slots.acquire(&one, &CancelToken::default()).unwrap();
    }
}
