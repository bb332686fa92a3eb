//! The publisher's side of patcher: makes signed releases out of build folders.
//!
//! # The way of a release
//!
//! ```text
//!   build folder                                                                     web server
//!
//!   component.toml ─┐
//!   bin/app         ├─build─► tree ─release─► objects, manifest ─signing─► site ─publish─► copy
//!   lib/…          ─┘           ▲                                           │               │
//!                               └── delta ◄── contents of past releases ◄───┘            verify
//! ```
//!
//! 1. [`build`] reads the build folder: its settings and the tree of its files and links.
//! 2. [`release`] hashes and compresses the files, and assembles the manifest. [`delta`] decides
//!    which deltas from past releases are worth their bytes, and makes them.
//! 3. [`signing`] signs the manifest, and reads the result with the client's own reader. A manifest
//!    that clients would refuse is never signed.
//! 4. [`site`] holds the result: plain files. The latest manifest is replaced last.
//! 5. [`publish`] copies the site to the folder or store that clients read. [`verify`] replays
//!    clients against every object there.
//!
//! # Order of the rooms
//!
//! A room uses only rooms above it; `tests/layers.rs` checks this.
//!
//! | room | noun |
//! |---|---|
//! | [`error`], [`setting`] | failures and their codes; settings as text |
//! | [`hashing_sink`], [`install_contents`] | the hash of what a client would write; contents of an install object |
//! | [`delta::encode`] | one delta between two files |
//! | [`site`] | the folder of plain files |
//! | [`signing`] | keys, and a manifest that clients accept |
//! | [`build`] | the build folder |
//! | [`delta::plan`] | which deltas a release gets |
//! | [`release`] | a release: signed, reissued, stamped, compared |
//! | [`prune`], [`publish`], [`verify`] | a site: made smaller, copied, checked |
//! | [`serve`], [`bundle`] | a site served for tests; an archive for first installations |
//! | [`command`] | the commands of the program, one file each |

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
