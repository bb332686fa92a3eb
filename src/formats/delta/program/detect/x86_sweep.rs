//! Goes through x86-64 code instruction by instruction and shows each to the detectors.
//!
//! A linear sweep: what is no instruction costs one byte. It begins anew where a function is known to begin, leaps over jump
//! tables that lie among the code, and leaves out what is unscanned.

use super::swept_instruction::SweptInstruction;
use super::{FoundFields, jump_tables::JumpTables, relative_branches, rip_relative};
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use crate::formats::delta::program::image::{Image, ImageSection};
use crate::formats::delta::program::unscanned_pages::PAGE_BYTES;
use crate::formats::delta::program::x86;
use std::io::{Read, Seek};
use std::ops::Range;

/// How many bytes are looked at at a time.
const WINDOW_BYTES: usize = 16 * 1024;
/// How many bytes of code are one step of the budget, from which a part takes all of its own before it is looked at.
const BYTES_PER_STEP: u64 = 4;

/// Sweeps one section but for what is unscanned. `starts` are offsets in ascending order.
pub fn sweep<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    starts: &[u32],
    tables: &mut JumpTables,
    found: &mut FoundFields,
) {
    for part in found.unscanned.scanned_ranges(section.offset, section.end().min(reader.length())) {
        sweep_part(image, reader, section, part, starts, tables, found);
    }
}

fn sweep_part<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    part: Range<u32>,
    starts: &[u32],
    tables: &mut JumpTables,
    found: &mut FoundFields,
) {
    let end = section.end().min(reader.length());
    // A function that begins shortly before tells where instructions do.
    let passed = starts.partition_point(|start| *start <= part.start);
    let known = starts[..passed].last().filter(|start| **start >= section.offset && part.start - **start < PAGE_BYTES);
    let mut starts = starts[passed..].iter().copied();
    let mut next_start = starts.next().unwrap_or(u32::MAX);
    let mut window = [0; WINDOW_BYTES];
    let mut at = known.copied().unwrap_or(part.start);
    if reader.step(u64::from(part.end - at) / BYTES_PER_STEP).is_none() {
        return; // the budget is used up
    }
    while at < part.end {
        // The last instruction may end behind the part.
        let wanted =
            WINDOW_BYTES.min((end - at) as usize).min((part.end - at) as usize + x86::MAX_INSTRUCTION_BYTES - 1);
        if reader.copy(at, &mut window[..wanted]) < wanted {
            return; // the file cannot be read
        }
        // The last bytes of a window are looked at with those that follow them, if any do.
        let stop = if wanted as u32 == end - at { wanted } else { wanted - x86::MAX_INSTRUCTION_BYTES + 1 };
        let stop = stop.min((part.end - at) as usize);
        let mut position = 0;
        while position < stop {
            let offset = at + position as u32;
            while next_start <= offset {
                next_start = starts.next().unwrap_or(u32::MAX);
            }
            let address = section.address.wrapping_add(offset - section.offset);
            if let Some(size) = tables.inside_code(image, reader, address, offset, found) {
                position += size as usize;
                continue;
            }
            let rest = &window[position..wanted];
            let Some(instruction) = x86::decode(rest) else {
                position += 1;
                continue;
            };
            let length = u32::from(instruction.length);
            if next_start - offset < length {
                position += (next_start - offset) as usize; // that was none: a function begins inside of it
                continue;
            }
            position += length as usize;
            // Addresses have four bytes.
            if instruction.displacement_size != 4 && instruction.immediate_size != 4 {
                continue;
            }
            let seen = SweptInstruction { bytes: rest, instruction, offset, address, section };
            relative_branches::find(image, &seen, found);
            rip_relative::find(image, &seen, found);
            tables.note(image, &seen, found);
        }
        at += position as u32;
    }
}
