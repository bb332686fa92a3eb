//! The parser of old programs: whatever the file holds, its fields are in order, inside of it, and not too many.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::delta::program::parse;
use std::io::Cursor;

fuzz_target!(|file: &[u8]| {
    let Ok(Some((_, fields))) = parse(Cursor::new(file), file.len() as u64) else { return };
    assert!(fields.len() <= file.len() / 4);
    for pair in fields.windows(2) {
        assert!(pair[0].offset + pair[0].kind.width() <= pair[1].offset);
    }
});
