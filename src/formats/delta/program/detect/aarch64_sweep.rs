//! Finds fields in aarch64 code: branches, and `adrp` with the instructions that add the low 12
//! bits.

use super::{FoundFields, jump_tables::JumpTables};
use crate::formats::delta::program::aarch64::{Aarch64Instruction, decode};
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use crate::formats::delta::program::field::{self, FieldContext, FieldKind};
use crate::formats::delta::program::image::{Image, ImageSection};
use std::io::{Read, Seek};
use std::ops::Range;

/// A register that holds the address of a page, and the `adrp` that loaded it.
#[derive(Clone, Copy)]
struct LoadedPage {
    address: u32,
    /// File offset of the `adrp` while its full target is unknown; a use of the register reveals
    /// it.
    adrp: Option<u32>,
}

/// Sweeps through the scanned parts of one section, instruction by instruction.
pub fn sweep<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    tables: &mut JumpTables,
    found: &mut FoundFields,
) {
    let end = section.end().min(reader.length());
    for part in found.unscanned.scanned_ranges(section.offset, end) {
        sweep_part(image, reader, section, part, tables, found);
    }
}

fn sweep_part<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    section: &ImageSection,
    part: Range<u32>,
    tables: &mut JumpTables,
    found: &mut FoundFields,
) {
    let mut pages: [Option<LoadedPage>; 32] = [None; 32];
    let slice = FieldContext::new(&image.layout, section.offset).slice;
    // Instructions are aligned to the start of the section.
    let mut at = part.start.saturating_add((section.offset.wrapping_sub(part.start)) % 4);
    while let Some(word) = reader.page(at).first_chunk().map(|word| u32::from_le_bytes(*word)) {
        if at >= part.end || reader.step(1).is_none() {
            break;
        }
        let place =
            FieldContext { base: image.layout.base, address: section.address.wrapping_add(at - section.offset), slice };
        let target = |kind| field::read_target(kind, 0, u64::from(word), place).unwrap_or(0);
        match decode(word) {
            Aarch64Instruction::Branch26 { call } => {
                if call {
                    pages[..19].iter_mut().for_each(|page| release_register(page, found));
                }
                if image.is_code(target(FieldKind::Branch26)) {
                    found.add_field(at, FieldKind::Branch26, 0);
                }
            }
            Aarch64Instruction::Branch19 if image.is_code(target(FieldKind::Branch19)) => {
                found.add_field(at, FieldKind::Branch19, 0)
            }
            Aarch64Instruction::Branch14 if image.is_code(target(FieldKind::Branch14)) => {
                found.add_field(at, FieldKind::Branch14, 0)
            }
            Aarch64Instruction::Branch19 | Aarch64Instruction::Branch14 => {}
            Aarch64Instruction::Adr => {
                let target = target(FieldKind::Adr);
                if image.layout.contains(target) {
                    found.add_field(at, FieldKind::Adr, 0);
                    tables.record_address(image, target);
                }
            }
            Aarch64Instruction::Page { to } => {
                release_register(&mut pages[usize::from(to)], found);
                let page = (place.address & !0xfff).wrapping_add(field::adr_immediate(word) << 12);
                if image.layout.contains(page) || image.layout.contains(page.wrapping_add(0xfff)) {
                    pages[usize::from(to)] = Some(LoadedPage { address: page, adrp: Some(at) });
                }
            }
            Aarch64Instruction::Low12 { from, to, distance } => {
                if let Some(page) = &mut pages[usize::from(from)] {
                    let target = page.address.wrapping_add(distance);
                    if image.layout.contains(target) {
                        if let Some(adrp) = page.adrp.take() {
                            found.add_field(adrp, FieldKind::AdrpPage, target);
                        }
                        found.add_field(at, FieldKind::Low12, target);
                        tables.record_address(image, target);
                    }
                }
                if let Some(to) = to {
                    release_register(&mut pages[usize::from(to)], found);
                }
            }
            Aarch64Instruction::Other { to } => release_register(&mut pages[usize::from(to)], found),
        }
        let Some(next) = at.checked_add(4) else { break };
        at = next;
    }
}

/// Drops the page in a register that is overwritten.
///
/// An `adrp` to which no instruction added low bits becomes a field whose target is the page
/// itself.
fn release_register(register: &mut Option<LoadedPage>, found: &mut FoundFields) {
    if let Some(LoadedPage { address, adrp: Some(adrp) }) = register.take() {
        found.add_field(adrp, FieldKind::AdrpPage, address);
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::FieldKind;
    use crate::formats::delta::program::samples::*;

    fn found(text: &[u32]) -> Vec<(u32, FieldKind, u32)> {
        let text = [text, &[0xd503_201f; 16]].concat();
        let parts = [code(".text", 0x1000, words(text)), data(".data", 1, 0x2000, vec![0; 0x1000])];
        fields_in(&elf(183, 0, &parts), 0x1000..0x1800)
    }

    #[test]
    fn branches_into_code_are_fields() {
        assert_eq!(found(&[0x9400_0002]), [(0x1000, FieldKind::Branch26, 0)]);
        assert_eq!(found(&[0xb400_0041]), [(0x1000, FieldKind::Branch19, 0)]);
        assert_eq!(found(&[0x3600_0041]), [(0x1000, FieldKind::Branch14, 0)]);
        assert_eq!(found(&[0x9500_0002]), []);
    }

    #[test]
    fn adrp_and_the_instruction_that_completes_it_share_a_target() {
        let pair = [(0x1000, FieldKind::AdrpPage, 0x2128), (0x1004, FieldKind::Low12, 0x2128)];
        assert_eq!(found(&[0xb000_0003, 0x9104_a063]), pair); // adrp x3; add x3, x3, #0x128
        assert_eq!(found(&[0xb000_0003, 0xf940_9463]), pair); // ldr x3, [x3, #0x128]
    }

    #[test]
    fn an_overwritten_register_holds_no_page() {
        let page = [(0x1000, FieldKind::AdrpPage, 0x2000)];
        assert_eq!(found(&[0xb000_0003, 0xaa01_03e3, 0x9104_a063]), page); // mov x3, x1
        assert_eq!(found(&[0xb000_0003, 0x9400_0001, 0x9104_a063]), [page[0], (0x1004, FieldKind::Branch26, 0)]);
    }
}
