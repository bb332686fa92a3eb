//! Heads: every head that is read survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::head::Head;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(head) = Head::parse(bytes) {
        assert_eq!(Head::parse(&head.to_bytes()).unwrap(), head);
    }
});
