//! Finds x86-64 calls, jumps and conditional jumps with a four-byte distance.

use super::{FoundFields, swept_instruction::SweptInstruction};
use crate::formats::delta::program::field::FieldKind;
use crate::formats::delta::program::image::Image;

/// Adds the distance of a branch if it leads to code.
#[inline(always)]
pub fn find(image: &Image, swept: &SweptInstruction, found: &mut FoundFields) {
    let instruction = &swept.instruction;
    if !instruction.is_branch() {
        return;
    }
    let next = swept.address.wrapping_add(u32::from(instruction.length));
    let target = next.wrapping_add(swept.word(instruction.immediate));
    if swept.section.contains(target) || image.is_code(target) {
        found.add_field(swept.offset + u32::from(instruction.immediate), FieldKind::PcRelative, 4);
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::FieldKind;
    use crate::formats::delta::program::samples::*;

    /// Returns the fields of a program whose code at 0x1000 starts with `bytes`.
    fn found(bytes: &[u8]) -> Vec<(u32, FieldKind, u32)> {
        let mut text = bytes.to_vec();
        text.resize(0x100, 0x90);
        fields_in(&elf(62, 0, &[code(".text", 0x1000, text)]), 0x1000..0x1100)
    }

    #[test]
    fn calls_and_jumps_with_four_byte_distances_are_fields() {
        assert_eq!(found(&[0xe8, 0x20, 0, 0, 0]), [(0x1001, FieldKind::PcRelative, 4)]);
        assert_eq!(found(&[0xe9, 0x20, 0, 0, 0]), [(0x1001, FieldKind::PcRelative, 4)]);
        assert_eq!(found(&[0x0f, 0x84, 0x20, 0, 0, 0]), [(0x1002, FieldKind::PcRelative, 4)]);
    }

    #[test]
    fn branches_out_of_the_code_and_short_ones_are_no_fields() {
        assert_eq!(found(&[0xe8, 0, 0x20, 0, 0]), []);
        assert_eq!(found(&[0xeb, 0x20]), []);
        assert_eq!(found(&[0xb8, 0x20, 0, 0, 0]), []);
    }
}
