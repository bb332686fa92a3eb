//! The checked values of a configuration.

use super::Config;
use crate::disk::layout::{InstallRoot, StateDir};
use crate::error::{Caller, Result};
use crate::formats::manifest::{Channel, Component, Language, Platform};
use crate::patcher::languages;
use crate::patcher::running_program::RunningProgram;
use crate::swap::relaunch::HelperProgram;
use crate::transfer::fetch::{self, MIN_RATE_LIMIT, ProxyAddress};
use crate::trust::Floor;
use crate::trust::keys::{PublicKey, TrustedKeys};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use url::Url;

/// The checked values of a configuration.
#[derive(Debug)]
pub struct Resolved {
    pub root: InstallRoot,
    pub keys: TrustedKeys,
    pub floors: BTreeMap<Component, Floor>,
    pub channel: Channel,
    pub platform: Platform,
    pub helper: HelperProgram,
    pub program: RunningProgram,
    pub site: Option<Url>,
    pub languages: Vec<Language>,
}

impl Config {
    /// Checks and parses every value.
    pub(in crate::patcher) fn resolve(&self) -> Result<Resolved> {
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
        if let Some(limit) = self.settings.rate_limit.filter(|limit| *limit < MIN_RATE_LIMIT) {
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
        let program = self.resolve_program()?;
        let site = match &self.site {
            Some(ProxyAddress(text)) => {
                let mut url = fetch::parse_url_or_path("site", text)?;
                if !url.path().ends_with('/') {
                    url.set_path(&format!("{}/", url.path()));
                }
                Some(url)
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
            program,
            site,
            languages: self.resolve_languages()?,
        })
    }

    fn resolve_languages(&self) -> Result<Vec<Language>> {
        let Some(tags) = &self.languages else { return Ok(languages::of_environment()) };
        tags.iter().map(|tag| Ok(tag.parse().map_err(|error| bad("language", tag, error))?)).collect()
    }

    fn resolve_program(&self) -> Result<RunningProgram> {
        let program = &self.program;
        if program.command.as_ref().is_some_and(Vec::is_empty) {
            return Err(bad("command", "", "no program").into());
        }
        if program.process.is_some() && program.path.is_none() && program.command.is_none() {
            return Err(bad("process", "", "it needs a program or a command").into());
        }
        // The program of another process, unlike this one's, is what its command starts.
        let started = program.command.iter().flatten().next().map(PathBuf::from);
        let path = program.path.clone().or(started.filter(|_| program.process.is_some()));
        let path = path.map(|path| absolute("program", &path)).transpose()?;
        Ok(RunningProgram { path, ..program.clone() })
    }
}

fn absolute(setting: &'static str, path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path);
    Ok(absolute.map_err(|error| bad(setting, &path.display().to_string(), error))?)
}

/// Makes the error for a bad value of a setting.
pub fn bad(setting: &'static str, value: &str, detail: impl ToString) -> Caller {
    Caller::BadSetting { setting, value: value.to_owned(), detail: detail.to_string() }
}
