//! Bit writer: packs codes into bytes, the lowest bit first.

/// The finished bytes and the bits of the unfinished one.
#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    bits: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the lowest `count` bits of `value`, at most 32. The other bits must be 0.
    pub fn write(&mut self, value: u32, count: u32) {
        self.bits |= u64::from(value) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.bytes.extend_from_slice(&(self.bits as u32).to_le_bytes());
            self.bits >>= 32;
            self.count -= 32;
        }
    }

    /// Fills the unfinished byte with bits 0.
    pub fn align(&mut self) {
        while self.count > 0 {
            self.bytes.push(self.bits as u8);
            self.bits >>= 8;
            self.count = self.count.saturating_sub(8);
        }
    }

    /// Appends whole bytes after [`Self::align`].
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Moves the finished bytes to the end of `out`.
    pub fn take_bytes(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes);
    }
}
