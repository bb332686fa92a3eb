//! Parses PE32+ files, the programs and libraries of Windows.
//!
//! Each section is a segment, and so are the headers.

use super::{
    Image, ImageFormat, ImageLayout, ImageSection, ImageSegment, MAX_SEGMENTS, Processor, SectionContent, short_name,
};
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use std::io::{Read, Seek};

const EXECUTE: u32 = 0x2000_0000;

/// Parses a program that starts with the magic of MS-DOS.
pub fn parse<R: Read + Seek>(reader: &mut BudgetedReader<R>) -> Option<Image> {
    let header = reader.u32(60)?;
    if reader.array(header)? != *b"PE\0\0" {
        return None;
    }
    let machine = match reader.u16(header.checked_add(4)?)? {
        0x8664 => Processor::X86_64,
        0xaa64 => Processor::Aarch64,
        _ => return None,
    };
    let section_count = reader.u16(header.checked_add(6)?)?;
    let optional_size = reader.u16(header.checked_add(20)?)?;
    let optional = header.checked_add(24)?;
    let table = optional.checked_add(u32::from(optional_size))?;
    if reader.u16(optional)? != 0x20b || usize::from(section_count) >= MAX_SEGMENTS {
        return None;
    }
    let base = reader.u64(optional.checked_add(24)?)?;
    let headers_size = reader.u32(optional.checked_add(60)?)?.min(reader.length());
    let mut directories = Vec::new();
    for number in 0..reader.u32(optional.checked_add(108)?)?.min(16) {
        let at = optional.checked_add(112 + 8 * number)?;
        directories.push((reader.u32(at)?, reader.u32(at.checked_add(4)?)?));
    }
    let mut segments = vec![ImageSegment { address: 0, offset: 0, file_size: headers_size, memory_size: headers_size }];
    let mut sections = Vec::new();
    for number in 0..u32::from(section_count) {
        let at = table.checked_add(40 * number)?;
        let name: [u8; 8] = reader.array(at)?;
        let mut value = |field: u32| reader.u32(at.checked_add(field)?);
        let (memory_size, address, raw_size, offset, kind) =
            (value(8)?, value(12)?, value(16)?, value(20)?, value(36)?);
        let memory_size = if memory_size == 0 { raw_size } else { memory_size };
        // The raw size is rounded up to the file alignment. Bytes beyond the memory size are
        // padding.
        let file_size = raw_size.min(memory_size);
        segments.push(ImageSegment { address, offset, file_size, memory_size });
        let content = if kind & EXECUTE == 0 { SectionContent::Data } else { SectionContent::Code(machine) };
        sections.push(ImageSection { name: short_name(&name), content, kind, address, offset, size: file_size });
    }
    let layout = ImageLayout { base, universal: false, segments };
    Some(Image { format: ImageFormat::Pe, layout, sections, directories, commands: Vec::new() })
}
