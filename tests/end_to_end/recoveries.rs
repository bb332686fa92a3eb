//! Recoveries after events between two commands: other settings, other installers, lost state.

use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::{Serving, World};
use crate::support::{deadline, left_out, programs};
use serde_json::json;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

fn tree(text: &str) -> Tree {
    let tree = Tree::default().file("app", format!("app {text}").as_bytes(), 0o755);
    tree.file("data", format!("data {text}").as_bytes(), 0o644).file("same", b"same", 0o644)
}

fn publish<S: Serving>(world: &World<S>, version: &str, text: &str) {
    for component in ["core", "addon"] {
        world.publisher.release(component, version, &tree(text)).sign();
    }
}

/// Installs version 1 of two components, and puts version 2 of both on probation.
fn on_probation(elsewhere: bool) -> World<Scripted> {
    let mut world = World::honest();
    if elsewhere {
        let dir = world.user.path("elsewhere/addon");
        world.user.elsewhere.insert("addon".to_owned(), dir);
    }
    publish(&world, "1.0.0", "1");
    world.install("core");
    world.install("addon");
    publish(&world, "2.0.0", "2");
    world.user.ok(&["download"]);
    world.user.ok(&["apply"]);
    assert_eq!(world.user.ok(&["status"])["swap"], "probation");
    world
}

/// Makes the journal say that the swap was interrupted.
fn interrupt(user: &User) {
    let journal = fs::read_to_string(user.state("journal")).unwrap();
    fs::write(user.state("journal"), journal.replace("COMMITTED", "APPLYING")).unwrap();
}

/// Puts version 3 of the addon over the installed one, as its own installer does.
fn install_addon_3(world: &World<Scripted>) {
    world.publisher.release("addon", "3.0.0", &tree("3")).sign();
    let other = User::trusting(&world.publisher);
    other.ok(&["install", "addon", "--from", &world.publisher.site().join("addon").display().to_string()]);
    let addon = world.user.component("addon");
    fs::remove_dir_all(&addon).unwrap();
    fs::rename(other.component("addon"), addon).unwrap();
}

#[test]
fn a_rollback_without_the_folder_of_a_component_is_refused() {
    let mut world = on_probation(true);
    let elsewhere = std::mem::take(&mut world.user.elsewhere);
    world.user.fails(22, "other-tree", &["rollback"]);
    interrupt(&world.user);
    world.user.fails(22, "undo-failed", &["recover"]);
    assert!(!world.user.root().join("addon").exists());
    world.user.elsewhere = elsewhere;
    world.user.ok(&["recover"]);
    world.user.has("core", &tree("1"));
    world.user.has("addon", &tree("1"));
}

#[test]
fn a_newer_release_of_one_component_does_not_end_the_recovery_of_the_others() {
    let world = on_probation(false);
    interrupt(&world.user);
    install_addon_3(&world);
    world.user.ok(&["recover"]);
    world.user.has("core", &tree("1"));
    world.user.has("addon", &tree("3"));
}

#[test]
fn a_newer_release_that_the_user_has_changed_bars_no_recovery() {
    let world = on_probation(false);
    interrupt(&world.user);
    install_addon_3(&world);
    let addon = world.user.component("addon");
    fs::write(addon.join("data"), "tuned").unwrap();
    fs::remove_file(addon.join("same")).unwrap();
    world.user.ok(&["recover"]);
    world.user.has("core", &tree("1"));
    world.user.json(11, &["verify", "addon"]);
    world.user.ok(&["repair", "addon"]);
    world.user.has("addon", &tree("3"));
}

#[test]
fn a_repair_sets_a_journal_without_its_plan_aside() {
    let world = on_probation(false);
    for round in [1, 2] {
        fs::remove_file(world.user.state("txn/plan.xml")).unwrap();
        world.user.fails(22, "journal-unreadable", &["recover"]);
        world.user.ok(&["repair"]);
        world.user.has("core", &tree("2"));
        let damaged = &world.user.ok(&["status"])["damaged_files"];
        assert_eq!(damaged.as_array().unwrap().len(), 2 * round, "{damaged}");
        let version = format!("{}.0.0", round + 2);
        publish(&world, &version, "2");
        world.user.ok(&["download"]);
        world.user.ok(&["apply"]);
    }
}

/// Opens a file of version 1 that version 2 drops, and writes to it during the probation.
fn written(world: &World<Scripted>, path: &Path) {
    let mut file = File::options().append(true).open(path).unwrap();
    world.publish("2.0.0", &tree("2"));
    world.user.ok(&["download"]);
    world.user.ok(&["apply"]);
    file.write_all(b", and the user's words").unwrap();
}

#[test]
fn a_rollback_saves_a_written_backup_whose_path_is_old_again() {
    let world = World::honest();
    let one = tree("1").file("dropped", b"dropped", 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    let path = world.user.component("core").join("dropped");
    written(&world, &path);
    fs::write(&path, "dropped").unwrap();
    let saved = json!([{ "component": "core", "path": "dropped", "saved_as": "dropped.saved" }]);
    assert_eq!(world.user.ok(&["rollback"])["saved"], saved);
    let all = one.file("dropped.saved", b"dropped, and the user's words", 0o644);
    all.assert_is(&world.user.tree("core"));
}

#[test]
fn a_failed_installation_blocks_no_other_component() {
    let mut world = World::honest();
    world.user.options = ["--retries", "0"].map(Into::into).to_vec();
    world.publish("1.0.0", &tree("1"));
    world.install("core");
    world.publisher.release("addon", "1.0.0", &Tree::from_seed(1)).sign();
    let addon = world.user.component("addon");
    fs::create_dir(&addon).unwrap();
    fs::write(addon.join("notes"), "mine").unwrap();
    let objects = world.publisher.site().join("addon/objects");
    let hidden = world.publisher.site().join("hidden");
    fs::rename(&objects, &hidden).unwrap();
    let from = world.publisher.site().join("addon").display().to_string();
    world.user.fails(20, "http-status", &["install", "addon", "--from", &from]);
    world.user.ok(&["check"]);
    world.user.ok(&["verify"]);
    world.user.ok(&["repair"]);
    fs::rename(&hidden, &objects).unwrap();
    world.user.ok(&["install", "addon", "--from", &from]);
    world.user.ok(&["check"]);
    // The component was seen complete, so its manifest is missed from now on.
    fs::remove_file(addon.join("manifest.xml")).unwrap();
    world.user.fails(22, "installed-manifest", &["check"]);
}

#[test]
fn a_rollback_in_a_folder_that_was_named_later_is_refused() {
    let mut world = on_probation(false);
    let (inside, named) = (world.user.component("addon"), world.user.path("named/addon"));
    for is_copy in [false, true] {
        fs::create_dir_all(&named).unwrap();
        if is_copy {
            tree("2").write(&named);
        }
        world.user.elsewhere.insert("addon".to_owned(), named.clone());
        world.user.fails(22, "other-tree", &["rollback"]);
        let journal = fs::read_to_string(world.user.state("journal")).unwrap();
        interrupt(&world.user);
        world.user.fails(22, "undo-failed", &["recover"]);
        fs::write(world.user.state("journal"), journal).unwrap();
        world.user.elsewhere.clear();
    }
    world.user.ok(&["rollback"]);
    world.user.has("core", &tree("1"));
    assert_eq!(fs::read(inside.join("data")).unwrap(), b"data 1");
    tree("2").assert_is(&Tree::read(&named));
}

#[test]
fn a_recovery_says_which_version_is_in_place() {
    let world = on_probation(false);
    interrupt(&world.user);
    assert_eq!(world.user.ok(&["recover"])["recovery"], "rolled-back");
    let world = on_probation(false);
    interrupt(&world.user);
    for backup in fs::read_dir(world.user.state("txn/core")).unwrap() {
        let backup = backup.unwrap().path();
        if backup.is_file() {
            fs::write(backup, "written by a program").unwrap();
        }
    }
    assert_eq!(world.user.ok(&["recover"])["recovery"], "completed");
    world.user.has("core", &tree("2"));
    world.user.has("addon", &tree("2"));
}

/// Makes an entry immutable while `action` runs. Returns `false` if that is not possible here.
#[must_use]
fn while_immutable(path: &Path, action: impl FnOnce()) -> bool {
    let Some(chattr) = left_out::program("chattr") else { return false };
    let set = |flag| Command::new(&chattr).arg(flag).arg(path).status().is_ok_and(|status| status.success());
    if !set("+i") {
        left_out::report("no entry can be made immutable here");
        return false;
    }
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
    assert!(set("-i"));
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    true
}

#[test]
fn a_clean_up_that_is_barred_refuses_the_next_swap_until_the_users_text_is_safe() {
    let world = World::honest();
    world.publish("1.0.0", &tree("1").file("dir/dropped", b"dropped", 0o644).file("dir/kept", b"kept", 0o644));
    world.install("core");
    let two = tree("2").file("dir/kept", b"kept", 0o644);
    let path = world.user.component("core").join("dir/dropped");
    let mut file = File::options().append(true).open(path).unwrap();
    world.publish("2.0.0", &two);
    world.user.ok(&["update"]);
    file.write_all(b", and the user's words").unwrap();
    let three = tree("3").file("dir/kept", b"kept", 0o644);
    world.publish("3.0.0", &three);
    let is_tried = while_immutable(&world.user.component("core").join("dir"), || {
        world.user.ok(&["confirm"]);
        assert_ne!(world.user.run(&["--json", "update"]).code, Some(0));
        world.user.has("core", &two);
    });
    if !is_tried {
        return;
    }
    world.user.ok(&["update"]);
    world.user.ok(&["confirm"]);
    let all = three.file("dir/dropped.saved", b"dropped, and the user's words", 0o644);
    all.assert_is(&world.user.tree("core"));
}

#[test]
fn a_rollback_checks_the_folder_of_the_backups_before_the_first_change() {
    let world = on_probation(false);
    let is_tried = while_immutable(&world.user.state("txn/core"), || {
        world.user.fails(22, "not-writable", &["rollback"]);
        assert_eq!(world.user.ok(&["status"])["swap"], "probation");
    });
    if is_tried {
        world.user.ok(&["rollback"]);
        world.user.has("core", &tree("1"));
    }
}

/// A rollback ends the version from which the update was planned.
#[test]
fn an_update_that_waits_for_the_network_notices_a_rollback() {
    let (gate, asked) = (Arc::new(Mutex::new(())), Arc::new(AtomicBool::new(false)));
    let (inner, heard) = (gate.clone(), asked.clone());
    let world = World::scripted(move |request| {
        if request.path.contains("/objects/") {
            heard.store(true, Ordering::SeqCst);
            drop(inner.lock());
        }
        Reply::Site
    });
    let (one, two) = (tree("1").file("only-1", b"1", 0o644), tree("2").file("only-2", b"2", 0o644));
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    world.user.ok(&["update"]);
    let three = tree("3");
    world.publish("3.0.0", &three);
    asked.store(false, Ordering::SeqCst);
    let update = std::thread::scope(|scope| {
        let held = gate.lock().unwrap();
        let update = scope.spawn(|| world.user.run(&["--json", "update"]));
        deadline::wait_for("the update's request", || asked.load(Ordering::SeqCst).then_some(()));
        world.user.ok(&["rollback"]);
        drop(held);
        update.join().unwrap()
    });
    if update.code != Some(0) {
        world.user.has("core", &one);
        world.user.ok(&["update"]);
    }
    three.assert_is(&world.user.tree("core"));
}

/// A process that confirms is stopped before it cleans up, while another one begins the next swap.
#[test]
fn a_slow_confirmation_does_not_clean_up_behind_the_next_swap() {
    let Some(strace) = left_out::program("strace") else { return };
    let world = on_probation(false);
    publish(&world, "3.0.0", "3");
    let mut command = Command::new(strace);
    // With -D the child is the confirming process. Its second sync is that of the outcomes.
    command.args(["-D", "-o", "/dev/null", "-e", "inject=fsync:signal=SIGSTOP:when=2"]);
    command.arg(programs::patcher());
    world.user.prepare(&mut command, &["confirm"]);
    let mut slow = command.stdout(Stdio::null()).spawn().unwrap();
    deadline::wait_for("the confirmation", || {
        fs::read_to_string(world.user.state("journal")).ok()?.starts_with("CONFIRMED").then_some(())
    });
    world.user.ok(&["update"]);
    assert!(slow.try_wait().unwrap().is_none(), "the confirmation was not stopped");
    rustix::process::kill_process(rustix::process::Pid::from_child(&slow), rustix::process::Signal::CONT).unwrap();
    assert!(slow.wait().unwrap().success());
    assert_eq!(world.user.ok(&["status"])["swap"], "probation");
    world.user.ok(&["rollback"]);
    world.user.has("core", &tree("2"));
    world.user.has("addon", &tree("2"));
}
