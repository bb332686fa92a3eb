//! Parses 64-bit Mach-O files, for one processor or universal.
//!
//! Collects the segments and sections of every slice, and the load commands that refer to tables.

use super::{
    Image, ImageFormat, ImageLayout, ImageSection, ImageSegment, MAX_SECTIONS, MAX_SEGMENTS, Processor, SLICE_BYTES,
    SectionContent, short_name,
};
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use std::io::{Read, Seek};

const UNIVERSAL: [u8; 4] = [0xca, 0xfe, 0xba, 0xbe];
const LC_SEGMENT_64: u32 = 0x19;
/// `S_ATTR_PURE_INSTRUCTIONS` or `S_ATTR_SOME_INSTRUCTIONS`: the section contains instructions.
const INSTRUCTIONS: u32 = 0x8000_0400;
const MAX_SLICES: u32 = 4;

/// A load command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachoCommand {
    /// The number of the command.
    pub command: u32,
    /// File offset of the command.
    pub offset: u32,
    /// File offset of its slice.
    pub slice_offset: u32,
    /// Relative address of its slice.
    pub slice_address: u32,
}

/// Parses a program that starts with one of Mach-O's magics.
pub fn parse<R: Read + Seek>(reader: &mut BudgetedReader<R>) -> Option<Image> {
    let mut image = Image {
        format: ImageFormat::MachO,
        layout: ImageLayout::default(),
        sections: Vec::new(),
        directories: Vec::new(),
        commands: Vec::new(),
    };
    if reader.array(0)? == UNIVERSAL {
        let count = reader.array(4).map(u32::from_be_bytes)?;
        // Java class files have the same magic, and a version number here.
        if count == 0 || count > MAX_SLICES {
            return None;
        }
        image.layout.universal = true;
        for number in 0..count {
            let offset = reader.array(16 + 20 * number).map(u32::from_be_bytes)?;
            slice(reader, &mut image, offset, number * SLICE_BYTES, SLICE_BYTES)?;
        }
    } else {
        slice(reader, &mut image, 0, 0, u32::MAX)?;
    }
    Some(image)
}

/// Adds the slice at file offset `start`.
///
/// Its relative addresses start at `address` and span at most `room`.
fn slice<R: Read + Seek>(
    reader: &mut BudgetedReader<R>,
    image: &mut Image,
    start: u32,
    address: u32,
    room: u32,
) -> Option<()> {
    if reader.array(start)? != [0xcf, 0xfa, 0xed, 0xfe] {
        return None;
    }
    let machine = match reader.u32(start.checked_add(4)?)? {
        0x0100_0007 => Processor::X86_64,
        0x0100_000c => Processor::Aarch64,
        _ => return None,
    };
    let count = reader.u32(start.checked_add(16)?)?;
    let mut at = start.checked_add(32)?;
    let mut base = None;
    for _ in 0..count {
        let (command, size) = (reader.u32(at)?, reader.u32(at.checked_add(4)?)?);
        if size < 8 {
            return None;
        }
        if command == LC_SEGMENT_64 {
            segment(reader, image, at, &MachoSlice { start, address, room, machine }, &mut base)?;
        } else if image.commands.len() < MAX_SECTIONS {
            image.commands.push(MachoCommand { command, offset: at, slice_offset: start, slice_address: address });
        }
        at = at.checked_add(size)?;
    }
    // In practice all slices have the same base address. A file in which they differ is not
    // supported.
    let base = base?;
    if address != 0 && base != image.layout.base {
        return None;
    }
    image.layout.base = base;
    Some(())
}

struct MachoSlice {
    start: u32,
    address: u32,
    room: u32,
    machine: Processor,
}

/// Adds the segment of the command at `at`, and its sections.
///
/// The first segment with bytes in the file determines the base address.
fn segment<R: Read + Seek>(
    reader: &mut BudgetedReader<R>,
    image: &mut Image,
    at: u32,
    slice: &MachoSlice,
    base: &mut Option<u64>,
) -> Option<()> {
    let mut value = |field: u32| reader.u64(at.checked_add(field)?);
    let (address, memory_size, offset, file_size) = (value(24)?, value(32)?, value(40)?, value(48)?);
    if file_size == 0 && base.is_none() {
        return Some(()); // __PAGEZERO
    }
    let base = *base.get_or_insert(address);
    let place = |absolute: u64| -> Option<u32> {
        let relative = u32::try_from(absolute.checked_sub(base)?).ok().filter(|relative| *relative < slice.room)?;
        Some(relative.wrapping_add(slice.address))
    };
    image.layout.segments.push(ImageSegment {
        address: place(address)?,
        offset: slice.start.checked_add(offset.try_into().ok()?)?,
        file_size: file_size.try_into().ok()?,
        memory_size: memory_size.max(file_size).try_into().ok()?,
    });
    if image.layout.segments.len() > MAX_SEGMENTS {
        return None;
    }
    for number in 0..reader.u32(at.checked_add(64)?)? {
        let section = at.checked_add(72)?.checked_add(number.checked_mul(80)?)?;
        let name: [u8; 16] = reader.array(section)?;
        let (address, size) = (reader.u64(section.checked_add(32)?)?, reader.small_u64(section.checked_add(40)?));
        let (offset, kind) = (reader.u32(section.checked_add(48)?)?, reader.u32(section.checked_add(64)?)?);
        if offset == 0 || image.sections.len() == MAX_SECTIONS {
            continue; // zero-initialized, without bytes in the file
        }
        let content = if kind & INSTRUCTIONS == 0 { SectionContent::Data } else { SectionContent::Code(slice.machine) };
        let offset = slice.start.checked_add(offset)?;
        image.sections.push(ImageSection {
            name: short_name(&name),
            content,
            kind,
            address: place(address)?,
            offset,
            size: size?,
        });
    }
    Some(())
}
