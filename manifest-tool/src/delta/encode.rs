//! Writes a patch.

use super::pack::pack;
use patcher::delta::{Block, Content, DeltaError, Header, Mode, PackedStream, Prediction, STEP, StreamKind, varint};
use patcher::digest::Sha256;
use rayon::prelude::*;

/// The streams of a patch that are the same in all modes, before they are packed, in their order.
pub fn streams(
    old: &[u8],
    new: &[u8],
    blocks: &[Block],
    prediction: &mut impl Prediction,
) -> Result<[Vec<u8>; StreamKind::ALL.len()], DeltaError> {
    let [mut extra_length, mut block_length, mut seek, mut difference, mut extra] = <[Vec<u8>; 5]>::default();
    let (mut old_end, mut new_end) = (0u64, 0u64);
    for block in blocks {
        let gap = block.new - new_end;
        varint::write(gap, &mut extra_length);
        varint::write(block.length, &mut block_length);
        varint::write(varint::zigzag(block.old as i64 - (old_end + gap) as i64), &mut seek);
        extra.extend_from_slice(&new[new_end as usize..block.new as usize]);
        let (o, n, l) = (block.old as usize, block.new as usize, block.length as usize);
        let mut expected = old[o..o + l].to_vec();
        for (number, step) in expected.chunks_mut(STEP).enumerate() {
            prediction.predict(block, (number * STEP) as u64, step)?;
        }
        difference.extend(new[n..n + l].iter().zip(&expected).map(|(new, old)| new.wrapping_sub(*old)));
        old_end = block.old + block.length;
        new_end = block.new + block.length;
    }
    extra.extend_from_slice(&new[new_end as usize..]);
    Ok([extra_length, block_length, seek, difference, extra, Vec::new(), Vec::new()])
}

/// A patch with these streams.
pub fn patch(old: &[u8], new: &[u8], mode: Mode, raw: &[Vec<u8>; StreamKind::ALL.len()]) -> Vec<u8> {
    let packed: Vec<Vec<u8>> = raw
        .par_iter()
        .zip(StreamKind::ALL)
        .map(|(raw, kind)| {
            let packed = pack(raw, kind.dictionary().min(raw.len().max(4096) as u32), 9 | 1 << 31);
            if packed.len() < raw.len() { packed } else { raw.clone() }
        })
        .collect();
    let content = |bytes: &[u8]| Content { size: bytes.len() as u64, sha256: Sha256::of(bytes) };
    let mut lengths = [PackedStream::default(); StreamKind::ALL.len()];
    for (length, (raw, packed)) in lengths.iter_mut().zip(raw.iter().zip(&packed)) {
        *length = PackedStream { raw: raw.len() as u64, packed: packed.len() as u64 };
    }
    let header = Header { mode, old: content(old), new: content(new), streams: lengths };
    let mut patch = header.to_bytes();
    packed.iter().for_each(|packed| patch.extend_from_slice(packed));
    patch
}
