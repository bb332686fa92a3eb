//! Program-aware deltas: predicts how the addresses in a program change when its code moves.

pub mod aarch64;
pub mod bytes;
pub mod detect;
pub mod field;
pub mod image;
pub mod map;
pub mod project;
pub mod x86;
