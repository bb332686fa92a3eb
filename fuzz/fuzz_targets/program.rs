//! The parser of old programs: whatever the file holds, its fields are in order, inside of it, and
//! not too many.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::delta::program::parse;
use patcher::internal::delta::program::unscanned_pages::UnscannedPages;
use std::io::Cursor;

fuzz_target!(|file: &[u8]| {
    // The first bytes are always the same.
    let some = UnscannedPages::new(file.iter().rev().take(64).map(|byte| byte & 1 == 1).collect());
    for unscanned in [UnscannedPages::default(), some] {
        let Ok(Some((_, fields))) = parse(Cursor::new(file), file.len() as u64, &unscanned) else { return };
        assert!(fields.len() <= file.len() / 4);
        assert!(fields.iter().all(|field| !unscanned.contains(field.offset)));
        for pair in fields.windows(2) {
            assert!(pair[0].offset + pair[0].kind.width() <= pair[1].offset);
        }
    }
});
