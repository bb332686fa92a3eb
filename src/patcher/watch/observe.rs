//! The watch of a program that a service updates: it looks for versions that the service has
//! installed, and asks no server.

use super::{Wake, WakeSignal, WatchEvent};
use crate::formats::manifest::Component;
use crate::patcher::{ComponentVersion, Patcher};
use semver::Version;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The time between two looks at the manifests' times.
const LOOK_PERIOD: Duration = Duration::from_secs(60);

/// The state of the observer's thread.
pub(super) struct ObserveLoop<F> {
    pub patcher: Patcher,
    pub on_event: F,
    pub signal: Arc<WakeSignal>,
    /// The time and the version of each manifest at the last look.
    known: BTreeMap<Component, (SystemTime, Version)>,
}

impl<F: FnMut(WatchEvent<'_>)> ObserveLoop<F> {
    /// Makes an observer that knows the versions of now.
    pub fn new(patcher: Patcher, on_event: F, signal: Arc<WakeSignal>) -> Self {
        let mut observer = Self { patcher, on_event, signal, known: BTreeMap::new() };
        observer.look();
        observer
    }

    /// Looks again and again until the watcher stops.
    pub fn run(&mut self, period: Duration) {
        while self.signal.sleep(period.min(LOOK_PERIOD)) != Wake::Stop {
            let replaced = self.look();
            if !replaced.is_empty() {
                (self.on_event)(WatchEvent::Applied(replaced));
            }
        }
    }

    /// Returns the components whose version has changed since the last look.
    fn look(&mut self) -> Vec<ComponentVersion> {
        let mut replaced = Vec::new();
        for (component, time) in self.patcher.manifest_times() {
            let before = self.known.get(&component);
            if before.is_some_and(|(known, _)| *known == time) {
                continue;
            }
            // A manifest that cannot be read now is read at the next look.
            let Ok(Some(installed)) = self.patcher.installed(&component) else { continue };
            let version = installed.manifest.meta.version;
            if before.is_some_and(|(_, known)| *known != version) {
                replaced.push(ComponentVersion { component: component.clone(), version: version.clone() });
            }
            self.known.insert(component, (time, version));
        }
        replaced
    }
}
