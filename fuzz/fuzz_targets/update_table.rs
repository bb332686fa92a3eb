//! The table of an update object: rows refer to earlier rows only, and survive a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::tables::{RowBase, UpdateTable};

fuzz_target!(|input: (u64, &[u8])| {
    let (deltas_bytes, bytes) = input;
    let Ok(table) = UpdateTable::parse(bytes, deltas_bytes) else { return };
    for (number, row) in table.rows.iter().enumerate() {
        for base in [Some(row.base), row.second_base].into_iter().flatten() {
            assert!(!matches!(base, RowBase::Row(other) if other >= number));
        }
    }
    let positions = table.positions(bytes.len() as u64);
    assert!(positions.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(UpdateTable::parse(&table.to_bytes(), deltas_bytes), Ok(table));
});
