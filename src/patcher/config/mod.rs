//! The configuration of a handle: the install root, the trusted keys, the program, and how releases
//! are fetched.
//!
//! `network` has the settings of requests. `resolved` checks all values.

mod network;
mod resolved;

pub(super) use resolved::bad;

use super::running_program::RunningProgram;
use crate::swap::relaunch::{HelperProgram, PROBATION};
use crate::transfer::fetch::{CancelToken, HttpSettings, ProxyAddress};
use crate::values::rel_path::MANIFEST_NAME;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The configuration of a [`Patcher`](crate::Patcher).
///
/// [`Patcher::new`](crate::Patcher::new) checks all values, so that building a configuration needs
/// no error handling. A value out of its range, or text that is not a name, makes it fail with
/// [`Caller::BadSetting`](crate::Caller::BadSetting).
///
/// ```no_run
/// use patcher::Config;
/// use std::time::Duration;
///
/// # const KEY: &str = "";
/// # fn main() -> patcher::Result<()> {
/// let config = Config::new("/opt/app") // the folder with the component folders
///     .trusted_key(KEY) // the public key from `manifest-tool keygen`
///     .channel("beta")
///     .rate_limit(500_000) // bytes per second
///     .probation(Duration::from_secs(60));
/// patcher::init(config)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) root: PathBuf,
    pub(super) policy: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    components: Vec<(String, PathBuf)>,
    keys: Vec<String>,
    threshold: usize,
    floors: Vec<(String, u64)>,
    pub(super) allow_downgrade: bool,
    pub(super) channel: String,
    platform: Option<String>,
    pub(crate) helper: HelperProgram,
    program: RunningProgram,
    pub(super) probation: Duration,
    pub(super) all_users: Option<Duration>,
    pub(super) history: Option<usize>,
    pub(super) site: Option<ProxyAddress>,
    languages: Option<Vec<String>>,
    pub(super) retries: u32,
    pub(super) parallel: usize,
    pub(super) check_timeout: Duration,
    pub(super) cancel: CancelToken,
    pub(super) settings: HttpSettings,
}

impl Config {
    /// Makes a configuration for the components in `install_root`.
    ///
    /// At least one [`trusted_key`](Self::trusted_key) must follow.
    pub fn new(install_root: impl Into<PathBuf>) -> Self {
        Self {
            root: install_root.into(),
            policy: None,
            state_dir: None,
            components: Vec::new(),
            keys: Vec::new(),
            threshold: 1,
            floors: Vec::new(),
            allow_downgrade: false,
            channel: "stable".to_owned(),
            platform: None,
            helper: HelperProgram::Beside,
            program: RunningProgram::default(),
            probation: PROBATION,
            all_users: None,
            history: None,
            site: None,
            languages: None,
            retries: 3,
            parallel: 4,
            check_timeout: Duration::from_secs(10),
            cancel: CancelToken::default(),
            settings: HttpSettings::default(),
        }
    }

    /// Makes a configuration for the installation that the running program is part of.
    ///
    /// The program is anywhere in the component's folder, `ROOT/COMPONENT/…`. In a developer's
    /// checkout there is no such folder, or it has no manifest. Then [`init`](crate::init) changes
    /// nothing and returns [`UpdatesOff::NotInstalled`](crate::UpdatesOff::NotInstalled).
    pub fn for_current_exe(component: impl AsRef<str>) -> Self {
        let program = RunningProgram::default().resolved_path().unwrap_or_default();
        Self::new(root_of(&program, component.as_ref(), |dir| dir.join(MANIFEST_NAME).exists()))
    }

    /// Makes a configuration for the installation that the program at `path` is part of.
    ///
    /// It is [`for_current_exe`](Self::for_current_exe) for a program that an interpreter runs,
    /// and sets [`program`](Self::program). Set [`command`](Self::command) as well.
    pub fn for_program(component: impl AsRef<str>, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let program = std::path::absolute(&path).ok().and_then(|path| super::start::resolve(&path)).unwrap_or_default();
        let root = root_of(&program, component.as_ref(), |dir| dir.join(MANIFEST_NAME).exists());
        Self::new(root).program(path)
    }

    /// Adds a trusted public key in PEM, as `manifest-tool keygen` writes it.
    ///
    /// The order matters: a release can retire a key and all keys before it. From then on the
    /// client refuses releases that count a retired key.
    pub fn trusted_key(mut self, pem: impl Into<String>) -> Self {
        self.keys.push(pem.into());
        self
    }

    /// Adds several trusted keys, the oldest first.
    pub fn trusted_keys(mut self, pems: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.keys.extend(pems.into_iter().map(Into::into));
        self
    }

    /// Sets the number of trusted keys that must sign a manifest. Default: 1.
    pub fn threshold(mut self, keys: usize) -> Self {
        self.threshold = keys;
        self
    }

    /// Sets the lowest sequence of a component's releases that the client accepts.
    ///
    /// Set it to the sequence of the release that contains the program. It holds even if the state
    /// folder is lost. It applies to releases that retire no key; a release that retires one is
    /// always newer.
    pub fn floor(mut self, component: impl Into<String>, sequence: u64) -> Self {
        self.floors.push((component.into(), sequence));
        self
    }

    /// Accepts a lower sequence than that of the installed release if that is of another channel.
    ///
    /// Without it, a client that switches channels waits for a release above the installed one. The
    /// floors of [`floor`](Self::floor) and of releases seen in the new channel hold all the same.
    pub fn allow_downgrade(mut self, allow: bool) -> Self {
        self.allow_downgrade = allow;
        self
    }

    /// Sets the channel. Default: `stable`.
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = channel.into();
        self
    }

    /// Sets the platform, as in `x86_64-linux`.
    ///
    /// Default: the platform that the program was compiled for. The client also accepts releases
    /// for the platform `any`.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// Sets the folder of a component.
    ///
    /// Default: the folder of the component's name in the install root.
    pub fn component(mut self, name: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        self.components.push((name.into(), dir.into()));
        self
    }

    /// Sets the folder for the updater's own files.
    ///
    /// Default: `.patcher` in the install root.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Sets the path of the administrator's policy.
    ///
    /// Default: `/etc/patcher/policy.toml`, and `%ProgramData%\patcher\policy.toml` on Windows.
    /// Only administrators may be able to change the file. Its rules win over this configuration;
    /// `docs/guide/administrator.md` lists them.
    pub fn policy_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.policy = Some(path.into());
        self
    }

    /// Sets the site to ask instead of the base URLs in the installed manifests.
    ///
    /// It is an `http`, `https` or `file` URL or the path of a folder, for example on a USB stick,
    /// with one folder for each component. Signatures protect the releases: the site need not be
    /// trusted. A user name and a password in the URL are used for its origin only. A query, as in
    /// a shared access signature, is added to each URL below the site. None of them is ever shown
    /// or stored.
    pub fn site(mut self, url_or_path: impl Into<String>) -> Self {
        self.site = Some(ProxyAddress(url_or_path.into()));
        self
    }

    /// Sets the path of the helper program.
    ///
    /// Default: `patcher-helper` beside the running program, or beside the one of this process if
    /// it updates for [another one](Self::process).
    pub fn helper(mut self, path: impl Into<PathBuf>) -> Self {
        self.helper = HelperProgram::At(path.into());
        self
    }

    /// Lets a copy of the program itself be the helper, so that no second program is shipped.
    ///
    /// Call [`init`](crate::init) before anything else in `main`: in the copy it does the helper's
    /// work and ends the process. The copy runs from the state folder alone, without the files
    /// beside the program.
    pub fn helper_is_this_program(mut self) -> Self {
        self.helper = HelperProgram::ThisProgram;
        self
    }

    /// Sets the program's file, where it is not the one that the system names for this process.
    ///
    /// A script needs this, because the system names its interpreter. The client compares the path
    /// with the components, and looks for the helper beside it.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program.path = Some(path.into());
        self
    }

    /// Sets the command that starts the program again: a program with its arguments.
    ///
    /// Default: [`program`](Self::program) with the arguments of this process. A script needs its
    /// interpreter as the first element.
    pub fn command(mut self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.program.command = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the process that runs the program, where this one only updates for it.
    ///
    /// The helper then waits for the end of that process. The library ends and replaces no process:
    /// [`Patcher::start`](crate::Patcher::start) returns
    /// [`Started::HandedOver`](crate::Started::HandedOver) when that process has to end. Set
    /// [`program`](Self::program) or [`command`](Self::command) as well.
    pub fn process(mut self, id: u32) -> Self {
        self.program.process = Some(id).filter(|id| *id != std::process::id());
        self
    }

    /// Sets the time in which a new version must confirm that it works. Default: 300 s.
    ///
    /// After this time the helper rolls the version back. With zero there is no probation: new
    /// versions stay even if they fail.
    pub fn probation(mut self, limit: Duration) -> Self {
        self.probation = limit;
        self
    }

    /// Lets this process update the installation for all users of the machine.
    ///
    /// It is for a service. Programs of other users then start with
    /// [`UpdatesOff::Service`](crate::UpdatesOff::Service), and a swap waits until they have ended,
    /// at most until `deadline` after the update was staged. On Linux and macOS a program that runs
    /// on keeps the files that it has open. On Windows the swap is then undone.
    pub fn all_users(mut self, deadline: Duration) -> Self {
        self.all_users = Some(deadline);
        self
    }

    /// Sets the number of past updates in the history, 1 to 1000.
    ///
    /// Default: the number in the history file, which is 50 unless an administrator has changed it.
    pub fn history(mut self, updates: usize) -> Self {
        self.history = Some(updates);
        self
    }

    /// Sets the languages of release notes, the best first, as in `pt-BR`.
    ///
    /// Default: the environment variable `LANGUAGE`, else `LC_ALL`, `LC_MESSAGES` or `LANG`.
    pub fn languages(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.languages = Some(tags.into_iter().map(Into::into).collect());
        self
    }
}

/// Returns the folder with the component's folder that a program is in.
///
/// Without an installation, it is a folder that does not exist.
fn root_of(program: &Path, component: &str, has_manifest: impl Fn(&Path) -> bool) -> PathBuf {
    let is_component = |dir: &&Path| dir.file_name().is_some_and(|name| name == component) && has_manifest(dir);
    let root = program.ancestors().skip(1).find(is_component).and_then(Path::parent);
    root.map_or_else(|| program.with_file_name("not-installed"), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_has_an_end_and_is_not_empty() {
        for updates in [0, 1001] {
            assert_eq!(Config::new("/root").history(updates).resolve().unwrap_err().code(), "bad-setting");
        }
    }

    #[test]
    fn a_program_finds_the_root_that_it_is_installed_in() {
        let root =
            |program: &str, component: &str| root_of(Path::new(program), component, |dir| dir.starts_with("/opt/app"));
        assert_eq!(root("/opt/app/core/bin/app", "core"), Path::new("/opt/app"));
        assert_eq!(root("/opt/app/core/app", "core"), Path::new("/opt/app"));
        assert_eq!(root("/opt/app/core/core", "core"), Path::new("/opt/app"));
        let checkout = Path::new("/home/me/core/target/debug/not-installed");
        assert_eq!(root("/home/me/core/target/debug/app", "core"), checkout);
        assert_eq!(root("/opt/app/core/bin/app", "addon"), Path::new("/opt/app/core/bin/not-installed"));
    }
}
