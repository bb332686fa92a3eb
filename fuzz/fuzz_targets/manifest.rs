//! The manifest reader: no input makes it panic, and what it takes means the same when it is
//! written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::manifest::{body, parse};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut manifest) = parse(bytes) {
        let mut again = parse(&body(&manifest)).expect("the canonical form is valid");
        // The writer sorts what may stand in any order.
        for manifest in [&mut manifest, &mut again] {
            manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
            manifest.links.sort_by(|a, b| a.path.cmp(&b.path));
        }
        assert_eq!(manifest, again);
    }
});
