//! Kills a recovery before each call that changes the disk: the next recovery finishes it.

use crate::sample;
use crate::scene::CrashScene;
use crate::tally::{End, Tally};
use crate::trace::{Call, KILL, changes, points};

/// Saves the two states with the most to undo and the most to clean up, and returns their names.
///
/// The program is killed just before and just after the journal says that everything is done.
fn interrupted(scene: &CrashScene) -> Vec<&'static str> {
    scene.bring_back("start");
    let (_, calls) = scene.calls(scene.program());
    let changes = changes(&calls);
    // This program or an earlier one writes a state ahead. A rename then makes it the journal.
    let says = |call: &Call, word: &str| {
        let writes = call.name == "write" && call.text.contains(&format!("\"{word} "));
        writes || call.name == "renameat" && call.quoted(0) == Some(&format!("journal.{word}"))
    };
    let changes_journal = |call: &Call| call.text.contains("\"journal\"");
    let mut states = Vec::new();
    for (word, state) in [("APPLYING", "applying"), ("CONFIRMED", "confirmed")] {
        let Some(said) = changes.iter().position(|(call, _)| says(call, word)) else { continue };
        let mut journal = (said..changes.len()).filter(|at| changes_journal(changes[*at].0));
        // A swap on probation has CONFIRMED ready, but has not got there.
        let Some(now) = journal.next() else { continue };
        let (_, point) = &changes[if word == "APPLYING" { journal.next().unwrap() } else { now + 1 }];
        scene.bring_back("start");
        scene.disturb(scene.program(), KILL, point).unwrap();
        assert!(scene.journal().starts_with(word), "{}: {point}: {:?}", scene.name, scene.journal());
        scene.save(state);
        states.push(state);
    }
    states
}

fn run(scene: &CrashScene) {
    let states = interrupted(scene);
    assert!(!states.is_empty(), "{}: nothing to recover from", scene.name);
    let mut tally = Tally::new("kill in recovery", scene.name);
    for state in states {
        let recover = scene.user().command(&["recover"]);
        scene.bring_back(state);
        let points = points(&scene.calls(&recover).1);
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
