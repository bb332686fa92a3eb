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

mod disk;
mod error;
mod formats;
#[cfg(feature = "client")]
mod patcher;
mod state;
mod swap;
#[cfg(feature = "client")]
mod transfer;
mod trust;
mod values;

// The public interface is:
pub use error::{Error, Result};
pub use formats::manifest::Component;
#[cfg(feature = "client")]
pub use patcher::watch::{WatchEvent, WatchMode, WatchOptions, Watcher};
#[cfg(feature = "client")]
pub use patcher::{
    Check, ComponentVersion, Config, Damage, DamageKind, DeferralReason, Deferred, Installed, Patcher, Previous,
    Staged, Started, Update,
};
pub use semver::Version;
pub use state::RollbackReason;
pub use swap::{Applied, ComponentChange, Recovery};
#[cfg(feature = "client")]
pub use transfer::fetch::CancelToken;
#[cfg(feature = "client")]
pub use transfer::stage::{Phase, Progress};

#[doc(hidden)]
pub mod internal {
    //! Not part of the public interface: for the programs and tests of this repository, which change with it.

    pub use crate::disk::{fs, inventory, layout};
    #[cfg(feature = "client")]
    pub use crate::formats::{chunks, delta, gunzip};
    pub use crate::formats::{manifest, xml};
    #[cfg(feature = "client")]
    pub use crate::patcher::watch;
    pub use crate::state::journal;
    pub use crate::swap::relaunch;
    #[cfg(feature = "client")]
    pub use crate::transfer::{fetch, plan, stage};
    pub use crate::trust::keys;
    pub use crate::values::{digest, rel_path, timestamp};

    pub mod error {
        pub use crate::error::*;
    }
    pub mod state {
        pub use crate::state::*;
    }
    pub mod swap {
        pub use crate::swap::*;
    }
    pub mod trust {
        pub use crate::trust::*;
    }
}

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
    pub fn check_component(component: impl AsRef<str>) -> Result<Option<Update>> {
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
