//! Kills a program before each call that changes the disk: it leaves the old or the new version.

use crate::sample;
use crate::scene::CrashScene;
use crate::tally::Tally;
use crate::trace::KILL;

fn run(scene: &CrashScene) {
    let mut tally = Tally::new("kill", scene.name);
    for point in sample::of(scene.points("start")) {
        scene.bring_back("start");
        // Another process may have saved the program a call. Then it ends before the point.
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
