//! Several updaters and several instances of the program: one works, and the others report its
//! process id.

use crate::support::deadline::wait_for;
use crate::support::programs;
use crate::support::run::Run;
use crate::support::tree::Tree;
use crate::support::world::World;
use fs2::FileExt;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

/// Runs commands at the same time and returns their results.
fn together(commands: Vec<Command>) -> Vec<Run> {
    let start = |mut command: Command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<Child> = commands.into_iter().map(start).collect();
    children.into_iter().map(|child| Run::ended(Child::wait_with_output(child).unwrap())).collect()
}

#[test]
fn a_busy_error_names_the_process_id() {
    let (world, ..) = World::outdated();
    let lock = File::options().read(true).write(true).open(world.user.state("lock")).unwrap();
    FileExt::lock_exclusive(&lock).unwrap();
    fs::write(world.user.state("lock"), "4711").unwrap();
    let run = world.user.run(&["--json", "update"]);
    run.fails(23, "busy");
    assert!(run.json()["error"]["message"].as_str().unwrap().contains("4711"), "{run:#?}");
    // The holders of a shared lock leave no process id.
    let running = File::create(world.user.state("running")).unwrap();
    FileExt::lock_shared(&running).unwrap();
    drop(lock);
    world.user.ok(&["download"]);
    let run = world.user.run(&["--json", "apply"]);
    run.fails(23, "busy");
    assert!(!run.json()["error"]["message"].as_str().unwrap().contains("4711"), "{run:#?}");
}

#[test]
fn two_programs_that_update_at_once_both_end_with_the_new_version() {
    let (world, _, _, two) = World::outdated();
    let runs = together((0..3).map(|_| world.user.command(&["update"])).collect());
    for run in &runs {
        assert!(matches!(run.code, Some(0 | 23)), "{run:#?}");
    }
    assert!(runs.iter().any(|run| run.code == Some(0)), "{runs:#?}");
    world.user.has("core", &two);
}

#[test]
fn two_helpers_and_a_recovery_do_not_disturb_each_other() {
    for _ in 0..5 {
        let world = World::honest();
        let (one, two) = (Tree::from_seed(3), Tree::from_seed(3).mutate(4));
        world.publish("1.0.0", &one);
        world.install("core");
        world.publish("2.0.0", &two);
        world.user.ok(&["download"]);
        let mut app = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        // Both helpers wait for the same process, and start when it ends.
        let helper = || {
            let mut command = Command::new(programs::helper());
            command.arg("--root").arg(world.user.root()).args(["--wait-pid", &app.id().to_string()]);
            command
        };
        let second = helper();
        world.user.ok(&["apply", "--wait-pid", &app.id().to_string()]);
        let log = world.user.state("helper.log");
        wait_for("the helper", || fs::read_to_string(&log).ok()?.contains("waiting").then_some(()));
        drop(app.stdin.take());
        app.wait().unwrap();
        for run in together(vec![second, world.user.command(&["recover"])]) {
            assert!(matches!(run.code, Some(0 | 23)), "{run:#?}");
        }
        // The first helper has swapped, or `recover` has discarded its swap.
        wait_for("the first helper", || {
            let text = fs::read_to_string(&log).ok()?;
            (text.contains("1.0.0 -> 2.0.0") || text.contains("no swap was prepared")).then_some(())
        });
        world.user.ok(&["recover"]);
        let found = world.user.tree("core");
        assert!(found == one || found == two, "{}", two.differences(&found));
    }
}

#[test]
fn a_helper_gives_up_when_an_instance_does_not_end() {
    let (world, ..) = World::outdated();
    let running = File::create(world.user.state("running")).unwrap();
    FileExt::lock_shared(&running).unwrap();
    world.user.ok(&["download"]);
    world.user.fails(23, "busy", &["apply"]);
    // A helper that will restart the program waits up to a minute by default. It reports the
    // running instance and starts no program.
    let started = world.user.path("started");
    let mut helper = Command::new(programs::helper());
    helper.arg("--root").arg(world.user.root()).args(["--patience", "1", "--restart", "--", "touch"]).arg(&started);
    assert_eq!(Run::of(&mut helper).code, Some(23));
    assert!(!started.exists());
    assert!(fs::read_to_string(world.user.state("helper.log")).unwrap().contains("(busy)"));
}

#[test]
fn a_release_whose_swap_failed_three_times_is_skipped_until_a_higher_one() {
    let (world, ..) = World::outdated();
    world.user.ok(&["download"]);
    let file = world.user.component("core").join("bin/app");
    let good = fs::read(&file).unwrap();
    for _ in 0..3 {
        world.user.ok(&["download"]);
        let mut app = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let _ = fs::remove_file(world.user.state("helper.log"));
        world.user.ok(&["apply", "--wait-pid", &app.id().to_string()]);
        let log = world.user.state("helper.log");
        wait_for("the helper", || fs::read_to_string(&log).ok()?.contains("waiting").then_some(()));
        fs::write(&file, "somebody's").unwrap();
        drop(app.stdin.take());
        app.wait().unwrap();
        wait_for("the refusal", || fs::read_to_string(&log).ok()?.contains("(changed)").then_some(()));
        wait_for("the end of the plan", || (!world.user.state("journal").exists()).then_some(()));
        fs::write(&file, &good).unwrap();
    }
    let check = world.user.json(25, &["check"]);
    assert_eq!(
        (check["deferred"][0]["version"].as_str(), check["deferred"][0]["why"].as_str()),
        (Some("2.0.0"), Some("swap-failed"))
    );
    world.user.json(25, &["update"]);
    let three = Tree::from_seed(5);
    world.publish("3.0.0", &three);
    world.user.ok(&["update"]);
    world.user.has("core", &three);
}

#[test]
fn commands_that_pause_and_resume_at_once_all_succeed() {
    let (world, ..) = World::outdated();
    for _ in 0..4 {
        let commands = ["pause", "resume"].into_iter().cycle().take(16);
        for run in together(commands.map(|command| world.user.command(&[command])).collect()) {
            run.ends(0);
        }
    }
    let left = fs::read_dir(world.user.state("")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains(".new")).collect();
    assert!(left.is_empty(), "{left:?}");
}
