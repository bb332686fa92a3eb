//! An address inside a program: where it lies, what it points to, and how it is written.
//!
//! A field is a word of the file (four or eight bytes) in which a relative address is written in one of several ways. To read
//! it takes the field, the word and the field's own place in memory; to write it takes those of the new program.

use super::image::{Places, SLICE};

/// How a field's word says its target. The order is that of precedence where two fields lie in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Eight bytes: the absolute address.
    Absolute,
    /// Eight bytes of a chain of fixups: the low 36 bits are the distance from the slice's beginning.
    Chained,
    /// As `Chained`, but the absolute address.
    ChainedAbsolute,
    /// Four bytes: the relative address.
    Relative,
    /// Four bytes: the relative address behind the last byte of a range.
    End,
    /// Four bytes: the distance from `extra` bytes behind the field.
    FromHere,
    /// Four bytes: the distance back from the field.
    Back,
    /// Four bytes: the distance from the address `extra`.
    FromBase,
    /// Four bytes: the length of the range that begins at the address `extra`.
    Length,
    /// Four bytes: the number of an item of four bytes in the table at the address `extra`.
    Index4,
    /// Four bytes: the number of an item of eight bytes in the table at the address `extra`.
    Index8,
    /// `b` and `bl` of aarch64: words to go, in the low 26 bits.
    Branch26,
    /// `b.cond`, `cbz` and `ldr` of aarch64: words to go, in 19 bits.
    Branch19,
    /// `tbz` of aarch64: words to go, in 14 bits.
    Branch14,
    /// `adr` of aarch64: bytes to go, in 21 bits.
    Adr,
    /// `adrp` of aarch64: pages to go to that of the target, which is `extra`.
    Page,
    /// `add`, `ldr` and `str` of aarch64: the low 12 bits of the target, which is `extra`.
    Low12,
    /// As `Relative`, in tables where a word only looks like an address.
    MaybeInData,
    /// As `Relative`, in an instruction.
    MaybeInCode,
}

/// How many gates there are: one for each kind that is a guess.
pub const GATES: usize = 2;

impl Kind {
    /// The bytes of the word.
    pub fn width(self) -> u32 {
        match self {
            Kind::Absolute | Kind::Chained | Kind::ChainedAbsolute => 8,
            _ => 4,
        }
    }

    /// The number of the gate that says whether guesses of this kind are right these days.
    pub fn gate(self) -> Option<usize> {
        match self {
            Kind::MaybeInData => Some(0),
            Kind::MaybeInCode => Some(1),
            _ => None,
        }
    }

    /// Whether `extra` is an address that has to be projected before the word can be written.
    pub fn has_base(self) -> bool {
        matches!(self, Kind::FromBase | Kind::Length | Kind::Index4 | Kind::Index8)
    }

    /// Whether the word holds only a part of its target, so that nothing can be learned from it.
    pub fn is_partial(self) -> bool {
        matches!(self, Kind::Page | Kind::Low12)
    }
}

/// A field of the old program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field {
    /// Where it lies in the file.
    pub offset: u32,
    /// How its word is read.
    pub kind: Kind,
    /// What that takes besides: see [`Kind`].
    pub extra: u32,
}

impl Field {
    /// Its place in the order of fields, as one number.
    pub fn rank(&self) -> u128 {
        u128::from(self.offset) << 40 | (self.kind as u128) << 32 | u128::from(self.extra)
    }
}

/// A place in memory as a word sees it: the image's base, and the field's own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The absolute address of relative address 0.
    pub base: u64,
    /// The field's own relative address.
    pub address: u32,
    /// Where the field's slice begins.
    pub slice: u32,
}

impl Place {
    /// The place of the byte at `offset` of a file; address 0 if it is not in memory, where no kind counts from its own place.
    pub fn new(places: &Places, offset: u32) -> Place {
        let address = places.address(offset).unwrap_or(0);
        let slice = if places.universal { address & !(SLICE - 1) } else { 0 };
        Place { base: places.base, address, slice }
    }
}

/// The relative address that `word` says; `extra` is that of the field, as an address of the same program as the word.
pub fn read(kind: Kind, extra: u32, word: u64, place: Place) -> Option<u32> {
    let low = word as u32;
    let here = place.address;
    Some(match kind {
        Kind::Absolute => u32::try_from(word.checked_sub(place.base)?).ok()?.wrapping_add(place.slice),
        Kind::ChainedAbsolute => {
            u32::try_from((word & CHAINED).checked_sub(place.base)?).ok()?.wrapping_add(place.slice)
        }
        Kind::Chained => u32::try_from(word & CHAINED).ok()?.wrapping_add(place.slice),
        Kind::Relative | Kind::MaybeInData | Kind::MaybeInCode => low.wrapping_add(place.slice),
        Kind::End => low.wrapping_sub(1),
        Kind::FromHere => here.wrapping_add(extra).wrapping_add(low),
        Kind::Back => here.wrapping_sub(low),
        Kind::FromBase => extra.wrapping_add(low),
        Kind::Length => extra.wrapping_add(low).wrapping_sub(1),
        Kind::Index4 => extra.wrapping_add(low.checked_mul(4)?),
        Kind::Index8 => extra.wrapping_add(low.checked_mul(8)?),
        Kind::Branch26 => here.wrapping_add(signed(low, 0, 26) << 2),
        Kind::Branch19 => here.wrapping_add(signed(low, 5, 19) << 2),
        Kind::Branch14 => here.wrapping_add(signed(low, 5, 14) << 2),
        Kind::Adr => here.wrapping_add(signed_adr(low)),
        Kind::Page | Kind::Low12 => extra,
    })
}

/// `word` with another target: that of the field in `place`, with `extra` as there.
pub fn write(kind: Kind, extra: u32, word: u64, place: Place, target: u32) -> u64 {
    let low = word as u32;
    let away = target.wrapping_sub(place.address);
    let from_base = target.wrapping_sub(extra);
    match kind {
        Kind::Absolute => place.base.wrapping_add(u64::from(target.wrapping_sub(place.slice))),
        Kind::Chained => word & !CHAINED | u64::from(target.wrapping_sub(place.slice)),
        Kind::ChainedAbsolute => {
            let absolute = place.base.wrapping_add(u64::from(target.wrapping_sub(place.slice)));
            word & !CHAINED | absolute & CHAINED
        }
        _ => u64::from(match kind {
            Kind::Absolute
            | Kind::Chained
            | Kind::ChainedAbsolute
            | Kind::Relative
            | Kind::MaybeInData
            | Kind::MaybeInCode => target.wrapping_sub(place.slice),
            Kind::End => target.wrapping_add(1),
            Kind::FromHere => away.wrapping_sub(extra),
            Kind::Back => away.wrapping_neg(),
            Kind::FromBase => from_base,
            Kind::Length => from_base.wrapping_add(1),
            Kind::Index4 => from_base / 4,
            Kind::Index8 => from_base / 8,
            Kind::Branch26 => bits(low, 0, 26, away >> 2),
            Kind::Branch19 => bits(low, 5, 19, away >> 2),
            Kind::Branch14 => bits(low, 5, 14, away >> 2),
            Kind::Adr => with_adr(low, away),
            Kind::Page => with_adr(low, (target >> 12).wrapping_sub(place.address >> 12)),
            Kind::Low12 => bits(low, 10, 12, (target & 0xfff) >> low12_scale(low)),
        }),
    }
}

const CHAINED: u64 = (1 << 36) - 1;

/// `count` bits of `word` from bit `first` on, with their sign.
fn signed(word: u32, first: u32, count: u32) -> u32 {
    ((word << (32 - first - count)) as i32 >> (32 - count)) as u32
}

/// `word` with the low bits of `value` as its `count` bits from bit `first` on.
fn bits(word: u32, first: u32, count: u32, value: u32) -> u32 {
    let mask = ((1 << count) - 1) << first;
    word & !mask | (value << first) & mask
}

/// The 21 bits of `adr` and `adrp`, with their sign.
pub fn signed_adr(word: u32) -> u32 {
    signed(word, 5, 19) << 2 | (word >> 29) & 3
}

fn with_adr(word: u32, value: u32) -> u32 {
    bits(bits(word, 5, 19, value >> 2), 29, 2, value)
}

/// By how many bits an aarch64 instruction shifts its 12-bit immediate: `ldr` and `str` count in items.
pub fn low12_scale(word: u32) -> u32 {
    if word >> 24 & 0x3b != 0x39 {
        return 0; // `add`
    }
    let vector_of_16 = word & 0x0480_0000 == 0x0480_0000 && word >> 30 == 0;
    if vector_of_16 { 4 } else { word >> 30 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { base: 0x1_4000_0000, address: 0x5000, slice: 0 };

    #[test]
    fn what_is_written_is_read() {
        for kind in [Kind::Absolute, Kind::Chained, Kind::Relative, Kind::End, Kind::FromHere, Kind::Back] {
            for target in [0x1000, 0x5004, 0x4ffc, 0x7fff_0000] {
                let word = write(kind, 4, 0, HERE, target);
                assert_eq!(read(kind, 4, word, HERE), Some(target), "{kind:?}");
            }
        }
        for kind in [Kind::FromBase, Kind::Length, Kind::Index4, Kind::Index8] {
            let target = if kind == Kind::Length { 0x2fff } else { 0x3000 };
            let word = write(kind, 0x2000, 0, HERE, target);
            assert_eq!(read(kind, 0x2000, word, HERE), Some(target), "{kind:?}");
        }
        for kind in [Kind::Branch26, Kind::Branch19, Kind::Branch14, Kind::Adr] {
            for target in [0x1000, 0x5004, 0x4ffc, 0x6000] {
                let word = write(kind, 0, 0xffff_ffff, HERE, target);
                assert_eq!(read(kind, 0, word, HERE), Some(target), "{kind:?}");
            }
        }
    }

    #[test]
    fn an_instruction_keeps_its_other_bits() {
        assert_eq!(write(Kind::Branch26, 0, 0x9400_0000, HERE, 0x5008), 0x9400_0002);
        assert_eq!(write(Kind::Page, 0, 0x9000_0003, HERE, 0x8123), 0xf000_0003);
        assert_eq!(write(Kind::Low12, 0, 0x9100_0063, HERE, 0x8123), 0x9104_8c63);
        assert_eq!(write(Kind::Low12, 0, 0xf940_0063, HERE, 0x8128), 0xf940_9463);
        assert_eq!(write(Kind::Low12, 0, 0x3dc0_0063, HERE, 0x8120), 0x3dc0_4863);
    }

    #[test]
    fn a_slice_counts_from_its_own_beginning() {
        let place = Place { slice: SLICE, address: SLICE + 0x5000, ..HERE };
        assert_eq!(read(Kind::Absolute, 0, 0x1_4000_1000, place), Some(SLICE + 0x1000));
        assert_eq!(write(Kind::Absolute, 0, 0, place, SLICE + 0x1000), 0x1_4000_1000);
    }

    #[test]
    fn a_field_is_small() {
        assert!(size_of::<Field>() <= 16);
    }
}
