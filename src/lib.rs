//! A software updater to link into a program.
//!
//! The publisher signs a build folder with `manifest-tool` and copies the result to any web server.
//! The program checks for a newer release, downloads only what changed, verifies it and stages it.
//! When the program ends, a small helper swaps the files, all or none, and starts it again.
//!
//! # Quick start
//!
//! 1. **Dependency.** Add the crate. Put the program `patcher-helper` beside yours.
//! 2. **Key.** `manifest-tool keygen release` makes the key pair. Compile in the public half.
//! 3. **Init.** [`init`] finishes what an earlier run left to do. Call it first in `main`.
//! 4. **Watch.** A [`Watcher`] checks and downloads in a thread, so that the program does not wait.
//! 5. **Confirm.** [`confirm`] ends the probation of the new version. Call it after real work.
//!    Without it, the helper rolls back.
//!
//! ```no_run
//! use patcher::{Config, WatchEvent, WatchMode, WatchOptions, Watcher};
//! use std::time::Duration;
//!
//! const KEY: &str = "-----BEGIN PUBLIC KEY-----\n…"; // from `manifest-tool keygen release`
//!
//! fn main() {
//!     // First in `main`: finishes what an earlier run began. An error never ends the program.
//!     let started = patcher::init(Config::for_current_exe("app").trusted_key(KEY));
//!     let _watcher = started.and_then(|_| watch()).inspect_err(|error| eprintln!("no updates: {error}"));
//!     println!("hello, world; press Enter to end"); // the program's own work
//!     let _ = patcher::confirm(); // this version works; without this call the old one comes back
//!     let _ = std::io::stdin().read_line(&mut String::new());
//! }
//!
//! /// Checks in a thread every four hours. The end of the program installs the new version.
//! fn watch() -> patcher::Result<Option<Watcher>> {
//!     let options = WatchOptions::default().first_within(Duration::from_secs(1)).mode(WatchMode::ApplyOnExit);
//!     Watcher::start_if_needed(patcher::handle()?, options, |event| {
//!         if let WatchEvent::Failed { error, .. } = event {
//!             eprintln!("no update this time: {error}");
//!         }
//!     })
//! }
//! ```
//!
//! A program that decides itself when to check uses [`check_component`], [`Update::download`] and
//! [`Staged::restart`] in a thread. Everything else is on the handle [`Patcher`].
//!
//! # Guides
//!
//! The repository has a guide for each reader: `docs/guide/app-developer.md`,
//! `docs/guide/publisher.md` and `docs/guide/administrator.md`. `docs/reference/` describes the
//! formats, the command line and the errors.
//!
//! # Features
//!
//! - `client` (default): checks and downloads. Without it, the crate is the core that the helper is
//!   built on, without HTTP and TLS.
//! - `http2` (default): HTTP/2, which fetches many small files faster.
//! - `socks` (default): proxies that speak SOCKS.
//! - `system-proxy` (default): the proxy of the system's settings.
//! - `json`: results, errors and events as JSON, as the command line prints them.
//! - `terminal`: the progress line of this repository's programs.
//! - `cli`: the command line program `patcher`.

mod disk;
mod error;
mod formats;
mod helper;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "client")]
mod patcher;
#[cfg(feature = "client")]
mod policy;
#[cfg(feature = "client")]
mod program;
#[cfg(feature = "terminal")]
mod progress_line;
mod state;
mod swap;
#[cfg(feature = "client")]
mod transfer;
#[cfg(feature = "client")]
mod trust;
mod values;

// The public interface is:
#[cfg(feature = "client")]
pub use patcher::watch::{WatchEvent, WatchMode, WatchOptions, Watcher};
#[cfg(feature = "client")]
pub use patcher::{
    Check, ComponentVersion, Config, Damage, DamageKind, DeferralReason, Deferred, Finding, FindingSubject,
    InstalledComponent, InstalledRelease, Offer, Patcher, Previous, Staged, Started, Status, SwapStatus, Update,
    UpdateStatus, UpdatesOff, Verdict,
};
#[cfg(feature = "client")]
pub use policy::{Policy, PolicyRule};
#[cfg(feature = "client")]
pub use program::{check_all, check_component, check_if_due, confirm, handle, init};
#[cfg(feature = "client")]
pub use state::{PastUpdate, UpdateState, UpdateType};
#[cfg(feature = "client")]
pub use transfer::fetch::{CancelToken, Credentials, CredentialsReason};
#[cfg(feature = "client")]
pub use transfer::stage::{Phase, Progress};

#[cfg(feature = "json")]
pub use json::ToJson;

pub use error::{Caller, Error, Machine, Network, Refused, Result};
pub use state::RollbackReason;
pub use swap::{Applied, ComponentChange, Recovery, SavedFile};

pub use formats::manifest::{Language, Notes};
pub use semver::Version;
#[cfg(feature = "json")]
pub use serde_json::Value;
#[cfg(feature = "client")]
pub use trust::TrustWarning;
pub use url::Url;
pub use values::digest::Sha256;
pub use values::names::{Channel, Component};
pub use values::rel_path::RelPath;
pub use values::timestamp::Timestamp;

#[doc(hidden)]
pub mod internal {
    //! Not part of the public interface.
    //!
    //! It is for the programs, tests and fuzz targets of this repository, which change with it.

    pub use crate::disk::{fs, inventory, layout};
    #[cfg(feature = "client")]
    pub use crate::formats::{chunks, deflate, delta, gunzip, head, install_blocks, tables};
    pub use crate::formats::{manifest, xml};
    pub use crate::state::journal;
    pub use crate::swap::relaunch;
    #[cfg(feature = "client")]
    pub use crate::transfer::{fetch, plan, stage};
    #[cfg(feature = "client")]
    pub use crate::trust::keys;
    #[cfg(feature = "client")]
    pub use crate::values::plain_text;
    pub use crate::values::{digest, rel_path, timestamp};

    pub mod helper {
        pub use crate::helper::main;
    }
    #[cfg(feature = "terminal")]
    pub mod progress_line {
        pub use crate::progress_line::*;
    }
    pub mod error {
        pub use crate::error::*;
    }
    pub mod state {
        pub use crate::state::*;
    }
    pub mod swap {
        pub use crate::swap::*;
    }
    #[cfg(feature = "client")]
    pub mod trust {
        pub use crate::trust::*;
    }
}
