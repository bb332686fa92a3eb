//! Calls, jumps and conditional jumps of x86-64 over a distance of four bytes.

use super::{Found, sweep::Seen};
use crate::delta::program::field::Kind;
use crate::delta::program::image::Image;

/// Notes the distance of a branch, if it leads to code.
pub fn find(image: &Image, seen: &Seen, found: &mut Found) {
    let instruction = &seen.instruction;
    if !instruction.is_branch() {
        return;
    }
    let next = seen.address.wrapping_add(u32::from(instruction.length));
    if image.is_code(next.wrapping_add(seen.word(instruction.immediate))) {
        found.add(seen.offset + u32::from(instruction.immediate), Kind::FromHere, 4);
    }
}
