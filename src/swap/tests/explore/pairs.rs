//! Another program writes during a probation, and the way back is cut off.

use super::events::{event_path, power_cuts};
use super::*;

/// The runs, unless `EXPLORE_RUNS` says otherwise.
const RUNS: usize = 2_000;

/// The disk of a version on probation after another program has written to it.
fn after(writes: &[Event]) -> Disk {
    let mounted = Mounted::new(MOST_CHANGES.on_probation());
    writes.iter().for_each(|write| mounted.schedule(0, write.clone()));
    let _ = state::open(&root(&mounted));
    assert!(mounted.has_happened());
    // The user's files are durable before the rollback begins.
    mounted.disk().power_cut(|_| true)
}

#[test]
fn two_foreign_writes_before_a_rollback_that_is_cut_off_leave_a_whole_version() {
    let limit = std::env::var("EXPLORE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    let writes = MOST_CHANGES.foreign_writes();
    let mut tally = Tally::default();
    // Every pair of paths comes early, as their distance grows by a number that shares no factor.
    let pairs = (0..writes.len() * writes.len()).map(|number| (number * 17) % (writes.len() * writes.len()));
    for pair in pairs {
        let (first, second) = (&writes[pair / writes.len()], &writes[pair % writes.len()]);
        if event_path(first) == event_path(second) {
            continue;
        }
        let disk = after(&[first.clone(), second.clone()]);
        let total = MOST_CHANGES.run(&disk, return_to_the_old_version, None).steps;
        for at in [0, 3, 5, 6, 7, 8, 9].map(|eighth| total * eighth / 8) {
            if tally.runs >= limit {
                return tally.report("pairs of foreign writes and a cut");
            }
            let dead = MOST_CHANGES.run(&disk, return_to_the_old_version, Some((at, Event::Death)));
            let paths = [event_path(first), event_path(second)];
            let words = format!("{first:?} and {second:?}, then death at {at}");
            let mut cuts = power_cuts(&dead.disk);
            cuts.truncate(3);
            for disk in std::iter::once(dead.disk.clone()).chain(cuts) {
                if tally.states.insert(disk.fingerprint()) {
                    let touched: Vec<&str> = paths.into_iter().flatten().collect();
                    tally.judge("rollback", &words, MOST_CHANGES.broken_rule(&dead, disk, &touched, true));
                }
            }
        }
    }
    tally.report("pairs of foreign writes and a cut");
}
