//! The publisher's side of patcher: makes a signed release out of a build folder, and checks what a site serves.
//!
//! A release goes through here as [`Settings`](settings::Settings) (what it is), a [`Tree`](tree::Tree) (what lies in the
//! build folder), [`pack`] (its contents as objects on the site) and [`release`], which has the manifest signed by
//! [`signing`] and replaces the latest one, last of all. [`reissue`] does that with a release that is there already. Nothing is signed that the client's own reader does not take.
//! [`verify`] looks at the result from the other side.

#![forbid(unsafe_code)]

pub mod command;
pub mod delta;
pub mod deltas;
pub mod difference;
pub mod error;
pub mod globs;
pub mod gzip;
pub mod hashing_sink;
pub mod links;
pub mod manifest_file;
pub mod notes;
pub mod pack;
pub mod passphrase;
pub mod private_key;
pub mod prune;
pub mod public_key;
pub mod publish;
pub mod reissue;
pub mod release;
pub mod settings;
pub mod signing;
pub mod site;
pub mod stepping_stones;
pub mod tree;
pub mod verify;

pub use error::{Error, Result};
