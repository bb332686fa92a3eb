//! Hostile files on the user's machine: links inside the program, journals and plans, staged files
//! that are exchanged before the swap.

use super::publisher::{first, sha256, sign, stranger};
use super::table::not_installed;
use super::world::{MANIFEST, World, code, outcome};
use crate::support::scripted::Reply;
use crate::support::tree::{Entry, Tree};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

const OUTSIDE: &[u8] = b"not yours";

/// Creates a world with a folder beside the install root that no call may touch.
fn world() -> (World, Tree) {
    let world = World::new();
    fs::create_dir(world.path("outside")).unwrap();
    fs::write(world.path("outside/file"), OUTSIDE).unwrap();
    fs::write(world.path("outside/app"), OUTSIDE).unwrap();
    let outside = Tree::read(&world.path("outside"));
    (world, outside)
}

fn pipe(path: std::path::PathBuf) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).unwrap();
}

#[test]
fn nothing_is_written_through_a_link_inside_the_program() {
    type Plant = fn(&World);
    let rows: &[(&str, Plant, &str)] = &[
        (
            "a folder of files that change",
            |w| {
                fs::remove_dir_all(w.core("bin")).unwrap();
                symlink(w.path("outside"), w.core("bin")).unwrap();
            },
            "unsafe-path",
        ),
        ("a folder of files that are new", |w| symlink(w.path("outside"), w.core("new")).unwrap(), "unsafe-path"),
        (
            "a relative link upwards",
            |w| {
                fs::remove_dir_all(w.core("bin")).unwrap();
                symlink("../../outside", w.core("bin")).unwrap();
            },
            "unsafe-path",
        ),
        ("a link to nothing in a folder's place", |w| symlink(w.path("none"), w.core("new")).unwrap(), "unsafe-path"),
        ("a link to itself in a folder's place", |w| symlink("new", w.core("new")).unwrap(), "unsafe-path"),
        (
            "a pipe in a file's place",
            |w| {
                fs::remove_file(w.core("bin/app")).unwrap();
                pipe(w.core("bin/app"));
            },
            "unsafe-path",
        ),
        (
            "a pipe where the manifest is",
            |w| {
                fs::remove_file(w.core("manifest.xml")).unwrap();
                pipe(w.core("manifest.xml"));
            },
            "unsafe-path",
        ),
    ];
    for (name, plant, expected) in rows {
        let (world, outside) = world();
        plant(&world);
        assert_eq!(world.update(), *expected, "{name}");
        outside.assert_is(&Tree::read(&world.path("outside")));
        assert!(!world.path("none").exists());
        assert_eq!(fs::read_link(world.core("lib/current")).unwrap().to_str(), Some("data"), "{name}");
        assert_eq!(fs::read(world.core("lib/data")).unwrap(), b"data 1", "{name}");
    }
    println!("{} rows", rows.len());
}

#[test]
fn a_link_in_a_files_place_is_replaced_and_not_followed() {
    for path in ["bin/app", "lib/data"] {
        let (world, outside) = world();
        fs::remove_file(world.core(path)).unwrap();
        symlink(world.path("outside/file"), world.core(path)).unwrap();
        assert_eq!(world.update(), "updated to 2.0.0", "{path}");
        outside.assert_is(&Tree::read(&world.path("outside")));
        assert!(fs::symlink_metadata(world.core(path)).unwrap().is_file(), "{path}");
    }
}

/// A file behind a link does not belong to the release, so the client does not remove it.
#[test]
fn a_file_behind_a_link_is_not_removed_when_a_release_drops_it() {
    let (world, _) = world();
    fs::write(world.path("outside/dropped"), "dropped").unwrap();
    let outside = Tree::read(&world.path("outside"));
    fs::remove_dir_all(world.core("old")).unwrap();
    symlink(world.path("outside"), world.core("old")).unwrap();
    assert_eq!(world.update(), "updated to 2.0.0");
    outside.assert_is(&Tree::read(&world.path("outside")));
}

#[test]
fn another_name_of_an_installed_file_keeps_its_bytes_and_mode() {
    let (world, _) = world();
    let names = [
        ("bin/app", "outside/app 2"),
        ("lib/data", "outside/data"),
        ("old/dropped", "outside/dropped"),
        ("manifest.xml", "outside/manifest"),
    ];
    for (installed, other) in names {
        fs::hard_link(world.core(installed), world.path(other)).unwrap();
    }
    let before = Tree::read(&world.path("outside"));
    assert_eq!(world.update(), "updated to 2.0.0");
    before.assert_is(&Tree::read(&world.path("outside")));
}

#[test]
fn the_updaters_own_folders_are_no_links() {
    type Plant = fn(&World);
    let rows: &[(&str, Plant)] = &[
        ("the state folder", |w| {
            fs::rename(w.root().join(".patcher"), w.path("state")).unwrap();
            symlink(w.path("state"), w.root().join(".patcher")).unwrap();
        }),
        ("a file for a state folder", |w| {
            fs::remove_dir_all(w.root().join(".patcher")).unwrap();
            fs::write(w.root().join(".patcher"), "").unwrap();
        }),
        ("the stage", |w| {
            w.clear_stage();
            symlink(w.path("outside"), w.state("stage")).unwrap();
        }),
        ("a component's stage", |w| {
            fs::create_dir_all(w.state("stage")).unwrap();
            let _ = fs::remove_dir_all(w.state("stage/core"));
            symlink(w.path("outside"), w.state("stage/core")).unwrap();
        }),
        ("the staged files", |w| {
            fs::create_dir_all(w.state("stage/core")).unwrap();
            let _ = fs::remove_dir_all(w.state("stage/core/files"));
            symlink(w.path("outside"), w.state("stage/core/files")).unwrap();
        }),
        ("the objects under way", |w| {
            fs::create_dir_all(w.state("stage/core")).unwrap();
            let _ = fs::remove_dir_all(w.state("stage/core/objects"));
            symlink(w.path("outside"), w.state("stage/core/objects")).unwrap();
        }),
        ("the memory", |w| {
            fs::remove_file(w.state("seen.xml")).unwrap();
            symlink(w.path("outside/file"), w.state("seen.xml")).unwrap();
        }),
        ("a pipe for a memory", |w| {
            fs::remove_file(w.state("seen.xml")).unwrap();
            pipe(w.state("seen.xml"));
        }),
        ("a folder for a memory", |w| {
            fs::remove_file(w.state("seen.xml")).unwrap();
            fs::create_dir(w.state("seen.xml")).unwrap();
        }),
        ("the lock", |w| {
            fs::remove_file(w.state("lock")).unwrap();
            symlink(w.path("outside/file"), w.state("lock")).unwrap();
        }),
        ("the sign of running", |w| {
            let _ = fs::remove_file(w.state("running"));
            symlink(w.path("outside/file"), w.state("running")).unwrap();
        }),
        ("a pipe for a lock", |w| {
            fs::remove_file(w.state("lock")).unwrap();
            pipe(w.state("lock"));
        }),
        ("the program's staged file", |w| {
            let name = w.new.manifest.files[0].sha256;
            fs::create_dir_all(w.state("stage/core/files")).unwrap();
            symlink(w.path("outside/file"), w.state(&format!("stage/core/files/{name}-0"))).unwrap();
        }),
    ];
    let mut problems = Vec::new();
    for (name, plant) in rows {
        let (world, outside) = world();
        plant(&world);
        let before = Tree::read(&world.root().join("core"));
        let outcome = world.update();
        if outcome != "unsafe-path" {
            problems.push(format!("{name}: {outcome}"));
        }
        let differences = outside.differences(&Tree::read(&world.path("outside")))
            + &before.differences(&Tree::read(&world.root().join("core")));
        if !differences.is_empty() {
            problems.push(format!("{name}: {differences}"));
        }
    }
    println!("{} rows", rows.len());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Backups of earlier swaps are only leftovers, so a link in their place is removed like one.
#[test]
fn a_link_in_the_place_of_backups_is_replaced_and_not_followed() {
    for name in ["txn", "txn/core"] {
        let (world, outside) = world();
        let _ = fs::remove_dir_all(world.state("txn"));
        fs::create_dir_all(world.state(name).parent().unwrap()).unwrap();
        symlink(world.path("outside"), world.state(name)).unwrap();
        assert_eq!(world.update(), "updated to 2.0.0", "{name}");
        assert_eq!(not_installed(&world), None, "{name}");
        outside.assert_is(&Tree::read(&world.path("outside")));
        assert!(!world.state(name).is_symlink(), "{name}");
    }
}

/// The client does not write through a link at the path of a temporary file.
#[test]
fn a_link_under_a_temporary_name_is_replaced_and_not_followed() {
    let (world, outside) = world();
    let name = world.new.manifest.files[0].sha256;
    fs::create_dir_all(world.state("stage/core/files")).unwrap();
    fs::create_dir_all(world.state("stage/core/objects")).unwrap();
    for name in [
        "seen.xml.new".to_owned(),
        "journal.new".into(),
        "stage/core/manifest.xml.new".into(),
        format!("stage/core/files/{name}-0.part"),
    ] {
        symlink(world.path("outside/file"), world.state(&name)).unwrap();
    }
    fs::create_dir_all(world.state("txn")).unwrap();
    symlink(world.path("outside/file"), world.state("txn/plan.xml.new")).unwrap();
    assert_eq!(world.update(), "updated to 2.0.0");
    outside.assert_is(&Tree::read(&world.path("outside")));
}

/// Returns a plan for a swap of the program, in the updater's own form.
fn plan(world: &World, change: impl Fn(String) -> String) -> String {
    let app = sha256(&fs::read(world.core("bin/app")).unwrap());
    let evil = sha256(OUTSIDE);
    let release = format!("to=\"2.0.0\" sequence=\"2\" content=\"{app}\"");
    change(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<transaction format=\"1\">\n  <component name=\"core\" \
         own-work-dir=\"false\" from=\"1.0.0\" {release}>\n    <new-folder path=\"fresh\"/>\n    <old-folder path=\"old\" \
         mode=\"755\"/>\n    <step path=\"bin/app\" old=\"file 755 {app}\" new=\"file 755 {evil}\" staged=\"{evil}-0\"/>\n    \
         <step path=\"added\" old=\"absent\" new=\"link bin/app\"/>\n  </component>\n</transaction>\n"
    ))
}

fn write_journal(world: &World, state: &str, plan: &str) {
    fs::create_dir_all(world.state("txn/core")).unwrap();
    fs::write(world.state("txn/plan.xml"), plan).unwrap();
    fs::write(world.state("journal"), format!("{state} {}\n", sha256(plan.as_bytes()))).unwrap();
}

#[test]
fn a_damaged_journal_or_plan_stops_every_call_and_deletes_nothing() {
    let changes: &[(&str, &str)] = &[
        ("path=\"bin/app\"", "path=\"../outside/app\""),
        ("path=\"bin/app\"", "path=\"/etc/passwd\""),
        ("path=\"bin/app\"", "path=\"bin/../../outside/app\""),
        ("path=\"bin/app\"", "path=\"bin\\app\""),
        ("path=\"bin/app\"", "path=\"\""),
        ("path=\"bin/app\"", "path=\".patcher/journal\""),
        ("path=\"bin/app\"", "path=\"MANIFEST.XML\""),
        ("path=\"fresh\"", "path=\"../outside\""),
        ("path=\"fresh\"", "path=\"/tmp\""),
        ("path=\"old\"", "path=\"..\""),
        ("path=\"old\"", "path=\"old/../../outside\""),
        ("mode=\"755\"", "mode=\"10000\""),
        ("mode=\"755\"", "mode=\"rwx\""),
        ("name=\"core\"", "name=\"../outside\""),
        ("name=\"core\"", "name=\"\""),
        ("name=\"core\"", "name=\"Core\""),
        ("-0\"", "\""),
        ("-0\"", "-0/../../x\""),
        ("staged=\"", "staged=\"../"),
        ("staged=\"", "staged=\"/etc/passwd\" x=\""),
        ("new=\"link bin/app\"", "new=\"device 1 3\""),
        ("new=\"link bin/app\"", "new=\"file 4755\""),
        ("new=\"link bin/app\"", "new=\"\""),
        ("old=\"absent\"", "old=\"file 77777 00\""),
        ("own-work-dir=\"false\"", "own-work-dir=\"no\""),
        ("sequence=\"2\"", "sequence=\"-2\""),
        ("sequence=\"2\"", ""),
        ("content=\"", "content=\"x"),
        ("<component", "<probation/><probation/><component"),
        ("<component", "<probation for=\"ever\"/><component"),
        ("<transaction format=\"1\">", "<transaction format=\"2\">"),
        ("<transaction", "<!DOCTYPE x><transaction"),
        ("<step", "<run command=\"sh\"/><step"),
        ("</transaction>\n", "</transaction>\n<transaction/>"),
        ("</transaction>\n", ""),
    ];
    let mut count = 0;
    for state in ["PREPARED", "APPLYING", "COMMITTED"] {
        for (from, to) in changes {
            let name = format!("{state} {from} -> {to}");
            count += 1;
            refuses_journal(&name, |world| {
                let plan = plan(world, |plan| {
                    assert!(plan.contains(from), "{from}");
                    plan.replacen(from, to, 1)
                });
                write_journal(world, state, &plan);
            });
        }
    }
    type Plant = fn(&World);
    let others: &[(&str, Plant)] = &[
        ("an empty journal", |w| fs::write(w.state("journal"), "").unwrap()),
        ("garbage", |w| fs::write(w.state("journal"), [0xff; 80]).unwrap()),
        ("a megabyte", |w| fs::write(w.state("journal"), vec![b'A'; 1 << 20]).unwrap()),
        ("another state", |w| write_journal(w, "DONE", &plan(w, |plan| plan))),
        ("no line feed", |w| {
            write_journal(w, "PREPARED", &plan(w, |plan| plan));
            let text = fs::read_to_string(w.state("journal")).unwrap();
            fs::write(w.state("journal"), text.trim_end()).unwrap();
        }),
        ("a second line", |w| {
            write_journal(w, "PREPARED", &plan(w, |plan| plan));
            let text = fs::read_to_string(w.state("journal")).unwrap();
            fs::write(w.state("journal"), format!("{text}\n")).unwrap();
        }),
        ("another plan than it names", |w| {
            write_journal(w, "APPLYING", &plan(w, |plan| plan));
            fs::write(w.state("txn/plan.xml"), plan(w, |plan| plan.replace("fresh", "other"))).unwrap();
        }),
        ("no plan", |w| {
            write_journal(w, "APPLYING", &plan(w, |plan| plan));
            fs::remove_file(w.state("txn/plan.xml")).unwrap();
        }),
        ("a prepared swap without a plan", |w| {
            write_journal(w, "PREPARED", &plan(w, |plan| plan));
            fs::remove_dir_all(w.state("txn")).unwrap();
        }),
        ("a link for a journal", |w| {
            write_journal(w, "APPLYING", &plan(w, |plan| plan));
            fs::rename(w.state("journal"), w.path("journal")).unwrap();
            symlink(w.path("journal"), w.state("journal")).unwrap();
        }),
        ("a folder for a journal", |w| fs::create_dir(w.state("journal")).unwrap()),
    ];
    for (name, plant) in others {
        count += 1;
        refuses_journal(name, plant);
    }
    println!("{count} rows");
}

/// Every call that needs the journal reports that it cannot be read, and changes nothing.
#[track_caller]
fn refuses_journal(name: &str, plant: impl Fn(&World)) {
    let (world, outside) = world();
    plant(&world);
    let before = world.snapshot();
    let patcher = world.patcher();
    let mut outcome = vec![
        code(&patcher.recover().map(|_| ()).unwrap_err()),
        world.check(),
        code(&patcher.remove("core").map(|_| ()).unwrap_err()),
    ];
    // A committed swap is complete, so the program starts without its plan.
    if !fs::read_to_string(world.state("journal")).is_ok_and(|journal| journal.starts_with("COMMITTED ")) {
        outcome.push(code(&patcher.start().map(|_| ()).unwrap_err()));
    }
    for outcome in outcome {
        assert_eq!(outcome, "journal-unreadable", "{name}");
    }
    assert_eq!(before.differences(&world.snapshot()), "", "{name}");
    outside.assert_is(&Tree::read(&world.path("outside")));
}

#[test]
fn a_plan_that_names_a_folder_is_not_carried_out() {
    for state in ["PREPARED", "APPLYING", "COMMITTED"] {
        for dir in ["outside", "root", "root/addon", "root/.patcher", "root/core", "root/core/../../outside"] {
            let (world, outside) = world();
            let other = format!(" dir=\"{}\" own-work-dir", world.path(dir).display());
            write_journal(&world, state, &plan(&world, |plan| plan.replacen(" own-work-dir", &other, 1)));
            let before = world.snapshot().tree;
            let outcome = outcome(world.patcher().recover().map(|recovery| format!("recovery: {recovery:?}")));
            assert_eq!(outcome, "journal-unreadable", "{state} {dir}");
            assert!(world.state("journal").exists(), "{state} {dir}");
            assert_eq!(before.differences(&world.snapshot().tree), "", "{state} {dir}");
            outside.assert_is(&Tree::read(&world.path("outside")));
        }
    }
    // The same plan without the folder can be read.
    let (world, _) = world();
    write_journal(&world, "PREPARED", &plan(&world, |plan| plan));
    assert_eq!(world.patcher().recover().map(|recovery| format!("{recovery:?}")).unwrap(), "Discarded");
}

/// A plan that fits no path on the disk: recovery compares hashes, and touches only paths that
/// match the plan.
#[test]
fn recovery_trusts_no_plan_that_does_not_fit_the_disk() {
    let (world, outside) = world();
    let evil = sha256(OUTSIDE).to_string();
    // The attacker has put the "backup" there.
    let app = sha256(&fs::read(world.core("bin/app")).unwrap()).to_string();
    write_journal(&world, "APPLYING", &plan(&world, |plan| plan.replace(&app, &sha256(b"never").to_string())));
    fs::write(world.state("txn/core/0"), OUTSIDE).unwrap();
    fs::set_permissions(world.state("txn/core/0"), fs::Permissions::from_mode(0o755)).unwrap();
    let outcome = outcome(world.patcher().recover().map(|recovery| format!("recovery: {recovery:?}")));
    assert_eq!(outcome, "undo-failed");
    assert!(world.state("journal").exists());
    let found = Tree::read(&world.root().join("core"));
    assert!(!found.0.contains_key("added") && !found.0.contains_key("fresh"));
    assert!(
        !matches!(&found.0["bin/app"], Entry::File { bytes, .. } if sha256(bytes).to_string() == evil),
        "a forged backup was put in the program's place"
    );
    outside.assert_is(&Tree::read(&world.path("outside")));
}

#[test]
fn files_exchanged_between_download_and_swap_are_found() {
    type Exchange = fn(&World);
    fn staged(world: &World) -> std::path::PathBuf {
        world.state(&format!("stage/core/files/{}-0", world.new.manifest.files[0].sha256))
    }
    let rows: &[(&str, Exchange, &str)] = &[
        (
            "a byte of a staged file",
            |w| {
                let mut bytes = fs::read(staged(w)).unwrap();
                bytes[99] ^= 1;
                fs::write(staged(w), bytes).unwrap();
            },
            "changed",
        ),
        ("a staged file for another", |w| fs::write(staged(w), OUTSIDE).unwrap(), "changed"),
        (
            "a staged file for a link",
            |w| {
                fs::remove_file(staged(w)).unwrap();
                symlink(w.path("outside/file"), staged(w)).unwrap();
            },
            "unsafe-path",
        ),
        (
            "a staged file for a folder",
            |w| {
                fs::remove_file(staged(w)).unwrap();
                fs::create_dir(staged(w)).unwrap();
            },
            "unsafe-path",
        ),
        ("a staged file for nothing", |w| fs::remove_file(staged(w)).unwrap(), "nothing-staged"),
        (
            "the staged manifest",
            |w| fs::write(w.state("stage/core/manifest.xml"), sign(w.new.body(), &[stranger()])).unwrap(),
            "changed",
        ),
        (
            "the staged manifest for an older one",
            |w| fs::write(w.state("stage/core/manifest.xml"), sign(w.old.body(), &[first()])).unwrap(),
            "changed",
        ),
        ("an installed file", |w| fs::write(w.core("lib/data"), OUTSIDE).unwrap(), "changed"),
        (
            "an installed file for a link",
            |w| {
                fs::remove_file(w.core("lib/data")).unwrap();
                symlink(w.path("outside/file"), w.core("lib/data")).unwrap();
            },
            "changed",
        ),
        (
            "an installed folder for a link",
            |w| {
                fs::remove_dir_all(w.core("bin")).unwrap();
                symlink(w.path("outside"), w.core("bin")).unwrap();
            },
            "changed",
        ),
        (
            "a file where there was none",
            |w| {
                fs::create_dir(w.core("new")).unwrap();
                fs::write(w.core("new/file"), OUTSIDE).unwrap();
            },
            "changed",
        ),
        (
            "the installed manifest",
            |w| fs::write(w.core("manifest.xml"), sign(w.old.body(), &[stranger()])).unwrap(),
            "busy",
        ),
        ("the whole stage", |w| w.clear_stage(), "nothing-staged"),
    ];
    let mut problems = Vec::new();
    for (name, exchange, expected) in rows {
        let (world, outside) = world();
        let staged = world.patcher().check_component("core").unwrap().unwrap().download(|_| {}).unwrap();
        exchange(&world);
        let before = world.snapshot().tree;
        let outcome = outcome(staged.apply().map(|_| "applied all".to_owned()));
        if outcome != *expected {
            problems.push(format!("{name}: {outcome}, not {expected}"));
        }
        let differences =
            before.differences(&world.snapshot().tree) + &outside.differences(&Tree::read(&world.path("outside")));
        if !differences.is_empty() {
            problems.push(format!("{name}: {differences}"));
        }
        if world.state("journal").exists() {
            problems.push(format!("{name}: a journal is left"));
        }
    }
    println!("{} rows", rows.len());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn an_installed_file_has_the_manifests_mode_whatever_the_staged_one() {
    let (world, _) = world();
    let staged = world.patcher().check_component("core").unwrap().unwrap().download(|_| {}).unwrap();
    for file in fs::read_dir(world.state("stage/core/files")).unwrap() {
        fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o4777)).unwrap();
    }
    staged.apply().unwrap();
    assert_eq!(world.patcher().verify("core").unwrap(), []);
}

/// A later run trusts the staged manifest no more than the network.
#[test]
fn a_staged_manifest_is_verified_again() {
    type Forge = fn(&World) -> Vec<u8>;
    let rows: &[(&str, Forge, &str)] = &[
        ("a stranger's", |w| sign(w.new.body(), &[stranger()]), "unknown-key"),
        ("unsigned", |w| w.new.body().into_bytes(), "signature-count"),
        (
            "tampered with",
            |w| String::from_utf8(sign(w.new.body(), &[first()])).unwrap().replacen("2.0.0", "2.0.1", 1).into_bytes(),
            "bad-signature",
        ),
        ("garbage", |_| OUTSIDE.to_vec(), "manifest-end"),
        ("empty", |_| Vec::new(), "manifest-end"),
        (
            "an older one",
            |w| sign(w.old.body().replacen("sequence=\"10\"", "sequence=\"9\"", 1), &[first()]),
            "rollback",
        ),
        (
            "another component's",
            |w| sign(w.new.body().replacen("component=\"core\"", "component=\"addon\"", 1), &[first()]),
            "wrong-component",
        ),
        (
            "expired",
            |w| {
                sign(
                    w.new.body().replacen("expires=\"2999", "expires=\"2025", 1).replacen(
                        "sequence=\"20\"",
                        "sequence=\"21\"",
                        1,
                    ),
                    &[first()],
                )
            },
            "stale",
        ),
    ];
    for (name, forge, expected) in rows {
        let (world, _) = world();
        drop(world.patcher().check_component("core").unwrap().unwrap().download(|_| {}).unwrap());
        fs::write(world.state("stage/core/manifest.xml"), forge(&world)).unwrap();
        let before = world.snapshot();
        let outcome = outcome(world.patcher().staged().map(|staged| format!("staged: {}", staged.is_some())));
        assert_eq!(outcome, *expected, "{name}");
        assert_eq!(before.differences(&world.snapshot()), "", "{name}");
        assert_eq!(world.update(), "updated to 2.0.0", "{name}");
    }
    println!("{} rows", rows.len());
}

/// The swap does not empty a user's folder at the path of a new file.
#[test]
fn a_folder_of_the_users_is_not_replaced() {
    let (world, _) = world();
    fs::create_dir_all(world.core("new/file")).unwrap();
    fs::write(world.core("new/file/mine"), "mine").unwrap();
    world.server.take_requests();
    let before = world.snapshot().tree;
    assert_eq!(world.update(), "folder-in-the-way");
    assert_eq!(world.server.take_paths(), [MANIFEST]);
    assert_eq!(before.differences(&world.snapshot().tree), "");
    world.server.lie(MANIFEST, Reply::Site);
}
