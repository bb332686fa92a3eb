//! The publisher's side of patcher: makes a signed release out of a build folder, and checks what a
//! site serves.
//!
//! A release goes through here as [`Settings`](build::settings::Settings) (what it is), a
//! [`Tree`](build::tree::Tree) (what lies in the build folder), [`release::pack`] (its contents as
//! objects on the site) and [`release`], which has the manifest signed by [`signing`] and replaces
//! the latest one, last of all. [`release::reissue`] does that with a release that is there
//! already. Nothing is signed that the client's own reader does not take. [`verify`] looks at the
//! result from the other side.

#![forbid(unsafe_code)]

pub mod build;
pub mod bundle;
pub mod command;
pub mod delta;
pub mod error;
pub mod hashing_sink;
pub mod install_contents;
pub mod prune;
pub mod publish;
pub mod release;
pub mod serve;
pub mod setting;
pub mod signing;
pub mod site;
pub mod verify;

pub use error::{Error, Result};
