//! The user's machine: an install root with the greeter, and its processes.
//!
//! When it is dropped, it ends all processes.

use crate::log::{Log, PATIENCE, wait_until};
use crate::narrator::{size, tell};
use crate::{Result, require};
use patcher::{Config, Patcher, internal::relaunch};
use std::collections::BTreeSet;
use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const COMPONENT: &str = "greeter";

/// An install root with one component.
pub struct Installation {
    /// The log of the greeter.
    pub greeter: Log,
    /// The log of the helper.
    pub helper: Log,
    root: PathBuf,
    patcher: Patcher,
    started: Option<Child>,
    ended: BTreeSet<u32>,
}

impl Installation {
    /// Makes an install root that trusts one publisher.
    pub fn new(root: PathBuf, key: &str) -> Result<Self> {
        let patcher = Patcher::new(Config::new(&root).trusted_key(key))?;
        let greeter = Log::new("greeter", &root, "greeter.log");
        let helper = Log::new("helper", &root, ".patcher/helper.log");
        Ok(Self { greeter, helper, root, patcher, started: None, ended: BTreeSet::new() })
    }

    /// Installs the greeter from the URL of its manifest.
    pub fn install(&self, url: &str) -> Result<()> {
        let update = self.patcher.install(COMPONENT, url)?;
        let (to, files, bytes) = (update.to(), update.changes(), update.download_size());
        tell("user", &format!("installing {COMPONENT} {to}: {files} files, {} to download", size(bytes)));
        update.download(|_| {})?.apply()?;
        Ok(())
    }

    /// Starts the greeter, as an icon on the desktop would.
    pub fn start(&mut self) -> Result<()> {
        let mut greeter = Command::new(self.root.join(COMPONENT).join("bin").join(format!("greeter{EXE_SUFFIX}")));
        greeter.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.started = Some(greeter.spawn()?);
        Ok(())
    }

    /// Waits until the started process has ended with success.
    pub fn wait_for_end(&mut self) -> Result<()> {
        let Some(mut child) = self.started.take() else { return Ok(()) };
        match wait_until("the greeter's end", || Ok(child.try_wait()?)) {
            Ok(status) => require(status.success(), &format!("the greeter ended with {status}")),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Compares every installed file with the signed manifest of `version`.
    pub fn require_complete(&self, version: &str) -> Result<()> {
        let mut components = self.patcher.status()?.components.into_iter();
        let installed = components.find(|installed| installed.component == COMPONENT);
        let found = installed.ok_or("the greeter is not installed")?.release?.version.to_string();
        require(found == version, &format!("{found} is installed, not {version}"))?;
        let damages = self.patcher.verify(COMPONENT)?;
        require(damages.is_empty(), &format!("files are not as they were signed: {damages:?}"))?;
        tell("user", &format!("{version} is installed, every file as it was signed"));
        Ok(())
    }

    /// Ends the greeter, and waits for all processes of greeter and helper.
    pub fn stop(&mut self) -> Result<()> {
        fs::write(self.root.join("greeter.stop"), "")?;
        let ended = self.wait_for_end();
        // A running helper starts a greeter, which sees the file and ends.
        while let Some(process) = self.processes().difference(&self.ended).next().copied() {
            require(relaunch::wait_for_exit(process, Some(PATIENCE)), &format!("process {process} does not end"))?;
            self.ended.insert(process);
        }
        ended
    }

    fn processes(&self) -> BTreeSet<u32> {
        self.greeter.processes().chain(self.helper.processes()).collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // If this fails, the greeter ends by itself after 300 s.
        let _ = self.stop();
    }
}
