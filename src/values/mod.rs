//! Values that cannot be wrong: a hash, a time, a path inside a component.

pub mod digest;
pub mod rel_path;
pub mod timestamp;
