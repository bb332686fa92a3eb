//! Generated inputs: noise, runs, text and repeats at all distances.

/// A generator of pseudorandom inputs (xorshift64).
pub struct Generator(u64);

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9E37_79B9_7F4A_7C15)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// Returns an input of less than `limit` bytes.
    pub fn input(&mut self, limit: usize) -> Vec<u8> {
        let length = self.below(limit);
        let mut bytes: Vec<u8> = Vec::new();
        while bytes.len() < length {
            match self.below(6) {
                0 => (0..self.below(200)).for_each(|_| bytes.push(self.below(256) as u8)),
                1 => bytes.resize(bytes.len() + self.below(600), self.below(256) as u8),
                2 => {
                    let letters = 1 + self.below(8);
                    (0..self.below(400)).for_each(|_| bytes.push(b'a' + self.below(letters) as u8));
                }
                3 => {
                    let words = ["the ", "and", "0123", "\0\0\0", "xyzzy"];
                    (0..self.below(100)).for_each(|_| bytes.extend_from_slice(words[self.below(5)].as_bytes()));
                }
                _ if bytes.is_empty() => {}
                _ => {
                    let start = bytes.len() - 1 - self.below(bytes.len().min(40_000));
                    (start..start + self.below(600)).for_each(|at| bytes.push(bytes[at]));
                }
            }
        }
        bytes.truncate(length);
        bytes
    }
}
