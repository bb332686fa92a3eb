//! Links, pipes and folders that an attacker plants in the program or in the updater's folders.

use super::table::not_installed;
use super::world::{HostileWorld, with_outside};
use crate::support::tree::Tree;
use std::fs;
use std::os::unix::fs::symlink;

fn pipe(path: std::path::PathBuf) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).unwrap();
}

#[test]
fn nothing_is_written_through_a_link_inside_the_program() {
    type Plant = fn(&HostileWorld);
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
        let (world, outside) = with_outside();
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
        let (world, outside) = with_outside();
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
    let (world, _) = with_outside();
    fs::write(world.path("outside/dropped"), "dropped").unwrap();
    let outside = Tree::read(&world.path("outside"));
    fs::remove_dir_all(world.core("old")).unwrap();
    symlink(world.path("outside"), world.core("old")).unwrap();
    assert_eq!(world.update(), "updated to 2.0.0");
    outside.assert_is(&Tree::read(&world.path("outside")));
}

#[test]
fn another_name_of_an_installed_file_keeps_its_bytes_and_mode() {
    let (world, _) = with_outside();
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
    type Plant = fn(&HostileWorld);
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
        let (world, outside) = with_outside();
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

/// Another kind of entry tells no more than a damaged file, which counts as empty.
#[test]
fn a_memory_of_another_kind_is_set_aside_and_not_followed() {
    type Plant = fn(&HostileWorld);
    let rows: [(&str, Plant); 3] = [
        ("a link", |w| symlink(w.path("outside/file"), w.state("seen.xml")).unwrap()),
        ("a pipe", |w| pipe(w.state("seen.xml"))),
        ("a folder", |w| fs::create_dir(w.state("seen.xml")).unwrap()),
    ];
    for (name, plant) in rows {
        let (world, outside) = with_outside();
        fs::remove_file(world.state("seen.xml")).unwrap();
        plant(&world);
        let planted = fs::symlink_metadata(world.state("seen.xml")).unwrap().file_type();
        assert_eq!(world.update(), "updated to 2.0.0", "{name}");
        let aside = fs::symlink_metadata(world.state("seen.xml.damaged")).unwrap().file_type();
        assert_eq!(aside, planted, "{name}");
        outside.assert_is(&Tree::read(&world.path("outside")));
    }
}

/// Backups of earlier swaps are only leftovers, so a link in their place is removed like one.
#[test]
fn a_link_in_the_place_of_backups_is_replaced_and_not_followed() {
    for name in ["txn", "txn/core"] {
        let (world, outside) = with_outside();
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
    let (world, outside) = with_outside();
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
