//! Hashing sink: a writer that only hashes the bytes, such as a file that a client would write.

use patcher::internal::digest::Sha256Hasher;
use std::io::{self, Write};

/// A writer that keeps nothing but the hash of all bytes.
#[derive(Default)]
pub struct HashingSink(pub Sha256Hasher);

impl Write for HashingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
