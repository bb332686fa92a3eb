//! Sweeps through x86-64 code and passes each instruction to the detectors.
//!
//! A linear sweep: after a byte that starts no instruction it continues with the next byte. It
//! resumes at every known function start, skips jump tables in code, and leaves out unscanned
//! pages.

use super::swept_instruction::SweptInstruction;
use super::{FoundFields, jump_tables::JumpTables, relative_branches, rip_relative};
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use crate::formats::delta::program::image::{Image, ImageSection};
use crate::formats::delta::program::unscanned_pages::PAGE_BYTES;
use crate::formats::delta::program::x86;
use std::io::{Read, Seek};
use std::ops::Range;

/// Bytes of code that are copied at a time.
const WINDOW_BYTES: usize = 16 * 1024;
/// Bytes of code per step of the budget. A part pays for all its bytes before it is swept.
const BYTES_PER_STEP: u64 = 4;

/// Sweeps through the scanned parts of one section.
///
/// `starts` are the file offsets of functions in ascending order.
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
    // A function that starts shortly before the part gives the instruction boundaries.
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
        // The last instruction may end after the part.
        let wanted =
            WINDOW_BYTES.min((end - at) as usize).min((part.end - at) as usize + x86::MAX_INSTRUCTION_BYTES - 1);
        if reader.copy(at, &mut window[..wanted]) < wanted {
            return; // the file cannot be read
        }
        // The last bytes of a window are decoded together with the next window, unless the section
        // ends there.
        let stop = if wanted as u32 == end - at { wanted } else { wanted - x86::MAX_INSTRUCTION_BYTES + 1 };
        let stop = stop.min((part.end - at) as usize);
        let mut position = 0;
        while position < stop {
            let offset = at + position as u32;
            while next_start <= offset {
                next_start = starts.next().unwrap_or(u32::MAX);
            }
            let address = section.address.wrapping_add(offset - section.offset);
            if let Some(size) = tables.read_table_in_code(image, reader, address, offset, found) {
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
                // Not an instruction: a function starts inside these bytes.
                position += (next_start - offset) as usize;
                continue;
            }
            position += length as usize;
            // Addresses take four bytes.
            if instruction.displacement_size != 4 && instruction.immediate_size != 4 {
                continue;
            }
            let swept = SweptInstruction { bytes: rest, instruction, offset, address, section };
            relative_branches::find(image, &swept, found);
            rip_relative::find(image, &swept, found);
            tables.record_instruction(image, &swept, found);
        }
        at += position as u32;
    }
}
