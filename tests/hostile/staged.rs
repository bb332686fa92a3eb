//! Files that an attacker exchanges between download and swap.

use super::publisher::{Key, Release, first, second, sign, stranger};
use super::world::{HEAD, HostileWorld, MANIFEST, OUTSIDE, check, outcome, with_outside};
use crate::support::scripted::Reply;
use crate::support::tree::Tree;
use patcher::Patcher;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

#[test]
fn files_exchanged_between_download_and_swap_are_found() {
    type Exchange = fn(&HostileWorld);
    fn staged(world: &HostileWorld) -> std::path::PathBuf {
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
            "stage-damaged",
        ),
        ("a staged file for another", |w| fs::write(staged(w), OUTSIDE).unwrap(), "stage-damaged"),
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
            "stage-damaged",
        ),
        (
            "the staged manifest for an older one",
            |w| fs::write(w.state("stage/core/manifest.xml"), sign(w.old.body(), &[first()])).unwrap(),
            "stage-damaged",
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
        let (world, outside) = with_outside();
        let staged = world.patcher().check_component("core").unwrap().update().unwrap().download(|_| {}).unwrap();
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
    let (world, _) = with_outside();
    let staged = world.patcher().check_component("core").unwrap().update().unwrap().download(|_| {}).unwrap();
    for file in fs::read_dir(world.state("stage/core/files")).unwrap() {
        fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o4777)).unwrap();
    }
    staged.apply().unwrap();
    assert_eq!(world.patcher().verify("core").unwrap(), []);
}

/// A later run trusts the staged manifest no more than the network.
#[test]
fn a_staged_manifest_is_verified_again() {
    type Forge = fn(&HostileWorld) -> Vec<u8>;
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
        let (world, _) = with_outside();
        drop(world.patcher().check_component("core").unwrap().update().unwrap().download(|_| {}).unwrap());
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
    let (world, _) = with_outside();
    fs::create_dir_all(world.core("new/file")).unwrap();
    fs::write(world.core("new/file/mine"), "mine").unwrap();
    world.server.take_requests();
    let before = world.snapshot().tree;
    assert_eq!(world.update(), "folder-in-the-way");
    assert_eq!(world.server.take_paths(), [HEAD, MANIFEST]);
    assert_eq!(before.differences(&world.snapshot().tree), "");
    world.server.lie(MANIFEST, Reply::Site);
}

/// Prepares the swap to 2.0.0, with a helper that does nothing, and returns what a machine that has
/// seen `newer` knows.
fn prepared_and_superseded(world: &HostileWorld, newer: &Release, keys: &[&Key]) -> (Patcher, Vec<u8>) {
    let patcher = Patcher::new(world.config().helper("/bin/true")).unwrap();
    let staged = patcher.check_component("core").unwrap().update().unwrap().download(|_| {}).unwrap();
    staged.apply_after(None, None).unwrap();
    assert!(fs::read_to_string(world.state("journal")).unwrap().starts_with("PREPARED"));
    let elsewhere = HostileWorld::new();
    elsewhere.offer(newer, keys);
    assert!(elsewhere.check().starts_with("update to "));
    (patcher, fs::read(elsewhere.state("seen.xml")).unwrap())
}

#[test]
fn a_prepared_swap_that_a_newer_release_supersedes_is_discarded_by_check_and_start() {
    type Newer = fn(&HostileWorld) -> Release;
    let newer: [(Newer, &[&Key]); 2] = [
        (|world| world.offered_as("3.0.0", 30), &[first()]),
        // The prepared release counts a key that is retired now.
        (|world| world.offered_as("3.0.0", 3).retiring(first()), &[second()]),
    ];
    for (newer, keys) in newer {
        let world = HostileWorld::new();
        let (patcher, _) = prepared_and_superseded(&world, &newer(&world), keys);
        let program = fs::read(world.core("bin/app")).unwrap();
        world.offer(&newer(&world), keys);
        assert_eq!(check(&patcher), "update to 3.0.0");
        assert!(!world.state("journal").exists());
        assert_eq!(fs::read(world.core("bin/app")).unwrap(), program);

        let world = HostileWorld::new();
        let (patcher, seen) = prepared_and_superseded(&world, &newer(&world), keys);
        fs::write(world.state("seen.xml"), seen).unwrap();
        patcher.start().unwrap();
        assert!(!world.state("journal").exists());
        assert_eq!(fs::read(world.core("bin/app")).unwrap(), program);
    }
    // Without a newer release, a start carries the swap out.
    let world = HostileWorld::new();
    let (patcher, _) = prepared_and_superseded(&world, &world.offered_as("3.0.0", 30), &[first()]);
    assert_eq!(check(&patcher), "update to 2.0.0");
    let program = fs::read(world.core("bin/app")).unwrap();
    patcher.start().unwrap();
    assert_ne!(fs::read(world.core("bin/app")).unwrap(), program);
}

#[test]
fn a_swap_is_not_prepared_after_a_newer_release_was_seen() {
    let world = HostileWorld::new();
    let staged = world.patcher().check_component("core").unwrap().update().unwrap().download(|_| {}).unwrap();
    world.offer(&world.offered_as("3.0.0", 30), &[first()]);
    assert_eq!(world.check(), "update to 3.0.0");
    assert_eq!(outcome(staged.apply().map(|_| "applied".to_owned())), "rollback");
}
