//! Parses 64-bit little-endian ELF files: segments from program headers, sections from section
//! headers.

use super::{
    Image, ImageFormat, ImageLayout, ImageSection, ImageSegment, MAX_SECTIONS, MAX_SEGMENTS, Processor, SectionContent,
    short_name,
};
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use std::io::{Read, Seek};

const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;

/// `sh_type` of the full symbol table, which is not loaded.
pub const SHT_SYMTAB: u32 = 2;
/// `sh_type` of relocations with addends.
pub const SHT_RELA: u32 = 4;
/// `sh_type` of the dynamic table.
pub const SHT_DYNAMIC: u32 = 6;
/// `sh_type` of the dynamic symbols.
pub const SHT_DYNSYM: u32 = 11;
/// `sh_type` of packed relative relocations.
pub const SHT_RELR: u32 = 19;

/// Parses a program that starts with ELF's magic.
pub fn parse<R: Read + Seek>(reader: &mut BudgetedReader<R>) -> Option<Image> {
    if reader.array(4)? != [2, 1, 1] {
        return None;
    }
    let machine = match reader.u16(18)? {
        62 => Processor::X86_64,
        183 => Processor::Aarch64,
        _ => return None,
    };
    let (layout, executable) = segments(reader)?;
    let mut sections = sections(reader, machine, &layout).unwrap_or_default();
    if sections.is_empty() {
        // Without sections, executable segments count as code.
        sections = executable
            .into_iter()
            .map(|segment| ImageSection {
                name: [0; 16],
                content: SectionContent::Code(machine),
                kind: 1,
                address: segment.address,
                offset: segment.offset,
                size: segment.file_size,
            })
            .collect();
    }
    Some(Image { format: ImageFormat::Elf, layout, sections, directories: Vec::new(), commands: Vec::new() })
}

/// Returns all loaded segments, and those that are executable.
fn segments<R: Read + Seek>(reader: &mut BudgetedReader<R>) -> Option<(ImageLayout, Vec<ImageSegment>)> {
    let table = reader.small_u64(32)?;
    let (size, count) = (reader.u16(54)?, reader.u16(56)?);
    if size < 56 {
        return None;
    }
    let mut loads = Vec::new();
    for number in 0..u32::from(count) {
        let at = table.checked_add(number * u32::from(size))?;
        if reader.u32(at)? != PT_LOAD {
            continue;
        }
        let executable = reader.u32(at.checked_add(4)?)? & PF_X != 0;
        let mut value = |field: u32| reader.u64(at.checked_add(field)?);
        loads.push((executable, value(8)?, value(16)?, value(32)?, value(40)?));
        if loads.len() > MAX_SEGMENTS {
            return None;
        }
    }
    let base = loads.iter().map(|load| load.2).min()?;
    let mut segments = Vec::new();
    let mut code = Vec::new();
    for (executable, offset, address, file_size, memory_size) in loads {
        let segment = ImageSegment {
            address: (address - base).try_into().ok()?,
            offset: offset.try_into().ok()?,
            file_size: file_size.try_into().ok()?,
            memory_size: memory_size.max(file_size).try_into().ok()?,
        };
        segments.push(segment);
        if executable {
            code.push(segment);
        }
    }
    Some((ImageLayout { base, universal: false, segments }, code))
}

fn sections<R: Read + Seek>(
    reader: &mut BudgetedReader<R>,
    machine: Processor,
    layout: &ImageLayout,
) -> Option<Vec<ImageSection>> {
    let table = reader.small_u64(40)?;
    let (size, count, names) = (reader.u16(58)?, reader.u16(60)?, reader.u16(62)?);
    if size < 64 {
        return None;
    }
    let header = |number: u16| table.checked_add(u32::from(number) * u32::from(size));
    let names = reader.small_u64(header(names)?.checked_add(24)?)?;
    let mut sections = Vec::new();
    for number in 0..count {
        let at = header(number)?;
        let kind = reader.u32(at.checked_add(4)?)?;
        let flags = reader.u64(at.checked_add(8)?)?;
        let is_loaded = flags & SHF_ALLOC != 0;
        if !is_loaded && kind != SHT_SYMTAB || kind == SHT_NOBITS || sections.len() == MAX_SECTIONS {
            continue;
        }
        let address = reader.u64(at.checked_add(16)?)?;
        let address = if is_loaded { address.checked_sub(layout.base)?.try_into().ok()? } else { 0 };
        let mut name = [0; 16];
        let name_at = names.checked_add(reader.u32(at)?)?;
        let length = reader.copy(name_at, &mut name);
        let content = match flags & SHF_EXECINSTR {
            _ if !is_loaded => SectionContent::Unmapped,
            0 => SectionContent::Data,
            _ => SectionContent::Code(machine),
        };
        sections.push(ImageSection {
            name: short_name(&name[..length]),
            content,
            kind,
            address,
            offset: reader.small_u64(at.checked_add(24)?)?,
            size: reader.small_u64(at.checked_add(32)?)?,
        });
    }
    Some(sections)
}
