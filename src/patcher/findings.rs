//! The examination of an install root: everything that could prevent an update.

use super::deadline::Deadline;
use super::{Check, Patcher};
use crate::disk::fs::{EXECUTABLE_MODE, Tree};
use crate::disk::layout::SiteNames;
use crate::error::{Error, Machine, Result};
use crate::formats::head::MAX_HEAD_BYTES;
use crate::formats::manifest::Component;
use crate::policy::{Policy, is_metered};
use crate::state::{self, journal::JournalState};
use crate::swap;
use crate::transfer::fetch;
use crate::transfer::stage::{nearest_folder, preflight};
use crate::values::timestamp::Timestamp;
use std::fmt;
use std::time::{Duration, Instant};
use url::Url;

/// One result of an examination.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The part of the machine or of the site.
    pub subject: FindingSubject,
    /// The state of that part.
    pub verdict: Verdict,
}

/// The parts that an examination looks at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingSubject {
    /// The installed components and their manifests.
    Installation,
    /// The rules of the administrator.
    Policy,
    /// The rights to change the installed files.
    Rights,
    /// The file systems: permission bits, and mounts inside a component.
    FileSystem,
    /// The free space.
    Space,
    /// The helper program.
    Helper,
    /// The updater's own files. If they have a problem, the next three subjects are left out.
    StateFolder,
    /// Running instances and other updaters.
    Processes,
    /// Swaps that wait, were interrupted or are on probation.
    Swap,
    /// A pause of downloads.
    Pause,
    /// The proxy for a base URL.
    Proxy,
    /// The server of a base URL.
    Server,
    /// A check for updates: keys, clock and release.
    Release,
}

/// The state of an examined part.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing prevents an update; the text says what was found.
    Good(String),
    /// An update may have to wait, or needs attention.
    Notice(String),
    /// No update is possible until the cause of this error is removed.
    Problem(Error),
}

impl fmt::Display for FindingSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Installation => "installation",
            Self::Policy => "policy",
            Self::Rights => "rights",
            Self::FileSystem => "file-system",
            Self::Space => "space",
            Self::StateFolder => "state-folder",
            Self::Helper => "helper",
            Self::Processes => "processes",
            Self::Swap => "swap",
            Self::Pause => "pause",
            Self::Proxy => "proxy",
            Self::Server => "server",
            Self::Release => "release",
        })
    }
}

/// The list of findings, as the examination adds to it.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, subject: FindingSubject, verdict: Result<Verdict>) {
        self.0.push(Finding { subject, verdict: verdict.unwrap_or_else(Verdict::Problem) });
    }
}

impl Patcher {
    /// Examines everything that could prevent an update here: rights, space, file systems, state,
    /// processes, policy, proxy, servers, keys, clock and release.
    ///
    /// It asks each server for its newest release, and installs nothing. What it finds is in the
    /// result, errors included.
    pub fn examine(&self) -> Vec<Finding> {
        let mut findings = Findings(Vec::new());
        let components = match self.require_components() {
            Ok(components) => components,
            Err(error @ Error::Machine(Machine::NothingInstalled { .. })) => {
                findings.add(FindingSubject::Installation, Err(error));
                return findings.0;
            }
            // The state folder has a problem, which the examination reports below.
            Err(_) => self.components().unwrap_or_default(),
        };
        for component in &components {
            findings.add(FindingSubject::Installation, self.examine_manifest(component));
        }
        findings.add(FindingSubject::Policy, self.examine_policy());
        for component in &components {
            findings.add(FindingSubject::Rights, self.examine_rights(component));
            findings.add(FindingSubject::FileSystem, self.examine_file_system(component));
        }
        findings.add(FindingSubject::Space, self.examine_space(&components));
        findings.add(FindingSubject::Helper, self.helper().map(|path| Verdict::Good(path.display().to_string())));
        let state_folder = self.examine_state_folder();
        let is_usable = state_folder.is_ok();
        findings.add(FindingSubject::StateFolder, state_folder);
        if is_usable {
            findings.add(FindingSubject::Processes, self.examine_processes());
            findings.add(FindingSubject::Swap, self.examine_swap());
            findings.add(FindingSubject::Pause, self.examine_pause());
        }
        for component in &components {
            self.examine_servers(component, &mut findings);
        }
        findings.add(FindingSubject::Release, self.examine_release(&components));
        findings.0
    }

    fn examine_manifest(&self, component: &Component) -> Result<Verdict> {
        let installed = self.require_installed(component)?;
        if !installed.is_trusted() {
            return Err(self.untrusted_manifest(component));
        }
        let meta = &installed.manifest.meta;
        let (version, channel, platform) = (&meta.version, &meta.channel, &meta.platform);
        let text = format!("{component} {version}, channel {channel}, platform {platform}");
        if *channel != self.shared.channel {
            return Ok(Verdict::Notice(format!("{text}; this client follows {}", self.shared.channel)));
        }
        if Timestamp::now() < meta.issued {
            let issued = meta.issued;
            return Ok(Verdict::Notice(format!("{text}; this machine's clock is before its signature of {issued}")));
        }
        Ok(Verdict::Good(text))
    }

    fn examine_policy(&self) -> Result<Verdict> {
        let rules = self.require_updates_on()?;
        let network = match rules.metered.map(|_| is_metered()) {
            None => "",
            Some(None) => "; nothing here knows whether the network is metered",
            Some(Some(true)) => "; the network is metered",
            Some(Some(false)) => "; the network is not metered",
        };
        Ok(match self.policy()? {
            Some(Policy { path, rules }) => {
                Verdict::Notice(format!("{}: {}{network}", path.display(), rules.join(", ")))
            }
            None => Verdict::Good("none".to_owned()),
        })
    }

    fn examine_rights(&self, component: &Component) -> Result<Verdict> {
        let dir = self.shared.root.component(component);
        let not_writable = |path| Error::from(Machine::NotWritable { path });
        for path in [&self.shared.root.dir, &dir] {
            if !nearest_folder(path)?.is_writable() {
                return Err(not_writable(path.clone()));
            }
        }
        let installed = self.require_installed(component)?;
        if let Some(tree) = Tree::open(&dir)? {
            for entry in installed.manifest.entries() {
                let Some(parent) = entry.path().parent() else { continue };
                if let Some(folder) = tree.find_folder(parent)?
                    && !folder.is_writable()
                {
                    return Err(not_writable(dir.join(parent)));
                }
            }
        }
        Ok(Verdict::Good(format!("this user can change {}", dir.display())))
    }

    fn examine_file_system(&self, component: &Component) -> Result<Verdict> {
        let dir = self.shared.root.component(component);
        let installed = self.require_installed(component)?;
        if let Some(tree) = Tree::open(&dir)? {
            let entries = installed.manifest.entries();
            preflight::check_mounts(&tree, entries.iter().map(|entry| entry.path().as_str()))?;
        }
        if let Ok(Some(state_dir)) = state::open(&self.shared.root) {
            preflight::check_mode(&state_dir, EXECUTABLE_MODE)?;
        }
        Ok(Verdict::Good(format!("{} is on one file system with permission bits", dir.display())))
    }

    fn examine_space(&self, components: &[Component]) -> Result<Verdict> {
        let mut installed = 0;
        for component in components {
            installed += self.require_installed(component)?.manifest.files.iter().map(|file| file.size).sum::<u64>();
        }
        let free = nearest_folder(&self.shared.root.state.dir)?.free_space()?;
        let text = format!("{free} bytes are free, {installed} bytes are installed");
        // An update keeps the old and the new files until the new version is confirmed.
        Ok(if free < installed { Verdict::Notice(text) } else { Verdict::Good(text) })
    }

    fn examine_state_folder(&self) -> Result<Verdict> {
        let path = &self.shared.root.state.dir;
        let Some(state_dir) = state::open(&self.shared.root)? else {
            return Ok(Verdict::Good(format!("{} does not exist yet", path.display())));
        };
        state::check_entries(&state_dir)?;
        let damaged = state::damaged_files(&state_dir)?;
        if damaged.is_empty() {
            return Ok(Verdict::Good(format!("{} belongs to this user", path.display())));
        }
        Ok(Verdict::Notice(format!("damaged files were renamed: {}", damaged.join(", "))))
    }

    fn examine_processes(&self) -> Result<Verdict> {
        let Some(state_dir) = state::open(&self.shared.root)? else {
            return Ok(Verdict::Good("none".to_owned()));
        };
        let locks = [
            state::lock_updater(&state_dir, Duration::ZERO),
            state::lock_downloading(&state_dir, Duration::ZERO),
            state::lock_not_running(&state_dir, Duration::ZERO),
        ];
        let mut busy = Vec::new();
        for lock in locks {
            match lock {
                Err(error @ Error::Busy { .. }) => busy.push(error.to_string()),
                lock => drop(lock?),
            }
        }
        Ok(if busy.is_empty() { Verdict::Good("none".to_owned()) } else { Verdict::Notice(busy.join(", ")) })
    }

    fn examine_swap(&self) -> Result<Verdict> {
        let text = match swap::pending(self.root())? {
            None => return Ok(Verdict::Good("none is in progress".to_owned())),
            Some(JournalState::Prepared) => "one is prepared and waits for the end of the program",
            Some(JournalState::Applying) => "one was interrupted and has to be undone",
            Some(JournalState::Committed) => "the new version is on probation",
            Some(JournalState::Confirmed) => "one is confirmed, and its backups remain to be deleted",
        };
        Ok(Verdict::Notice(text.to_owned()))
    }

    fn examine_pause(&self) -> Result<Verdict> {
        Ok(match self.paused_since()? {
            Some(since) => Verdict::Notice(format!("downloads are paused since {since}")),
            None => Verdict::Good("downloads are allowed".to_owned()),
        })
    }

    /// Asks each server for the head of the component's channel.
    fn examine_servers(&self, component: &Component, findings: &mut Findings) {
        let Ok(installed) = self.require_installed(component) else { return };
        let meta = &installed.manifest.meta;
        let head = SiteNames::of(meta).head(&self.shared.channel);
        for base in self.base_urls(meta) {
            let proxy = self.shared.source.explain_proxy(&base);
            findings.add(FindingSubject::Proxy, Ok(Verdict::Good(format!("{base}: {proxy}"))));
            findings.add(FindingSubject::Server, self.examine_server(&base, &head));
        }
    }

    fn examine_server(&self, base: &Url, head: &str) -> Result<Verdict> {
        let Ok(url) = base.join(head) else { return Ok(Verdict::Notice(format!("{base} has no files below it"))) };
        let deadline = Deadline::after(self.shared.check_timeout);
        let cancel = deadline.share(&self.cancel, 1);
        let start = Instant::now();
        match fetch::small_file(&*self.shared.source, &url, MAX_HEAD_BYTES, &cancel) {
            Ok(_) => Ok(Verdict::Good(format!("{url} answered after {} ms", start.elapsed().as_millis()))),
            Err(Error::Network(error)) if error.is_absent() => {
                Ok(Verdict::Notice(format!("{url} does not exist; the client asks for the whole manifest")))
            }
            Err(error) => Err(deadline.explain(error, &cancel, &url)),
        }
    }

    fn examine_release(&self, components: &[Component]) -> Result<Verdict> {
        let Check { updates, deferred, warning } = self.check(components)?;
        let offered = updates.iter().map(|update| format!("{} {} is available", update.component(), update.to()));
        let waiting = deferred.iter().map(|wait| format!("{} {}: {}", wait.component, wait.version, wait.reason));
        let warning = warning.map(|warning| warning.to_string());
        let is_good = deferred.is_empty() && warning.is_none();
        let texts: Vec<String> = offered.chain(waiting).chain(warning).collect();
        Ok(match (is_good, texts.is_empty()) {
            (true, true) => Verdict::Good("up to date".to_owned()),
            (true, false) => Verdict::Good(texts.join(", ")),
            (false, _) => Verdict::Notice(texts.join(", ")),
        })
    }
}
