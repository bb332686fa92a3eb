//! The chunk index and the files that it rebuilds: hostile rows, segments and local files give an
//! error or a file that fits the index, and never more bytes than signed.
//!
//! The input is the index, the segments, and local files; two bytes each say how long the first two
//! are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::chunks::{ChunkIndex, ChunkLocation, ChunkSearch, MissingRanges, RangeLimits, rebuild};
use patcher::internal::digest::Sha256;

fuzz_target!(|input: (u32, u16, u8, &[u8])| {
    let (size, gz_size, gap, bytes) = input;
    let size = u64::from(size);
    let Some((lengths, bytes)) = bytes.split_at_checked(2) else { return };
    let (index, bytes) = bytes.split_at(usize::from(lengths[0]).min(bytes.len()));
    let (segments, local) = bytes.split_at(usize::from(lengths[1]).min(bytes.len()));
    let Ok(index) = ChunkIndex::parse(index, size, gz_size.into()) else { return };
    assert_eq!(index.segments().last().map(|segment| segment.content.end), Some(size));
    assert_eq!(index.segments().last().map(|segment| segment.bytes.end + 8), Some(gz_size.into()));

    let mut search = ChunkSearch::new(&index);
    search.search_file(0, local, || true).expect("bytes can be read");
    let known = search.finish();
    let ranges = MissingRanges::new(
        &index,
        &known,
        RangeLimits { max_gap_bytes: gap.into(), max_requests: usize::from(gap) % 4 },
    );
    assert!(ranges.count() <= 3 && ranges.bytes() < gz_size.into());

    let mut given = Vec::new();
    let read = |place: ChunkLocation, buffer: &mut [u8]| {
        let start = place.offset as usize;
        buffer.copy_from_slice(&local[start..start + buffer.len()]);
        Ok(())
    };
    let result = rebuild(&index, &known, &ranges, read, segments, |content| {
        given.extend_from_slice(content);
        Ok(())
    });
    assert!(given.len() as u64 <= size);
    if result.is_ok() {
        assert_eq!(given.len() as u64, size);
        let mut rest = &given[..];
        for chunk in index.chunks() {
            let (first, after) = rest.split_at(chunk.length.into());
            assert_eq!(chunk.hash, Sha256::of(first).as_bytes()[..6]);
            rest = after;
        }
    }
});
