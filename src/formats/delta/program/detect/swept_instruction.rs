//! One x86-64 instruction with its location, as the sweep passes it to the detectors.

use crate::formats::delta::program::image::ImageSection;
use crate::formats::delta::program::x86::X86Instruction;

/// A decoded instruction with its bytes and its location.
pub struct SweptInstruction<'a> {
    /// The bytes of the instruction and those that follow.
    pub bytes: &'a [u8],
    /// Lengths and positions of the parts of the instruction.
    pub instruction: X86Instruction,
    /// File offset of the first byte.
    pub offset: u32,
    /// Relative address of the first byte.
    pub address: u32,
    /// The code section that contains the instruction.
    pub section: &'a ImageSection,
}

impl SweptInstruction<'_> {
    /// Reads the four bytes at position `at` of the instruction.
    #[inline]
    pub fn word(&self, at: u8) -> u32 {
        let bytes = self.bytes.get(usize::from(at)..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}
