//! The configuration that the options describe, and the options as a command line for another run.

use super::{PatcherArguments, PatcherCommand};
use crate::quantities::{seconds, speed};
use patcher::{Caller, Config, Error, Machine, Result};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// The beginning of a key that is given as text.
const PEM_START: &str = "-----BEGIN ";
/// The most bytes that the program reads of a file of keys, certificates or headers.
const MAX_SMALL_FILE_BYTES: u64 = 1 << 20;

impl PatcherArguments {
    /// Makes the configuration that the arguments describe.
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::new(&self.root)
            .threshold(self.threshold)
            .channel(&self.channel)
            .connect_timeout(seconds("connect timeout", self.connect_timeout)?)
            .stall_timeout(seconds("stall timeout", self.stall_timeout)?)
            .check_timeout(seconds("check timeout", self.check_timeout)?)
            .retries(self.retries)
            .user_agent(&self.user_agent)
            .parallel(self.parallel)
            .probation(Duration::from_secs(self.probation));
        for key in &self.keys {
            // A program that has its key compiled in needs no file.
            config = match key.to_str().filter(|key| key.starts_with(PEM_START)) {
                Some(text) => config.trusted_key(text),
                None => config.trusted_key(read_small_file(Path::new(key))?),
            };
        }
        if let Some(deadline) = self.all_users {
            config = config.all_users(deadline);
        }
        for component in &self.components {
            let (name, dir) = component.split_once('=').ok_or_else(|| Caller::BadSetting {
                setting: "component",
                value: component.clone(),
                detail: "not NAME=DIR".to_owned(),
            })?;
            config = config.component(name, dir);
        }
        if self.allow_downgrade {
            config = config.allow_downgrade(true);
        }
        if let PatcherCommand::Install { name, floor: Some(floor), .. } = &self.command {
            config = config.floor(name, *floor);
        }
        if let Some(helper) = &self.helper {
            config = config.helper(helper);
        }
        if let Some(dir) = &self.state_dir {
            config = config.state_dir(dir);
        }
        if !self.languages.is_empty() {
            config = config.languages(&self.languages);
        }
        if let Some(platform) = &self.platform {
            config = config.platform(platform);
        }
        if let Some(proxy) = &self.proxy {
            config = config.proxy(proxy);
        }
        if let Some(hosts) = &self.no_proxy {
            config = config.no_proxy(hosts);
        }
        if let Some(limit) = self.rate_limit.as_deref().map(speed).transpose()?.filter(|limit| *limit > 0) {
            config = config.rate_limit(limit);
        }
        if let Some(site) = &self.site {
            config = config.site(site);
        }
        for header in &self.headers {
            let lines = match header.strip_prefix('@') {
                Some(path) => read_small_file(Path::new(path))?,
                None => header.clone(),
            };
            for line in lines.lines().filter(|line| !line.trim().is_empty()) {
                let (origin, name, value) = self.header(line)?;
                config = config.header(origin, name, value);
            }
        }
        if let Some(path) = &self.client_cert {
            let origin = self.asked_url().ok_or_else(|| Caller::BadSetting {
                setting: "client certificate",
                value: String::new(),
                detail: "it is for no server; use --site".to_owned(),
            })?;
            let key = self.client_key.as_deref().map(read_small_file).transpose()?.unwrap_or_default();
            config = config.client_identity(origin, format!("{}\n{key}", read_small_file(path)?));
        }
        if let Some(path) = &self.cacert {
            config = config.add_root_certificate(read_small_file(path)?);
        }
        Ok(config)
    }

    /// Returns the URL of `--from`, or else that of `--site`.
    fn asked_url(&self) -> Option<&str> {
        match &self.command {
            PatcherCommand::Install { from, .. } => Some(from),
            _ => self.site.as_deref(),
        }
    }

    /// Returns the command line that runs another command on the same installation.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for a path that is not UTF-8, [`Machine::Io`].
    pub fn command_line(&self, command: &[&str]) -> Result<Vec<String>> {
        let own = std::env::current_exe();
        let own = own.map_err(|source| Machine::Io { action: "find", path: "patcher".into(), source })?;
        let mut line = vec![absolute(&own)?, "--root".to_owned(), absolute(&self.root)?];
        for key in &self.keys {
            let key = match key.to_str().filter(|key| key.starts_with(PEM_START)) {
                Some(key) => key.to_owned(),
                None => absolute(Path::new(key))?,
            };
            line.extend(["--key".to_owned(), key]);
        }
        line.extend(["--threshold".to_owned(), self.threshold.to_string()]);
        for component in &self.components {
            let (name, dir) = component.split_once('=').unwrap_or_default();
            line.extend(["--component".to_owned(), format!("{name}={}", absolute(Path::new(dir))?)]);
        }
        if let Some(dir) = &self.state_dir {
            line.extend(["--state-dir".to_owned(), absolute(dir)?]);
        }
        line.extend(command.iter().map(|&word| word.to_owned()));
        Ok(line)
    }

    /// Parses a header into the URL of its origin, its name and its value.
    fn header<'a>(&'a self, line: &'a str) -> Result<(&'a str, &'a str, &'a str)> {
        // The line may hold a secret, and no message shows it.
        let bad =
            |detail: &str| Caller::BadSetting { setting: "header", value: String::new(), detail: detail.to_owned() };
        // The name of a header has no colon, so `NAME: http://…` is no URL.
        let is_url = |word: &str| word.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(':'));
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (origin, header) = if is_url(first) { (Some(first), rest) } else { (None, line) };
        let origin = origin.or(self.asked_url());
        let origin = origin.ok_or_else(|| bad("it names no origin; put a URL before it, or use --site"))?;
        let (name, value) = header.split_once(':').ok_or_else(|| bad("not NAME: VALUE"))?;
        Ok((origin, name.trim(), value.trim()))
    }
}

/// Returns the absolute path as text.
///
/// # Errors
/// [`Caller::BadSetting`] for a path that is not UTF-8, [`Machine::Io`].
pub fn absolute(path: &Path) -> Result<String> {
    let failed = |source| Machine::Io { action: "find", path: path.to_owned(), source };
    std::path::absolute(path).map_err(failed)?.into_os_string().into_string().map_err(|path| {
        let (value, detail) = (path.to_string_lossy().into_owned(), "it is not UTF-8".to_owned());
        Error::from(Caller::BadSetting { setting: "path", value, detail })
    })
}

/// Reads a file of keys, certificates or headers.
fn read_small_file(path: &Path) -> Result<String> {
    let failed = |source| Error::from(Machine::Io { action: "read", path: path.to_owned(), source });
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_SMALL_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
