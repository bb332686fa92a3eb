//! What a program tells the updater about itself; it cannot be made without a trusted key.

use crate::disk::layout::{InstallRoot, StateDir};
use crate::error::{Caller, Result};
use crate::formats::manifest::{Channel, Component, Platform};
use crate::swap::relaunch::PROBATION;
use crate::transfer::fetch::{self, CancelToken, HttpSettings, ProxyAddress, RequestHeader};
use crate::trust::Floor;
use crate::trust::keys::{PublicKey, TrustedKeys};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The lowest limit on the bytes per second: below it, servers give a client up.
const LEAST_RATE: u64 = 1000;

/// Where the program lies, whom it trusts, and how it reaches its site.
///
/// Values are checked when the [`Patcher`](super::Patcher) is made, so that building needs no error handling.
#[derive(Debug, Clone)]
pub struct Config {
    root: PathBuf,
    state_dir: Option<PathBuf>,
    components: Vec<(String, PathBuf)>,
    keys: Vec<String>,
    threshold: usize,
    floors: Vec<(String, u64)>,
    channel: String,
    platform: Option<String>,
    helper: Option<PathBuf>,
    pub(super) probation: Duration,
    pub(super) history: Option<usize>,
    site: Option<ProxyAddress>,
    pub(super) retries: u32,
    pub(super) parallel: usize,
    pub(super) cancel: CancelToken,
    pub(super) settings: HttpSettings,
}

impl Config {
    /// For the components below `install_root`. At least one [`trusted_key`](Self::trusted_key) must follow.
    pub fn new(install_root: impl Into<PathBuf>) -> Self {
        Self {
            root: install_root.into(),
            state_dir: None,
            components: Vec::new(),
            keys: Vec::new(),
            threshold: 1,
            floors: Vec::new(),
            channel: "stable".to_owned(),
            platform: None,
            helper: None,
            probation: PROBATION,
            history: None,
            site: None,
            retries: 3,
            parallel: 4,
            cancel: CancelToken::default(),
            settings: HttpSettings::default(),
        }
    }

    /// Trusts a key besides those given before; a later key takes over from the earlier ones. PEM, as
    /// `manifest-tool keygen` writes it.
    pub fn trusted_key(mut self, pem: impl Into<String>) -> Self {
        self.keys.push(pem.into());
        self
    }

    /// Trusts several keys, in the order in which they take over.
    pub fn trusted_keys(mut self, pems: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.keys.extend(pems.into_iter().map(Into::into));
        self
    }

    /// How many of the trusted keys must have signed a manifest; 1 unless set.
    pub fn threshold(mut self, keys: usize) -> Self {
        self.threshold = keys;
        self
    }

    /// The lowest sequence of a component's releases that is ever taken: that of the release which the program was built for.
    /// It counts under the first of the trusted keys, and holds even when everything that was remembered is lost.
    pub fn floor(mut self, component: impl Into<String>, sequence: u64) -> Self {
        self.floors.push((component.into(), sequence));
        self
    }

    /// The channel to follow; `stable` unless set.
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = channel.into();
        self
    }

    /// The platform whose releases to take, as in `x86_64-linux`; the one that the program was compiled for unless set.
    /// Releases for `any` are always taken.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// A component that does not lie in the folder of its name under the install root.
    pub fn component(mut self, name: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        self.components.push((name.into(), dir.into()));
        self
    }

    /// Where the updater keeps its own files; `.patcher` under the install root unless set.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// The one site to ask, with a folder for each component, instead of the addresses that the installed manifests name: its
    /// address by http, https or file, or the path of a folder, as on a USB stick. A release is taken for its signature, not
    /// for the place where it was found.
    pub fn site(mut self, place: impl Into<String>) -> Self {
        self.site = Some(ProxyAddress(place.into()));
        self
    }

    /// The helper program; `patcher-helper` beside the running program unless set.
    pub fn helper(mut self, path: impl Into<PathBuf>) -> Self {
        self.helper = Some(path.into());
        self
    }

    /// How long a new version may take to [`confirm`](super::Patcher::confirm) that it works before the old one comes back;
    /// five minutes unless set. Zero for no probation at all: new versions stay, whether they work or not.
    pub fn probation(mut self, limit: Duration) -> Self {
        self.probation = limit;
        self
    }

    /// How many updates the history remembers, 1 to 1000; as many as its file says unless set, and 50 if that says nothing.
    pub fn history(mut self, updates: usize) -> Self {
        self.history = Some(updates);
        self
    }

    /// A proxy for all requests, as in `http://user:password@host:3128`; by http, https, socks4(a) or socks5(h). Unless set,
    /// those of the environment: `http_proxy` (lower case only), `https_proxy`, `all_proxy`. An empty one is none.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.settings.proxy = Some(ProxyAddress(url.into()));
        self
    }

    /// Hosts to reach without a proxy, the environment's as well: names (with all below them), addresses and networks as in
    /// `10.0.0.0/8`, separated by commas, or `*`. The environment's `no_proxy` unless set.
    pub fn no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.settings.no_proxy = Some(hosts.into());
        self
    }

    /// A header for every request. Its value is in no message and in no `Debug` output.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.headers.push(RequestHeader { name: name.into(), value: value.into() });
        self
    }

    /// A certificate authority (PEM) to trust besides the system's.
    pub fn add_root_certificate(mut self, pem: impl Into<String>) -> Self {
        self.settings.root_certificates.push(pem.into());
        self
    }

    /// How long a connection may take to come about; 10 s unless set.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_timeout = limit;
        self
    }

    /// How long no byte may come; 30 s unless set.
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.settings.stall_timeout = limit;
        self
    }

    /// How often a request is repeated that the network failed; 3 unless set.
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count;
        self
    }

    /// Lets `token` stop every call that waits for the network.
    pub fn cancelled_by(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// The most bytes a second that all downloads take together; 1000 at least. No limit unless set.
    pub fn rate_limit(mut self, bytes_per_second: u64) -> Self {
        self.settings.rate_limit = Some(bytes_per_second);
        self
    }

    /// How many objects are fetched at a time, and no more from one host; 4 unless set, 1 to 16.
    pub fn parallel(mut self, count: usize) -> Self {
        self.parallel = count;
        self.settings.requests_per_host = count;
        self
    }

    /// What the client calls itself in requests; `patcher` unless set.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.settings.user_agent = name.into();
        self
    }

    /// Checks every value.
    pub(super) fn resolve(&self) -> Result<Resolved> {
        let keys = self.keys.iter().map(|pem| PublicKey::from_pem(pem)).collect::<Result<_>>()?;
        let root = absolute("install root", &self.root)?;
        let state_dir = match &self.state_dir {
            Some(dir) => StateDir { dir: absolute("state folder", dir)? },
            None => InstallRoot::new(root.clone()).state,
        };
        let mut elsewhere = BTreeMap::new();
        for (name, dir) in &self.components {
            let component = name.parse().map_err(|error| bad("component", name, error))?;
            elsewhere.insert(component, absolute("component", dir)?);
        }
        if !(1..=16).contains(&self.parallel) {
            return Err(bad("parallel", &self.parallel.to_string(), "not 1 to 16").into());
        }
        if let Some(updates) = self.history.filter(|updates| !(1..=1000).contains(updates)) {
            return Err(bad("history", &updates.to_string(), "not 1 to 1000").into());
        }
        if let Some(limit) = self.settings.rate_limit.filter(|limit| *limit < LEAST_RATE) {
            return Err(bad("rate limit", &limit.to_string(), "fewer than 1000 bytes a second").into());
        }
        let platform = match &self.platform {
            Some(platform) => platform.parse().map_err(|error| bad("platform", platform, error))?,
            None => Platform::host(),
        };
        let keys = TrustedKeys::new(keys, self.threshold)?;
        let mut floors = BTreeMap::new();
        for (name, sequence) in &self.floors {
            let component = name.parse::<Component>().map_err(|error| bad("floor", name, error))?;
            floors.insert(component, Floor::Number { key: keys.id(0), sequence: *sequence });
        }
        let site = match &self.site {
            Some(ProxyAddress(place)) => {
                let url = fetch::parse_url_or_path("site", place)?;
                let folder = if url.path().ends_with('/') { url.path().to_owned() } else { format!("{}/", url.path()) };
                Some(url.join(&folder).map_err(|error| bad("site", place, error))?)
            }
            None => None,
        };
        Ok(Resolved {
            root: InstallRoot { dir: root, state: state_dir, elsewhere },
            keys,
            floors,
            channel: self.channel.parse().map_err(|error| bad("channel", &self.channel, error))?,
            platform,
            helper: self.helper.clone(),
            site,
        })
    }
}

/// The values of a configuration, checked.
#[derive(Debug)]
pub(super) struct Resolved {
    pub root: InstallRoot,
    pub keys: TrustedKeys,
    pub floors: BTreeMap<Component, Floor>,
    pub channel: Channel,
    pub platform: Platform,
    pub helper: Option<PathBuf>,
    pub site: Option<Url>,
}

fn absolute(setting: &'static str, path: &std::path::Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path);
    Ok(absolute.map_err(|error| bad(setting, &path.display().to_string(), error))?)
}

pub(super) fn bad(setting: &'static str, value: &str, detail: impl ToString) -> Caller {
    Caller::BadSetting { setting, value: value.to_owned(), detail: detail.to_string() }
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
    fn what_may_be_secret_is_not_shown() {
        let config = Config::new("/root")
            .header("Authorization", "Bearer s3cret")
            .proxy("http://me:s3cret@proxy:3128")
            .site("https://me:s3cret@host/");
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("Authorization") && shown.contains("proxy:3128") && shown.contains("host"), "{shown}");
    }
}
