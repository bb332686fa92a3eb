//! Finds fields in the tables of Go's runtime, Go 1.20 and later: functions and reflection types.
//!
//! Most of their numbers are distances from the start of a table. These starts are listed in the
//! header of the function table and in the module description of the runtime
//! (`runtime.moduledata`).

use super::FoundFields;
use crate::formats::delta::program::budgeted_reader::BudgetedReader;
use crate::formats::delta::program::field::FieldKind;
use crate::formats::delta::program::image::{Image, SectionContent};
use std::io::{Read, Seek};

const MAGIC: u32 = 0xffff_fff1;
/// Bytes of code that one bucket of the index over functions covers.
const TEXT_PER_BUCKET_BYTES: u32 = 4096;
/// Size of one bucket in the index over functions.
const BUCKET_BYTES: u32 = 20;
/// Marks a missing entry in the data list of a function.
const NO_DATA: u32 = u32::MAX;

/// Adds the fields of the function table and of the types.
pub fn find<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>, found: &mut FoundFields) -> Option<()> {
    let header = header(image, reader)?;
    let module = module(image, reader, header);
    let functions = GoFunctionTable::read(image, reader, header, module)?;
    let _ = functions.find(image, reader, found);
    let module = module?;
    let _ = functions.find_bucket_index(image, reader, module, found);
    types(image, reader, module, found)
}

/// Finds the address of the header of the function table.
fn header<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>) -> Option<u32> {
    for section in image.sections.iter().filter(|section| section.content == SectionContent::Data) {
        let first = section.offset.checked_add(section.address.wrapping_neg() % 32)?;
        for at in (first..section.end()).step_by(32) {
            if reader.u32(at)? == MAGIC {
                let [zero, zero_too, quantum, word] = reader.array(at.checked_add(4)?)?;
                if (zero, zero_too, word) == (0, 0, 8) && matches!(quantum, 1 | 4) {
                    return Some(section.address.wrapping_add(at - section.offset));
                }
            }
        }
    }
    None
}

/// Finds the file offset of the module description.
///
/// It starts with the addresses of the function table's header and of the names that follow it.
fn module<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>, header: u32) -> Option<u32> {
    let names_at = image.layout.offset_of(header)?.checked_add(32)?;
    let names = header.checked_add(reader.small_u64(names_at)?)?;
    for section in image.sections.iter().filter(|section| section.content == SectionContent::Data) {
        let first = section.offset.checked_add(section.address.wrapping_neg() % 8)?;
        for at in (first..section.end().saturating_sub(400)).step_by(8) {
            if image.layout.relative_address(reader.u64(at)?) == Some(header)
                && image.layout.relative_address(reader.u64(at.checked_add(8)?)?) == Some(names)
            {
                return Some(at);
            }
        }
    }
    None
}

/// Reads word `number` of the module description as an address.
fn word<R: Read + Seek>(image: &Image, reader: &mut BudgetedReader<R>, module: u32, number: u32) -> Option<u32> {
    image.layout.relative_address(reader.u64(module.checked_add(8 * number)?)?)
}

/// Addresses of the parts of the function table.
struct GoFunctionTable {
    count: u32,
    text: u32,
    names: u32,
    units: u32,
    counters: u32,
    table: u32,
    data: Option<u32>,
}

impl GoFunctionTable {
    fn read<R: Read + Seek>(
        image: &Image,
        reader: &mut BudgetedReader<R>,
        header: u32,
        module: Option<u32>,
    ) -> Option<GoFunctionTable> {
        const TEXT: u32 = 22;
        const FUNCTION_DATA: u32 = 40;
        let at = image.layout.offset_of(header)?;
        let text = module.and_then(|module| word(image, reader, module, TEXT));
        let text = match text {
            Some(text) => text,
            None => image.layout.relative_address(reader.u64(at.checked_add(24)?)?)?,
        };
        let count = reader.small_u64(at.checked_add(8)?)?;
        let mut part = |field: u32| header.checked_add(reader.small_u64(at.checked_add(field)?)?);
        let (names, units, counters, table) = (part(32)?, part(40)?, part(56)?, part(64)?);
        let data = module.and_then(|module| word(image, reader, module, FUNCTION_DATA));
        Some(GoFunctionTable { count, text, names, units, counters, table, data })
    }

    fn find<R: Read + Seek>(
        &self,
        image: &Image,
        reader: &mut BudgetedReader<R>,
        found: &mut FoundFields,
    ) -> Option<()> {
        let table = image.layout.offset_of(self.table)?;
        for number in 0..self.count {
            let at = table.checked_add(number.checked_mul(8)?)?;
            let entry = self.text.wrapping_add(reader.u32(at)?);
            if let Some(start) = image.layout.offset_of(entry) {
                found.add_function_start(start);
            }
            found.add_field(at, FieldKind::BaseRelative, self.text);
            found.add_field(at.checked_add(4)?, FieldKind::BaseRelative, self.table);
            let function = table.checked_add(reader.u32(at.checked_add(4)?)?)?;
            let _ = self.function(reader, function, entry, found);
        }
        found.add_field(table.checked_add(self.count.checked_mul(8)?)?, FieldKind::BaseRelative, self.text);
        Some(())
    }

    /// Adds the fields in the entry of one function.
    fn function<R: Read + Seek>(
        &self,
        reader: &mut BudgetedReader<R>,
        at: u32,
        entry: u32,
        found: &mut FoundFields,
    ) -> Option<()> {
        let counters = reader.u32(at.checked_add(28)?)?;
        let data = reader.u8(at.checked_add(43)?)?;
        if counters > 64 {
            return None;
        }
        found.add_field(at, FieldKind::BaseRelative, self.text);
        found.add_field(at.checked_add(4)?, FieldKind::BaseRelative, self.names);
        if reader.u32(at.checked_add(12)?)? != 0 {
            found.add_field(at.checked_add(12)?, FieldKind::BaseRelative, entry);
        }
        found.add_field(at.checked_add(32)?, FieldKind::TableIndex4, self.units);
        for number in [16, 20, 24].into_iter().chain((0..counters).map(|number| 44 + 4 * number)) {
            let at = at.checked_add(number)?;
            if reader.u32(at)? != 0 {
                found.add_field(at, FieldKind::BaseRelative, self.counters);
            }
        }
        let list = at.checked_add(44 + 4 * counters)?;
        for number in 0..u32::from(data) {
            let at = list.checked_add(4 * number)?;
            if let Some(base) = self.data.filter(|_| reader.u32(at) != Some(NO_DATA)) {
                found.add_field(at, FieldKind::BaseRelative, base);
            }
        }
        Some(())
    }

    /// Adds the function index at the start of each bucket of the index over functions.
    fn find_bucket_index<R: Read + Seek>(
        &self,
        image: &Image,
        reader: &mut BudgetedReader<R>,
        module: u32,
        found: &mut FoundFields,
    ) -> Option<()> {
        const INDEX: u32 = 19;
        const TEXT_END: u32 = 23;
        let index = image.layout.offset_of(word(image, reader, module, INDEX)?)?;
        let size = word(image, reader, module, TEXT_END)?.checked_sub(self.text)?;
        for number in 0..size.div_ceil(TEXT_PER_BUCKET_BYTES) {
            let at = index.checked_add(number * BUCKET_BYTES)?;
            reader.u32(at)?;
            found.add_field(at, FieldKind::TableIndex8, self.table);
        }
        Some(())
    }
}

/// The memory range of the types and their names.
struct GoTypes {
    start: u32,
    size: u32,
    text: u32,
}

fn types<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    module: u32,
    found: &mut FoundFields,
) -> Option<()> {
    const TEXT: u32 = 22;
    const TYPES: u32 = 37;
    const TYPES_END: u32 = 38;
    let start = word(image, reader, module, TYPES)?;
    let size = word(image, reader, module, TYPES_END)?.checked_sub(start)?;
    let text = word(image, reader, module, TEXT)?;
    let types = GoTypes { start, size, text };
    let _ = types.find_links(image, reader, module, found);
    let first = image.layout.offset_of(start)?;
    let mut at = 0;
    while at < size {
        reader.step(1)?;
        at = at.checked_add(types.find(image, reader, first.checked_add(at)?, found).unwrap_or(8))?;
    }
    Some(())
}

impl GoTypes {
    /// Adds the list of types that are composite or have a name.
    fn find_links<R: Read + Seek>(
        &self,
        image: &Image,
        reader: &mut BudgetedReader<R>,
        module: u32,
        found: &mut FoundFields,
    ) -> Option<()> {
        // Go 1.26 inserted a word before the lists of sections and of links. A list is an address,
        // a length and a capacity, and the latter two are equal here.
        let is_list = reader.u64(module.checked_add(8 * 42)?)? == reader.u64(module.checked_add(8 * 43)?)?;
        let number = if is_list { 44 } else { 45 };
        let table = image.layout.offset_of(word(image, reader, module, number)?)?;
        for link in 0..reader.small_u64(module.checked_add(8 * (number + 1))?)? {
            self.add_distance(reader, table.checked_add(link.checked_mul(4)?)?, found)?;
        }
        Some(())
    }

    /// Adds a distance from the first type, unless it is 0, which means "none".
    fn add_distance<R: Read + Seek>(
        &self,
        reader: &mut BudgetedReader<R>,
        at: u32,
        found: &mut FoundFields,
    ) -> Option<()> {
        let distance = reader.u32(at)?;
        if distance != 0 && distance < self.size {
            found.add_field(at, FieldKind::BaseRelative, self.start);
        }
        Some(())
    }

    /// Adds the fields of a type, if the bytes at `at` look like one.
    ///
    /// Returns the size of the part that all types of its kind have.
    fn find<R: Read + Seek>(
        &self,
        image: &Image,
        reader: &mut BudgetedReader<R>,
        at: u32,
        found: &mut FoundFields,
    ) -> Option<u32> {
        let [flags, align, field_align, kind] = reader.array(at.checked_add(20)?)?;
        let kind = kind & 0x1f;
        if !matches!(align, 1 | 2 | 4 | 8) || align != field_align || !(1..=26).contains(&kind) || flags >= 0x40 {
            return None;
        }
        let (size, with_pointers) = (reader.u64(at)?, reader.u64(at.checked_add(8)?)?);
        let (name, pointer) = (reader.u32(at.checked_add(40)?)?, reader.u32(at.checked_add(44)?)?);
        if with_pointers > size || size >> 40 != 0 || name == 0 || name >= self.size || pointer >= self.size {
            return None;
        }
        for function in [24, 32] {
            let function = reader.u64(at.checked_add(function)?)?;
            if function != 0 {
                image.layout.relative_address(function)?;
            }
        }
        self.add_distance(reader, at.checked_add(40)?, found);
        self.add_distance(reader, at.checked_add(44)?, found);
        let size = match kind {
            17 => 72,           // array
            18 => 64,           // channel
            20 | 25 => 80,      // interface, struct
            21 => 112,          // map
            19 | 22 | 23 => 56, // function, pointer, slice
            _ => 48,
        };
        if kind == 20 {
            let list = image.layout.relative_address(reader.u64(at.checked_add(56)?)?);
            if let Some(list) = list.and_then(|list| image.layout.offset_of(list)) {
                for number in 0..2 * reader.small_u64(at.checked_add(64)?)?.min(self.size / 8) {
                    self.add_distance(reader, list.checked_add(4 * number)?, found)?;
                }
            }
        }
        if flags & 1 != 0 {
            let _ = self.methods(reader, at.checked_add(size)?, found);
        }
        Some(size)
    }

    /// Adds the package and the methods of a type that has a name.
    fn methods<R: Read + Seek>(&self, reader: &mut BudgetedReader<R>, at: u32, found: &mut FoundFields) -> Option<()> {
        self.add_distance(reader, at, found);
        let count = reader.u16(at.checked_add(4)?)?;
        let list = at.checked_add(reader.u32(at.checked_add(8)?)?)?;
        for number in 0..u32::from(count) {
            let method = list.checked_add(16 * number)?;
            self.add_distance(reader, method, found)?;
            self.add_distance(reader, method.checked_add(4)?, found)?;
            for function in [8, 12] {
                let function = method.checked_add(function)?;
                // A method that is never called has -1 or 0 here.
                if !matches!(reader.u32(function)?, 0 | u32::MAX) {
                    found.add_field(function, FieldKind::BaseRelative, self.text);
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::FieldKind;
    use crate::formats::delta::program::samples::*;

    /// Returns a program with one function and one type.
    fn go() -> Vec<u8> {
        const BASE: u64 = 0x40_0000;
        let mut table = words([0xffff_fff1, 0x0801_0000]);
        table.extend(longs([1, 0, BASE + 0x1000, 0x100, 0x200, 0x280, 0x300, 0x400]));
        table.resize(0x400, 0);
        table.extend(words([0, 0x20, 0x40, 0, 0, 0, 0, 0, 0, 0]));
        table.resize(0x420, 0);
        table.extend(words([0, 5, 0, 0, 1, 2, 3, 1, 0, 0, 0x0100_0000, 9, 0x18]));
        let mut types = vec![0; 64];
        types.extend(longs([8, 0]));
        types.extend(words([1, 0x0208_0800, 0, 0, 0, 0, 4, 0]));
        let mut module = longs([BASE + 0x2000, BASE + 0x2100]);
        module.resize(512, 0);
        for (number, address) in [(22, 0x1000), (23, 0x1040), (37, 0x3000), (38, 0x3080), (40, 0x3000)] {
            module[8 * number..8 * number + 8].copy_from_slice(&(BASE + address).to_le_bytes());
        }
        let parts = [
            code(".text", 0x1000, vec![0x90; 64]),
            data(".gopclntab", 1, 0x2000, table),
            data(".rodata", 1, 0x3000, types),
            data(".noptrdata", 1, 0x4000, module),
        ];
        elf(62, BASE, &parts)
    }

    #[test]
    fn a_function_has_fields_in_the_table_and_in_its_entry() {
        let expected = [
            (0x2400, FieldKind::BaseRelative, 0x1000),
            (0x2404, FieldKind::BaseRelative, 0x2400),
            (0x2408, FieldKind::BaseRelative, 0x1000),
            (0x2420, FieldKind::BaseRelative, 0x1000),
            (0x2424, FieldKind::BaseRelative, 0x2100),
            (0x2430, FieldKind::BaseRelative, 0x2300),
            (0x2434, FieldKind::BaseRelative, 0x2300),
            (0x2438, FieldKind::BaseRelative, 0x2300),
            (0x2440, FieldKind::TableIndex4, 0x2200),
            (0x244c, FieldKind::BaseRelative, 0x2300),
            (0x2450, FieldKind::BaseRelative, 0x3000),
        ];
        assert_eq!(fields_in(&go(), 0x2400..0x2500), expected);
    }

    #[test]
    fn a_type_has_a_name_field_and_other_bytes_have_none() {
        let mut file = go();
        assert_eq!(fields_in(&file, 0x3000..0x3080), [(0x3068, FieldKind::BaseRelative, 0x3000)]);
        file[0x3056] = 3; // an invalid alignment
        assert_eq!(fields_in(&file, 0x3000..0x3080), []);
    }
}
