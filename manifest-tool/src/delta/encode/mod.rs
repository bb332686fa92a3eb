//! Makes deltas of format 1: what [`patcher::internal::delta`] applies.
//!
//! - [`encode`] finds the [`matching`], writes the streams that say it ([`streams`]), and packs them ([`pack`]).
//! - Two programs are also matched as such ([`program`]); the smaller delta is kept.
//! - The new bytes of small files are also packed with the old file as their [`dictionary`].
//! - The same two files give the same bytes, whatever the number of cores. How much memory it may take can change them: a file
//!   too large for it is matched piece by piece ([`window`]).
//! - Whether a delta pays is for the caller to say.

pub mod dictionary;
pub mod draft;
pub mod encoder;
pub mod match_index;
pub mod matching;
pub mod pack;
pub mod program;
pub mod streams;
pub mod window;

#[cfg(test)]
mod tests;

pub use encoder::{Encoded, encode, memory};
