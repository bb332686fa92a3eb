//! The cut of signature lines: body and signatures put together again are the same file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::manifest::{SignedBytes, with_signatures};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signed) = SignedBytes::split(Vec::from(bytes)) {
        assert_eq!(with_signatures(&signed.body, &signed.signatures), bytes);
        assert!(!signed.body.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"  <signature ")));
    }
});
