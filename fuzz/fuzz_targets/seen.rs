//! The memory of what was seen: no input makes its reader panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = patcher::state::Seen::parse(bytes);
});
