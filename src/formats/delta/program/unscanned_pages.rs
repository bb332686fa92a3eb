//! Unscanned pages: parts of the old program in which neither end looks for fields.
//!
//! Searching for fields often takes the client longer than all other work, although no address
//! changes in a third to two thirds of many programs. The publisher names such pages in the header,
//! if that costs at most 1/32 of the delta and at most 512 bytes. Applying then takes 0.55 to 0.76
//! of the time for onnxruntime, Qt6Core and lefthook. Figures: `benches/results/program-deltas.md`.

use super::DeltaError;
use super::varint;
use std::iter;
use std::ops::Range;

/// Page size in bytes; pages are counted from the start of the file.
pub const PAGE_BYTES: u32 = 4096;
/// Limit for the number of stretches: sequences of consecutive unscanned pages.
pub const MAX_STRETCHES: usize = 4096;
/// The set of unscanned pages of the old program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnscannedPages {
    /// `true` for each unscanned page. The last entry is `true`; all pages after it are scanned.
    pages: Vec<bool>,
}

impl UnscannedPages {
    /// Creates the set from one flag per page.
    pub fn new(mut pages: Vec<bool>) -> UnscannedPages {
        let end = pages.iter().rposition(|is_unscanned| *is_unscanned).map_or(0, |last| last + 1);
        pages.truncate(end);
        UnscannedPages { pages }
    }

    /// Returns `true` if all pages are scanned.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Returns `true` if the byte at `offset` lies in an unscanned page.
    #[inline]
    pub fn contains(&self, offset: u32) -> bool {
        self.pages.get((offset / PAGE_BYTES) as usize).is_some_and(|is_unscanned| *is_unscanned)
    }

    /// Returns the parts of `start..end` that are scanned, in order.
    pub fn scanned_ranges(&self, start: u32, end: u32) -> impl Iterator<Item = Range<u32>> {
        let next_page = |offset: u32| (offset / PAGE_BYTES + 1).saturating_mul(PAGE_BYTES);
        let mut at = start;
        iter::from_fn(move || {
            while at < end && self.contains(at) {
                at = next_page(at);
            }
            let from = at;
            while at < end && !self.contains(at) {
                let is_behind_all = at / PAGE_BYTES >= self.pages.len() as u32;
                at = if is_behind_all { end } else { next_page(at) };
            }
            (from < end).then_some(from..at.min(end))
        })
    }

    /// Returns each stretch as (scanned pages before it, its own pages).
    pub fn stretches(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut runs = self.pages.chunk_by(|page, next| page == next).map(<[bool]>::len);
        let mut is_first = true;
        iter::from_fn(move || {
            let begins_unscanned = std::mem::take(&mut is_first) && self.pages.first() == Some(&true);
            let before = if begins_unscanned { 0 } else { runs.next()? };
            Some((before, runs.next()?))
        })
    }

    /// Appends the encoded set, which must have 1 to [`MAX_STRETCHES`] stretches.
    pub fn write(&self, to: &mut Vec<u8>) {
        varint::write(self.stretches().count() as u64, to);
        for (before, length) in self.stretches() {
            varint::write(before as u64, to);
            varint::write(length as u64, to);
        }
    }

    /// Reads the set; `number` returns the next number of the header.
    ///
    /// `size` is the size of the old file.
    ///
    /// # Errors
    /// [`DeltaError::Header`] for no or too many stretches, an empty stretch, one that starts after
    /// the end of the file or beyond 4 GiB, and two adjacent ones. Any error of `number`.
    pub fn read(size: u64, mut number: impl FnMut() -> Result<u64, DeltaError>) -> Result<UnscannedPages, DeltaError> {
        let most = size.min(u32::MAX.into()).div_ceil(PAGE_BYTES.into());
        let count = number()?;
        if count == 0 || count > MAX_STRETCHES as u64 {
            return Err(DeltaError::Header("it has no stretches of unscanned pages, or too many"));
        }
        let mut pages: Vec<bool> = Vec::new();
        for index in 0..count {
            let (before, length) = (number()?, number()?);
            let end = before.checked_add(length).and_then(|both| both.checked_add(pages.len() as u64));
            if length == 0 || (before == 0 && index > 0) || end.is_none_or(|end| end > most) {
                return Err(DeltaError::Header("a stretch of unscanned pages is not valid"));
            }
            pages.extend(iter::repeat_n(false, before as usize));
            pages.extend(iter::repeat_n(true, length as usize));
        }
        Ok(UnscannedPages { pages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a set in which each `q` of the text is an unscanned page.
    fn unscanned(pages: &str) -> UnscannedPages {
        UnscannedPages::new(pages.chars().map(|page| page == 'q').collect())
    }

    const SIZE: u64 = 12 * PAGE_BYTES as u64 - 1;

    fn numbers(bytes: &[u8]) -> Result<UnscannedPages, DeltaError> {
        let mut rest = bytes.iter();
        let unscanned = UnscannedPages::read(SIZE, || {
            rest.next().map(|byte| u64::from(*byte)).ok_or(DeltaError::Header("cut off"))
        })?;
        assert_eq!(rest.len(), 0);
        Ok(unscanned)
    }

    #[test]
    fn written_values_are_read_back() {
        for pages in ["q", "..q", "q.q", "qqq....q..qq", "..qqqq.q"] {
            let mut bytes = Vec::new();
            unscanned(pages).write(&mut bytes);
            assert_eq!(numbers(&bytes).unwrap(), unscanned(pages), "{pages}");
        }
        assert!(unscanned("....").is_empty());
        assert_eq!(unscanned(".qq..."), unscanned(".qq"));
    }

    #[test]
    fn each_set_has_exactly_one_encoding() {
        for bytes in [&[0][..], &[1, 0, 0], &[2, 1, 1, 0, 1], &[2, 1, 1, 1, 0], &[1, 5]] {
            numbers(bytes).unwrap_err();
        }
        let mut many = iter::once(MAX_STRETCHES as u64 + 1).chain(iter::repeat(1));
        UnscannedPages::read(u64::MAX, || Ok(many.next().unwrap())).unwrap_err();
    }

    #[test]
    fn stretches_after_the_end_of_the_file_or_of_4_gib_are_refused() {
        for (size, before, length, is_valid) in [
            (SIZE, 11, 1, true),
            (SIZE, 12, 1, false),
            (SIZE, 11, 2, false),
            (0, 0, 1, false),
            (u64::MAX, (1 << 20) - 1, 1, true),
            (u64::MAX, 1 << 20, 1, false),
            (u64::MAX, 1, u64::MAX, false),
        ] {
            let mut rest = [1, before, length].into_iter();
            let read = UnscannedPages::read(size, || Ok(rest.next().unwrap()));
            assert_eq!(read.is_ok(), is_valid, "{before}, {length} of {size}");
        }
    }

    #[test]
    fn scanned_ranges_are_the_complement() {
        let unscanned = unscanned("q.qq..q");
        let outside = |start, end| unscanned.scanned_ranges(start, end).collect::<Vec<_>>();
        let page = |number: u32| number * PAGE_BYTES;
        assert_eq!(outside(0, page(9)), [page(1)..page(2), page(4)..page(6), page(7)..page(9)]);
        assert_eq!(outside(page(1) + 5, page(5) + 7), [page(1) + 5..page(2), page(4)..page(5) + 7]);
        assert_eq!(outside(page(2), page(4)), []);
        assert_eq!(outside(u32::MAX - 1, u32::MAX).first(), Some(&(u32::MAX - 1..u32::MAX)));
        assert_eq!(outside(9, 9), []);
        for offset in (0..page(9)).step_by(1000) {
            assert_eq!(outside(0, page(9)).iter().any(|part| part.contains(&offset)), !unscanned.contains(offset));
        }
    }
}
