//! placeholder
pub mod digest;
pub mod error;
pub mod fs;
pub mod inventory;
pub mod journal;
pub mod keys;
pub mod layout;
pub mod manifest;
pub mod rel_path;
pub mod state;
pub mod timestamp;
pub mod trust;
pub mod xml;
pub use error::*;
