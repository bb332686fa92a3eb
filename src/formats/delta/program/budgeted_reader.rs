//! A program's bytes, read by pages and at a price: what a parser may look at, and for how long.
//!
//! - At most `PAGE_SLOTS` pages are held, whatever the file's size.
//! - Every number read is a step, and so are some bytes of code. When the budget is used up, every read says "nothing there", and
//!   so each walk over a table ends, however its sizes and offsets lead it on. Both ends of a delta stop at the same step.
//! - A failed read is remembered and reported once, by [`BudgetedReader::finish`]; until then it too reads as "nothing there".

use std::io::{self, Read, Seek, SeekFrom};

const PAGE_BYTES: usize = 64 * 1024;
const PAGE_SLOTS: usize = 64;
/// How many bytes are taken at once where all are wanted.
const BATCH_BYTES: usize = 4096;

/// A file of at most 4 GiB, as little-endian numbers at offsets.
pub struct BudgetedReader<R> {
    source: R,
    length: u32,
    /// The page in slot `number % PAGE_SLOTS`, if any; never longer than the file.
    slots: Vec<Option<(u32, Vec<u8>)>>,
    steps: u64,
    failure: Option<io::Error>,
}

impl<R: Read + Seek> BudgetedReader<R> {
    /// The first `length` bytes of `source`.
    pub fn new(source: R, length: u32) -> BudgetedReader<R> {
        let steps = 1_000_000 + 2 * u64::from(length);
        BudgetedReader { source, length, slots: (0..PAGE_SLOTS).map(|_| None).collect(), steps, failure: None }
    }

    /// The file's size.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Uses `count` steps up; nothing when there are not that many left.
    #[inline]
    pub fn step(&mut self, count: u64) -> Option<()> {
        self.steps = self.steps.checked_sub(count).or_else(|| {
            self.steps = 0;
            None
        })?;
        Some(())
    }

    /// Whether all was read that was asked for and is in the file.
    ///
    /// # Errors
    /// The first error of the source.
    pub fn finish(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }

    /// The bytes from `offset` on as far as they lie in one page: none behind the end.
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

    /// Reads a page into a slot, in the memory of the one that was there.
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

    /// Fills `buffer` from `offset` on; the count that was there.
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

    /// The same past the pages: those are for what is read here and there.
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

    /// The `N` bytes at `offset`, for one step.
    #[inline]
    pub fn array<const N: usize>(&mut self, offset: u32) -> Option<[u8; N]> {
        self.step(1)?;
        if let Some(bytes) = self.page(offset).first_chunk() {
            return Some(*bytes);
        }
        let mut bytes = [0; N];
        (self.copy(offset, &mut bytes) == N).then_some(bytes)
    }

    /// Shows `each` the `N` bytes at every `N`th offset from `start` to `end`, for one step each; ends where there are none.
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
                self.step(1)?; // that was a read too
                return None;
            }
        }
        Some(())
    }

    /// The byte at `offset`.
    pub fn u8(&mut self, offset: u32) -> Option<u8> {
        self.array(offset).map(|[byte]| byte)
    }

    /// The two bytes at `offset`.
    pub fn u16(&mut self, offset: u32) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    /// The four bytes at `offset`.
    pub fn u32(&mut self, offset: u32) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    /// The eight bytes at `offset`.
    pub fn u64(&mut self, offset: u32) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// The eight bytes at `offset`, as a size or offset of a file this small.
    pub fn small_u64(&mut self, offset: u32) -> Option<u32> {
        self.u64(offset).and_then(|value| value.try_into().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn numbers_are_read_across_pages_and_not_behind_the_end() {
        let content: Vec<u8> = (0..PAGE_BYTES + 10).map(|at| at as u8).collect();
        let mut bytes = BudgetedReader::new(Cursor::new(&content), content.len() as u32);
        assert_eq!(bytes.u32(PAGE_BYTES as u32 - 2), Some(0x0100_fffe));
        assert_eq!(bytes.u64(PAGE_BYTES as u32 + 2), Some(0x0908_0706_0504_0302));
        assert_eq!(bytes.u64(PAGE_BYTES as u32 + 3), None);
        assert_eq!(bytes.u8(u32::MAX), None);
        bytes.finish().unwrap();
    }

    #[test]
    fn words_in_a_row_are_those_that_are_read_one_by_one() {
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
    fn much_is_copied_as_little_is() {
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
