//! Explores a swap, its way back and its recovery on a disk in memory: every step meets every
//! event.
//!
//! The rules, checked after each run and the one `recover` that follows it:
//! - **liveness**: once the fault is gone, one `recover` succeeds, and nothing of a swap is left
//!   but a version on probation;
//! - **no mix**: the component is the old one or the new one, apart from paths that another program
//!   wrote to;
//! - **durable**: after a swap reported success, the new version survives a power cut;
//! - **nothing lost**: the bytes that another program wrote still exist under some name.
//!
//! Single events are tried completely. Pairs are tried by a breadth-first search: a second event
//! meets each step of the recovery from each state that a first event led to. A fingerprint
//! identifies each state, so that each is visited once. `EXPLORE_RUNS` limits the number of pairs.
//!
//! | file | explores |
//! |---|---|
//! | `pairs` | a write by another program before a rollback that is cut off |
//! | `processes` | a second process at each lock, and the helper from a swap to a running program |
//! | `full_disk` | a disk that fills at each step; expects a complete version without a recovery |

mod events;
mod full_disk;
mod pairs;
mod processes;
mod trees;

use super::*;
use crate::disk::fs::simulated::{Disk, Event, Mounted, NodeKind};
use crate::error::Caller;
use events::{event_path, power_cuts};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use trees::{FOLDER_BECOMES_FILE, MOST_CHANGES, Trees, component};

/// The runs of second events, unless `EXPLORE_RUNS` says otherwise.
const PAIRED_RUNS: usize = 2_000;
/// The text of everything that another program writes.
const USERS: &str = "bytes of the user";

fn root(mounted: &Mounted) -> InstallRoot {
    InstallRoot::new(mounted.path().join("root"))
}

/// A program of the updater. `Ok(true)` says that the new version is installed, `Ok(false)` the old
/// one.
type Action = fn(Trees, &InstallRoot) -> Result<bool>;

fn locked<T>(root: &InstallRoot, action: impl FnOnce(&Lock) -> Result<T>) -> Result<T> {
    let state_dir = state::open_or_create(root)?;
    action(&state::lock_updater(&state_dir, Duration::ZERO)?)
}

fn swap_for_good(trees: Trees, root: &InstallRoot) -> Result<bool> {
    locked(root, |lock| {
        prepare(root, lock, trees.transaction(false))?;
        apply(root, lock).map(|applied| applied.is_some())
    })
}

fn swap_on_probation(trees: Trees, root: &InstallRoot) -> Result<bool> {
    locked(root, |lock| {
        prepare(root, lock, trees.transaction(true))?;
        apply(root, lock).map(|applied| applied.is_some())
    })
}

/// As the helper swaps: ready before the program's end, live after it.
fn swap_by_the_helper(trees: Trees, root: &InstallRoot) -> Result<bool> {
    locked(root, |lock| {
        prepare(root, lock, trees.transaction(true))?;
        let ready = make_ready(root, lock).ok().flatten();
        make_live(root, lock, ready).map(|applied| applied.is_some())
    })
}

fn remove_the_component(trees: Trees, root: &InstallRoot) -> Result<bool> {
    locked(root, |lock| {
        prepare(root, lock, trees.removal())?;
        apply(root, lock).map(|applied| applied.is_some())
    })
}

fn return_to_the_old_version(_: Trees, root: &InstallRoot) -> Result<bool> {
    locked(root, |lock| roll_back(root, lock, RollbackReason::Asked).map(|applied| applied.is_none()))
}

fn confirm_the_new_version(_: Trees, root: &InstallRoot) -> Result<bool> {
    confirm(root).map(|_| true)
}

fn recover_once(_: Trees, root: &InstallRoot) -> Result<bool> {
    locked(root, |lock| recover(root, lock).map(|_| true))
}

/// The result of a run, and the disk after it.
struct ExploredRun {
    result: Result<bool>,
    disk: Disk,
    steps: usize,
    happened: bool,
}

impl Trees {
    /// Runs an action on a copy of a disk.
    fn run(self, disk: &Disk, action: Action, event: Option<(usize, Event)>) -> ExploredRun {
        let mounted = Mounted::new(disk.clone());
        if let Some((at, event)) = event {
            mounted.schedule(at, event);
        }
        let result = action(self, &root(&mounted));
        ExploredRun { result, disk: mounted.disk(), steps: mounted.steps(), happened: mounted.has_happened() }
    }

    /// Recovers once and compares the outcome with the rules; returns the rule that is broken.
    fn broken_rule(self, left: &ExploredRun, disk: Disk, touched: &[&str], may_confirm: bool) -> Option<String> {
        let files_of_the_user = files_of_the_user(&disk);
        let recovered = self.run(&disk, recover_once, None);
        if let Err(error) = &recovered.result {
            return Some(format!("stuck: {error}"));
        }
        let Some(found) = self.version(&recovered.disk, touched) else {
            return Some(format!("mixed: {:?}", component(&recovered.disk)));
        };
        if let Ok(is_new) = left.result
            && is_new != (found == "new")
        {
            return Some(format!("reported {} and is {found}", if is_new { "new" } else { "old" }));
        }
        if self::files_of_the_user(&recovered.disk) < files_of_the_user {
            return Some("lost bytes of the user".to_owned());
        }
        let paths = recovered.disk.paths();
        let left_over = |name: &str| paths.contains_key(&format!("root/.patcher/{name}"));
        let on_probation = found == "new" && may_confirm;
        if !on_probation && (left_over("journal") || left_over("txn")) {
            return Some("something of the swap is left".to_owned());
        }
        None
    }
}

/// The number of files that hold what another program wrote, each counted once under all its names.
fn files_of_the_user(disk: &Disk) -> usize {
    let paths = disk.paths();
    let files = paths.values().filter(|node| node.bytes() == Some(USERS.as_bytes()));
    files.map(|node| std::ptr::from_ref(*node)).collect::<HashSet<_>>().len()
}

/// The tally of an exploration.
#[derive(Default)]
struct Tally {
    runs: usize,
    states: HashSet<u64>,
    broken: BTreeMap<String, Vec<String>>,
}

impl Tally {
    fn judge(&mut self, name: &str, event: &str, broken: Option<String>) {
        self.runs += 1;
        if let Some(rule) = broken {
            let kind = rule.split(':').next().unwrap_or_default().to_owned();
            self.broken.entry(kind).or_default().push(format!("{name}, {event}: {rule}"));
        }
    }

    #[track_caller]
    fn report(&self, name: &str) {
        println!("{name}: {} runs, {} states", self.runs, self.states.len());
        let sample = |found: &Vec<String>| format!("{} times, as in {:#?}", found.len(), &found[..found.len().min(8)]);
        let broken: Vec<_> = self.broken.iter().map(|(kind, found)| format!("{kind} {}", sample(found))).collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}

impl Trees {
    /// Lets every event meet every step of an action, then recovers.
    fn explore(self, name: &str, disk: &Disk, action: Action, may_confirm: bool) {
        let mut tally = Tally::default();
        let total = self.run(disk, action, None).steps;
        let mut seconds: Vec<Disk> = Vec::new();
        for at in 0..=total {
            let dead = self.run(disk, action, Some((at, Event::Death)));
            if tally.states.insert(dead.disk.fingerprint()) {
                seconds.push(dead.disk.clone());
            }
            tally.judge(name, &format!("death at {at}"), self.broken_rule(&dead, dead.disk.clone(), &[], may_confirm));
            for (number, cut) in power_cuts(&dead.disk).into_iter().enumerate() {
                if tally.states.insert(cut.fingerprint()) {
                    tally.judge(
                        name,
                        &format!("power cut {number} at {at}"),
                        self.broken_rule(&dead, cut.clone(), &[], may_confirm),
                    );
                    seconds.push(cut);
                }
            }
            for event in self.faults().into_iter().chain(self.foreign_writes()) {
                let left = self.run(disk, action, Some((at, event.clone())));
                if !left.happened {
                    continue;
                }
                let words = format!("{event:?} at {at}");
                let broken = self.broken_rule(&left, left.disk.clone(), event_path(&event).as_slice(), may_confirm);
                tally.judge(name, &words, broken);
                if left.result.is_ok() {
                    // A reported success lasts through a power cut.
                    let cut = left.disk.clone().power_cut(|_| false);
                    let broken = self.broken_rule(&left, cut, event_path(&event).as_slice(), may_confirm);
                    tally.judge(name, &format!("{words}, then a power cut"), broken);
                }
                if event_path(&event).is_none() && tally.states.insert(left.disk.fingerprint()) {
                    seconds.push(left.disk);
                }
            }
        }
        let limit = std::env::var("EXPLORE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(PAIRED_RUNS);
        self.explore_recovery(name, seconds, &mut tally, may_confirm, limit);
        tally.report(name);
    }

    /// Lets a second event meet every step of the recovery from each state that a first event led
    /// to.
    fn explore_recovery(self, name: &str, starts: Vec<Disk>, tally: &mut Tally, may_confirm: bool, limit: usize) {
        let first = tally.runs;
        let events: Vec<Event> = [Event::Death].into_iter().chain(self.faults()).chain(self.foreign_writes()).collect();
        // Starts spread over all steps of the first action, so that a bounded run sees each part of
        // it.
        let stride = starts.len().div_ceil(64).max(1);
        for offset in 0..stride {
            for disk in starts.iter().skip(offset).step_by(stride) {
                let total = self.run(disk, recover_once, None).steps;
                for at in 0..total {
                    for event in &events {
                        if tally.runs - first >= limit {
                            return;
                        }
                        let mut left = self.run(disk, recover_once, Some((at, event.clone())));
                        // A recovery reports no version.
                        left.result = Err(Caller::NothingStaged.into());
                        let words = format!("then {event:?} at {at} of the recovery");
                        tally.states.insert(left.disk.fingerprint());
                        let touched = event_path(event);
                        tally.judge(
                            name,
                            &words,
                            self.broken_rule(&left, left.disk.clone(), touched.as_slice(), may_confirm),
                        );
                        if *event == Event::Death {
                            let cut = left.disk.clone().power_cut(|_| false);
                            tally.judge(
                                name,
                                &format!("{words}, a power cut"),
                                self.broken_rule(&left, cut, &[], may_confirm),
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Explores an action from the old version, or from the new one on probation, for all trees.
fn explore(name: &str, start: fn(Trees) -> Disk, action: Action, may_confirm: bool) {
    for (trees, kind) in [(MOST_CHANGES, "most changes"), (FOLDER_BECOMES_FILE, "a folder becomes a file")] {
        trees.explore(&format!("{name}, {kind}"), &start(trees), action, may_confirm);
    }
}

#[test]
fn a_swap_for_good_survives_every_event() {
    explore("swap for good", Trees::start, swap_for_good, false);
}

#[test]
fn a_swap_on_probation_survives_every_event() {
    explore("swap on probation", Trees::start, swap_on_probation, true);
}

#[test]
fn a_swap_by_the_helper_survives_every_event() {
    explore("swap by the helper", Trees::start, swap_by_the_helper, true);
}

#[test]
fn a_rollback_survives_every_event() {
    explore("rollback", Trees::on_probation, return_to_the_old_version, true);
}

#[test]
fn a_confirmation_survives_every_event() {
    explore("confirmation", Trees::on_probation, confirm_the_new_version, true);
}

#[test]
fn a_removal_survives_every_event() {
    explore("removal", Trees::start, remove_the_component, false);
}
