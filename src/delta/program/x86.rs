//! How long an x86-64 instruction is, and where its displacement and immediate lie.
//!
//! Nothing else of an instruction is known here, and none is ever run. At most 15 bytes are looked at.

/// The most bytes of one instruction.
pub const MAX_LENGTH: usize = 15;
/// A SIB byte that says that there is no index.
const NO_INDEX: u8 = 0x20;

/// One instruction. Places are counted from its first byte; a size of 0 means that it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Instruction {
    /// How many bytes it has.
    pub length: u8,
    /// The opcode's map (0: one byte, 1: after 0F, 2: 0F 38, 3: 0F 3A, above: vectors' own).
    pub map: u8,
    /// The opcode in that map.
    pub opcode: u8,
    /// The ModRM byte; 0 if it has none.
    pub modrm: u8,
    /// The SIB byte; that of no index if it has none.
    pub sib: u8,
    /// Where the displacement lies.
    pub displacement: u8,
    /// 0, 1 or 4.
    pub displacement_size: u8,
    /// Where the immediate (or a branch's distance) lies.
    pub immediate: u8,
    /// 0, 1, 2, 3 (`enter`), 4 or 8.
    pub immediate_size: u8,
}

impl Instruction {
    /// Whether the displacement counts from the next instruction.
    pub fn is_rip_relative(&self) -> bool {
        self.modrm & 0xc7 == 0x05
    }

    /// The factor of the operand's index, if it has an index.
    pub fn scale(&self) -> Option<u32> {
        (self.sib & 0x38 != NO_INDEX).then_some(1 << (self.sib >> 6))
    }

    /// Whether it is a call, jump or conditional jump over a distance of four bytes.
    pub fn is_branch(&self) -> bool {
        matches!((self.map, self.opcode), (0, 0xe8 | 0xe9) | (1, 0x80..=0x8f))
    }
}

/// What follows an opcode.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// No such instruction.
    None,
    /// So many bytes of immediate.
    Bytes(u8),
    /// Four bytes, or two with the operand-size prefix.
    Operand,
    /// As `Operand`, or eight with REX.W.
    Full,
    /// An address of eight bytes, four with the address-size prefix.
    Address,
    /// ModRM, then so many bytes.
    Modrm(u8),
    /// ModRM, then as `Operand`.
    ModrmOperand,
    /// ModRM, then an immediate for `test` only: one byte or as `Operand`.
    Test { wide: bool },
}

/// How many bytes are looked at so that none needs a check of its own: more than prefixes, opcode, ModRM and SIB can be.
const ROOM: usize = 32;

const ONE_BYTE: [Form; 256] = forms(false);
const TWO_BYTES: [Form; 256] = forms(true);

const fn forms(two_bytes: bool) -> [Form; 256] {
    let mut forms = [Form::None; 256];
    let mut opcode = 0;
    while opcode < 256 {
        forms[opcode] = if two_bytes { self::two_bytes(opcode as u8) } else { one_byte(opcode as u8) };
        opcode += 1;
    }
    forms
}

/// How long the displacement is for each ModRM byte, with a bit that says that SIB comes first.
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

/// The instruction at the beginning of `bytes`; none where there is no valid one.
#[inline(always)]
pub fn decode(bytes: &[u8]) -> Option<Instruction> {
    match bytes.first_chunk() {
        Some(bytes) => read(bytes, MAX_LENGTH),
        None => decode_last(bytes),
    }
}

/// The same for the end of the code, where fewer bytes follow than are looked at.
#[cold]
#[inline(never)]
fn decode_last(bytes: &[u8]) -> Option<Instruction> {
    let mut padded = [0; ROOM];
    padded[..bytes.len()].copy_from_slice(bytes);
    read(&padded, MAX_LENGTH.min(bytes.len()))
}

/// The instruction at the beginning of `bytes`, which may be longer than one can be.
#[inline(always)]
fn read(bytes: &[u8; ROOM], limit: usize) -> Option<Instruction> {
    let (mut at, mut operand_size, mut address_size, mut rex_w) = (0, false, false, false);
    while at < MAX_LENGTH {
        match bytes[at] {
            0x66 => operand_size = true,
            0x67 => address_size = true,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => {}
            rex @ 0x40..=0x4f if !matches!(bytes[at + 1], 0x40..=0x4f) => {
                rex_w = rex & 8 != 0;
                at += 1;
                break;
            }
            _ => break,
        }
        at += 1;
    }
    let (map, opcode, form, length) = opcode(bytes, at);
    at += length;
    let mut found = Instruction { map, opcode, sib: NO_INDEX, ..Instruction::default() };
    let operand = if operand_size && !rex_w { 2 } else { 4 };
    if matches!(form, Form::Modrm(_) | Form::ModrmOperand | Form::Test { .. }) {
        at = modrm(bytes, at, &mut found);
    }
    let is_test = found.modrm & 0x38 <= 0x08;
    found.immediate = at as u8;
    found.immediate_size = match form {
        Form::Bytes(count) | Form::Modrm(count) => count,
        Form::None => return None,
        Form::Operand | Form::ModrmOperand => operand,
        Form::Full if rex_w => 8,
        Form::Full => operand,
        Form::Address if address_size => 4,
        Form::Address => 8,
        Form::Test { .. } if !is_test => 0,
        Form::Test { wide: false } => 1,
        Form::Test { wide: true } => operand,
    };
    found.length = found.immediate + found.immediate_size;
    (usize::from(found.length) <= limit).then_some(found)
}

/// The opcode at `at` with its map, its form, and how many bytes say so.
#[inline(always)]
fn opcode(bytes: &[u8; ROOM], at: usize) -> (u8, u8, Form, usize) {
    let in_map = |map: u8, place: usize| {
        let opcode = bytes[at + place];
        (map, opcode, vector(map, opcode), place + 1)
    };
    match (bytes[at], bytes[at + 1]) {
        (0x0f, 0x38) => (2, bytes[at + 2], Form::Modrm(0), 3),
        (0x0f, 0x3a) => (3, bytes[at + 2], Form::Modrm(1), 3),
        (0x0f, opcode) => (1, opcode, TWO_BYTES[usize::from(opcode)], 2),
        (0xc5, _) => in_map(1, 2),
        (0xc4, map) => in_map(map & 0x1f, 3),
        (0x62, map) => in_map(map & 7, 4),
        // XOP, which shares its first byte with `pop`.
        (0x8f, map) if map & 0x1f >= 8 => in_map(map & 0x1f, 3),
        (opcode, _) => (0, opcode, ONE_BYTE[usize::from(opcode)], 1),
    }
}

/// Reads ModRM and SIB at `at`; the place behind the displacement.
#[inline(always)]
fn modrm(bytes: &[u8; ROOM], at: usize, found: &mut Instruction) -> usize {
    let modrm = bytes[at];
    let mut at = at + 1;
    found.modrm = modrm;
    let mut size = DISPLACEMENTS[usize::from(modrm)];
    if size & WITH_SIB != 0 {
        let sib = bytes[at];
        at += 1;
        found.sib = sib;
        // Base 5 stands for none where there would be no displacement.
        size = if modrm >> 6 == 0 && sib & 7 == 5 { 4 } else { size & !WITH_SIB };
    }
    found.displacement = at as u8;
    found.displacement_size = size;
    at + usize::from(size)
}

const fn one_byte(opcode: u8) -> Form {
    match opcode {
        0x00..=0x3f => match opcode & 7 {
            0..=3 => Form::Modrm(0),
            4 => Form::Bytes(1),
            5 => Form::Operand,
            _ => Form::None,
        },
        0x40..=0x4f | 0x60..=0x62 | 0x82 | 0x9a | 0xce | 0xd4..=0xd6 | 0xea => Form::None,
        0x50..=0x5f | 0x6c..=0x6f | 0x90..=0x9f | 0xa4..=0xa7 | 0xaa..=0xaf => Form::Bytes(0),
        0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => Form::Modrm(0),
        0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => Form::None,
        0x68 | 0xa9 => Form::Operand,
        0x69 | 0x81 | 0xc7 => Form::ModrmOperand,
        0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => Form::Bytes(1),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => Form::Modrm(1),
        0xa0..=0xa3 => Form::Address,
        0xb8..=0xbf => Form::Full,
        0xc2 | 0xca => Form::Bytes(2),
        0xc8 => Form::Bytes(3),
        0xe8 | 0xe9 => Form::Bytes(4),
        0xf6 => Form::Test { wide: false },
        0xf7 => Form::Test { wide: true },
        _ => Form::Bytes(0),
    }
}

const fn two_bytes(opcode: u8) -> Form {
    match opcode {
        0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x36 | 0x38..=0x3f | 0xa6 | 0xa7 => Form::None,
        0x05..=0x0b | 0x0e | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => Form::Bytes(0),
        0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => Form::Modrm(1),
        0x80..=0x8f => Form::Bytes(4),
        _ => Form::Modrm(0),
    }
}

/// The forms behind VEX, EVEX and XOP prefixes.
fn vector(map: u8, opcode: u8) -> Form {
    match (map, opcode) {
        (1, 0x77) => Form::Bytes(0),
        (1, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) | (3 | 8, _) => Form::Modrm(1),
        (1 | 2 | 5 | 6 | 9, _) => Form::Modrm(0),
        (10, _) => Form::Modrm(4),
        _ => Form::None,
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
    fn what_is_no_instruction_is_none() {
        for bytes in [&[0x06][..], &[0x9a, 0, 0, 0, 0], &[0x0f, 0x04], &[0x48, 0x66, 0x90], &[0x66; 15], &[]] {
            assert_eq!(decode(bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn an_operand_lies_before_the_immediate() {
        let found = decode(&[0xc7, 0x05, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert!(found.is_rip_relative());
        assert_eq!((found.displacement, found.displacement_size), (2, 4));
        assert_eq!((found.immediate, found.immediate_size), (6, 4));
    }
}
