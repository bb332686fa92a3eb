//! The catalogue of hostile input: everything that an attacker can serve who controls the network
//! and the web server, or plant in the updater's folders. Each row is one defect. It expects an
//! exact error code and exit code, an unchanged tree, unchanged state, and an end in bounded time.
//! A row names the case of tuf-conformance that it corresponds to (`tuf: …`).
//!
//! The rows of a table share one world, so leftovers of a row show in the next one. At the end of a
//! table the client takes the good release. A row that expects the good release in spite of its
//! defect has its own world.

// Sockets, owners and modes need Unix; decisions about bytes are the same on every system.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up fails")]

#[expect(dead_code, reason = "shared with other test programs, which use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod codes;
mod components;
mod expiry;
mod floors;
mod freshness;
mod http;
mod journal;
mod keys;
mod links;
mod meta;
mod mirrors;
mod objects;
mod paths;
mod private;
mod publisher;
mod requests;
mod resume;
mod signatures;
mod staged;
mod state_folder;
mod table;
mod world;
mod xml;
