//! Files rebuilt from similar files and ranges, and indexes and segments by an attacker.

use super::*;
use std::io::{Cursor, Read as _, Write as _};

/// Returns bytes that do not compress, from a seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = SplitMix64(seed);
    (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(length).collect()
}

/// Returns bytes that compress about as well as programs, from a seed.
fn program(seed: u64, length: usize) -> Vec<u8> {
    let mut random = SplitMix64(seed);
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        let start = random.below(bytes.len().max(1));
        let end = bytes.len().min(start + random.below(40));
        bytes.extend_from_within(start.min(end)..end);
        bytes.extend_from_slice(&random.next().to_le_bytes()[..random.below(8)]);
    }
    bytes.truncate(length);
    bytes
}

/// SplitMix64 (Steele et al., 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Makes a `.gz` whose segments hold `join` chunks each, and its index.
fn gzip(content: &[u8], join: usize) -> (Vec<u8>, ChunkIndex) {
    let mut encoder = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::best());
    let mut builder = ChunkIndexBuilder::default();
    let mut chunker = Chunker::new(content);
    let mut count = 0;
    while let Some((_, chunk)) = chunker.next_chunk().unwrap() {
        if count == join {
            encoder.flush().unwrap();
            builder.end_segment(encoder.get_ref().len() as u64);
            count = 0;
        }
        builder.chunk(chunk);
        encoder.write_all(chunk).unwrap();
        count += 1;
    }
    let gz = encoder.finish().unwrap();
    let index = builder.finish(content.len() as u64, gz.len() as u64).unwrap();
    (gz, index)
}

fn known(index: &ChunkIndex, files: &[&[u8]]) -> LocalChunks {
    let mut search = ChunkSearch::new(index);
    for (number, file) in (0..).zip(files) {
        search.search_file(number, *file, || true).unwrap();
    }
    search.finish()
}

const LIMITS: RangeLimits = RangeLimits { max_gap_bytes: 0, max_requests: usize::MAX };

fn fetched(gz: &[u8], ranges: &MissingRanges) -> Vec<u8> {
    ranges.iter().flat_map(|range| &gz[range.start as usize..range.end as usize]).copied().collect()
}

fn read_from(files: &[&[u8]], location: ChunkLocation, buffer: &mut [u8]) -> io::Result<()> {
    let mut file = Cursor::new(files[location.file as usize]);
    file.set_position(location.offset);
    file.read_exact(buffer)
}

fn rebuilt(
    index: &ChunkIndex,
    known: &LocalChunks,
    ranges: &MissingRanges,
    files: &[&[u8]],
    fetched: &[u8],
) -> Result<Vec<u8>, ChunksError> {
    let mut content = Vec::new();
    let local = |location, buffer: &mut [u8]| read_from(files, location, buffer);
    rebuild(index, known, ranges, local, fetched, |bytes| content.write_all(bytes))?;
    Ok(content)
}

/// Returns `content` with `places` runs of `length` bytes overwritten.
fn damaged(content: &[u8], seed: u64, places: usize, length: usize) -> Vec<u8> {
    let mut random = SplitMix64(seed);
    let mut damaged = content.to_vec();
    for _ in 0..places {
        let start = random.below(content.len() - length);
        damaged[start..start + length].iter_mut().for_each(|byte| *byte ^= 1 + random.below(255) as u8);
    }
    damaged
}

#[test]
fn every_segment_inflates_alone() {
    for (seed, join) in [(1, 1), (2, 1), (3, 2), (5, 6)] {
        let content = if seed % 2 == 0 { noise(seed, 300_000) } else { program(seed, 300_000) };
        let (gz, index) = gzip(&content, join);
        let mut whole = Vec::new();
        flate2::read::GzDecoder::new(&gz[..]).read_to_end(&mut whole).unwrap();
        assert_eq!(whole, content);
        for segment in index.segments() {
            let (start, end) = (segment.content.start as usize, segment.content.end as usize);
            let bytes = &gz[segment.bytes.start as usize..segment.bytes.end as usize];
            let inflated = inflate_segment(&content[..start], bytes, end - start).unwrap();
            assert_eq!(inflated, content[start..end]);
            assert_eq!(segment.bytes.end as usize == gz.len() - 8, end == content.len());
        }
    }
}

#[test]
fn an_index_survives_its_bytes() {
    for content in [program(1, 200_000), noise(2, 1), vec![0; 300_000]] {
        let (gz, index) = gzip(&content, 2);
        let bytes = index.to_bytes();
        assert_eq!(bytes.len(), 5 + 10 * index.chunks().len());
        assert_eq!(ChunkIndex::parse(&bytes, content.len() as u64, gz.len() as u64).unwrap(), index);
    }
}

#[test]
fn a_file_is_rebuilt_from_a_similar_one() {
    for seed in 0..6 {
        let content = program(seed, 800_000);
        let (gz, index) = gzip(&content, 1 + seed as usize % 3);
        let base = damaged(&content, seed, 8, 1000);
        let known = known(&index, &[&base]);
        let ranges = MissingRanges::new(&index, &known, LIMITS);
        assert!(ranges.count() > 1 && ranges.bytes() < gz.len() as u64 / 2, "{}", ranges.bytes());
        let fetched = fetched(&gz, &ranges);
        assert_eq!(rebuilt(&index, &known, &ranges, &[&base], &fetched).unwrap(), content);
    }
}

#[test]
fn one_percent_of_bytes_at_random_places_costs_no_more_than_the_whole() {
    let content = program(7, 300_000);
    let (gz, index) = gzip(&content, 1);
    let base = damaged(&content, 7, content.len() / 100, 1);
    let known = known(&index, &[&base]);
    let ranges = MissingRanges::new(&index, &known, LIMITS);
    assert!(ranges.bytes() <= gz.len() as u64);
    let fetched = fetched(&gz, &ranges);
    assert_eq!(rebuilt(&index, &known, &ranges, &[&base], &fetched).unwrap(), content);
}

#[test]
fn one_bad_byte_costs_one_or_two_chunks() {
    let content = program(8, 500_000);
    let (_, index) = gzip(&content, 1);
    let mut random = SplitMix64(8);
    for _ in 0..30 {
        let mut base = content.clone();
        base[random.below(content.len())] ^= 1;
        let known = known(&index, &[&base]);
        let missing = (0..index.chunks().len()).filter(|chunk| known.location(*chunk).is_none()).count();
        assert!((1..=2).contains(&missing), "{missing}");
    }
}

#[test]
fn an_added_or_removed_byte_changes_few_chunks() {
    let content = program(9, 500_000);
    let (_, index) = gzip(&content, 1);
    let mut random = SplitMix64(9);
    for _ in 0..15 {
        let place = random.below(content.len());
        let mut longer = content.clone();
        longer.insert(place, 0);
        let mut shorter = content.clone();
        shorter.remove(place);
        for base in [longer, shorter] {
            let mut search = ChunkSearch::new(&index);
            search.search_file(0, &base[..], || true).unwrap();
            assert!((1..=4).contains(&search.missing()), "{}", search.missing());
        }
    }
}

#[test]
fn chunks_are_found_across_files_and_as_often_as_they_occur() {
    let part = noise(10, 400_000);
    let content = [&part[..], &noise(11, 100_000), &part].concat();
    let (gz, index) = gzip(&content, 1);
    let files = [&content[..250_000], &content[230_000..520_000]];
    let known = known(&index, &files);
    let ranges = MissingRanges::new(&index, &known, LIMITS);
    assert!(ranges.bytes() < gz.len() as u64 / 5, "{}", ranges.bytes());
    let fetched = fetched(&gz, &ranges);
    assert_eq!(rebuilt(&index, &known, &ranges, &files, &fetched).unwrap(), content);
}

#[test]
fn a_search_ends_when_it_is_stopped_or_has_everything() {
    let content = noise(12, 500_000);
    let (_, index) = gzip(&content, 1);
    let mut search = ChunkSearch::new(&index);
    let mut asked = 0;
    let mut may_continue = || {
        asked += 1;
        asked <= 3
    };
    search.search_file(0, &content[..], &mut may_continue).unwrap();
    assert_eq!(search.missing(), index.chunks().len() - 3);
    search.search_file(1, &content[..], || true).unwrap();
    assert_eq!(search.missing(), 0);
    struct NeverRead;
    impl io::Read for NeverRead {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("nothing is missing")
        }
    }
    search.search_file(2, NeverRead, || true).unwrap();
    assert_eq!(search.finish().location(0), Some(ChunkLocation { file: 0, offset: 0 }));
}

#[test]
fn a_changed_local_chunk_is_reported_with_its_segment() {
    let content = noise(13, 300_000);
    let (_, index) = gzip(&content, 1);
    let known = known(&index, &[&content]);
    let ranges = MissingRanges::new(&index, &known, LIMITS);
    assert_eq!((ranges.count(), ranges.bytes()), (0, 0));
    for base in [damaged(&content, 1, 1, 1), content[..299_999].to_vec()] {
        let place = content.iter().zip(&base).position(|(a, b)| a != b).unwrap_or(base.len()) as u64;
        match rebuilt(&index, &known, &ranges, &[&base], &[]) {
            Err(ChunksError::Gone { bytes, segment }) => {
                assert!(bytes.contains(&place));
                assert!(index.segments().any(|own| own.bytes == segment && own.content == bytes));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn without_local_chunks_the_whole_object_is_fetched_and_checked() {
    let content = program(14, 300_000);
    let (gz, index) = gzip(&content, 2);
    let known = known(&index, &[]);
    let ranges = MissingRanges::new(&index, &known, LIMITS);
    assert_eq!((ranges.count(), ranges.iter().next()), (1, Some(10..gz.len() as u64 - 8)));
    let whole = fetched(&gz, &ranges);
    assert_eq!(rebuilt(&index, &known, &ranges, &[], &whole).unwrap(), content);
    let short = rebuilt(&index, &known, &ranges, &[], &whole[..whole.len() - 1]);
    assert!(matches!(short, Err(ChunksError::Fetched(_))));
    let mut random = SplitMix64(14);
    for _ in 0..60 {
        let mut wrong = whole.clone();
        wrong[random.below(whole.len())] ^= 1 << random.below(8);
        match rebuilt(&index, &known, &ranges, &[], &wrong) {
            Err(ChunksError::Segment { .. }) => {}
            // The padding of a sync flush may hold any bits.
            Ok(same) => assert_eq!(same, content),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_segment_inflates_to_exactly_its_length() {
    let deflate = |content: &[u8]| {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    };
    let content = program(15, 10_000);
    let segment = deflate(&content);
    assert_eq!(inflate_segment(b"", &segment, 10_000).unwrap(), content);
    inflate_segment(b"", &segment, 9_999).unwrap_err();
    inflate_segment(b"", &segment, 10_001).unwrap_err();
    inflate_segment(b"", &segment[..segment.len() - 3], 10_000).unwrap_err();
    inflate_segment(b"", &[&segment[..], b"x"].concat(), 10_000).unwrap_err();
    inflate_segment(b"", &deflate(&vec![0; 5_000_000]), 10_000).unwrap_err();
    inflate_segment(b"", b"", 1).unwrap_err();
    inflate_segment(b"", b"\xff\xff\xff", 1).unwrap_err();
    // A back reference that reaches before the start of the file.
    inflate_segment(b"", &[0x4b, 0x04, 0x41, 0x00], 100).unwrap_err();
}

#[test]
fn small_gaps_are_fetched_and_requests_are_bounded() {
    let content = noise(16, 1_000_000);
    let (gz, index) = gzip(&content, 1);
    let base = damaged(&content, 16, 20, 1);
    let known = known(&index, &[&base]);
    let exact = MissingRanges::new(&index, &known, LIMITS);
    let merged = MissingRanges::new(&index, &known, RangeLimits { max_gap_bytes: 40_000, ..LIMITS });
    assert!(exact.count() > merged.count() && exact.bytes() < merged.bytes());
    let gaps = |ranges: &MissingRanges| -> Vec<u64> {
        let ranges: Vec<_> = ranges.iter().collect();
        ranges.windows(2).map(|pair| pair[1].start - pair[0].end).collect()
    };
    assert!(gaps(&exact).iter().any(|gap| *gap <= 40_000) && gaps(&exact).iter().all(|gap| *gap > 0));
    assert!(gaps(&merged).iter().all(|gap| *gap > 40_000));
    for most in [0, 1, 2, 5, 10] {
        let few = MissingRanges::new(&index, &known, RangeLimits { max_gap_bytes: 0, max_requests: most });
        assert_eq!(few.count(), most.max(1));
        // Only the largest gaps are left.
        let (all, left) = (gaps(&exact), gaps(&few));
        assert!(left.iter().all(|gap| all.iter().filter(|other| *other > gap).count() < most.max(1)));
        let fetched = fetched(&gz, &few);
        assert_eq!(rebuilt(&index, &known, &few, &[&base], &fetched).unwrap(), content);
    }
    assert_eq!(exact.cost(500, 1000), 500 + exact.bytes() + 1000 * (exact.count() as u64 + 1));
    assert_eq!(exact.cost(u64::MAX, u64::MAX), u64::MAX);
}

/// Returns the bytes of an index with these rows: length and segment length.
fn rows(rows: &[(u16, u16)]) -> Vec<u8> {
    let row = |(length, segment): &(u16, u16)| [&length.to_be_bytes()[..], &segment.to_be_bytes(), &[7; 6]].concat();
    [b"\x8fPCI\x01".to_vec(), rows.iter().flat_map(row).collect()].concat()
}

fn rule(bytes: &[u8], size: u64, gz_size: u64) -> &'static str {
    match ChunkIndex::parse(bytes, size, gz_size) {
        Err(ChunksError::Index(rule)) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_index_that_does_not_add_up_is_refused() {
    let good = rows(&[(3000, 0), (4000, 500), (10, 20)]);
    ChunkIndex::parse(&good, 7010, 538).unwrap();
    assert_eq!(rule(&good, 7011, 538), "its chunks do not add up to the size of the file");
    assert_eq!(rule(&good, u64::MAX, 538), "its chunks do not add up to the size of the file");
    assert_eq!(rule(&good, 7010, 537), "its segments do not add up to the size of the object");
    assert_eq!(rule(&good, 7010, 0), "its segments do not add up to the size of the object");
    assert_eq!(rule(&rows(&[(0, 5), (7010, 515)]), 7010, 538), "a chunk is empty or too long");
    assert_eq!(rule(&rows(&[(32_769, 520)]), 32_769, 538), "a chunk is empty or too long");
    assert_eq!(rule(&rows(&[(3000, 520), (4010, 0)]), 7010, 538), "its last row does not end a segment");
    assert_eq!(rule(&rows(&[]), 0, 18), "its last row does not end a segment");
    let long = [vec![(32_768, 0); 8], vec![(1, 520)]].concat();
    assert_eq!(rule(&rows(&long), 8 * 32_768 + 1, 538), "a segment is too long");
    for length in 0..good.len() {
        ChunkIndex::parse(&good[..length], 7010, 538).unwrap_err();
    }
    assert_eq!(rule(&good[..good.len() - 1], 7010, 538), "it is cut off");
    assert_eq!(rule(b"\x8fPDL\x01", 0, 18), "it does not start with the magic number");
    let future = [b"\x8fPCI\x02", &good[5..]].concat();
    assert!(matches!(ChunkIndex::parse(&future, 7010, 538), Err(ChunksError::UnknownFormat(2))));
}

#[test]
fn sizes_beyond_the_format_are_refused() {
    let mut builder = ChunkIndexBuilder::default();
    builder.chunk(&[0; 100]);
    builder.end_segment(10 + 65_536);
    builder.chunk(&[0; 100]);
    builder.finish(200, 10 + 65_536 + 50 + 8).unwrap_err();
    ChunkIndexBuilder::default().finish(0, 18).unwrap_err();
}

#[test]
fn a_huge_index_is_refused() {
    let most = rows(&vec![(1, 1); MAX_CHUNKS]);
    assert_eq!(most.len() as u64, MAX_INDEX_BYTES);
    ChunkIndex::parse(&most, MAX_CHUNKS as u64, MAX_CHUNKS as u64 + 18).unwrap();
    let more = rows(&vec![(1, 1); MAX_CHUNKS + 1]);
    assert_eq!(rule(&more, MAX_CHUNKS as u64 + 1, MAX_CHUNKS as u64 + 19), "it has too many chunks");
}
