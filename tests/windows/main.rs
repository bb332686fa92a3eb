//! Windows: real programs in real folders, swapped by the real helper while they run.
//!
//! Needs `cargo build --workspace --features cli` for the same target before: under wine there is
//! no cargo to do it.

#![cfg(windows)]
#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up fails")]

mod access;
#[path = "../support/deadline.rs"]
mod deadline;
mod in_use;
mod integration;
mod manifests;
mod names;
mod probation;
mod program;
mod published;
mod relaunch;
mod world;
