//! Hostile journals and plans in the state folder.

use super::publisher::sha256;
use super::world::{HostileWorld, OUTSIDE, code, outcome, with_outside};
use crate::support::tree::{Entry, Tree};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// Returns a plan for a swap of the program, in the updater's own form.
fn plan(world: &HostileWorld, change: impl Fn(String) -> String) -> String {
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

fn write_journal(world: &HostileWorld, state: &str, plan: &str) {
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
    type Plant = fn(&HostileWorld);
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
fn refuses_journal(name: &str, plant: impl Fn(&HostileWorld)) {
    let (world, outside) = with_outside();
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
            let (world, outside) = with_outside();
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
    let (world, _) = with_outside();
    write_journal(&world, "PREPARED", &plan(&world, |plan| plan));
    assert_eq!(world.patcher().recover().map(|recovery| format!("{recovery:?}")).unwrap(), "Discarded");
}

/// A plan that fits no path on the disk: recovery compares hashes, and touches only paths that
/// match the plan.
#[test]
fn recovery_trusts_no_plan_that_does_not_fit_the_disk() {
    let (world, outside) = with_outside();
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
