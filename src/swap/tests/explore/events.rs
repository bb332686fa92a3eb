//! The events that an exploration lets happen.

use super::{Trees, USERS};
use crate::disk::fs::simulated::{Disk, Event, Fault, ForeignWrite};
use std::collections::BTreeSet;

/// Returns the path in the component that an event writes to.
pub fn event_path(event: &Event) -> Option<&str> {
    match event {
        Event::Write(
            ForeignWrite::InPlace(path, _)
            | ForeignWrite::Replace(path, _)
            | ForeignWrite::Remove(path)
            | ForeignWrite::SetMode(path, _)
            | ForeignWrite::Folder(path, _)
            | ForeignWrite::Link(path, _),
        ) => path.strip_prefix("root/core/"),
        _ => None,
    }
}

impl Trees {
    /// Returns every foreign write to every file of both versions.
    pub fn foreign_writes(self) -> Vec<Event> {
        let mut writes = Vec::new();
        for path in self.paths().into_iter().map(|path| format!("root/core/{path}")) {
            writes.extend([
                ForeignWrite::InPlace(path.clone(), USERS),
                ForeignWrite::Replace(path.clone(), USERS),
                ForeignWrite::Remove(path.clone()),
                ForeignWrite::SetMode(path.clone(), 0o600),
                ForeignWrite::Folder(path.clone(), USERS),
                ForeignWrite::Link(path, "elsewhere"),
            ]);
        }
        writes.into_iter().map(Event::Write).collect()
    }

    /// Returns every fault of the machine, some of them at one path.
    pub fn faults(self) -> Vec<Event> {
        let mut immutable = self.paths();
        // A file that stays, or one that becomes a folder, adds time and no state.
        immutable.retain(|path| !["kept", "turns", "turns/z"].contains(path));
        let immutable = immutable.into_iter().map(|path| Fault::Immutable(format!("root/core/{path}")));
        let everywhere = [Fault::NoSpace, Fault::NoSync, Fault::ReadOnly, Fault::Gone];
        everywhere.into_iter().chain(immutable).map(Event::Fault).collect()
    }

    fn paths(self) -> BTreeSet<&'static str> {
        self.old.iter().chain(self.new).map(|(path, _)| *path).collect()
    }
}

/// The disks that a power cut can leave: nothing or all that is unsynced lasts, all but one, one
/// alone, and some subsets by a fixed pattern.
pub fn power_cuts(disk: &Disk) -> Vec<Disk> {
    let count = disk.unsynced();
    let mut cuts = vec![disk.clone().power_cut(|_| false)];
    for chosen in 0..count {
        cuts.push(disk.clone().power_cut(|at| at != chosen));
        cuts.push(disk.clone().power_cut(|at| at == chosen));
    }
    for pattern in 1..8_usize {
        cuts.push(disk.clone().power_cut(|at| (at * 7 + pattern * 5) % 11 < 5));
    }
    cuts
}
