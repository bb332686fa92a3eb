//! Finds fields in unwind tables: `.eh_frame` and its index, `.pdata` and the data it refers to.
//!
//! The tables also list the starts of functions, which the x86-64 sweep uses.

use super::FoundFields;
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use crate::formats::delta::program::field::FieldKind;
use crate::formats::delta::program::image::{Image, ImageFormat, ImageSection, Processor};
use std::io::{Read, Seek};

/// Adds the fields of the unwind tables.
pub fn find<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>, found: &mut FoundFields) -> Option<()> {
    if image.format == ImageFormat::Pe {
        return pdata(image, reader, found);
    }
    for section in &image.sections {
        if section.is_named(".eh_frame") || section.is_named("__eh_frame") {
            let _ = frames(image, reader, section, found);
        } else if section.is_named(".eh_frame_hdr") {
            let _ = frame_index(reader, section, found);
        }
    }
    Some(())
}

/// Adds the index of `.eh_frame`: pairs of function and frame, as distances from the index.
fn frame_index<R: Read + Seek>(
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    found: &mut FoundFields,
) -> Option<()> {
    if reader.array(section.offset)? != [1, 0x1b, 3, 0x3b] {
        return None;
    }
    found.add_field(section.offset.checked_add(4)?, FieldKind::PcRelative, 0);
    let count = reader.u32(section.offset.checked_add(8)?)?.min(section.size / 8);
    let table = section.offset.checked_add(12)?;
    reader.step(u64::from(count))?;
    for number in 0..2 * count {
        found.add_field(table.checked_add(4 * number)?, FieldKind::BaseRelative, section.address);
    }
    Some(())
}

/// The values of a common entry (CIE) that its frames (FDE) depend on.
#[derive(Clone, Copy)]
struct CommonEntry {
    offset: u32,
    pointers: u8,
    exceptions: Option<u8>,
}

/// `DW_EH_PE_pcrel | DW_EH_PE_sdata4`, with or without `DW_EH_PE_indirect`.
fn is_distance(encoding: u8) -> bool {
    encoding & 0x7f == 0x1b
}

fn frames<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    found: &mut FoundFields,
) -> Option<()> {
    let mut at = section.offset;
    let mut common: Option<CommonEntry> = None;
    while at < section.end() {
        let length = reader.u32(at)?;
        if length == 0 || length == u32::MAX {
            at = at.checked_add(4)?;
            continue;
        }
        let id_at = at.checked_add(4)?;
        let id = reader.u32(id_at)?;
        let next = id_at.checked_add(length)?;
        if id == 0 {
            common = common_entry(reader, at, Some(found));
        } else {
            let common_at = id_at.checked_sub(id)?;
            if common.is_none_or(|common| common.offset != common_at) {
                common = common_entry(reader, common_at, None);
            }
            if let Some(common) = common {
                frame(image, reader, section, id_at, &common, found)?;
            }
        }
        at = next;
    }
    Some(())
}

/// Adds the fields of a frame: its common entry, function, length and exception table.
fn frame<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    id_at: u32,
    common: &CommonEntry,
    found: &mut FoundFields,
) -> Option<()> {
    found.add_field(id_at, FieldKind::BackDistance, 0);
    if !is_distance(common.pointers) {
        return Some(());
    }
    let begin_at = id_at.checked_add(4)?;
    let begin = section.address.wrapping_add(begin_at - section.offset).wrapping_add(reader.u32(begin_at)?);
    if !image.layout.contains(begin) {
        return Some(());
    }
    if let Some(start) = image.layout.offset_of(begin) {
        found.add_function_start(start);
    }
    found.add_field(begin_at, FieldKind::PcRelative, 0);
    found.add_field(begin_at.checked_add(4)?, FieldKind::RangeLength, begin);
    if common.exceptions.is_some_and(is_distance) {
        let mut at = begin_at.checked_add(8)?;
        if leb128(reader, &mut at)? >= 4 && reader.u32(at)? != 0 {
            found.add_field(at, FieldKind::PcRelative, 0);
        }
    }
    Some(())
}

/// Reads a common entry and adds its personality routine.
fn common_entry<R: Read + Seek>(
    reader: &mut BudgetedReader<R>,
    offset: u32,
    found: Option<&mut FoundFields>,
) -> Option<CommonEntry> {
    let mut common = CommonEntry { offset, pointers: 0, exceptions: None };
    let mut augmentation = [0; 8];
    if reader.u32(offset.checked_add(4)?)? != 0 {
        return None;
    }
    let string_at = offset.checked_add(9)?;
    let count = reader.copy(string_at, &mut augmentation);
    let length = augmentation[..count].iter().position(|byte| *byte == 0)?;
    let mut at = string_at.checked_add(length as u32 + 1)?;
    leb128(reader, &mut at)?;
    leb128(reader, &mut at)?;
    leb128(reader, &mut at)?;
    let mut letters = augmentation[..length].iter();
    if letters.next() != Some(&b'z') {
        return Some(common);
    }
    leb128(reader, &mut at)?;
    let mut found = found;
    for letter in letters {
        let encoding = if matches!(letter, b'R' | b'L' | b'P') { reader.u8(at)? } else { continue };
        at = at.checked_add(1)?;
        match letter {
            b'R' => common.pointers = encoding,
            b'L' => common.exceptions = Some(encoding),
            _ if is_distance(encoding) => {
                if let Some(found) = &mut found {
                    found.add_field(at, FieldKind::PcRelative, 0);
                }
                at = at.checked_add(4)?;
            }
            _ => return None,
        }
    }
    Some(common)
}

/// Reads an unsigned LEB128 number of at most five bytes.
fn leb128<R: Read + Seek>(reader: &mut BudgetedReader<R>, at: &mut u32) -> Option<u64> {
    let mut value = 0;
    for shift in 0..5 {
        let byte = reader.u8(*at)?;
        *at = at.checked_add(1)?;
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Adds Windows' function table: start, end and unwind information of each function.
fn pdata<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>, found: &mut FoundFields) -> Option<()> {
    let (address, size) = *image.directories.get(3)?;
    let table = image.layout.offset_of(address)?;
    let machine = image.code().next()?.1;
    let width = if machine == Processor::X86_64 { 12 } else { 8 };
    for number in 0..size / width {
        let at = table.checked_add(number * width)?;
        let begin = reader.u32(at)?;
        if !image.layout.contains(begin) {
            break;
        }
        if let Some(start) = image.layout.offset_of(begin) {
            found.add_function_start(start);
        }
        found.add_field(at, FieldKind::Relative, 0);
        if machine == Processor::X86_64 {
            found.add_field(at.checked_add(4)?, FieldKind::RangeEnd, 0);
            found.add_field(at.checked_add(8)?, FieldKind::Relative, 0);
            let information = image.layout.offset_of(reader.u32(at.checked_add(8)?)?);
            information.and_then(|at| unwind_information(image, reader, at, found));
        } else if reader.u32(at.checked_add(4)?)? & 3 == 0 {
            found.add_field(at.checked_add(4)?, FieldKind::Relative, 0);
        }
    }
    Some(())
}

/// Adds the fields of a function's unwind information: the chained entry, or the handler and its
/// data.
fn unwind_information<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    at: u32,
    found: &mut FoundFields,
) -> Option<()> {
    let [flags, _, codes, _] = reader.array(at)?;
    let tail = at.checked_add(4 + 2 * ((u32::from(codes) + 1) & !1))?;
    if flags >> 3 & 4 != 0 {
        found.add_field(tail, FieldKind::Relative, 0);
        found.add_field(tail.checked_add(4)?, FieldKind::RangeEnd, 0);
        found.add_field(tail.checked_add(8)?, FieldKind::Relative, 0);
    } else if flags >> 3 & 3 != 0 {
        found.add_field(tail, FieldKind::Relative, 0);
        let data = tail.checked_add(4)?;
        if image.layout.contains(reader.u32(data)?) && reader.u32(data)? >= 0x1000 {
            found.add_field(data, FieldKind::GuessInData, 0);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::FieldKind;
    use crate::formats::delta::program::samples::*;

    #[test]
    fn a_frame_has_fields_for_its_common_entry_function_and_length() {
        let mut frames = words([16, 0]);
        frames.extend([1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0, 0, 0]);
        frames.extend(words([16, 24, 0x1000u32.wrapping_sub(0x201c), 0x20, 0]));
        let file = elf(62, 0, &[code(".text", 0x1000, vec![0x90; 64]), data(".eh_frame", 1, 0x2000, frames)]);
        let expected = [
            (0x2018, FieldKind::BackDistance, 0),
            (0x201c, FieldKind::PcRelative, 0),
            (0x2020, FieldKind::RangeLength, 0x1000),
        ];
        assert_eq!(fields_in(&file, 0x2000..0x2100), expected);
    }

    #[test]
    fn the_index_over_frames_holds_distances_from_its_start() {
        let mut index = vec![1, 0x1b, 3, 0x3b];
        index.extend(words([0x10, 1, 0xffff_f000, 0x20]));
        let file = elf(62, 0, &[data(".eh_frame_hdr", 1, 0x2000, index)]);
        let expected = [
            (0x2004, FieldKind::PcRelative, 0),
            (0x200c, FieldKind::BaseRelative, 0x2000),
            (0x2010, FieldKind::BaseRelative, 0x2000),
        ];
        assert_eq!(fields_in(&file, 0x2000..0x2100), expected);
    }

    #[test]
    fn a_windows_function_has_fields_for_start_end_unwind_information_and_handler() {
        let table = words([0x1000, 0x1010, 0x3000]);
        let information = words([0x0000_0009, 0x1000]); // a handler, no codes
        let file = pe(
            0x8664,
            &[
                code(".text", 0x1000, vec![0x90; 64]),
                data(".pdata", 0x4000_0040, 0x2000, table),
                data(".xdata", 0xc000_0040, 0x3000, information),
            ],
            &[(3, 0x2000, 12)],
        );
        let expected =
            [(0x2000, FieldKind::Relative, 0), (0x2004, FieldKind::RangeEnd, 0), (0x2008, FieldKind::Relative, 0)];
        assert_eq!(fields_in(&file, 0x2000..0x2100), expected);
        assert_eq!(fields_in(&file, 0x3000..0x3100), [(0x3004, FieldKind::Relative, 0)]);
    }
}
