//! Prepared swaps that a newer release supersedes while the helper waits.

use crate::support::deadline::wait_for;
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn the_helper_discards_a_prepared_swap_that_a_newer_release_supersedes() {
    for checks in [true, false] {
        let world = World::honest();
        let trees = [1, 2, 3].map(|seed| Tree::from_seed(1).mutate(seed));
        world.publish("1.0.0", &trees[0]);
        world.install("core");
        world.publish("2.0.0", &trees[1]);
        world.user.ok(&["download"]);
        let mut app = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        world.user.ok(&["apply", "--wait-pid", &app.id().to_string()]);
        let log = || fs::read_to_string(world.user.state("helper.log")).ok();
        wait_for("the helper", || log()?.contains("waiting for process").then_some(()));

        world.publish("3.0.0", &trees[2]);
        if checks {
            world.user.json(10, &["check"]);
        } else {
            // Another process has seen it, and ended before it could discard the swap.
            let other = User::trusting(&world.publisher);
            other.ok(&["install", "core", "--from", &world.manifest_url("core")]);
            fs::copy(other.state("seen.xml"), world.user.state("seen.xml")).unwrap();
        }
        drop(app.stdin.take());
        app.wait().unwrap();
        wait_for("the end of the helper", || log()?.contains("no swap was prepared").then_some(()));
        world.user.has("core", &trees[0]);
        let history = world.user.ok(&["history"])["updates"].clone();
        let (to, result, error) = (&history[0]["to"], &history[0]["result"], &history[0]["error"]);
        assert_eq!((to, result, error), (&"2.0.0".into(), &"failed".into(), &"superseded".into()));
        world.user.ok(&["update"]);
        world.user.has("core", &trees[2]);
    }
}
