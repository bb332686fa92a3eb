//! Reads a program through a page cache, with a limit on the total number of reads.
//!
//! The tables of a hostile program may point at each other in circles or claim any size. The limit
//! ends every walk over them.
//!
//! - At most `PAGE_SLOTS` pages are in memory.
//! - Every number that is read costs one step of the budget. Code sweeps pay per byte. When the
//!   budget is used up, every read returns `None`. Publisher and client stop at the same step.
//! - The first failed read is stored and returned by [`BudgetedReader::finish`]. Until then a
//!   failed read returns `None` as well.

use std::io::{self, Read, Seek, SeekFrom};

const PAGE_BYTES: usize = 64 * 1024;
const PAGE_SLOTS: usize = 64;
/// Buffer size of [`BudgetedReader::for_each`], and the longest copy that uses the page cache.
const BATCH_BYTES: usize = 4096;

/// A file of at most 4 GiB that is read as little-endian numbers at given offsets.
pub struct BudgetedReader<R> {
    source: R,
    length: u32,
    /// Slot `n % PAGE_SLOTS` holds page `n`, if any. The last page of a file may be shorter.
    slots: Vec<Option<(u32, Vec<u8>)>>,
    steps: u64,
    failure: Option<io::Error>,
}

impl<R: Read + Seek> BudgetedReader<R> {
    /// Reads the first `length` bytes of `source`.
    pub fn new(source: R, length: u32) -> BudgetedReader<R> {
        let steps = 1_000_000 + 2 * u64::from(length);
        BudgetedReader { source, length, slots: (0..PAGE_SLOTS).map(|_| None).collect(), steps, failure: None }
    }

    /// Returns the size of the file.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Uses up `count` steps. Returns `None`, and empties the budget, if fewer are left.
    #[inline]
    pub fn step(&mut self, count: u64) -> Option<()> {
        self.steps = self.steps.checked_sub(count).or_else(|| {
            self.steps = 0;
            None
        })?;
        Some(())
    }

    /// Returns the first read error, if there was one.
    ///
    /// # Errors
    /// The first I/O error of the source.
    pub fn finish(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }

    /// Returns the bytes from `offset` to the end of its page; empty after the end of the file.
    #[inline]
    pub fn page(&mut self, offset: u32) -> &[u8] {
        let number = offset / PAGE_BYTES as u32;
        let slot = number as usize % PAGE_SLOTS;
        if self.slots[slot].as_ref().is_none_or(|(held, _)| *held != number) {
            self.load(number, slot);
        }
        match &self.slots[slot] {
            Some((_, bytes)) => bytes.get(offset as usize % PAGE_BYTES..).unwrap_or_default(),
            None => &[],
        }
    }

    /// Reads a page into a slot and reuses the memory of the page that was there.
    #[cold]
    fn load(&mut self, number: u32, slot: usize) {
        let mut bytes = self.slots[slot].take().map(|(_, bytes)| bytes).unwrap_or_default();
        let start = u64::from(number) * PAGE_BYTES as u64;
        let length = u64::from(self.length).saturating_sub(start).min(PAGE_BYTES as u64);
        if length == 0 || self.failure.is_some() {
            return;
        }
        bytes.resize(length as usize, 0);
        match self.source.seek(SeekFrom::Start(start)).and_then(|_| self.source.read_exact(&mut bytes)) {
            Ok(()) => self.slots[slot] = Some((number, bytes)),
            Err(error) => self.failure = Some(error),
        }
    }

    /// Copies bytes from `offset` on into `buffer` and returns how many the file had.
    pub fn copy(&mut self, offset: u32, buffer: &mut [u8]) -> usize {
        if buffer.len() > BATCH_BYTES {
            return self.copy_uncached(offset, buffer);
        }
        let mut done = 0;
        while done < buffer.len() {
            let Some(at) = offset.checked_add(done as u32) else { break };
            let page = self.page(at);
            let count = page.len().min(buffer.len() - done);
            if count == 0 {
                break;
            }
            buffer[done..done + count].copy_from_slice(&page[..count]);
            done += count;
        }
        done
    }

    /// Does the same without the cache, which is for scattered reads.
    fn copy_uncached(&mut self, offset: u32, buffer: &mut [u8]) -> usize {
        let count = (self.length.saturating_sub(offset) as usize).min(buffer.len());
        if self.failure.is_some() {
            return 0;
        }
        let start = SeekFrom::Start(offset.into());
        match self.source.seek(start).and_then(|_| self.source.read_exact(&mut buffer[..count])) {
            Ok(()) => count,
            Err(error) => {
                self.failure = Some(error);
                0
            }
        }
    }

    /// Returns the `N` bytes at `offset`, for one step.
    #[inline]
    pub fn array<const N: usize>(&mut self, offset: u32) -> Option<[u8; N]> {
        self.step(1)?;
        if let Some(bytes) = self.page(offset).first_chunk() {
            return Some(*bytes);
        }
        let mut bytes = [0; N];
        (self.copy(offset, &mut bytes) == N).then_some(bytes)
    }

    /// Calls `each` with the `N` bytes at every `N`th offset from `start` to `end`, for one step
    /// each.
    ///
    /// Returns `None` if the file or the budget ends first.
    #[inline]
    pub fn for_each<const N: usize>(
        &mut self,
        start: u32,
        end: u32,
        mut each: impl FnMut(&mut Self, u32, [u8; N]),
    ) -> Option<()> {
        let mut buffer = [0; BATCH_BYTES];
        let mut at = start;
        while at < end {
            if self.steps == 0 {
                return None;
            }
            let wanted = ((end - at) as usize).min(BATCH_BYTES).next_multiple_of(N);
            let count = self.copy(at, &mut buffer[..wanted]);
            for word in buffer[..count].as_chunks().0 {
                self.step(1)?;
                each(self, at, *word);
                at += N as u32;
            }
            if count < wanted {
                self.step(1)?; // the failed read costs a step, as in `array`
                return None;
            }
        }
        Some(())
    }

    /// Reads one byte.
    pub fn u8(&mut self, offset: u32) -> Option<u8> {
        self.array(offset).map(|[byte]| byte)
    }

    /// Reads two bytes.
    pub fn u16(&mut self, offset: u32) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    /// Reads four bytes.
    pub fn u32(&mut self, offset: u32) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    /// Reads eight bytes.
    pub fn u64(&mut self, offset: u32) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// Reads eight bytes as a size or offset, or returns `None` for one that exceeds 32 bits.
    pub fn small_u64(&mut self, offset: u32) -> Option<u32> {
        self.u64(offset).and_then(|value| value.try_into().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn numbers_are_read_across_pages_but_not_after_the_end() {
        let content: Vec<u8> = (0..PAGE_BYTES + 10).map(|at| at as u8).collect();
        let mut bytes = BudgetedReader::new(Cursor::new(&content), content.len() as u32);
        assert_eq!(bytes.u32(PAGE_BYTES as u32 - 2), Some(0x0100_fffe));
        assert_eq!(bytes.u64(PAGE_BYTES as u32 + 2), Some(0x0908_0706_0504_0302));
        assert_eq!(bytes.u64(PAGE_BYTES as u32 + 3), None);
        assert_eq!(bytes.u8(u32::MAX), None);
        bytes.finish().unwrap();
    }

    #[test]
    fn for_each_reads_the_same_words_and_steps_as_single_reads() {
        let content: Vec<u8> = (0..PAGE_BYTES + 10).map(|at| (at * 7) as u8).collect();
        let length = content.len() as u32;
        let ends = [0, 1, 4, BATCH_BYTES as u32 + 3, PAGE_BYTES as u32 + 8, length, length + 9, u32::MAX];
        for (start, end) in [0, 2, BATCH_BYTES as u32 - 1].into_iter().flat_map(|start| ends.map(|end| (start, end))) {
            for steps in [0, 1, 1500, 1 << 20] {
                let bytes = || BudgetedReader { steps, ..BudgetedReader::new(Cursor::new(&content), length) };
                let (mut slow, mut fast) = (bytes(), bytes());
                let (mut expected, mut found) = (Vec::new(), Vec::new());
                for at in (start..end).step_by(4) {
                    let Some(word) = slow.array::<4>(at) else { break };
                    expected.push((at, word));
                }
                let _ = fast.for_each(start, end, |_, at, word: [u8; 4]| found.push((at, word)));
                assert_eq!((found, fast.steps), (expected, slow.steps), "{start}..{end}, {steps} steps");
            }
        }
    }

    #[test]
    fn long_and_short_copies_return_the_same_bytes() {
        let content: Vec<u8> = (0..PAGE_BYTES + 10).map(|at| (at * 7) as u8).collect();
        let mut bytes = BudgetedReader::new(Cursor::new(&content), content.len() as u32);
        for offset in [0, 1, 10, 11, PAGE_BYTES, content.len(), content.len() + 1, u32::MAX as usize] {
            let rest = content.get(offset..).unwrap_or_default();
            for size in [BATCH_BYTES - 1, BATCH_BYTES + 1, PAGE_BYTES] {
                let mut buffer = vec![0; size];
                let count = bytes.copy(offset as u32, &mut buffer);
                assert_eq!(buffer[..count], rest[..rest.len().min(size)], "{size} at {offset}");
            }
        }
        bytes.finish().unwrap();
        let mut bytes = BudgetedReader::new(Cursor::new(&content), content.len() as u32 + 1);
        assert_eq!(bytes.copy(11, &mut [0; PAGE_BYTES]), 0);
        assert_eq!(bytes.copy(0, &mut [0; PAGE_BYTES]), 0, "nothing is read after a failure");
        bytes.finish().unwrap_err();
    }

    #[test]
    fn a_used_up_budget_ends_every_read() {
        let content = [7; 100];
        let mut bytes = BudgetedReader::new(Cursor::new(&content), 100);
        assert_eq!(bytes.u8(0), Some(7));
        assert_eq!(bytes.step(u64::MAX), None);
        assert_eq!(bytes.u8(0), None);
    }

    #[test]
    fn a_failed_read_is_reported_at_the_end() {
        let mut bytes = BudgetedReader::new(Cursor::new([7; 10]), 100);
        assert_eq!(bytes.u8(0), None);
        bytes.finish().unwrap_err();
    }
}
