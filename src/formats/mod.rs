//! The byte formats: pure readers and writers, without disk, network or clock.

#[cfg(feature = "client")]
pub mod chunks;
#[cfg(feature = "client")]
pub mod delta;
#[cfg(feature = "client")]
pub mod gunzip;
pub mod manifest;
pub mod xml;
