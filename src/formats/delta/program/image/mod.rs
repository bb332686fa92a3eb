//! A program file as a loader sees it: which bytes of the file lie where in memory.
//!
//! ImageLayout in memory are *relative addresses*, 32 bits from the lowest address of the image (`ImageLayout::base`). The slices of a
//! universal Mach-O, each an image of its own, lie [`SLICE_BYTES`] bytes apart in this numbering.

pub mod elf;
pub mod macho;
pub mod pe;

use super::budgeted_reader::BudgetedReader;
use std::io::{Read, Seek};

/// The most segments of one program.
pub const MAX_SEGMENTS: usize = 96;
/// The most sections of one program; what comes after them is not looked at.
pub const MAX_SECTIONS: usize = 512;
/// How far apart the relative addresses of a universal file's slices are; a file of one slice has the whole space.
pub const SLICE_BYTES: u32 = 1 << 30;

/// The processor that a program was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Processor {
    /// Intel and AMD, 64 bits.
    X86_64,
    /// Arm, 64 bits, little-endian.
    Aarch64,
}

/// The kind of file that a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageFormat {
    /// Linux and other Unixes.
    Elf,
    /// Windows, PE32+.
    Pe,
    /// macOS.
    MachO,
}

/// A piece of the file that is mapped as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ImageSegment {
    /// Where it begins in memory.
    pub address: u32,
    /// Where it begins in the file.
    pub offset: u32,
    /// How many bytes the file has of it.
    pub file_size: u32,
    /// How many bytes it has in memory: what the file does not have is zero.
    pub memory_size: u32,
}

/// What a section holds, as far as detectors care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionContent {
    /// Instructions.
    Code(Processor),
    /// Anything else.
    Data,
    /// Something that is not in memory; its address means nothing.
    Unmapped,
}

/// A named part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSection {
    /// The name's first 16 bytes, padded with zeros.
    pub name: [u8; 16],
    /// What it holds.
    pub content: SectionContent,
    /// The format's own number for its kind: `sh_type` of ELF, flags of Mach-O, characteristics of PE.
    pub kind: u32,
    /// Where it begins in memory.
    pub address: u32,
    /// Where it begins in the file.
    pub offset: u32,
    /// How many bytes the file has of it.
    pub size: u32,
}

impl ImageSection {
    /// Whether it has this name (of at most 16 bytes).
    pub fn is_named(&self, name: &str) -> bool {
        let length = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        self.name[..length] == *name.as_bytes()
    }

    /// The offset behind its last byte.
    pub fn end(&self) -> u32 {
        self.offset.saturating_add(self.size)
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: u32) -> bool {
        address.wrapping_sub(self.address) < self.size
    }
}

/// The layout of a program: all that the other end of a delta has to be told of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageLayout {
    /// The address in memory that is relative address 0.
    pub base: u64,
    /// Whether there are several slices, each with a numbering of [`SLICE_BYTES`] addresses.
    pub universal: bool,
    /// In the order of the file's own tables; neither empty nor more than [`MAX_SEGMENTS`].
    pub segments: Vec<ImageSegment>,
}

impl ImageLayout {
    /// Where in memory the byte at `offset` of the file lies.
    pub fn address_of(&self, offset: u32) -> Option<u32> {
        self.segments.iter().find_map(|segment| {
            let inside = offset.wrapping_sub(segment.offset);
            (inside < segment.file_size).then(|| segment.address.wrapping_add(inside))
        })
    }

    /// Where in the file the byte at `address` lies.
    pub fn offset_of(&self, address: u32) -> Option<u32> {
        self.segments.iter().find_map(|segment| {
            let inside = address.wrapping_sub(segment.address);
            (inside < segment.file_size).then(|| segment.offset.wrapping_add(inside))
        })
    }

    /// The number of the segment in whose memory the address lies.
    pub fn segment_of(&self, address: u32) -> Option<usize> {
        self.segments.iter().position(|segment| address.wrapping_sub(segment.address) < segment.memory_size)
    }

    /// Whether the program has anything there.
    pub fn contains(&self, address: u32) -> bool {
        self.segment_of(address).is_some()
    }

    /// The relative address of an absolute one, if the program has anything there.
    pub fn relative_address(&self, absolute: u64) -> Option<u32> {
        let address = u32::try_from(absolute.checked_sub(self.base)?).ok()?;
        self.contains(address).then_some(address)
    }
}

/// A program file, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Which kind of file.
    pub format: ImageFormat,
    /// Where its bytes lie in memory.
    pub layout: ImageLayout,
    /// At most [`MAX_SECTIONS`].
    pub sections: Vec<ImageSection>,
    /// The data directories of a PE file: address and size.
    pub directories: Vec<(u32, u32)>,
    /// The load commands of a Mach-O file that point to tables: command, and where it lies in the file and its slice.
    pub commands: Vec<macho::MachoCommand>,
}

impl Image {
    /// Whether a program may begin with these bytes.
    pub fn is_magic(magic: &[u8; 4]) -> bool {
        matches!(
            magic,
            [0x7f, b'E', b'L', b'F'] | [b'M', b'Z', ..] | [0xcf, 0xfa, 0xed, 0xfe] | [0xca, 0xfe, 0xba, 0xbe]
        )
    }

    /// The program in `bytes`; none if it is none that is known here.
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

    /// The sections with instructions.
    pub fn code(&self) -> impl Iterator<Item = (&ImageSection, Processor)> {
        self.sections.iter().filter_map(|section| match section.content {
            SectionContent::Code(machine) => Some((section, machine)),
            SectionContent::Data | SectionContent::Unmapped => None,
        })
    }

    /// Whether instructions lie at the address.
    pub fn is_code(&self, address: u32) -> bool {
        self.code().any(|(section, _)| section.contains(address))
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<ImageSection> {
        self.sections.iter().find(|section| section.is_named(name)).copied()
    }
}

/// The first 16 bytes of a name that ends with a zero or the field.
fn short_name(field: &[u8]) -> [u8; 16] {
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(field.iter().take_while(|byte| **byte != 0)) {
        *to = *from;
    }
    name
}
