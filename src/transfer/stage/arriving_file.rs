//! An arriving file: one thread fetches it while others use the part that is already on disk.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The progress of a file that is being fetched.
#[derive(Default)]
pub struct ArrivingFile {
    state: Mutex<Arrival>,
    changed: Condvar,
}

#[derive(Default)]
struct Arrival {
    /// The bytes on disk.
    length: u64,
    /// `true` after the last byte has arrived or the fetch has failed.
    has_ended: bool,
}

impl ArrivingFile {
    /// Records that the first `length` bytes are on disk.
    pub fn set_length(&self, length: u64) {
        self.lock().length = length;
        self.changed.notify_all();
    }

    /// Records that the file is complete or that its fetch has failed.
    pub fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// Waits until the first `length` bytes are on disk; returns `false` if they will never be.
    pub fn wait_for(&self, length: u64) -> bool {
        let arrival = self.changed.wait_while(self.lock(), |arrival| arrival.length < length && !arrival.has_ended);
        arrival.unwrap_or_else(PoisonError::into_inner).length >= length
    }

    fn lock(&self) -> MutexGuard<'_, Arrival> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends an arriving file when its thread ends, also after an error or a panic.
pub struct EndOnDrop<'a>(pub &'a ArrivingFile);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_waits_for_its_bytes() {
        let file = ArrivingFile::default();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (file.wait_for(10), file.wait_for(20), file.wait_for(21)));
            file.set_length(15);
            file.set_length(20);
            drop(EndOnDrop(&file));
            assert_eq!(reader.join().unwrap(), (true, true, false));
        });
    }
}
