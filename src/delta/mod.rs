//! Makes a new file out of an old one and a delta.

pub mod program;
