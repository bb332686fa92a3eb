//! The disk: the paths of files (`layout`), their contents (`inventory`), and all changes (`fs`).

pub mod fs;
pub mod inventory;
pub mod layout;
