//! A call fails once: the program undoes its changes or works without the call, and its report is
//! true.

use crate::sample;
use crate::scene::CrashScene;
use crate::tally::{End, Tally};

const ERRORS: [&str; 5] = ["ENOSPC", "EIO", "EACCES", "EXDEV", "EROFS"];

fn run(scene: &CrashScene) {
    let points = scene.points("start");
    for error in ERRORS {
        let mut tally = Tally::new(error, scene.name);
        for point in sample::of(points.clone()) {
            scene.bring_back("start");
            let run = scene.disturb(scene.program(), &format!("error={error}"), &point);
            let at_once = scene.end();
            let found = scene.settle();
            let found = match (run, at_once) {
                (_, Err(words)) if scene.failure_is_before => Err(format!("before the recovery: {words}")),
                // If a step of a rollback fails, the recovery finishes it. Until then the program
                // must report a failure.
                (Some(run), Err(words)) if scene.promise.is_some_and(|promise| run.code == Some(promise.code)) => {
                    Err(format!("reported as done, and before the recovery: {words}"))
                }
                (_, Err(_)) | (None, Ok(_)) => found,
                (Some(run), Ok(end)) if scene.failure_is_before && run.code != Some(0) && end != End::Before => {
                    Err(format!("it reports a failure, and all is new: {run:?}"))
                }
                (Some(run), Ok(end)) => scene.kept(&run, end).and(found),
            };
            tally.count(&point.to_string(), found);
        }
        tally.close();
    }
}

scenarios! {
    helper, apply, apply_unwatched, two_components, first_install, remove, other_disk, keep, take_back, failing_version,
    next_start,
}
