//! Locks between two processes on a disk in memory. Both run in one thread: the second one runs to
//! its end at a place where the first one takes or releases a lock.

use super::is_current;
use std::cell::{Cell, RefCell};

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct Hold {
    name: String,
    is_exclusive: bool,
}

/// The second process, and the lock at which it runs.
pub type Process = Box<dyn FnOnce()>;

thread_local! {
    static HELD: RefCell<Vec<(String, bool)>> = const { RefCell::new(Vec::new()) };
    /// The places at which the first process has taken or released a lock so far.
    static PLACES: Cell<usize> = const { Cell::new(0) };
    static SECOND: RefCell<Option<(usize, Process)>> = const { RefCell::new(None) };
}

/// Lets a second process run at the chosen place, the first one being 0.
pub fn schedule(at: usize, process: Process) {
    PLACES.set(0);
    SECOND.set(Some((at, process)));
}

/// Returns the number of places so far, and forgets a second process that has not run.
pub fn places() -> usize {
    SECOND.take();
    PLACES.replace(0)
}

/// Takes a lock; returns `None` while another process holds it, and `Some(None)` on a real disk.
pub fn take(name: &str, is_exclusive: bool) -> Option<Option<Hold>> {
    if !is_current() {
        return Some(None);
    }
    reach_place();
    HELD.with_borrow_mut(|held| {
        if held.iter().any(|(other, exclusive)| other == name && (is_exclusive || *exclusive)) {
            return None;
        }
        held.push((name.to_owned(), is_exclusive));
        Some(Some(Hold { name: name.to_owned(), is_exclusive }))
    })
}

impl Drop for Hold {
    fn drop(&mut self) {
        let this = (self.name.clone(), self.is_exclusive);
        HELD.with_borrow_mut(|held| {
            if let Some(at) = held.iter().position(|other| *other == this) {
                held.remove(at);
            }
        });
        reach_place();
    }
}

/// Runs the second process if its place is reached.
fn reach_place() {
    let here = PLACES.get();
    PLACES.set(here + 1);
    let is_due = SECOND.with_borrow(|second| second.as_ref().is_some_and(|(at, _)| *at == here));
    if is_due && let Some((_, process)) = SECOND.take() {
        process();
    }
}
