//! Clocks that are wrong by decades: commands answer, and work again when the clock is right.

use crate::support::left_out;
use crate::support::run::Run;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::process::Command;

#[test]
fn no_command_panics_under_any_clock() {
    let Some(faketime) = left_out::program("faketime") else { return };
    let (one, two) = (Tree::from_seed(1), Tree::from_seed(2));
    for clock in ["1960-01-01", "1970-01-01", "2106-02-08", "9999-12-30"] {
        let world = World::honest();
        world.publish("1.0.0", &one);
        world.install("core");
        world.publish("2.0.0", &two);
        let at = |arguments: &[&str]| {
            let mut command = Command::new(&faketime);
            command.args(["-f", &format!("@{clock} 00:00:00")]).arg(crate::support::programs::patcher());
            world.user.prepare(&mut command, &[&["--json"], arguments].concat());
            let run = Run::of(&mut command);
            // Any documented answer will do; some rules forbid work under such a clock.
            assert!(
                run.code != Some(1) && run.code != Some(101) && run.code.is_some(),
                "{clock} {arguments:?}: {run:#?}"
            );
            assert!(!run.err.contains("panicked"), "{clock} {arguments:?}: {run:#?}");
            run.json();
        };
        for command in ["status", "check", "download", "verify", "recover", "apply", "confirm", "update", "rollback"] {
            at(&[command]);
        }
        for arguments in
            [&["repair", "core"][..], &["pause"], &["resume"], &["history"], &["doctor"], &["remove", "core"]]
        {
            at(arguments);
        }
        at(&["install", "core", "--from", &world.manifest_url("core")]);
        world.user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
        world.user.ok(&["confirm"]);
        world.user.has("core", &two);
    }
}
