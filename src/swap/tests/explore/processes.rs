//! A second process at each lock, and the helper's way from a swap to a complete program.

use super::events::event_path;
use super::*;
use crate::disk::fs::simulated::{Fault, locks};

/// The runs of the helper's loop, unless `EXPLORE_RUNS` says otherwise.
const HELPER_RUNS: usize = 2_000;

/// Runs an action, and a second process at one place where a lock is taken or released.
fn run_with_second(disk: &Disk, action: Action, second: Action, at: usize) -> ExploredRun {
    let mounted = Mounted::new(disk.clone());
    let other = root(&mounted);
    locks::schedule(at, Box::new(move || drop(second(MOST_CHANGES, &other))));
    let result = action(MOST_CHANGES, &root(&mounted));
    locks::places();
    // Either process may have had the last word.
    let result = result.and(Err(Caller::NothingStaged.into()));
    ExploredRun { result, disk: mounted.disk(), steps: mounted.steps(), happened: mounted.has_happened() }
}

/// The number of places at which an action takes or releases a lock.
fn places(disk: &Disk, action: Action) -> usize {
    let mounted = Mounted::new(disk.clone());
    locks::places();
    let _ = action(MOST_CHANGES, &root(&mounted));
    locks::places()
}

#[test]
fn a_second_process_at_each_lock_leaves_a_whole_version() {
    let (fresh, probation) = (MOST_CHANGES.start(), MOST_CHANGES.on_probation());
    let applying = MOST_CHANGES.run(&probation, return_to_the_old_version, Some((100, Event::Death))).disk;
    let actions: [(&str, Action); 7] = [
        ("swap for good", swap_for_good),
        ("swap on probation", swap_on_probation),
        ("helper", helper),
        ("removal", remove_the_component),
        ("rollback", return_to_the_old_version),
        ("confirmation", confirm_the_new_version),
        ("recovery", recover_once),
    ];
    let mut tally = Tally::default();
    for disk in [&fresh, &probation, &applying] {
        for (name, action) in actions {
            let places = places(disk, action);
            for (other, second) in actions {
                for at in 0..places {
                    let left = run_with_second(disk, action, second, at);
                    tally.states.insert(left.disk.fingerprint());
                    let broken = MOST_CHANGES.broken_rule(&left, left.disk.clone(), &[], true);
                    tally.judge(name, &format!("{other} at lock {at}"), broken);
                }
            }
        }
    }
    tally.report("a second process at each lock");
}

/// A program that was started, and whether it was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    Whole,
    Mixed,
    NotAtAll,
}

/// The helper's loop, as `patcher-helper` runs it: swap, complete, start, watch, and roll back a
/// version that does not confirm. `begin` starts the program and returns what was started.
fn helper_loop(root: &InstallRoot, confirms: bool, mut begin: impl FnMut(&Result<()>)) -> Result<()> {
    let complete = |changed: Result<()>| {
        let Err(Error::Machine(Machine::UndoFailed { cause })) = changed else { return changed };
        for _ in 0..5 {
            match locked(root, |lock| recover(root, lock)) {
                Ok(Recovery::Completed | Recovery::Finished) => return Ok(()),
                Ok(_) => return Err(Machine::SwapUndone { cause }.into()),
                Err(_) => {}
            }
        }
        Err(Machine::UndoFailed { cause }.into())
    };
    let ready = locked(root, |lock| make_ready(root, lock)).ok().flatten();
    let changed = complete(locked(root, |lock| make_live(root, lock, ready).map(drop)));
    begin(&changed);
    let _ = locked(root, |lock| {
        finish(root, lock);
        Ok(())
    });
    if crate::swap::on_probation(root)?.is_none() {
        return changed;
    }
    if confirms {
        return confirm(root).map(drop);
    }
    let returned = complete(locked(root, |lock| roll_back(root, lock, RollbackReason::Exited(1)).map(drop)));
    begin(&returned);
    returned
}

fn helper(trees: Trees, root: &InstallRoot) -> Result<bool> {
    locked(root, |lock| prepare(root, lock, trees.transaction(true)))?;
    helper_loop(root, false, |_| {}).map(|()| false)
}

/// Lets an event meet a step of the helper's loop, and returns what it started.
fn begun(disk: &Disk, confirms: bool, at: usize, event: &Event) -> (Vec<Begun>, ExploredRun) {
    let mounted = Mounted::new(disk.clone());
    mounted.schedule(at, event.clone());
    let mut begun = Vec::new();
    let result = locked(&root(&mounted), |lock| prepare(&root(&mounted), lock, MOST_CHANGES.transaction(true)));
    let result = result.and_then(|()| {
        helper_loop(&root(&mounted), confirms, |changed| {
            let is_refused =
                matches!(changed, Err(Error::Machine(Machine::UndoFailed { .. } | Machine::JournalUnreadable { .. })));
            begun.push(match MOST_CHANGES.version(&mounted.disk(), event_path(event).as_slice()) {
                _ if is_refused => Begun::NotAtAll,
                Some(_) => Begun::Whole,
                None => Begun::Mixed,
            });
        })
    });
    let result = result.and(Err(Caller::NothingStaged.into()));
    let run = ExploredRun { result, disk: mounted.disk(), steps: mounted.steps(), happened: mounted.has_happened() };
    (begun, run)
}

#[test]
fn the_helper_starts_nothing_that_is_mixed() {
    let disk = MOST_CHANGES.start();
    let events: Vec<Event> =
        [Event::Death].into_iter().chain(MOST_CHANGES.faults()).chain(MOST_CHANGES.foreign_writes()).collect();
    let limit = std::env::var("EXPLORE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(HELPER_RUNS);
    let mut tally = Tally::default();
    for confirms in [true, false] {
        let total = begun(&disk, confirms, usize::MAX / 2, &Event::Death).1.steps;
        let stride = (2 * total * events.len() / limit).max(1);
        // Some of the steps, as the swap and the rollback alone are explored step by step.
        for at in (usize::from(confirms)..total).step_by(stride) {
            for event in &events {
                let (begun, left) = begun(&disk, confirms, at, event);
                let words = format!("{event:?} at {at}, confirms: {confirms}");
                // A process that is dead or has lost its disk starts nothing.
                let is_over = matches!(event, Event::Death | Event::Fault(Fault::Gone));
                if !is_over && begun.contains(&Begun::Mixed) {
                    tally.judge("helper", &words, Some(format!("started: {begun:?}")));
                }
                // A full disk is no reason not to start: nothing that goes needs space to come
                // back.
                if *event == Event::Fault(Fault::NoSpace) && begun.contains(&Begun::NotAtAll) {
                    tally.judge("helper", &words, Some("a full disk: nothing was started".to_owned()));
                }
                tally.states.insert(left.disk.fingerprint());
                let broken = MOST_CHANGES.broken_rule(&left, left.disk.clone(), event_path(event).as_slice(), true);
                tally.judge("helper", &words, broken);
            }
        }
    }
    tally.report("the helper's loop");
}
