//! The directories of a PE file: exports, imports, debug information, guard tables; and, as a guess, any aligned word of
//! read-only data that could be a relative address.

use super::Found;
use crate::formats::delta::program::bytes::Bytes;
use crate::formats::delta::program::field::Kind;
use crate::formats::delta::program::image::{Content, Image};
use std::io::{Read, Seek};

const WRITE: u32 = 0x8000_0000;
/// Relative addresses below this are headers: nothing points there, and small numbers are many.
const LOWEST: u32 = 0x1000;

/// Notes the fields of the directories, and guesses if they are wanted: Go's data has no relative addresses.
pub fn find<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, with_guesses: bool, found: &mut Found) -> Option<()> {
    let _ = exports(image, bytes, found);
    let _ = imports(image, bytes, found);
    let _ = guards(image, bytes, found);
    let guessed = |kind: u32| with_guesses && kind & WRITE == 0;
    for section in image.sections.iter().filter(|section| section.content == Content::Data && guessed(section.kind)) {
        if !section.is_named(".reloc") && !section.is_named(".rsrc") && !section.is_named(".pdata") {
            let _ = guesses(image, bytes, section.offset, section.end(), found);
        }
    }
    Some(())
}

/// Notes a relative address that is not zero; what it points to in the file.
fn relative<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, at: u32, found: &mut Found) -> Option<u32> {
    let target = bytes.u32(at)?;
    if target < LOWEST || !image.places.holds(target) {
        return None;
    }
    found.add(at, Kind::Relative, 0);
    image.places.offset(target)
}

fn exports<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, found: &mut Found) -> Option<()> {
    let at = image.places.offset(image.directories.first()?.0).filter(|at| *at > 0)?;
    relative(image, bytes, at.checked_add(12)?, found);
    for (count, table) in [(20, 28), (24, 32)] {
        let count = bytes.u32(at.checked_add(count)?)?;
        let table = relative(image, bytes, at.checked_add(table)?, found)?;
        for number in 0..count {
            let entry = table.checked_add(number.checked_mul(4)?)?;
            bytes.u32(entry)?;
            relative(image, bytes, entry, found);
        }
    }
    relative(image, bytes, at.checked_add(36)?, found);
    Some(())
}

fn imports<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, found: &mut Found) -> Option<()> {
    let mut at = image.places.offset(image.directories.get(1)?.0).filter(|at| *at > 0)?;
    while bytes.u32(at.checked_add(12)?)? != 0 {
        relative(image, bytes, at.checked_add(12)?, found);
        for table in [0, 16] {
            if let Some(table) = relative(image, bytes, at.checked_add(table)?, found) {
                let _ = thunks(image, bytes, table, found);
            }
        }
        at = at.checked_add(20)?;
    }
    Some(())
}

/// Names of imported functions, up to a zero; those with the highest bit are imported by number.
fn thunks<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, table: u32, found: &mut Found) -> Option<()> {
    let mut at = table;
    loop {
        let thunk = bytes.u64(at)?;
        if thunk == 0 {
            return Some(());
        }
        if thunk >> 32 == 0 {
            relative(image, bytes, at, found);
        }
        at = at.checked_add(8)?;
    }
}

/// Control flow guard's lists of functions, in the load configuration.
fn guards<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, found: &mut Found) -> Option<()> {
    let at = image.places.offset(image.directories.get(10)?.0).filter(|at| *at > 0)?;
    let stride = 4 + (bytes.u32(at.checked_add(144)?)? >> 28);
    for (table, count) in [(128, 136), (160, 168), (176, 184), (264, 272)] {
        if bytes.u32(at)? < count + 8 {
            break;
        }
        let table = image.places.relative(bytes.u64(at.checked_add(table)?)?);
        let count = bytes.small_u64(at.checked_add(count)?);
        if let (Some(table), Some(count)) = (table.and_then(|table| image.places.offset(table)), count) {
            for number in 0..count {
                let entry = table.checked_add(number.checked_mul(stride)?)?;
                bytes.u32(entry)?;
                relative(image, bytes, entry, found);
            }
        }
    }
    Some(())
}

fn guesses<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, start: u32, end: u32, found: &mut Found) -> Option<()> {
    for part in found.unscanned.outside(start, end.min(bytes.length())) {
        bytes.each(part.start.checked_next_multiple_of(4)?, part.end, |_, at, word| {
            let target = u32::from_le_bytes(word);
            // Two small numbers or two characters of UTF-16.
            let is_pair = target & 0xff00_ff00 == 0;
            if target >= LOWEST && !is_pair && image.places.holds(target) {
                found.add(at, Kind::MaybeInData, 0);
            }
        })?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::Kind;
    use crate::formats::delta::program::samples::*;

    #[test]
    fn guesses_are_aligned_words_of_read_only_data_that_are_no_characters() {
        let content = words([0x2100, 7, 0x0001_0002, 0x9999_9999]);
        let file = |kind| {
            let parts =
                [data(".rdata", kind, 0x1000, content.clone()), data(".big", 0xc000_0040, 0x2000, vec![0; 1 << 20])];
            fields_in(&pe(0x8664, &parts, &[]), 0x1000..0x1100)
        };
        assert_eq!(file(0x4000_0040), [(0x1000, Kind::MaybeInData, 0)]);
        assert_eq!(file(0xc000_0040), []);
    }

    #[test]
    fn exports_and_imports_are_fields() {
        let mut exports = words([0, 0, 0, 0x1000, 1, 2, 0, 0x1100, 0, 0]);
        exports.resize(0x100, 0);
        exports.extend(words([0x1004, 0x1008]));
        let mut imports = words([0x1240, 0, 0, 0x1000, 0, 0, 0, 0, 0, 0]);
        imports.resize(0x40, 0);
        imports.extend(longs([0x1000, 1 << 63 | 5, 0]));
        exports.resize(0x200, 0);
        exports.extend(imports);
        let file = pe(0x8664, &[data(".edata", 0xc000_0040, 0x1000, exports)], &[(0, 0x1000, 40), (1, 0x1200, 40)]);
        let found: Vec<u32> = fields_in(&file, 0x1000..0x2000).iter().map(|field| field.0).collect();
        assert_eq!(found, [0x100c, 0x101c, 0x1100, 0x1104, 0x1200, 0x120c, 0x1240]);
    }
}
