//! A software updater to link into a program.
//!
//! A publisher signs a build folder with `manifest-tool sign` and copies the result to any web server. The program checks,
//! downloads only what changed, verifies it, and stages it; when it exits, a small helper swaps the files, all or none, and
//! starts it again.
//!
//! ```no_run
//! # fn run_the_app() -> Result<(), patcher::Error> { Ok(()) }
//! const KEY: &str = "-----BEGIN PUBLIC KEY-----\n…"; // include_str!("../keys/release.pub.pem")
//!
//! fn main() -> Result<(), patcher::Error> {
//!     patcher::init(patcher::Config::new("/opt/app").trusted_key(KEY))?; // finishes what an earlier run began
//!     if let Some(update) = patcher::check_component("core")? {
//!         println!("{} is available, {} bytes", update.to(), update.download_size());
//!         let staged = update.download(|progress| println!("{} bytes", progress.bytes_done))?;
//!         staged.restart()?; // the helper takes over
//!     }
//!     patcher::confirm()?; // this version runs well: its probation ends
//!     run_the_app()
//! }
//! ```
//!
//! Without the feature `client` the crate is the core that the helper program is built on: no HTTP, no TLS.

#[cfg(feature = "client")]
pub mod chunks;
#[cfg(feature = "client")]
pub mod delta;
pub mod digest;
pub mod error;
#[cfg(feature = "client")]
pub mod fetch;
pub mod fs;
#[cfg(feature = "client")]
pub mod gunzip;
pub mod inventory;
pub mod journal;
pub mod keys;
pub mod layout;
pub mod manifest;
#[cfg(feature = "client")]
mod patcher;
#[cfg(feature = "client")]
pub mod plan;
pub mod rel_path;
pub mod relaunch;
#[cfg(feature = "client")]
pub mod stage;
pub mod state;
pub mod swap;
pub mod timestamp;
pub mod trust;
#[cfg(feature = "client")]
pub mod watch;
pub mod xml;

pub use error::{Error, Result};
#[cfg(feature = "client")]
pub use fetch::CancelToken;
#[cfg(feature = "client")]
pub use patcher::{
    Check, Config, Damage, DamageKind, Held, Installed, Patcher, Previous, Staged, Started, Update, Why,
};
#[cfg(feature = "client")]
pub use stage::{Phase, Progress};
pub use state::Reason;
pub use swap::{Applied, Recovery};
#[cfg(feature = "client")]
pub use watch::{WatchOptions, Watcher};

#[cfg(feature = "client")]
mod global {
    use crate::error::{Caller, Result};
    use crate::{Config, Patcher, Started, Update};
    use std::sync::OnceLock;

    static PATCHER: OnceLock<Patcher> = OnceLock::new();

    /// Sets the program's one [`Patcher`] up and starts it: what was left to do for an update is done first. To be called
    /// first in `main`.
    ///
    /// # Errors
    /// As [`Patcher::new`] and [`Patcher::start`]; [`Caller::Init`] for a second call.
    pub fn init(config: Config) -> Result<Started> {
        let patcher = Patcher::new(config)?;
        let started = patcher.start()?;
        PATCHER.set(patcher).map_err(|_| Caller::Init("`init` was called twice"))?;
        Ok(started)
    }

    /// Tells that this version of the program works: its probation ends.
    ///
    /// # Errors
    /// As [`Patcher::confirm`]; [`Caller::Init`] before [`init`].
    pub fn confirm() -> Result<bool> {
        handle()?.confirm()
    }

    /// Looks for a newer release of a component with the program's [`Patcher`]; none when it is up to date.
    ///
    /// # Errors
    /// As [`Patcher::check_component`]; [`Caller::Init`] before [`init`].
    pub fn check_component(component: &str) -> Result<Option<Update>> {
        handle()?.check_component(component)
    }

    /// The program's [`Patcher`].
    ///
    /// # Errors
    /// [`Caller::Init`] before [`init`].
    pub fn handle() -> Result<&'static Patcher> {
        Ok(PATCHER.get().ok_or(Caller::Init("`init` was not called yet"))?)
    }
}

#[cfg(feature = "client")]
pub use global::{check_component, confirm, handle, init};
