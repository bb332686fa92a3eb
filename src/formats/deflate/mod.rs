//! Deflate encoder: makes the same bytes as the C library zlib, so that archives can be rebuilt.
//!
//! A delta of an archive describes its *inflated* members. The client deflates them again, and the
//! result must equal the publisher's archive bit by bit. RFC 1951 leaves the encoder many choices.
//! This one makes the choices of zlib 1.2 and 1.3, which most producers of archives use.
//!
//! The work of an encoder, in the order of the files:
//!
//! 1. [`parameters`]: the choices of the program that called zlib.
//! 2. `window`: the last 32 KiB of the input and up to 32 KiB after them, with *hash chains*. A
//!    chain links the positions at which the same three bytes begin.
//! 3. `match_search`: follows a chain and returns the longest *match*, an earlier equal string.
//! 4. `parser`: turns the input into *symbols*, which are literal bytes and matches. The levels
//!    1 to 3 take each match at once. The levels 4 to 9 are *lazy*: they look for a longer match at
//!    the next position first.
//! 5. `block`: collects symbols until its buffer is full. It then writes them with the cheapest of
//!    three codes: stored bytes, the fixed code, or a dynamic code.
//! 6. `huffman` and `code_lengths`: the dynamic code and how it is described at the start of a
//!    block.
//!
//! Three facts make the output independent of how the input is cut into pieces:
//!
//! - Input is collected until the window is full, or until the end. So the parser always sees what
//!   it would see if zlib got the whole input in one call.
//! - A hash depends only on the bytes at its position.
//! - Bytes after the end of the input are never compared.
//!
//! The output is part of delta format 1: `tests` compares it with golden hashes. An encoder with
//! other output is another [`DeflateKind`]. `tests/deflate` compares it with the C library.
//!
//! # Notice
//!
//! The algorithm follows zlib step by step. It is an altered version of the original in another
//! language, under the Zlib license:
//!
//! > Copyright (C) 1995-2024 Jean-loup Gailly and Mark Adler
//! >
//! > This software is provided 'as-is', without any express or implied warranty. In no event will
//! > the authors be held liable for any damages arising from the use of this software.
//! >
//! > Permission is granted to anyone to use this software for any purpose, including commercial
//! > applications, and to alter it and redistribute it freely, subject to the following
//! > restrictions:
//! >
//! > 1. The origin of this software must not be misrepresented; you must not claim that you wrote
//! >    the original software. If you use this software in a product, an acknowledgment in the
//! >    product documentation would be appreciated but is not required.
//! > 2. Altered source versions must be plainly marked as such, and must not be misrepresented as
//! >    being the original software.
//! > 3. This notice may not be removed or altered from any source distribution.

mod bit_writer;
mod block;
mod code_lengths;
mod huffman;
mod match_search;
pub mod parameters;
mod parser;
mod symbols;
mod window;

#[cfg(test)]
mod tests;

pub use parameters::{DeflateKind, DeflateParameters, DeflateStrategy};

use bit_writer::BitWriter;
use block::DeflateBlock;
use parser::Parser;
use window::Window;

/// Encodes raw deflate streams (RFC 1951) one after the other, in about 0.4 MiB of memory.
pub struct DeflateEncoder {
    parameters: DeflateParameters,
    window: Window,
    parser: Parser,
    block: DeflateBlock,
    bits: BitWriter,
}

impl DeflateEncoder {
    /// Starts the first stream.
    pub fn new(parameters: DeflateParameters) -> Self {
        Self {
            parameters,
            window: Window::new(&parameters),
            parser: Parser::new(&parameters),
            block: DeflateBlock::new(&parameters),
            bits: BitWriter::default(),
        }
    }

    /// Encodes more of the input and appends the finished bytes of the stream to `out`.
    pub fn write(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        loop {
            let taken = self.window.fill(input);
            input = &input[taken..];
            if input.is_empty() {
                return;
            }
            self.parser.parse(&mut self.window, &mut self.block, &mut self.bits, false);
            self.bits.take_bytes(out);
            self.window.slide();
        }
    }

    /// Returns the parameters of all its streams.
    pub fn parameters(&self) -> DeflateParameters {
        self.parameters
    }

    /// Encodes the rest of the input, appends the end of the stream to `out`, and starts the next
    /// stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.parser.parse(&mut self.window, &mut self.block, &mut self.bits, true);
        self.parser.finish(&self.window, &mut self.block, &mut self.bits);
        self.bits.align();
        self.bits.take_bytes(out);
        self.window.clear();
        self.block.clear();
    }
}
