//! Finds absolute pointers and the tables that list them.
//!
//! These are relocations of ELF (RELA, RELR) and PE, chained fixups of Mach-O, symbols, dynamic
//! entries, and words of data that can only be addresses.

use super::FoundFields;
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use crate::formats::delta::program::field::FieldKind;
use crate::formats::delta::program::image::{
    Image, ImageFormat, ImageSection, SectionContent, elf, macho::MachoCommand,
};
use std::io::{Read, Seek};

/// Lowest image base at which a data word in range counts as a pointer.
///
/// With a lower base, pointers cannot be distinguished from small numbers.
const LOWEST_BASE: u64 = 0x1_0000;
/// `r_info` types whose addend is an address: RELATIVE and IRELATIVE of both processors.
const WITH_ADDRESS: [u32; 4] = [8, 37, 1027, 1032];
/// Tags of dynamic entries whose value is an address.
const ADDRESS_TAGS: [u64; 14] = [3, 4, 5, 6, 7, 12, 13, 23, 25, 26, 36, 0x6fff_fef5, 0x6fff_fff0, 0x6fff_fffe];

const LC_SYMTAB: u32 = 2;
const LC_DYLD_CHAINED_FIXUPS: u32 = 0x8000_0034;

/// Adds the pointers of a program.
pub fn find<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>, found: &mut FoundFields) -> Option<()> {
    match image.format {
        ImageFormat::Elf => {
            for section in &image.sections {
                let _ = match section.kind {
                    elf::SHT_RELA => rela(image, reader, section, found),
                    elf::SHT_RELR => relr(image, reader, section, found),
                    elf::SHT_DYNSYM | elf::SHT_SYMTAB => symbols(image, reader, section, found),
                    elf::SHT_DYNAMIC => dynamic(image, reader, section, found),
                    _ if section.is_named(".got.plt") => words(image, reader, section, found),
                    _ => None,
                };
            }
        }
        ImageFormat::Pe => {
            let _ = base_relocations(image, reader, found);
        }
        ImageFormat::MachO => {
            for command in &image.commands {
                let _ = match command.command {
                    LC_SYMTAB => mach_symbols(image, reader, command, found),
                    LC_DYLD_CHAINED_FIXUPS => chains(image, reader, command, found),
                    _ => None,
                };
            }
        }
    }
    if image.layout.base >= LOWEST_BASE {
        for section in image.sections.iter().filter(|section| section.content == SectionContent::Data) {
            let _ = words(image, reader, section, found);
        }
    }
    Some(())
}

/// Adds the eight-byte word at `offset` if it is an address of the program, and returns its target.
fn add_pointer<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    offset: u32,
    found: &mut FoundFields,
) -> Option<u32> {
    let target = image.layout.relative_address(reader.u64(offset)?)?;
    found.add_field(offset, FieldKind::Absolute, 0);
    Some(target)
}

fn rela<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    found: &mut FoundFields,
) -> Option<()> {
    for at in (section.offset..section.end()).step_by(24) {
        let kind = reader.u32(at.checked_add(8)?)?;
        let place = add_pointer(image, reader, at, found);
        if WITH_ADDRESS.contains(&kind) {
            add_pointer(image, reader, at.checked_add(16)?, found);
            // Some linkers also write the addend to the relocated location.
            let place = place.and_then(|place| image.layout.offset_of(place));
            if let Some(place) = place.filter(|place| reader.u64(*place).is_some_and(|word| word != 0)) {
                add_pointer(image, reader, place, found);
            }
        }
    }
    Some(())
}

fn relr<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    found: &mut FoundFields,
) -> Option<()> {
    let mut next = None;
    for at in (section.offset..section.end()).step_by(8) {
        let entry = reader.u64(at)?;
        if entry & 1 == 0 {
            let place = add_pointer(image, reader, at, found)?;
            add_pointer(image, reader, image.layout.offset_of(place)?, found);
            next = place.checked_add(8);
        } else {
            let first = next?;
            for bit in (1..64).filter(|bit| entry >> bit & 1 == 1) {
                let place = first.checked_add((bit - 1) * 8).and_then(|place| image.layout.offset_of(place));
                place.and_then(|place| add_pointer(image, reader, place, found));
            }
            next = first.checked_add(63 * 8);
        }
    }
    Some(())
}

fn symbols<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    found: &mut FoundFields,
) -> Option<()> {
    for at in (section.offset..section.end()).step_by(24) {
        let section_number = reader.u16(at.checked_add(6)?)?;
        if section_number != 0 && section_number < 0xff00 {
            add_pointer(image, reader, at.checked_add(8)?, found);
        }
    }
    Some(())
}

fn dynamic<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    found: &mut FoundFields,
) -> Option<()> {
    for at in (section.offset..section.end()).step_by(16) {
        if ADDRESS_TAGS.contains(&reader.u64(at)?) {
            add_pointer(image, reader, at.checked_add(8)?, found);
        }
    }
    Some(())
}

/// Adds every aligned word that is an address of the program.
fn words<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    found: &mut FoundFields,
) -> Option<()> {
    for part in found.unscanned.scanned_ranges(section.offset, section.end().min(reader.length())) {
        let address = section.address.wrapping_add(part.start - section.offset);
        let first = part.start.checked_add(address.wrapping_neg() % 8)?;
        reader.for_each(first, part.end, |reader, at, word| {
            if u64::from_le_bytes(word) >= image.layout.base {
                add_pointer(image, reader, at, found);
            }
        })?;
    }
    Some(())
}

/// Adds PE base relocations: blocks of a page address, a size, and locations in that page.
fn base_relocations<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    found: &mut FoundFields,
) -> Option<()> {
    const BLOCK: u32 = 8;
    const POINTER: u16 = 10;
    let (address, size) = *image.directories.get(5)?;
    let mut at = image.layout.offset_of(address)?;
    let end = at.checked_add(size)?;
    while at < end {
        let (page, size) = (reader.u32(at)?, reader.u32(at.checked_add(4)?)?);
        if size < BLOCK {
            return None;
        }
        found.add_field(at, FieldKind::Relative, 0);
        for entry in (BLOCK..size).step_by(2) {
            let entry = reader.u16(at.checked_add(entry)?)?;
            if entry >> 12 == POINTER {
                let place = page.checked_add(u32::from(entry & 0xfff)).and_then(|place| image.layout.offset_of(place));
                place.and_then(|place| add_pointer(image, reader, place, found));
            }
        }
        at = at.checked_add(size)?;
    }
    Some(())
}

/// Adds Mach-O symbols that lie in a section.
fn mach_symbols<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    command: &MachoCommand,
    found: &mut FoundFields,
) -> Option<()> {
    const TYPE: u8 = 0x0e;
    const IN_SECTION: u8 = 0x0e;
    let table = command.slice_offset.checked_add(reader.u32(command.offset.checked_add(8)?)?)?;
    for number in 0..reader.u32(command.offset.checked_add(12)?)? {
        let at = table.checked_add(number.checked_mul(16)?)?;
        // A debugger symbol has any of the three highest bits.
        let kind = reader.u8(at.checked_add(4)?)?;
        if kind & 0xe0 == 0 && kind & TYPE == IN_SECTION {
            add_pointer(image, reader, at.checked_add(8)?, found);
        }
    }
    Some(())
}

/// Follows the chained fixups of Mach-O.
///
/// Each page has a chain of pointers, and each pointer contains the distance to the next. Pointers
/// that are bound by name hold no address.
fn chains<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    command: &MachoCommand,
    found: &mut FoundFields,
) -> Option<()> {
    let header = command.slice_offset.checked_add(reader.u32(command.offset.checked_add(8)?)?)?;
    let segments = header.checked_add(reader.u32(header.checked_add(4)?)?)?;
    for number in 0..reader.u32(segments)? {
        let at = segments.checked_add(4)?.checked_add(number.checked_mul(4)?)?;
        match reader.u32(at)? {
            0 => {}
            start => {
                let _ = chained_segment(image, reader, command, segments.checked_add(start)?, found);
            }
        }
    }
    Some(())
}

fn chained_segment<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    command: &MachoCommand,
    at: u32,
    found: &mut FoundFields,
) -> Option<()> {
    /// `DYLD_CHAINED_PTR_64` (absolute targets) and `DYLD_CHAINED_PTR_64_OFFSET` (relative to the
    /// slice).
    const FORMATS: [u16; 2] = [2, 6];
    const NO_CHAIN: u16 = 0xffff;
    let page_size = u32::from(reader.u16(at.checked_add(4)?)?);
    let format = reader.u16(at.checked_add(6)?)?;
    if !FORMATS.contains(&format) {
        return None;
    }
    let start = command.slice_address.checked_add(reader.small_u64(at.checked_add(8)?)?)?;
    for page in 0..u32::from(reader.u16(at.checked_add(20)?)?) {
        let first = reader.u16(at.checked_add(22 + 2 * page)?)?;
        if first == NO_CHAIN {
            continue;
        }
        let address = start.checked_add(page.checked_mul(page_size)?)?.checked_add(u32::from(first))?;
        let mut offset = image.layout.offset_of(address)?;
        loop {
            let word = reader.u64(offset)?;
            if word >> 63 == 0 {
                let kind = if format == 6 { FieldKind::Chained } else { FieldKind::ChainedAbsolute };
                found.add_field(offset, kind, 0);
            }
            let next = (word >> 51 & 0xfff) as u32 * 4;
            if next == 0 {
                break;
            }
            offset = offset.checked_add(next)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::FieldKind;
    use crate::formats::delta::program::samples::*;

    fn kinds(file: &[u8], range: std::ops::Range<u32>) -> Vec<u32> {
        let found = fields_in(file, range);
        assert!(found.iter().all(|field| field.1 == FieldKind::Absolute), "{found:?}");
        found.into_iter().map(|field| field.0).collect()
    }

    #[test]
    fn relocations_are_fields_and_so_are_addends_of_relative_ones() {
        let entries = longs([0x2000, 8, 0x1000, 0x2008, 6 | 3 << 32, 0x1000]);
        let parts = [data(".rela.dyn", 4, 0x1000, entries), data(".data", 1, 0x2000, longs([0x1000, 0x1000]))];
        let file = elf(62, 0, &parts);
        assert_eq!(kinds(&file, 0x1000..0x1030), [0x1000, 0x1010, 0x1018]);
        // The linker wrote the first addend to its location as well; the second relocation is for a
        // symbol.
        assert_eq!(kinds(&file, 0x2000..0x2010), [0x2000]);
    }

    #[test]
    fn packed_relocations_lead_to_pointers() {
        let packed = data(".relr.dyn", 19, 0x1000, longs([0x2000, 0b1011]));
        let file = elf(62, 0, &[packed, data(".data", 1, 0x2000, longs([0x1000; 8]))]);
        assert_eq!(kinds(&file, 0x1000..0x1010), [0x1000]);
        assert_eq!(kinds(&file, 0x2000..0x2040), [0x2000, 0x2008, 0x2018]);
    }

    #[test]
    fn symbols_of_a_section_are_fields() {
        let symbols = longs([0x1_0000_0000_0001, 0x1000, 0, 1, 0x1000, 0, 0xfff1_0000_0000_0001, 0x1000, 0]);
        assert_eq!(kinds(&elf(62, 0, &[data(".dynsym", 11, 0x1000, symbols)]), 0x1000..0x1100), [0x1008]);
    }

    #[test]
    fn words_of_data_are_pointers_only_where_the_program_has_a_high_address() {
        let parts = |base: u64| [data(".data", 1, 0x1000, longs([base + 0x1000, 0x1000, base + 0x10_0000]))];
        assert_eq!(kinds(&elf(62, 0x40_0000, &parts(0x40_0000)), 0x1000..0x1018), [0x1000]);
        assert!(kinds(&elf(62, 0, &parts(0)), 0x1000..0x1018).is_empty());
    }

    #[test]
    fn a_windows_program_lists_its_pointers_by_page() {
        let file = windows(9);
        assert_eq!(fields_in(&file, 0x4000..0x4100), [(0x4000, FieldKind::Relative, 0)]);
        assert_eq!(kinds(&file, 0x2200..0x2280).len(), 16);
    }

    #[test]
    fn chained_fixups_are_followed_to_their_end() {
        let found = fields_in(&mac(9), 0x3000..0x3100);
        assert_eq!(found.len(), 16);
        assert!(found.iter().all(|field| field.1 == FieldKind::Chained));
    }
}
