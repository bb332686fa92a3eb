//! The program's commands, one file each: the arguments, and what is done with them.

pub mod body;
pub mod init;
pub mod inspect;
pub mod keygen;
pub mod sign;
pub mod verify;
