//! Finds the jump tables of `switch` statements.
//!
//! GCC and LLVM store distances from the start of the table in read-only data, and load the start
//! with `lea`. Microsoft's compiler stores relative addresses after the code of the function, and
//! adds the address of the table as a displacement.

use super::{FoundFields, swept_instruction::SweptInstruction};
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use crate::formats::delta::program::field::FieldKind;
use crate::formats::delta::program::image::{Image, ImageFormat, SectionContent};
use std::collections::BTreeSet;
use std::io::{Read, Seek};

/// Largest distance of a target from the first target, or from the table itself in code.
const MAX_DISTANCE_BYTES: u32 = 1 << 20;
/// Limit for the number of tables per kind.
const MAX_TABLES: usize = 1 << 19;

/// Jump tables that instructions refer to.
#[derive(Default)]
pub struct JumpTables {
    /// Addresses in data that a `lea` loads.
    in_data: BTreeSet<u32>,
    /// Addresses in code that the sweep has not reached yet.
    in_code: BTreeSet<u32>,
    /// Lower bound of the addresses in `in_code`: a cheap check for every instruction.
    next_in_code: u32,
}

impl JumpTables {
    /// Records the table that an instruction refers to, and adds the displacement as a field.
    #[inline(always)]
    pub fn record_instruction(&mut self, image: &Image, swept: &SweptInstruction, found: &mut FoundFields) {
        let instruction = &swept.instruction;
        let displacement = swept.word(instruction.displacement);
        if image.format == ImageFormat::Pe {
            // An index register with any scale, and a displacement that lies in the program.
            let scale = instruction.scale().filter(|_| instruction.displacement_size == 4);
            if scale.is_some() && displacement >= 0x1000 && image.layout.contains(displacement) {
                found.add_field(swept.offset + u32::from(instruction.displacement), FieldKind::GuessInCode, 0);
                if scale == Some(4)
                    && displacement.wrapping_sub(swept.address) < MAX_DISTANCE_BYTES
                    && image.is_code(displacement)
                {
                    insert(&mut self.in_code, displacement);
                    self.next_in_code = self.next_in_code.min(displacement);
                }
            }
        } else if instruction.map == 0 && instruction.opcode == 0x8d && instruction.is_rip_relative() {
            let target = swept.address.wrapping_add(u32::from(instruction.length)).wrapping_add(displacement);
            self.record_address(image, target);
        }
    }

    /// Records an address that an instruction loads, if a table in data could start there.
    pub fn record_address(&mut self, image: &Image, address: u32) {
        let mut data = image.sections.iter().filter(|section| section.content == SectionContent::Data);
        if address.is_multiple_of(4) && data.any(|section| section.contains(address)) {
            insert(&mut self.in_data, address);
        }
    }

    /// Adds the fields of a table in code at this address, and returns its size in bytes.
    ///
    /// Returns `None` if no table was recorded for the address.
    #[inline]
    pub fn read_table_in_code<R: Read + Seek>(
        &mut self,
        image: &Image,
        reader: &mut BudgetedReader<R>,
        address: u32,
        offset: u32,
        found: &mut FoundFields,
    ) -> Option<u32> {
        if self.next_in_code > address { None } else { self.read_recorded_table(image, reader, address, offset, found) }
    }

    fn read_recorded_table<R: Read + Seek>(
        &mut self,
        image: &Image,
        reader: &mut BudgetedReader<R>,
        address: u32,
        offset: u32,
        found: &mut FoundFields,
    ) -> Option<u32> {
        while self.in_code.first().is_some_and(|table| *table < address) {
            self.in_code.pop_first();
        }
        let is_table = self.in_code.remove(&address);
        self.next_in_code = self.in_code.first().copied().unwrap_or(u32::MAX);
        if !is_table {
            return None;
        }
        let limit = self.in_code.first().map_or(MAX_DISTANCE_BYTES, |next| next - address);
        let mut size = 0;
        while size + 4 <= limit {
            let Some(target) = reader.u32(offset.checked_add(size)?) else { break };
            if target.abs_diff(address) > MAX_DISTANCE_BYTES || !image.is_code(target) {
                break;
            }
            found.add_field(offset + size, FieldKind::Relative, 0);
            size += 4;
        }
        (size > 0).then_some(size)
    }

    /// Adds the fields of all tables in data.
    ///
    /// A table ends where the next one starts, or at the first word that does not lead into code.
    pub fn find<R: Read + Seek>(self, image: &Image, reader: &mut BudgetedReader<R>, found: &mut FoundFields) {
        let mut tables = self.in_data.into_iter().peekable();
        while let Some(table) = tables.next() {
            let limit = tables.peek().map_or(MAX_DISTANCE_BYTES, |next| next - table);
            let Some(offset) = image.layout.offset_of(table) else { continue };
            let mut first = None;
            let mut size = 0;
            while size + 4 <= limit {
                let Some(word) = offset.checked_add(size).and_then(|at| reader.u32(at)) else { break };
                let target = table.wrapping_add(word);
                if target.abs_diff(*first.get_or_insert(target)) > MAX_DISTANCE_BYTES || !image.is_code(target) {
                    break;
                }
                found.add_field(offset + size, FieldKind::BaseRelative, table);
                size += 4;
            }
        }
    }
}

/// Records a table, unless the limit is reached.
fn insert(tables: &mut BTreeSet<u32>, address: u32) {
    if tables.len() < MAX_TABLES {
        tables.insert(address);
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::FieldKind;
    use crate::formats::delta::program::samples::*;

    #[test]
    fn a_table_in_data_ends_at_the_first_distance_that_leads_nowhere() {
        let lea = [0x48, 0x8d, 0x05, 0xf9, 0x0f, 0, 0]; // to 0x2000
        let table = words([0x1000u32.wrapping_sub(0x2000), 0x1010u32.wrapping_sub(0x2000), 7]);
        let text = [&lea[..], &[0x90; 64]].concat();
        let file = elf(62, 0, &[code(".text", 0x1000, text), data(".rodata", 1, 0x2000, table)]);
        let expected = [(0x2000, FieldKind::BaseRelative, 0x2000), (0x2004, FieldKind::BaseRelative, 0x2000)];
        assert_eq!(fields_in(&file, 0x2000..0x2100), expected);
    }

    #[test]
    fn a_table_in_code_is_skipped() {
        let load = [0x8b, 0x8c, 0x82, 0x10, 0x10, 0, 0]; // mov ecx, [rdx + 4 * rax + 0x1010]
        let mut text = [&load[..], &[0x90; 9]].concat();
        text.extend(words([0x1000, 0x1004, 0xe8e8_e8e8]));
        let file = pe(0x8664, &[code(".text", 0x1000, text)], &[]);
        let expected =
            [(0x1003, FieldKind::GuessInCode, 0), (0x1010, FieldKind::Relative, 0), (0x1014, FieldKind::Relative, 0)];
        assert_eq!(fields_in(&file, 0x1000..0x1100), expected);
    }
}
