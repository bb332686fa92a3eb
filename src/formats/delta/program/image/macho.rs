//! Mach-O of 64 bits, thin or universal: segments and sections of every slice, and the load commands that point to tables.

use super::{Content, Format, Image, MAX_SECTIONS, MAX_SEGMENTS, Machine, Places, SLICE, Section, Segment, short_name};
use crate::formats::delta::program::bytes::Bytes;
use std::io::{Read, Seek};

const UNIVERSAL: [u8; 4] = [0xca, 0xfe, 0xba, 0xbe];
const LC_SEGMENT_64: u32 = 0x19;
/// Instructions in it: `S_ATTR_PURE_INSTRUCTIONS` or `S_ATTR_SOME_INSTRUCTIONS`.
const INSTRUCTIONS: u32 = 0x8000_0400;
const MAX_SLICES: u32 = 4;

/// A load command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// Its number.
    pub command: u32,
    /// Where it lies in the file.
    pub offset: u32,
    /// Where its slice begins in the file.
    pub slice_offset: u32,
    /// Where its slice begins in relative addresses.
    pub slice_address: u32,
}

/// The program in `bytes`, which begin with a magic of Mach-O.
pub fn parse<R: Read + Seek>(bytes: &mut Bytes<R>) -> Option<Image> {
    let mut image = Image {
        format: Format::MachO,
        places: Places::default(),
        sections: Vec::new(),
        directories: Vec::new(),
        commands: Vec::new(),
    };
    if bytes.array(0)? == UNIVERSAL {
        let count = bytes.array(4).map(u32::from_be_bytes)?;
        // Java's class files have the same magic, and a version in this place.
        if count == 0 || count > MAX_SLICES {
            return None;
        }
        image.places.universal = true;
        for number in 0..count {
            let offset = bytes.array(16 + 20 * number).map(u32::from_be_bytes)?;
            slice(bytes, &mut image, offset, number * SLICE, SLICE)?;
        }
    } else {
        slice(bytes, &mut image, 0, 0, u32::MAX)?;
    }
    Some(image)
}

/// Adds the slice at `start` of the file, whose relative addresses begin at `address` and number at most `room`.
fn slice<R: Read + Seek>(bytes: &mut Bytes<R>, image: &mut Image, start: u32, address: u32, room: u32) -> Option<()> {
    if bytes.array(start)? != [0xcf, 0xfa, 0xed, 0xfe] {
        return None;
    }
    let machine = match bytes.u32(start.checked_add(4)?)? {
        0x0100_0007 => Machine::X86_64,
        0x0100_000c => Machine::Aarch64,
        _ => return None,
    };
    let count = bytes.u32(start.checked_add(16)?)?;
    let mut at = start.checked_add(32)?;
    let mut base = None;
    for _ in 0..count {
        let (command, size) = (bytes.u32(at)?, bytes.u32(at.checked_add(4)?)?);
        if size < 8 {
            return None;
        }
        if command == LC_SEGMENT_64 {
            segment(bytes, image, at, &Slice { start, address, room, machine }, &mut base)?;
        } else if image.commands.len() < MAX_SECTIONS {
            image.commands.push(Command { command, offset: at, slice_offset: start, slice_address: address });
        }
        at = at.checked_add(size)?;
    }
    // All slices of a file have one base in practice; one that has not is no program to us.
    let base = base?;
    if address != 0 && base != image.places.base {
        return None;
    }
    image.places.base = base;
    Some(())
}

struct Slice {
    start: u32,
    address: u32,
    room: u32,
    machine: Machine,
}

/// Adds the segment whose command lies `at`, and its sections; the first one that has bytes in the file is the base.
fn segment<R: Read + Seek>(
    bytes: &mut Bytes<R>,
    image: &mut Image,
    at: u32,
    slice: &Slice,
    base: &mut Option<u64>,
) -> Option<()> {
    let mut value = |field: u32| bytes.u64(at.checked_add(field)?);
    let (address, memory_size, offset, file_size) = (value(24)?, value(32)?, value(40)?, value(48)?);
    if file_size == 0 && base.is_none() {
        return Some(()); // __PAGEZERO
    }
    let base = *base.get_or_insert(address);
    let place = |absolute: u64| -> Option<u32> {
        let relative = u32::try_from(absolute.checked_sub(base)?).ok().filter(|relative| *relative < slice.room)?;
        Some(relative.wrapping_add(slice.address))
    };
    image.places.segments.push(Segment {
        address: place(address)?,
        offset: slice.start.checked_add(offset.try_into().ok()?)?,
        file_size: file_size.try_into().ok()?,
        memory_size: memory_size.max(file_size).try_into().ok()?,
    });
    if image.places.segments.len() > MAX_SEGMENTS {
        return None;
    }
    for number in 0..bytes.u32(at.checked_add(64)?)? {
        let section = at.checked_add(72)?.checked_add(number.checked_mul(80)?)?;
        let name: [u8; 16] = bytes.array(section)?;
        let (address, size) = (bytes.u64(section.checked_add(32)?)?, bytes.small_u64(section.checked_add(40)?));
        let (offset, kind) = (bytes.u32(section.checked_add(48)?)?, bytes.u32(section.checked_add(64)?)?);
        if offset == 0 || image.sections.len() == MAX_SECTIONS {
            continue; // zeros, which the file does not have
        }
        let content = if kind & INSTRUCTIONS == 0 { Content::Data } else { Content::Code(slice.machine) };
        let offset = slice.start.checked_add(offset)?;
        image.sections.push(Section {
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
