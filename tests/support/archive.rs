//! Archive: a zip whose members are deflated like zlib does.

use patcher::internal::deflate::{DeflateEncoder, DeflateKind, DeflateParameters, DeflateStrategy};
use patcher::internal::digest::Sha256;

/// Returns a zip with these members. It has no directory, which no delta needs.
pub fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let parameters = DeflateParameters::new(DeflateKind::Zlib, 6, 8, DeflateStrategy::Default).unwrap();
    let (mut encoder, mut file) = (DeflateEncoder::new(parameters), Vec::new());
    for (name, content) in members {
        file.extend_from_slice(b"PK\x03\x04\x14\0\0\0\x08\0");
        // The checksum and the sizes.
        file.extend_from_slice(&Sha256::of(content).as_bytes()[..16]);
        file.extend((name.len() as u16).to_le_bytes());
        file.extend([0; 2]);
        file.extend_from_slice(name.as_bytes());
        encoder.write(content, &mut file);
        encoder.finish(&mut file);
    }
    file
}

/// Returns `count` lines that start with a word, and of which deflate makes about half.
pub fn lines(word: &str, count: u32) -> Vec<u8> {
    let line = |number: u32| format!("{word} {:x}\n", number.wrapping_mul(2_654_435_761));
    (0..count).flat_map(|number| line(number).into_bytes()).collect()
}
