//! The disk: where things are (`layout`), what is there (`inventory`), and all changes to it
//! (`fs`).

pub mod fs;
pub mod inventory;
pub mod layout;
