//! PE32+, the programs and libraries of Windows: each section is a segment, and so are the headers.

use super::{Content, Format, Image, MAX_SEGMENTS, Machine, Places, Section, Segment, short_name};
use crate::formats::delta::program::bytes::Bytes;
use std::io::{Read, Seek};

const EXECUTE: u32 = 0x2000_0000;

/// The program in `bytes`, which begin with the magic of MS-DOS.
pub fn parse<R: Read + Seek>(bytes: &mut Bytes<R>) -> Option<Image> {
    let header = bytes.u32(60)?;
    if bytes.array(header)? != *b"PE\0\0" {
        return None;
    }
    let machine = match bytes.u16(header.checked_add(4)?)? {
        0x8664 => Machine::X86_64,
        0xaa64 => Machine::Aarch64,
        _ => return None,
    };
    let section_count = bytes.u16(header.checked_add(6)?)?;
    let optional_size = bytes.u16(header.checked_add(20)?)?;
    let optional = header.checked_add(24)?;
    let table = optional.checked_add(u32::from(optional_size))?;
    if bytes.u16(optional)? != 0x20b || usize::from(section_count) >= MAX_SEGMENTS {
        return None;
    }
    let base = bytes.u64(optional.checked_add(24)?)?;
    let headers_size = bytes.u32(optional.checked_add(60)?)?.min(bytes.length());
    let mut directories = Vec::new();
    for number in 0..bytes.u32(optional.checked_add(108)?)?.min(16) {
        let at = optional.checked_add(112 + 8 * number)?;
        directories.push((bytes.u32(at)?, bytes.u32(at.checked_add(4)?)?));
    }
    let mut segments = vec![Segment { address: 0, offset: 0, file_size: headers_size, memory_size: headers_size }];
    let mut sections = Vec::new();
    for number in 0..u32::from(section_count) {
        let at = table.checked_add(40 * number)?;
        let name: [u8; 8] = bytes.array(at)?;
        let mut value = |field: u32| bytes.u32(at.checked_add(field)?);
        let (memory_size, address, raw_size, offset, kind) =
            (value(8)?, value(12)?, value(16)?, value(20)?, value(36)?);
        let memory_size = if memory_size == 0 { raw_size } else { memory_size };
        // The raw size is rounded up to the file's alignment: what is not in memory is padding.
        let file_size = raw_size.min(memory_size);
        segments.push(Segment { address, offset, file_size, memory_size });
        let content = if kind & EXECUTE == 0 { Content::Data } else { Content::Code(machine) };
        sections.push(Section { name: short_name(&name), content, kind, address, offset, size: file_size });
    }
    let places = Places { base, universal: false, segments };
    Some(Image { format: Format::Pe, places, sections, directories, commands: Vec::new() })
}
