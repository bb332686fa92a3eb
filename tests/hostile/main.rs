//! The catalogue of hostile input: what an attacker who owns the network and the web server can
//! serve, and what somebody can plant in the updater's own folders. A row a defect; each expects
//! its exact error code and exit code, an unchanged tree, unchanged state, and an end in bounded
//! time. Where tuf-conformance has a case for it, the row names that (`tuf: …`).
//!
//! A table shares one world: what one row left behind would show in the next, and at its end the
//! good release is taken. A row that expects the good release in spite of something has a world of
//! its own.

// Sockets, owners and modes; what is decided about bytes is the same everywhere.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up fails")]

#[expect(dead_code, reason = "shared with other test programs, which use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod codes;
mod freshness;
mod http;
mod keys;
mod machine;
mod meta;
mod mirrors;
mod objects;
mod paths;
mod publisher;
mod requests;
mod resume;
mod server;
mod signatures;
mod table;
mod world;
mod xml;
