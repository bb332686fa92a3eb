//! The manifest reader: no input makes it panic. An accepted manifest that is written and read
//! again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::manifest::{body, parse};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut manifest) = parse(bytes) {
        let mut again = parse(&body(&manifest)).expect("the canonical form is valid");
        // The writer sorts files and links, which a manifest may list in any order.
        for manifest in [&mut manifest, &mut again] {
            manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
            manifest.links.sort_by(|a, b| a.path.cmp(&b.path));
        }
        assert_eq!(manifest, again);
    }
});
