//! Goes through x86-64 code instruction by instruction and shows each to the detectors.
//!
//! A linear sweep: what is no instruction costs one byte. It begins anew where a function is known to begin, and leaps over jump
//! tables that lie among the code.

use super::{Found, jump_tables::Tables, relative_branches, rip_relative};
use crate::delta::program::bytes::Bytes;
use crate::delta::program::image::{Image, Section};
use crate::delta::program::x86::{self, Instruction};
use std::io::{Read, Seek};

/// An instruction in its place.
pub struct Seen<'a> {
    /// Its bytes and what follows them.
    pub bytes: &'a [u8],
    /// What it consists of.
    pub instruction: Instruction,
    /// Where it lies in the file.
    pub offset: u32,
    /// Where it lies in memory.
    pub address: u32,
    /// The code that it belongs to.
    pub section: &'a Section,
}

impl Seen<'_> {
    /// The four bytes at `at` of the instruction.
    pub fn word(&self, at: u8) -> u32 {
        let bytes = self.bytes.get(usize::from(at)..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}

/// Sweeps one section. `starts` are offsets in ascending order.
pub fn x86<R: Read + Seek>(
    image: &Image,
    bytes: &mut Bytes<R>,
    section: &Section,
    starts: &[u32],
    tables: &mut Tables,
    found: &mut Found,
) {
    let end = section.end().min(bytes.length());
    let mut starts = &starts[starts.partition_point(|start| *start <= section.offset)..];
    let mut buffer = vec![0; 64 * 1024];
    let mut at = section.offset;
    while at < end {
        let count = bytes.copy(at, &mut buffer).min((end - at) as usize);
        if count == 0 {
            return;
        }
        let window = &buffer[..count];
        let is_last = count as u32 == end - at;
        let mut position = 0;
        while position < count && (is_last || position + x86::MAX_LENGTH <= count) {
            let offset = at + position as u32;
            while starts.first().is_some_and(|start| *start <= offset) {
                starts = &starts[1..];
            }
            let address = section.address.wrapping_add(offset - section.offset);
            if let Some(size) = tables.inside_code(image, bytes, address, offset, found) {
                position += size as usize;
                continue;
            }
            let rest = &window[position..];
            let Some(instruction) = x86::decode(rest) else {
                position += 1;
                continue;
            };
            let length = u32::from(instruction.length);
            if let Some(start) = starts.first().filter(|start| **start - offset < length) {
                position += (start - offset) as usize; // that was none: a function begins inside of it
                continue;
            }
            position += length as usize;
            // Addresses have four bytes.
            if instruction.displacement_size != 4 && instruction.immediate_size != 4 {
                continue;
            }
            let seen = Seen { bytes: rest, instruction, offset, address, section };
            relative_branches::find(image, &seen, found);
            rip_relative::find(image, &seen, found);
            tables.note(image, &seen, found);
        }
        at += position as u32;
    }
}
