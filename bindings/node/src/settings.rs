//! The settings of a handle.

use crate::errors::bad_argument;
use napi::Result;
use napi_derive::napi;
use std::time::Duration;
use updater::Config;

/// A component that lies elsewhere.
#[napi(object)]
pub struct ComponentFolder {
    pub name: String,
    pub dir: String,
}

/// A header of the requests to one origin.
#[napi(object)]
pub struct Header {
    pub origin: String,
    pub name: String,
    pub value: String,
}

/// The settings of `Config` in Rust, which describes them. Times are in seconds.
#[napi(object)]
pub struct Settings {
    pub keys: Vec<String>,
    pub program: String,
    pub command: Vec<String>,
    pub root: Option<String>,
    pub component: Option<String>,
    pub helper: Option<String>,
    pub components: Option<Vec<ComponentFolder>>,
    pub headers: Option<Vec<Header>>,
    pub channel: Option<String>,
    pub site: Option<String>,
    pub state_dir: Option<String>,
    pub threshold: Option<u32>,
    pub probation: Option<f64>,
    pub check_timeout: Option<f64>,
    pub stall_timeout: Option<f64>,
    pub rate_limit: Option<f64>,
    pub proxy: Option<String>,
    pub no_proxy: Option<String>,
    pub user_agent: Option<String>,
    pub languages: Option<Vec<String>>,
    pub root_certificates: Option<Vec<String>>,
}

/// Makes a duration of seconds.
pub fn seconds(name: &str, seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| bad_argument(name, error))
}

impl Settings {
    /// Makes the configuration.
    pub fn config(self) -> Result<Config> {
        /// Applies a setting that was given.
        macro_rules! set {
            ($config:ident, $($name:ident),+) => { $(
                if let Some(value) = self.$name {
                    $config = $config.$name(value);
                }
            )+ };
        }
        /// Applies a time that was given.
        macro_rules! set_seconds {
            ($config:ident, $($name:ident),+) => { $(
                if let Some(value) = self.$name {
                    $config = $config.$name(seconds(stringify!($name), value)?);
                }
            )+ };
        }
        let mut config = match (self.root, self.component) {
            (Some(root), _) => Config::new(root).program(self.program),
            (None, Some(component)) => Config::for_program(component, self.program),
            (None, None) => return Err(bad_argument("root", "neither a root nor a component is given")),
        };
        config = config.trusted_keys(self.keys).command(self.command);
        for component in self.components.into_iter().flatten() {
            config = config.component(component.name, component.dir);
        }
        for header in self.headers.into_iter().flatten() {
            config = config.header(header.origin, header.name, header.value);
        }
        for pem in self.root_certificates.into_iter().flatten() {
            config = config.add_root_certificate(pem);
        }
        if let Some(keys) = self.threshold {
            config = config.threshold(keys.try_into().unwrap_or(usize::MAX));
        }
        if let Some(bytes) = self.rate_limit {
            // Numbers of JavaScript are exact up to 2^53; the conversion ends at the limits of u64.
            config = config.rate_limit(bytes as u64);
        }
        set_seconds!(config, probation, check_timeout, stall_timeout);
        set!(config, helper, channel, site, state_dir, proxy, no_proxy, user_agent, languages);
        Ok(config)
    }
}
