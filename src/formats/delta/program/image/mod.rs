//! Image: a program file as a loader sees it, that is which bytes of the file lie where in memory.
//!
//! Addresses are *relative addresses*: 32 bits, counted from the lowest address of the image
//! (`ImageLayout::base`). A *slice* is one of the images in a universal Mach-O file. The relative
//! addresses of consecutive slices start [`SLICE_BYTES`] apart.

pub mod elf;
pub mod macho;
pub mod pe;

use super::budgeted_reader::BudgetedReader;
use std::io::{Read, Seek};

/// Limit for the number of segments of a program.
pub const MAX_SEGMENTS: usize = 96;
/// Limit for the number of sections; the parsers ignore those beyond it.
pub const MAX_SECTIONS: usize = 512;
/// Distance between the relative addresses of two slices. A file with one slice has the whole
/// range.
pub const SLICE_BYTES: u32 = 1 << 30;

/// The processor that a program was compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Processor {
    /// Intel and AMD, 64 bits.
    X86_64,
    /// Arm, 64 bits, little-endian.
    Aarch64,
}

/// The file format of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageFormat {
    /// Linux and other Unixes.
    Elf,
    /// Windows, PE32+.
    Pe,
    /// macOS.
    MachO,
}

/// A contiguous part of the file that is mapped into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ImageSegment {
    /// Relative address of its first byte.
    pub address: u32,
    /// File offset of its first byte.
    pub offset: u32,
    /// Size in the file.
    pub file_size: u32,
    /// Size in memory. Bytes beyond `file_size` are zero.
    pub memory_size: u32,
}

/// The sort of content of a section, as far as detectors care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionContent {
    /// Instructions.
    Code(Processor),
    /// Anything else that is mapped.
    Data,
    /// Content that is not mapped; the address of the section has no meaning.
    Unmapped,
}

/// A named section of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSection {
    /// The first 16 bytes of the name, padded with zeros.
    pub name: [u8; 16],
    /// The sort of content.
    pub content: SectionContent,
    /// The format's own type: `sh_type` of ELF, flags of Mach-O, characteristics of PE.
    pub kind: u32,
    /// Relative address of its first byte.
    pub address: u32,
    /// File offset of its first byte.
    pub offset: u32,
    /// Size in the file.
    pub size: u32,
}

impl ImageSection {
    /// Returns `true` if the section has this name, of at most 16 bytes.
    pub fn is_named(&self, name: &str) -> bool {
        let length = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        self.name[..length] == *name.as_bytes()
    }

    /// Returns the file offset after the last byte.
    pub fn end(&self) -> u32 {
        self.offset.saturating_add(self.size)
    }

    /// Returns `true` if the address lies in the section.
    pub fn contains(&self, address: u32) -> bool {
        address.wrapping_sub(self.address) < self.size
    }
}

/// The segments of a program. A delta's header contains those of the new program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageLayout {
    /// The absolute address of relative address 0.
    pub base: u64,
    /// `true` for a universal file, in which slices start [`SLICE_BYTES`] apart.
    pub universal: bool,
    /// 1 to [`MAX_SEGMENTS`] segments, in the order of the file's tables.
    pub segments: Vec<ImageSegment>,
}

impl ImageLayout {
    /// Returns the address of the byte at file offset `offset`.
    pub fn address_of(&self, offset: u32) -> Option<u32> {
        self.segments.iter().find_map(|segment| {
            let inside = offset.wrapping_sub(segment.offset);
            (inside < segment.file_size).then(|| segment.address.wrapping_add(inside))
        })
    }

    /// Returns the file offset of the byte at `address`.
    pub fn offset_of(&self, address: u32) -> Option<u32> {
        self.segments.iter().find_map(|segment| {
            let inside = address.wrapping_sub(segment.address);
            (inside < segment.file_size).then(|| segment.offset.wrapping_add(inside))
        })
    }

    /// Returns the index of the segment that contains the address.
    pub fn segment_of(&self, address: u32) -> Option<usize> {
        self.segments.iter().position(|segment| address.wrapping_sub(segment.address) < segment.memory_size)
    }

    /// Returns `true` if a segment contains the address.
    pub fn contains(&self, address: u32) -> bool {
        self.segment_of(address).is_some()
    }

    /// Converts an absolute address, or returns `None` if no segment contains it.
    pub fn relative_address(&self, absolute: u64) -> Option<u32> {
        let address = u32::try_from(absolute.checked_sub(self.base)?).ok()?;
        self.contains(address).then_some(address)
    }
}

/// A parsed program file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The file format.
    pub format: ImageFormat,
    /// The segments.
    pub layout: ImageLayout,
    /// At most [`MAX_SECTIONS`] sections.
    pub sections: Vec<ImageSection>,
    /// Data directories of a PE file, as (address, size).
    pub directories: Vec<(u32, u32)>,
    /// Load commands of a Mach-O file, except segments.
    pub commands: Vec<macho::MachoCommand>,
}

impl Image {
    /// Returns `true` if a supported program may start with these bytes.
    pub fn is_magic(magic: &[u8; 4]) -> bool {
        matches!(
            magic,
            [0x7f, b'E', b'L', b'F'] | [b'M', b'Z', ..] | [0xcf, 0xfa, 0xed, 0xfe] | [0xca, 0xfe, 0xba, 0xbe]
        )
    }

    /// Parses a program, or returns `None` if it is not a supported one.
    pub fn parse<R: Read + Seek>(reader: &mut BudgetedReader<R>) -> Option<Image> {
        let image = match reader.array::<4>(0)? {
            [0x7f, b'E', b'L', b'F'] => elf::parse(reader),
            [b'M', b'Z', ..] => pe::parse(reader),
            [0xcf, 0xfa, 0xed, 0xfe] | [0xca, 0xfe, 0xba, 0xbe] => macho::parse(reader),
            _ => None,
        }?;
        let count = image.layout.segments.len();
        (count > 0 && count <= MAX_SEGMENTS && image.sections.len() <= MAX_SECTIONS).then_some(image)
    }

    /// Returns the sections with instructions.
    pub fn code(&self) -> impl Iterator<Item = (&ImageSection, Processor)> {
        self.sections.iter().filter_map(|section| match section.content {
            SectionContent::Code(machine) => Some((section, machine)),
            SectionContent::Data | SectionContent::Unmapped => None,
        })
    }

    /// Returns `true` if a section with instructions contains the address.
    pub fn is_code(&self, address: u32) -> bool {
        self.code().any(|(section, _)| section.contains(address))
    }

    /// Returns the section with this name.
    pub fn section(&self, name: &str) -> Option<ImageSection> {
        self.sections.iter().find(|section| section.is_named(name)).copied()
    }
}

/// Returns the first 16 bytes of a name that ends at a zero or with the slice.
fn short_name(field: &[u8]) -> [u8; 16] {
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(field.iter().take_while(|byte| **byte != 0)) {
        *to = *from;
    }
    name
}
