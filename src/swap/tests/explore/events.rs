//! The events that an exploration lets happen.

use super::{NEW, OLD, USERS};
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

/// Every foreign write to every path that the swap touches.
pub fn foreign_writes() -> Vec<Event> {
    let paths: BTreeSet<&str> = OLD.iter().chain(&NEW).map(|(path, _)| *path).collect();
    let mut writes = Vec::new();
    for path in paths.into_iter().map(|path| format!("root/core/{path}")) {
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

/// Every fault of the machine, some of them at one path.
pub fn faults() -> Vec<Event> {
    let immutable = ["root/core/app", "root/core/new/y", "root/core/gone/x", "root/core/settings"];
    let immutable = immutable.map(|path| Fault::Immutable(path.to_owned()));
    let everywhere = [Fault::NoSpace, Fault::NoSync, Fault::ReadOnly, Fault::Gone];
    everywhere.into_iter().chain(immutable).map(Event::Fault).collect()
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
