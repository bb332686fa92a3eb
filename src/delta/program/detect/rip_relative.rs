//! Operands of x86-64 that lie at a distance from the next instruction.

use super::{Found, sweep::Seen};
use crate::delta::program::field::Kind;
use crate::delta::program::image::Image;

/// Notes the displacement of an operand, if it leads into the program.
pub fn find(image: &Image, seen: &Seen, found: &mut Found) {
    let instruction = &seen.instruction;
    if !instruction.is_rip_relative() {
        return;
    }
    let next = seen.address.wrapping_add(u32::from(instruction.length));
    if image.places.holds(next.wrapping_add(seen.word(instruction.displacement))) {
        let rest = instruction.length - instruction.displacement;
        found.add(seen.offset + u32::from(instruction.displacement), Kind::FromHere, u32::from(rest));
    }
}
