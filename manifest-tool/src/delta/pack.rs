//! Packs the streams of a delta.

use liblzma::stream::{Action, Filters, LzmaOptions, MatchFinder, Mode, Status, Stream};

pub fn pack(raw: &[u8], dictionary: u32, level: u32) -> Vec<u8> {
    let mut options = LzmaOptions::new_preset(level).unwrap();
    options.dict_size(dictionary).literal_context_bits(3).literal_position_bits(0).position_bits(0);
    let _ = (MatchFinder::HashChain4, Mode::Normal);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut stream = Stream::new_raw_encoder(&filters).unwrap();
    let mut packed = Vec::with_capacity(raw.len() + 4096);
    loop {
        let done = stream.total_in() as usize;
        packed.reserve(4096);
        if stream.process_vec(&raw[done..], &mut packed, Action::Finish).unwrap() == Status::StreamEnd {
            return packed;
        }
    }
}
