//! Groups of flags that commands share, and their conversion to checked values.

pub mod platforms;
pub mod release;
pub mod signing;
pub mod stones;
