//! A field: a word of a program that encodes an address, and how to read and write it.
//!
//! A field occupies four or eight bytes of the file. [`read_target`] decodes the address that the
//! word refers to, its *target*. [`write_target`] encodes another target into the same word. Both
//! need the address of the field itself, because many encodings are relative to it: see
//! [`FieldContext`].

use super::image::{ImageLayout, SLICE_BYTES};

/// How a word encodes its target.
///
/// "Address" means a relative address: see [`image`](super::image). When two fields start at the
/// same offset, the one whose variant comes first is kept. The numbers of the variants are part of
/// the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FieldKind {
    /// Eight bytes: the absolute address.
    Absolute,
    /// Eight bytes of a chain of fixups: the low 36 bits are the distance from the start of the
    /// slice.
    Chained,
    /// Like `Chained`, but the low 36 bits are the absolute address.
    ChainedAbsolute,
    /// Four bytes: the address.
    Relative,
    /// Four bytes: the end of a range, one past its last byte. The target is the last byte.
    RangeEnd,
    /// Four bytes: the distance from the address `extra` bytes after the start of the field.
    PcRelative,
    /// Four bytes: how far the target lies before the field.
    BackDistance,
    /// Four bytes: the distance from the address `extra`.
    BaseRelative,
    /// Four bytes: the length of the range that starts at the address `extra`. The target is the
    /// last byte.
    RangeLength,
    /// Four bytes: the index of a four-byte item in the table at the address `extra`.
    TableIndex4,
    /// Four bytes: the index of an eight-byte item in the table at the address `extra`.
    TableIndex8,
    /// `b` and `bl` of aarch64: a distance in words, in the low 26 bits.
    Branch26,
    /// `b.cond`, `cbz` and `ldr` of aarch64: a distance in words, in 19 bits.
    Branch19,
    /// `tbz` of aarch64: a distance in words, in 14 bits.
    Branch14,
    /// `adr` of aarch64: a distance in bytes, in 21 bits.
    Adr,
    /// `adrp` of aarch64: a distance in pages. `extra` is the full target.
    AdrpPage,
    /// `add`, `ldr` and `str` of aarch64: the low 12 bits of the target. `extra` is the full
    /// target.
    Low12,
    /// Like `Relative`, but a guess: a word of data that merely looks like an address.
    GuessInData,
    /// Like `Relative`, but a guess: a displacement in an instruction that looks like an address.
    GuessInCode,
}

/// Number of confidence counters: one for each kind that is a guess.
pub const GUESS_COUNTERS: usize = 2;

impl FieldKind {
    /// Returns the size of the word in bytes: 4 or 8.
    pub fn width(self) -> u32 {
        match self {
            FieldKind::Absolute | FieldKind::Chained | FieldKind::ChainedAbsolute => 8,
            _ => 4,
        }
    }

    /// Returns the index of the confidence counter for this kind, or `None` if it is no guess.
    pub fn guess_counter(self) -> Option<usize> {
        match self {
            FieldKind::GuessInData => Some(0),
            FieldKind::GuessInCode => Some(1),
            _ => None,
        }
    }

    /// Returns `true` if a field of this kind only looks like an address.
    pub fn is_guess(self) -> bool {
        self.guess_counter().is_some()
    }

    /// Returns `true` if `extra` is an address that must be projected before the word is written.
    pub fn has_base(self) -> bool {
        matches!(
            self,
            FieldKind::BaseRelative | FieldKind::RangeLength | FieldKind::TableIndex4 | FieldKind::TableIndex8
        )
    }

    /// Returns `true` if the word holds only a part of its target.
    ///
    /// Such a word does not reveal the whole new target, so nothing can be learned from it.
    pub fn is_partial(self) -> bool {
        matches!(self, FieldKind::AdrpPage | FieldKind::Low12)
    }
}

/// A field of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field {
    /// File offset of the word.
    pub offset: u32,
    /// How the word encodes its target.
    pub kind: FieldKind,
    /// A further value that the encoding depends on: see [`FieldKind`].
    pub extra: u32,
}

impl Field {
    /// Returns the position in the order of fields as one number, which sorts faster than the
    /// struct.
    pub fn sort_key(&self) -> u128 {
        u128::from(self.offset) << 40 | (self.kind as u128) << 32 | u128::from(self.extra)
    }
}

/// The values outside a word that its encoding depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldContext {
    /// The absolute address of relative address 0.
    pub base: u64,
    /// The relative address of the field itself.
    pub address: u32,
    /// The relative address at which the slice of the field starts.
    pub slice: u32,
}

impl FieldContext {
    /// Returns the context of a field at file offset `offset`.
    ///
    /// A byte that is not in memory gets address 0. No kind that depends on its own address occurs
    /// there.
    pub fn new(layout: &ImageLayout, offset: u32) -> FieldContext {
        let address = layout.address_of(offset).unwrap_or(0);
        let slice = if layout.universal { address & !(SLICE_BYTES - 1) } else { 0 };
        FieldContext { base: layout.base, address, slice }
    }
}

/// Decodes the target of `word`, or returns `None` if it encodes no relative address.
///
/// `extra` and `context` must belong to the same program as the word.
pub fn read_target(kind: FieldKind, extra: u32, word: u64, context: FieldContext) -> Option<u32> {
    let low = word as u32;
    let here = context.address;
    Some(match kind {
        FieldKind::Absolute => u32::try_from(word.checked_sub(context.base)?).ok()?.wrapping_add(context.slice),
        FieldKind::ChainedAbsolute => {
            u32::try_from((word & CHAINED_TARGET_MASK).checked_sub(context.base)?).ok()?.wrapping_add(context.slice)
        }
        FieldKind::Chained => u32::try_from(word & CHAINED_TARGET_MASK).ok()?.wrapping_add(context.slice),
        FieldKind::Relative | FieldKind::GuessInData | FieldKind::GuessInCode => low.wrapping_add(context.slice),
        FieldKind::RangeEnd => low.wrapping_sub(1),
        FieldKind::PcRelative => here.wrapping_add(extra).wrapping_add(low),
        FieldKind::BackDistance => here.wrapping_sub(low),
        FieldKind::BaseRelative => extra.wrapping_add(low),
        FieldKind::RangeLength => extra.wrapping_add(low).wrapping_sub(1),
        FieldKind::TableIndex4 => extra.wrapping_add(low.checked_mul(4)?),
        FieldKind::TableIndex8 => extra.wrapping_add(low.checked_mul(8)?),
        FieldKind::Branch26 => here.wrapping_add(signed_bits(low, 0, 26) << 2),
        FieldKind::Branch19 => here.wrapping_add(signed_bits(low, 5, 19) << 2),
        FieldKind::Branch14 => here.wrapping_add(signed_bits(low, 5, 14) << 2),
        FieldKind::Adr => here.wrapping_add(adr_immediate(low)),
        FieldKind::AdrpPage | FieldKind::Low12 => extra,
    })
}

/// Returns `word` with `target` encoded in it; bits that encode no address stay as they are.
///
/// `extra` and `context` must belong to the same program as `target`.
pub fn write_target(kind: FieldKind, extra: u32, word: u64, context: FieldContext, target: u32) -> u64 {
    let low = word as u32;
    let away = target.wrapping_sub(context.address);
    let from_base = target.wrapping_sub(extra);
    match kind {
        FieldKind::Absolute => context.base.wrapping_add(u64::from(target.wrapping_sub(context.slice))),
        FieldKind::Chained => word & !CHAINED_TARGET_MASK | u64::from(target.wrapping_sub(context.slice)),
        FieldKind::ChainedAbsolute => {
            let absolute = context.base.wrapping_add(u64::from(target.wrapping_sub(context.slice)));
            word & !CHAINED_TARGET_MASK | absolute & CHAINED_TARGET_MASK
        }
        _ => u64::from(match kind {
            FieldKind::Absolute
            | FieldKind::Chained
            | FieldKind::ChainedAbsolute
            | FieldKind::Relative
            | FieldKind::GuessInData
            | FieldKind::GuessInCode => target.wrapping_sub(context.slice),
            FieldKind::RangeEnd => target.wrapping_add(1),
            FieldKind::PcRelative => away.wrapping_sub(extra),
            FieldKind::BackDistance => away.wrapping_neg(),
            FieldKind::BaseRelative => from_base,
            FieldKind::RangeLength => from_base.wrapping_add(1),
            FieldKind::TableIndex4 => from_base / 4,
            FieldKind::TableIndex8 => from_base / 8,
            FieldKind::Branch26 => with_bits(low, 0, 26, away >> 2),
            FieldKind::Branch19 => with_bits(low, 5, 19, away >> 2),
            FieldKind::Branch14 => with_bits(low, 5, 14, away >> 2),
            FieldKind::Adr => with_adr_immediate(low, away),
            FieldKind::AdrpPage => with_adr_immediate(low, (target >> 12).wrapping_sub(context.address >> 12)),
            FieldKind::Low12 => with_bits(low, 10, 12, (target & 0xfff) >> low12_shift(low)),
        }),
    }
}

const CHAINED_TARGET_MASK: u64 = (1 << 36) - 1;

/// Returns `count` bits of `word`, starting at bit `first`, sign-extended.
fn signed_bits(word: u32, first: u32, count: u32) -> u32 {
    ((word << (32 - first - count)) as i32 >> (32 - count)) as u32
}

/// Returns `word` with `count` bits, starting at bit `first`, replaced by the low bits of `value`.
fn with_bits(word: u32, first: u32, count: u32, value: u32) -> u32 {
    let mask = ((1 << count) - 1) << first;
    word & !mask | (value << first) & mask
}

/// Returns the immediate of `adr` and `adrp`: 21 bits, sign-extended.
pub fn adr_immediate(word: u32) -> u32 {
    signed_bits(word, 5, 19) << 2 | (word >> 29) & 3
}

fn with_adr_immediate(word: u32, value: u32) -> u32 {
    with_bits(with_bits(word, 5, 19, value >> 2), 29, 2, value)
}

/// Returns the shift of the 12-bit immediate of an aarch64 instruction.
///
/// `ldr` and `str` count in items of their operand size; `add` counts in bytes.
pub fn low12_shift(word: u32) -> u32 {
    if word >> 24 & 0x3b != 0x39 {
        return 0; // `add`
    }
    let vector_of_16 = word & 0x0480_0000 == 0x0480_0000 && word >> 30 == 0;
    if vector_of_16 { 4 } else { word >> 30 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: FieldContext = FieldContext { base: 0x1_4000_0000, address: 0x5000, slice: 0 };

    #[test]
    fn written_values_are_read_back() {
        for kind in [
            FieldKind::Absolute,
            FieldKind::Chained,
            FieldKind::Relative,
            FieldKind::RangeEnd,
            FieldKind::PcRelative,
            FieldKind::BackDistance,
        ] {
            for target in [0x1000, 0x5004, 0x4ffc, 0x7fff_0000] {
                let word = write_target(kind, 4, 0, HERE, target);
                assert_eq!(read_target(kind, 4, word, HERE), Some(target), "{kind:?}");
            }
        }
        for kind in [FieldKind::BaseRelative, FieldKind::RangeLength, FieldKind::TableIndex4, FieldKind::TableIndex8] {
            let target = if kind == FieldKind::RangeLength { 0x2fff } else { 0x3000 };
            let word = write_target(kind, 0x2000, 0, HERE, target);
            assert_eq!(read_target(kind, 0x2000, word, HERE), Some(target), "{kind:?}");
        }
        for kind in [FieldKind::Branch26, FieldKind::Branch19, FieldKind::Branch14, FieldKind::Adr] {
            for target in [0x1000, 0x5004, 0x4ffc, 0x6000] {
                let word = write_target(kind, 0, 0xffff_ffff, HERE, target);
                assert_eq!(read_target(kind, 0, word, HERE), Some(target), "{kind:?}");
            }
        }
    }

    #[test]
    fn an_instruction_keeps_its_other_bits() {
        assert_eq!(write_target(FieldKind::Branch26, 0, 0x9400_0000, HERE, 0x5008), 0x9400_0002);
        assert_eq!(write_target(FieldKind::AdrpPage, 0, 0x9000_0003, HERE, 0x8123), 0xf000_0003);
        assert_eq!(write_target(FieldKind::Low12, 0, 0x9100_0063, HERE, 0x8123), 0x9104_8c63);
        assert_eq!(write_target(FieldKind::Low12, 0, 0xf940_0063, HERE, 0x8128), 0xf940_9463);
        assert_eq!(write_target(FieldKind::Low12, 0, 0x3dc0_0063, HERE, 0x8120), 0x3dc0_4863);
    }

    #[test]
    fn a_slice_counts_from_its_own_beginning() {
        let context = FieldContext { slice: SLICE_BYTES, address: SLICE_BYTES + 0x5000, ..HERE };
        assert_eq!(read_target(FieldKind::Absolute, 0, 0x1_4000_1000, context), Some(SLICE_BYTES + 0x1000));
        assert_eq!(write_target(FieldKind::Absolute, 0, 0, context, SLICE_BYTES + 0x1000), 0x1_4000_1000);
    }

    #[test]
    fn a_field_is_small() {
        assert!(size_of::<Field>() <= 16);
    }
}
