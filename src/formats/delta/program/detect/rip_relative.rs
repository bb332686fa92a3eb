//! Finds x86-64 operands that are addressed relative to the next instruction.

use super::{FoundFields, swept_instruction::SweptInstruction};
use crate::formats::delta::program::field::FieldKind;
use crate::formats::delta::program::image::Image;

/// Adds the displacement of an operand if it leads into the program.
#[inline(always)]
pub fn find(image: &Image, swept: &SweptInstruction, found: &mut FoundFields) {
    let instruction = &swept.instruction;
    if !instruction.is_rip_relative() {
        return;
    }
    let next = swept.address.wrapping_add(u32::from(instruction.length));
    if image.layout.contains(next.wrapping_add(swept.word(instruction.displacement))) {
        let rest = instruction.length - instruction.displacement;
        found.add_field(swept.offset + u32::from(instruction.displacement), FieldKind::PcRelative, u32::from(rest));
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::FieldKind;
    use crate::formats::delta::program::samples::*;

    fn found(bytes: &[u8]) -> Vec<(u32, FieldKind, u32)> {
        let mut text = bytes.to_vec();
        text.resize(0x100, 0x90);
        fields_in(&elf(62, 0, &[code(".text", 0x1000, text)]), 0x1000..0x1100)
    }

    #[test]
    fn a_displacement_counts_from_the_end_of_the_immediate() {
        assert_eq!(found(&[0x48, 0x8b, 0x05, 0x20, 0, 0, 0]), [(0x1003, FieldKind::PcRelative, 4)]);
        assert_eq!(found(&[0xc7, 0x05, 0x20, 0, 0, 0, 9, 9, 9, 9]), [(0x1002, FieldKind::PcRelative, 8)]);
        assert_eq!(found(&[0x80, 0x3d, 0x20, 0, 0, 0, 9]), [(0x1002, FieldKind::PcRelative, 5)]);
    }

    #[test]
    fn other_operands_and_targets_outside_the_program_are_no_fields() {
        assert_eq!(found(&[0x48, 0x8b, 0x83, 0x20, 0, 0, 0]), []);
        assert_eq!(found(&[0x48, 0x8b, 0x05, 0, 0, 0, 0x10]), []);
    }
}
