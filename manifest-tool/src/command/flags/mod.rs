//! Groups of flags, some of them shared by several commands, and the plain values they stand for.

pub mod platforms;
pub mod release;
pub mod signing;
pub mod stones;
