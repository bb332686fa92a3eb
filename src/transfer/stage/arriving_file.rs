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
    /// The bytes that the [`Reader`] uses or waits for, if there is one.
    reader_needs: Option<u64>,
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

    /// Returns the one reader that the fetch waits for before it removes a wrong file.
    pub fn reader(&self) -> Reader<'_> {
        self.set_reader_needs(Some(0));
        Reader(self)
    }

    /// Waits until the reader, if there is one, has used all bytes that have arrived.
    pub fn wait_for_reader(&self) {
        let is_in_use = |arrival: &mut Arrival| arrival.reader_needs.is_some_and(|needs| needs <= arrival.length);
        drop(self.changed.wait_while(self.lock(), is_in_use));
    }

    fn set_reader_needs(&self, needs: Option<u64>) {
        self.lock().reader_needs = needs;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Arrival> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that uses the bytes of an arriving file, even if the whole file is wrong.
pub struct Reader<'a>(&'a ArrivingFile);

impl Reader<'_> {
    /// Waits as [`ArrivingFile::wait_for`] does.
    ///
    /// Until the reader waits for more bytes than there are, the fetch may not remove the file.
    pub fn wait_for(&self, length: u64) -> bool {
        self.0.set_reader_needs(Some(length));
        self.0.wait_for(length)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.set_reader_needs(None);
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

    #[test]
    fn the_fetch_waits_for_a_reader_that_uses_what_has_arrived() {
        let file = ArrivingFile::default();
        file.wait_for_reader();
        let reader = file.reader();
        std::thread::scope(|scope| {
            file.set_length(10);
            assert!(reader.wait_for(10));
            let fetch = scope.spawn(|| file.wait_for_reader());
            std::thread::yield_now();
            assert!(!fetch.is_finished(), "the reader still uses the file");
            let ended = scope.spawn(move || reader.wait_for(11));
            fetch.join().unwrap();
            file.end();
            assert!(!ended.join().unwrap());
        });
        file.wait_for_reader();
    }
}
