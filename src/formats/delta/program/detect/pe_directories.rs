//! Finds fields in the directories of a PE file: exports, imports and guard tables.
//!
//! As guesses it adds each aligned word of read-only data that could be a relative address.
//! Microsoft's compiler leaves many tables of such words that no directory lists.

use super::FoundFields;
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use crate::formats::delta::program::field::FieldKind;
use crate::formats::delta::program::image::{Image, SectionContent};
use std::io::{Read, Seek};

const WRITE: u32 = 0x8000_0000;
/// Relative addresses below this one belong to headers. Nothing points there, and most such words
/// are small numbers.
const LOWEST_TARGET: u32 = 0x1000;

/// Adds the fields of the directories, and guesses if wanted. Go's data has no relative addresses.
pub fn find<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    with_guesses: bool,
    found: &mut FoundFields,
) -> Option<()> {
    let _ = exports(image, reader, found);
    let _ = imports(image, reader, found);
    let _ = guards(image, reader, found);
    let guessed = |kind: u32| with_guesses && kind & WRITE == 0;
    for section in
        image.sections.iter().filter(|section| section.content == SectionContent::Data && guessed(section.kind))
    {
        if !section.is_named(".reloc") && !section.is_named(".rsrc") && !section.is_named(".pdata") {
            let _ = guesses(image, reader, section.offset, section.end(), found);
        }
    }
    Some(())
}

/// Adds the relative address at `at`, and returns the file offset of its target.
fn add_relative<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    at: u32,
    found: &mut FoundFields,
) -> Option<u32> {
    let target = reader.u32(at)?;
    if target < LOWEST_TARGET || !image.layout.contains(target) {
        return None;
    }
    found.add_field(at, FieldKind::Relative, 0);
    image.layout.offset_of(target)
}

fn exports<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>, found: &mut FoundFields) -> Option<()> {
    let at = image.layout.offset_of(image.directories.first()?.0).filter(|at| *at > 0)?;
    add_relative(image, reader, at.checked_add(12)?, found);
    for (count, table) in [(20, 28), (24, 32)] {
        let count = reader.u32(at.checked_add(count)?)?;
        let table = add_relative(image, reader, at.checked_add(table)?, found)?;
        for number in 0..count {
            let entry = table.checked_add(number.checked_mul(4)?)?;
            reader.u32(entry)?;
            add_relative(image, reader, entry, found);
        }
    }
    add_relative(image, reader, at.checked_add(36)?, found);
    Some(())
}

fn imports<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>, found: &mut FoundFields) -> Option<()> {
    let mut at = image.layout.offset_of(image.directories.get(1)?.0).filter(|at| *at > 0)?;
    while reader.u32(at.checked_add(12)?)? != 0 {
        add_relative(image, reader, at.checked_add(12)?, found);
        for table in [0, 16] {
            if let Some(table) = add_relative(image, reader, at.checked_add(table)?, found) {
                let _ = thunks(image, reader, table, found);
            }
        }
        at = at.checked_add(20)?;
    }
    Some(())
}

/// Adds the names of imported functions up to a 0. Entries with the top bit are imported by number.
fn thunks<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    table: u32,
    found: &mut FoundFields,
) -> Option<()> {
    let mut at = table;
    loop {
        let thunk = reader.u64(at)?;
        if thunk == 0 {
            return Some(());
        }
        if thunk >> 32 == 0 {
            add_relative(image, reader, at, found);
        }
        at = at.checked_add(8)?;
    }
}

/// Adds the function lists of control flow guard in the load configuration.
fn guards<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>, found: &mut FoundFields) -> Option<()> {
    let at = image.layout.offset_of(image.directories.get(10)?.0).filter(|at| *at > 0)?;
    let stride = 4 + (reader.u32(at.checked_add(144)?)? >> 28);
    for (table, count) in [(128, 136), (160, 168), (176, 184), (264, 272)] {
        if reader.u32(at)? < count + 8 {
            break;
        }
        let table = image.layout.relative_address(reader.u64(at.checked_add(table)?)?);
        let count = reader.small_u64(at.checked_add(count)?);
        if let (Some(table), Some(count)) = (table.and_then(|table| image.layout.offset_of(table)), count) {
            for number in 0..count {
                let entry = table.checked_add(number.checked_mul(stride)?)?;
                reader.u32(entry)?;
                add_relative(image, reader, entry, found);
            }
        }
    }
    Some(())
}

fn guesses<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    start: u32,
    end: u32,
    found: &mut FoundFields,
) -> Option<()> {
    for part in found.unscanned.scanned_ranges(start, end.min(reader.length())) {
        reader.for_each(part.start.checked_next_multiple_of(4)?, part.end, |_, at, word| {
            let target = u32::from_le_bytes(word);
            // Two small numbers, or two characters of UTF-16.
            let is_pair = target & 0xff00_ff00 == 0;
            if target >= LOWEST_TARGET && !is_pair && image.layout.contains(target) {
                found.add_field(at, FieldKind::GuessInData, 0);
            }
        })?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::FieldKind;
    use crate::formats::delta::program::samples::*;

    #[test]
    fn guesses_are_aligned_words_of_read_only_data_but_no_characters() {
        let content = words([0x2100, 7, 0x0001_0002, 0x9999_9999]);
        let file = |kind| {
            let parts =
                [data(".rdata", kind, 0x1000, content.clone()), data(".big", 0xc000_0040, 0x2000, vec![0; 1 << 20])];
            fields_in(&pe(0x8664, &parts, &[]), 0x1000..0x1100)
        };
        assert_eq!(file(0x4000_0040), [(0x1000, FieldKind::GuessInData, 0)]);
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
