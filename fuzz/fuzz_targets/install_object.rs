//! The table and the blocks of an install object: bounded, and the table survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::install_blocks::{ContentCutter, wrong_contents};
use patcher::internal::tables::{InstallTable, MAX_BLOCK_BYTES};

fuzz_target!(|input: (u64, &[u8])| {
    let (blocks_bytes, bytes) = input;
    let Ok(table) = InstallTable::parse(bytes, blocks_bytes) else { return };
    assert_eq!(InstallTable::parse(&table.to_bytes(), blocks_bytes), Ok(table.clone()));
    let positions = table.positions(bytes.len() as u64);
    assert!(positions.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert!(table.blocks.iter().all(|block| (1..=MAX_BLOCK_BYTES).contains(&block.size)));
    let mut cutter = ContentCutter::new(&table);
    for block in &table.blocks {
        assert!(cutter.contents_in(block.size).end <= table.contents.len());
        cutter.skip(block.size);
    }
    assert!(wrong_contents(bytes, &table).len() <= table.contents.len());
});
