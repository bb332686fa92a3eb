//! Decodes the aarch64 instructions that hold an address or a part of one.

/// An instruction word, as far as it concerns addresses. Registers are numbered 0 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aarch64Instruction {
    /// `b`, `bl`.
    Branch26 {
        /// `true` for `bl`: the callee returns and may have changed the registers 0 to 18.
        call: bool,
    },
    /// `b.cond`, `cbz`, `cbnz`, `ldr` of a literal.
    Branch19,
    /// `tbz`, `tbnz`.
    Branch14,
    /// `adr`.
    Adr,
    /// `adrp`: loads the address of a page into a register.
    Page {
        /// The register that receives the address.
        to: u8,
    },
    /// `add` with a 12-bit immediate, or a load or store with a 12-bit offset.
    Low12 {
        /// The register to which the distance is added.
        from: u8,
        /// The register that the instruction changes, or `None` for a store or a load into a
        /// vector.
        to: Option<u8>,
        /// Immediate or offset in bytes.
        distance: u32,
    },
    /// Any other instruction; most of them change the register in their low five bits.
    Other {
        /// The register in the low five bits.
        to: u8,
    },
}

/// Decodes an instruction word.
pub fn decode(word: u32) -> Aarch64Instruction {
    let to = (word & 31) as u8;
    let from = (word >> 5 & 31) as u8;
    let low12 = word >> 10 & 0xfff;
    if word & 0x7c00_0000 == 0x1400_0000 {
        return Aarch64Instruction::Branch26 { call: word >> 31 == 1 };
    }
    let is_conditional = word & 0xff00_0010 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000;
    if is_conditional || word & 0x3b00_0000 == 0x1800_0000 {
        return Aarch64Instruction::Branch19;
    }
    if word & 0x7e00_0000 == 0x3600_0000 {
        return Aarch64Instruction::Branch14;
    }
    match word & 0x9f00_0000 {
        0x1000_0000 => return Aarch64Instruction::Adr,
        0x9000_0000 => return Aarch64Instruction::Page { to },
        _ => {}
    }
    if word & 0xffc0_0000 == 0x9100_0000 {
        return Aarch64Instruction::Low12 { from, to: Some(to), distance: low12 };
    }
    if word & 0x3b00_0000 == 0x3900_0000 {
        let is_store = word >> 22 & 3 == 0 || word & 0x04c0_0000 == 0x0480_0000;
        // A load into a vector register leaves the general registers, and their addresses,
        // unchanged.
        let to = (!is_store && word & 0x0400_0000 == 0).then_some(to);
        return Aarch64Instruction::Low12 { from, to, distance: low12 << super::field::low12_shift(word) };
    }
    Aarch64Instruction::Other { to }
}

#[cfg(test)]
mod tests {
    use super::Aarch64Instruction::{Adr, Branch14, Branch19, Branch26, Low12, Other, Page};
    use super::*;

    #[test]
    fn instructions_are_distinguished() {
        assert_eq!(decode(0x9400_0001), Branch26 { call: true });
        assert_eq!(decode(0x1400_0001), Branch26 { call: false });
        assert_eq!(decode(0x5400_0040), Branch19); // b.eq
        assert_eq!(decode(0xb400_0041), Branch19); // cbz x1
        assert_eq!(decode(0x5800_0041), Branch19); // ldr x1, literal
        assert_eq!(decode(0x3600_0041), Branch14); // tbz w1, #0
        assert_eq!(decode(0x1000_0041), Adr);
        assert_eq!(decode(0xb000_0003), Page { to: 3 });
        assert_eq!(decode(0x9104_8c63), Low12 { from: 3, to: Some(3), distance: 0x123 });
        assert_eq!(decode(0xf940_9463), Low12 { from: 3, to: Some(3), distance: 0x128 }); // ldr x3
        assert_eq!(decode(0xf900_9463), Low12 { from: 3, to: None, distance: 0x128 }); // str x3
        assert_eq!(decode(0x3dc0_4863), Low12 { from: 3, to: None, distance: 0x120 }); // ldr q3
        assert_eq!(decode(0xaa01_03e0), Other { to: 0 }); // mov x0, x1
    }
}
