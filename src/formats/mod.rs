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
#[cfg(feature = "client")]
pub mod install_blocks;
pub mod manifest;
#[cfg(feature = "client")]
pub mod tables;
pub mod xml;
