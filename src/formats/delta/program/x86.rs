//! Determines the length of an x86-64 instruction and the position of its displacement and
//! immediate.
//!
//! It looks at up to 15 bytes and decodes only these parts.

/// Length limit of one instruction.
pub const MAX_INSTRUCTION_BYTES: usize = 15;
/// A SIB byte without an index register.
const NO_INDEX: u8 = 0x20;

/// The parts of one instruction. Positions count from its first byte; size 0 means absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct X86Instruction {
    /// Length in bytes.
    pub length: u8,
    /// The opcode map: 0 one byte, 1 after 0F, 2 after 0F 38, 3 after 0F 3A, above 3 only for
    /// vectors.
    pub map: u8,
    /// The opcode within its map.
    pub opcode: u8,
    /// The ModRM byte, or 0 if absent.
    pub modrm: u8,
    /// The SIB byte, or one without an index if absent.
    pub sib: u8,
    /// Position of the displacement.
    pub displacement: u8,
    /// 0, 1 or 4.
    pub displacement_size: u8,
    /// Position of the immediate, or of the distance of a branch.
    pub immediate: u8,
    /// 0, 1, 2, 3 (`enter`), 4 or 8.
    pub immediate_size: u8,
}

impl X86Instruction {
    /// Returns `true` if the displacement is relative to the next instruction.
    pub fn is_rip_relative(&self) -> bool {
        self.modrm & 0xc7 == 0x05
    }

    /// Returns the scale of the index register, or `None` without an index.
    pub fn scale(&self) -> Option<u32> {
        (self.sib & 0x38 != NO_INDEX).then_some(1 << (self.sib >> 6))
    }

    /// Returns `true` if it is a call, jump or conditional jump with a four-byte distance.
    pub fn is_branch(&self) -> bool {
        matches!((self.map, self.opcode), (0, 0xe8 | 0xe9) | (1, 0x80..=0x8f))
    }
}

/// The bytes after an opcode: whether ModRM follows, and the size of the immediate or a rule for
/// it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct OpcodeForm(u8);

impl OpcodeForm {
    const MODRM: u8 = 0x80;
    const RULE: u8 = 0x40;
    /// There is no such instruction.
    const NONE: OpcodeForm = OpcodeForm(OpcodeForm::RULE);
    /// The opcode has further bytes.
    const LONGER: OpcodeForm = OpcodeForm(OpcodeForm::RULE | 1);
    /// An immediate of four bytes, or two with the operand-size prefix.
    const OPERAND: OpcodeForm = OpcodeForm(OpcodeForm::RULE | 2);
    /// As `OPERAND`, or eight bytes with REX.W.
    const FULL: OpcodeForm = OpcodeForm(OpcodeForm::RULE | 3);
    /// An address of eight bytes, or four with the address-size prefix.
    const ADDRESS: OpcodeForm = OpcodeForm(OpcodeForm::RULE | 4);
    /// An immediate of one byte, but only for `test`.
    const TEST: OpcodeForm = OpcodeForm(OpcodeForm::RULE | 5);
    /// As `OPERAND`, but only for `test`.
    const WIDE_TEST: OpcodeForm = OpcodeForm(OpcodeForm::RULE | 6);

    /// Returns the form with an immediate of this many bytes, without ModRM.
    const fn bytes(immediate: u8) -> OpcodeForm {
        OpcodeForm(immediate)
    }

    /// Returns the form with ModRM and then an immediate of this many bytes.
    const fn modrm(immediate: u8) -> OpcodeForm {
        OpcodeForm::bytes(immediate).after_modrm()
    }

    /// Returns this form with ModRM before it.
    const fn after_modrm(self) -> OpcodeForm {
        OpcodeForm(OpcodeForm::MODRM | self.0)
    }

    /// Returns the size of the immediate, or `None` if there is no such instruction.
    #[inline(always)]
    fn immediate_size(self, prefixes: X86Prefixes, modrm: u8) -> Option<u8> {
        let form = OpcodeForm(self.0 & !OpcodeForm::MODRM);
        if form.0 & OpcodeForm::RULE == 0 {
            return Some(form.0);
        }
        let operand = if prefixes.operand_size && !prefixes.rex_w { 2 } else { 4 };
        let is_test = modrm & 0x38 <= 0x08;
        match form {
            OpcodeForm::OPERAND => Some(operand),
            OpcodeForm::FULL => Some(if prefixes.rex_w { 8 } else { operand }),
            OpcodeForm::ADDRESS => Some(if prefixes.address_size { 4 } else { 8 }),
            OpcodeForm::TEST => Some(u8::from(is_test)),
            OpcodeForm::WIDE_TEST => Some(if is_test { operand } else { 0 }),
            _ => None,
        }
    }
}

/// The prefixes that influence sizes.
#[derive(Clone, Copy, Default)]
struct X86Prefixes {
    operand_size: bool,
    address_size: bool,
    rex_w: bool,
}

const OPERAND_SIZE: u8 = 0x66;
const ADDRESS_SIZE: u8 = 0x67;
const PREFIXES: [u8; 11] = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, OPERAND_SIZE, ADDRESS_SIZE, 0xf0, 0xf2, 0xf3];
const IS_PREFIX: [bool; 256] = is_prefix();

const fn is_prefix() -> [bool; 256] {
    let mut bytes = [false; 256];
    let mut index = 0;
    while index < PREFIXES.len() {
        bytes[PREFIXES[index] as usize] = true;
        index += 1;
    }
    bytes
}

/// More bytes than prefixes, opcode, ModRM and SIB can have, so that none needs a bounds check.
const LOOKAHEAD_BYTES: usize = 32;

const ONE_BYTE: [OpcodeForm; 256] = forms(false);
const TWO_BYTES: [OpcodeForm; 256] = forms(true);

const fn forms(two_bytes: bool) -> [OpcodeForm; 256] {
    let mut forms = [OpcodeForm::NONE; 256];
    let mut opcode = 0;
    while opcode < 256 {
        forms[opcode] = if two_bytes { self::two_bytes(opcode as u8) } else { one_byte(opcode as u8) };
        opcode += 1;
    }
    forms
}

/// Size of the displacement for each ModRM byte, plus `WITH_SIB` if a SIB byte precedes it.
const DISPLACEMENTS: [u8; 256] = displacements();
const WITH_SIB: u8 = 8;

const fn displacements() -> [u8; 256] {
    let mut sizes = [0; 256];
    let mut modrm = 0;
    while modrm < 256 {
        let (mode, register) = (modrm >> 6, modrm & 7);
        let size = match (mode, register) {
            (0, 5) | (2, _) => 4,
            (1, _) => 1,
            _ => 0,
        };
        sizes[modrm] = if mode != 3 && register == 4 { size | WITH_SIB } else { size };
        modrm += 1;
    }
    sizes
}

/// Decodes the instruction at the start of `bytes`, or returns `None` if it is not valid.
#[inline(always)]
pub fn decode(bytes: &[u8]) -> Option<X86Instruction> {
    // At the end of the code fewer bytes are left.
    let mut padded = [0; LOOKAHEAD_BYTES];
    let (bytes, limit) = match bytes.first_chunk() {
        Some(bytes) => (bytes, MAX_INSTRUCTION_BYTES),
        None => {
            padded[..bytes.len()].copy_from_slice(bytes);
            (&padded, MAX_INSTRUCTION_BYTES.min(bytes.len()))
        }
    };
    read(bytes, limit)
}

/// Decodes the instruction at the start of `bytes`, which may extend beyond `limit`.
///
/// Frequent instructions take few branches and no jump through a table, because the processor
/// mispredicts those. Decoding without branches is no faster: each instruction then waits for the
/// length of the one before. `benches/results/program-deltas.md` has the measurements.
#[inline(always)]
fn read(bytes: &[u8; LOOKAHEAD_BYTES], limit: usize) -> Option<X86Instruction> {
    let (mut prefixes, mut at, mut first) = (X86Prefixes::default(), 0, bytes[0]);
    // Most instructions have no prefix. Without this check, every instruction takes 1/7 longer.
    if IS_PREFIX[usize::from(first)] {
        while at < MAX_INSTRUCTION_BYTES && IS_PREFIX[usize::from(bytes[at])] {
            prefixes.operand_size |= bytes[at] == OPERAND_SIZE;
            prefixes.address_size |= bytes[at] == ADDRESS_SIZE;
            at += 1;
        }
        first = bytes[at];
    }
    if first & 0xf0 == 0x40 {
        prefixes.rex_w = first & 8 != 0;
        at += 1;
        first = bytes[at];
    }
    let mut found = X86Instruction { opcode: first, sib: NO_INDEX, ..X86Instruction::default() };
    let mut form = ONE_BYTE[usize::from(first)];
    at += 1;
    if form == OpcodeForm::LONGER {
        (found.map, found.opcode, form, at) = longer_opcode(bytes, at);
    }
    if form.0 & OpcodeForm::MODRM != 0 {
        at = modrm(bytes, at, &mut found);
    }
    found.immediate = at as u8;
    found.immediate_size = form.immediate_size(prefixes, found.modrm)?;
    found.length = found.immediate + found.immediate_size;
    (usize::from(found.length) <= limit).then_some(found)
}

/// Reads the rest of an opcode: its map, last byte, form, and the position after it.
#[inline(always)]
fn longer_opcode(bytes: &[u8; LOOKAHEAD_BYTES], at: usize) -> (u8, u8, OpcodeForm, usize) {
    let in_map = |map: u8, place: usize| {
        let opcode = bytes[at + place];
        (map, opcode, vector(map, opcode), at + place + 1)
    };
    let (first, next) = (bytes[at - 1], bytes[at]);
    if first == 0x0f {
        return match next {
            0x38 => (2, bytes[at + 1], OpcodeForm::modrm(0), at + 2),
            0x3a => (3, bytes[at + 1], OpcodeForm::modrm(1), at + 2),
            _ => (1, next, TWO_BYTES[usize::from(next)], at + 1),
        };
    }
    match first {
        0xc5 => in_map(1, 1),
        0xc4 => in_map(next & 0x1f, 2),
        0x62 => in_map(next & 7, 3),
        // XOP, which shares its first byte with `pop`.
        _ if next & 0x1f >= 8 => in_map(next & 0x1f, 2),
        pop => (0, pop, OpcodeForm::modrm(0), at),
    }
}

/// Reads ModRM and SIB at `at` and returns the position after the displacement.
#[inline(always)]
fn modrm(bytes: &[u8; LOOKAHEAD_BYTES], at: usize, found: &mut X86Instruction) -> usize {
    let modrm = bytes[at];
    let mut at = at + 1;
    found.modrm = modrm;
    let mut size = DISPLACEMENTS[usize::from(modrm)];
    if size & WITH_SIB != 0 {
        let sib = bytes[at];
        at += 1;
        found.sib = sib;
        // Base 5 means "no base" when mode 0 would have no displacement.
        size = if modrm >> 6 == 0 && sib & 7 == 5 { 4 } else { size & !WITH_SIB };
    }
    found.displacement = at as u8;
    found.displacement_size = size;
    at + usize::from(size)
}

const fn one_byte(opcode: u8) -> OpcodeForm {
    match opcode {
        0x0f | 0x62 | 0x8f | 0xc4 | 0xc5 => OpcodeForm::LONGER,
        0x00..=0x3f => match opcode & 7 {
            0..=3 => OpcodeForm::modrm(0),
            4 => OpcodeForm::bytes(1),
            5 => OpcodeForm::OPERAND,
            _ => OpcodeForm::NONE,
        },
        0x40..=0x4f | 0x60 | 0x61 | 0x82 | 0x9a | 0xce | 0xd4..=0xd6 | 0xea => OpcodeForm::NONE,
        0x50..=0x5f | 0x6c..=0x6f | 0x90..=0x9f | 0xa4..=0xa7 | 0xaa..=0xaf => OpcodeForm::bytes(0),
        0x63 | 0x84..=0x8e | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => OpcodeForm::modrm(0),
        0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => OpcodeForm::NONE,
        0x68 | 0xa9 => OpcodeForm::OPERAND,
        0x69 | 0x81 | 0xc7 => OpcodeForm::OPERAND.after_modrm(),
        0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => OpcodeForm::bytes(1),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => OpcodeForm::modrm(1),
        0xa0..=0xa3 => OpcodeForm::ADDRESS,
        0xb8..=0xbf => OpcodeForm::FULL,
        0xc2 | 0xca => OpcodeForm::bytes(2),
        0xc8 => OpcodeForm::bytes(3),
        0xe8 | 0xe9 => OpcodeForm::bytes(4),
        0xf6 => OpcodeForm::TEST.after_modrm(),
        0xf7 => OpcodeForm::WIDE_TEST.after_modrm(),
        _ => OpcodeForm::bytes(0),
    }
}

const fn two_bytes(opcode: u8) -> OpcodeForm {
    match opcode {
        0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x36 | 0x38..=0x3f | 0xa6 | 0xa7 => OpcodeForm::NONE,
        0x05..=0x0b | 0x0e | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => OpcodeForm::bytes(0),
        0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => OpcodeForm::modrm(1),
        0x80..=0x8f => OpcodeForm::bytes(4),
        _ => OpcodeForm::modrm(0),
    }
}

/// Returns the form after a VEX, EVEX or XOP prefix.
fn vector(map: u8, opcode: u8) -> OpcodeForm {
    match (map, opcode) {
        (1, 0x77) => OpcodeForm::bytes(0),
        (1, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) | (3 | 8, _) => OpcodeForm::modrm(1),
        (1 | 2 | 5 | 6 | 9, _) => OpcodeForm::modrm(0),
        (10, _) => OpcodeForm::modrm(4),
        _ => OpcodeForm::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_manual() {
        for (bytes, length) in [
            (&[0x90][..], 1),
            (&[0xe8, 1, 2, 3, 4], 5),
            (&[0x66, 0x90], 2),
            (&[0x48, 0x8b, 0x05, 1, 2, 3, 4], 7),
            (&[0x48, 0x8d, 0x64, 0x24, 0x08], 5),
            (&[0x48, 0x8b, 0x84, 0xc8, 1, 2, 3, 4], 8),
            (&[0x8b, 0x04, 0x25, 1, 2, 3, 4], 7),
            (&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], 10),
            (&[0x66, 0xb8, 1, 2], 4),
            (&[0x66, 0x81, 0xc0, 1, 2], 5),
            (&[0xf6, 0x05, 1, 2, 3, 4, 5], 7),
            (&[0xf7, 0xd8], 2),
            (&[0xf7, 0xc0, 1, 2, 3, 4], 6),
            (&[0xc8, 1, 2, 3], 4),
            (&[0xa1, 1, 2, 3, 4, 5, 6, 7, 8], 9),
            (&[0x0f, 0x85, 1, 2, 3, 4], 6),
            (&[0x0f, 0x1f, 0x44, 0, 0], 5),
            (&[0x66, 0x0f, 0x38, 0x00, 0xc1], 5),
            (&[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 8], 6),
            (&[0xc5, 0xf9, 0x6f, 0x05, 1, 2, 3, 4], 8),
            (&[0xc5, 0xf8, 0x77], 3),
            (&[0xc4, 0xe3, 0x7d, 0x39, 0xc1, 1], 6),
            (&[0x62, 0xf1, 0x7c, 0x48, 0x28, 0x05, 1, 2, 3, 4], 10),
            (&[0x62, 0xf3, 0xfd, 0x48, 0x1b, 0xc1, 1], 7),
            (&[0x8f, 0xe8, 0x78, 0xc0, 0xc1, 1], 6),
            (&[0x8f, 0xc0], 2),
        ] {
            let found = decode(&[bytes, &[0x90; 4]].concat()).map(|found| usize::from(found.length));
            assert_eq!(found, Some(length), "{bytes:02x?}");
            assert_eq!(decode(&bytes[..length - 1]), None, "{bytes:02x?} cut off");
        }
    }

    #[test]
    fn invalid_instructions_are_none() {
        for bytes in [&[0x06][..], &[0x9a, 0, 0, 0, 0], &[0x0f, 0x04], &[0x48, 0x66, 0x90], &[0x66; 15], &[]] {
            assert_eq!(decode(bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn the_displacement_precedes_the_immediate() {
        let found = decode(&[0xc7, 0x05, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert!(found.is_rip_relative());
        assert_eq!((found.displacement, found.displacement_size), (2, 4));
        assert_eq!((found.immediate, found.immediate_size), (6, 4));
    }
}
