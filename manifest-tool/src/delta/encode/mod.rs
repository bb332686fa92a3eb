//! Makes deltas of format 1: what [`patcher::internal::delta`] applies.
//!
//! - [`encode`] finds the [`block_matching`], writes the streams that say it ([`stream_writer`]), and packs them ([`stream_packing`]).
//! - Two programs are also matched as such ([`program`]); the smaller delta is kept.
//! - The new bytes of small files are also packed with the old file as their [`dictionary_delta`].
//! - The same two files give the same bytes, whatever the number of cores. How much memory it may take can change them: a file
//!   too large for it is matched piece by piece ([`file_windows`]).
//! - Whether a delta pays is for the caller to say.

pub mod block_matching;
pub mod dictionary_delta;
pub mod draft;
pub mod encoder;
pub mod file_windows;
pub mod match_index;
pub mod program;
pub mod stream_packing;
pub mod stream_writer;

#[cfg(test)]
mod tests;

pub use encoder::{EncodedDelta, encode, memory_needed};
