//! Killed before any call that changes the disk, a program leaves all old or all new.

use crate::sample;
use crate::scene::Scene;
use crate::tally::Tally;
use crate::trace::KILL;

fn run(scene: &Scene) {
    let mut tally = Tally::new("kill", scene.name);
    for point in sample::of(scene.points("start")) {
        scene.bring_back("start");
        // What another process does at the same time may have made it one call fewer; then it has
        // come to its end.
        let run = scene.disturb(scene.program(), KILL, &point);
        let found = scene.settle();
        tally.count(
            &point.to_string(),
            match run {
                Some(run) => found.and_then(|end| scene.kept(&run, end)),
                None => found,
            },
        );
    }
    tally.close();
}

scenarios! {
    helper, apply, apply_unwatched, apply_over_prepared, two_components, first_install, remove, other_disk,
    remove_other_disk, keep, take_back, failing_version, next_start,
}
