//! The object reader: it never gives out more than the signed size, and takes only what gives
//! exactly that.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::gunzip::gunzip;

fuzz_target!(|input: (u16, &[u8])| {
    let (size, object) = input;
    let size = u64::from(size);
    let mut given = 0;
    let result = gunzip(object, size, |bytes| {
        given += bytes.len() as u64;
        Ok(())
    });
    assert!(given <= size);
    assert!(result.is_err() || given == size);
});
