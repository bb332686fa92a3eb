//! The byte formats: pure readers and writers, without disk, network or clock.

#[cfg(feature = "client")]
pub mod chunks;
#[cfg(feature = "client")]
pub mod deflate;
#[cfg(feature = "client")]
pub mod delta;
#[cfg(feature = "client")]
pub mod gunzip;
#[cfg(feature = "client")]
pub mod head;
pub mod manifest;
#[cfg(feature = "client")]
pub mod update_table;
pub mod xml;
