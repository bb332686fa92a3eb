//! A recovery that is killed before any call that changes the disk is finished by the next one.

use crate::sample;
use crate::scene::Scene;
use crate::tally::{End, Tally};
use crate::trace::{KILL, Point};

/// The states with the most to undo and the most to clean up that a killed program leaves, by what the journal says.
fn interrupted(scene: &Scene) -> Vec<&'static str> {
    let mut found = Vec::new();
    for call in ["renameat", "unlinkat"] {
        for number in 1.. {
            scene.bring_back("start");
            if scene.disturb(scene.program(), KILL, &Point::new(call, number)).is_none() {
                break;
            }
            let journal = scene.journal();
            if journal.starts_with("APPLYING") {
                scene.save("applying");
                found.push("applying");
            } else if journal.starts_with("CONFIRMED") && !found.contains(&"confirmed") {
                scene.save("confirmed");
                found.push("confirmed");
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn run(scene: &Scene) {
    let states = interrupted(scene);
    assert!(!states.is_empty(), "{}: nothing to recover from", scene.name);
    let mut tally = Tally::new("kill in recovery", scene.name);
    for state in states {
        let recover = scene.user().command(&["recover"]);
        scene.bring_back(state);
        let points = crate::trace::points(&scene.calls(&recover).1);
        assert!(points.len() > 10, "{points:?}");
        for point in sample::of(points) {
            scene.bring_back(state);
            scene.disturb(&recover, KILL, &point);
            let found = scene.settle().and_then(|end| match (state, end) {
                ("confirmed", End::Before) => Err("what was confirmed is gone".to_owned()),
                _ => Ok(end),
            });
            tally.count(&format!("{state}, {point}"), found);
        }
    }
    tally.close();
}

scenarios! {
    helper, two_components, first_install, remove, other_disk, remove_other_disk, keep, take_back,
}
