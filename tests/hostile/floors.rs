//! Floors: replayed old releases, withheld new ones, used-up sequences, and releases of another
//! component, channel or platform.

use super::publisher::{Key, Release, first, second, sign, stranger};
use super::table::{Row, checks, manifest};
use super::world::{HostileWorld, MANIFEST, check, code, outcome, update};
use crate::support::programs;
use patcher::{Config, Patcher};
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn older_and_foreign_releases_are_refused_and_move_no_floor() {
    checks(|world| {
        let signed = |name: &str, change: &dyn Fn(&mut Release), expected| {
            let mut release = world.new.clone();
            change(&mut release);
            manifest(name, sign(release.body(), &[first()]), expected)
        };
        let mut rows: Vec<Row> = vec![
            signed(
                "a sequence less (tuf: test_new_timestamp_version_rollback)",
                &|r| r.manifest.meta.sequence = 9,
                "rollback",
            ),
            signed("the first sequence", &|r| r.manifest.meta.sequence = 1, "rollback"),
            signed("sequence 0", &|r| r.manifest.meta.sequence = 0, "rollback"),
            signed(
                "a higher version under a lower sequence",
                &|r| {
                    r.manifest.meta.sequence = 9;
                    r.manifest.meta.version = "99.0.0".parse().unwrap();
                },
                "rollback",
            ),
            signed(
                "a later date under a lower sequence",
                &|r| {
                    r.manifest.meta.sequence = 9;
                    r.manifest.meta.issued = "2025-01-01T00:00:00Z".parse().unwrap();
                },
                "rollback",
            ),
            signed(
                "other files under the same sequence (tuf: test_timestamp_content_changes)",
                &|r| r.manifest.meta.sequence = 10,
                "sequence-conflict",
            ),
            signed(
                "another component (tuf: test_incorrect_metadata_type)",
                &|r| r.manifest.meta.component = "addon".parse().unwrap(),
                "wrong-component",
            ),
            signed(
                "another component's highest sequence",
                &|r| {
                    r.manifest.meta.component = "addon".parse().unwrap();
                    r.manifest.meta.sequence = u64::MAX;
                },
                "wrong-component",
            ),
            signed(
                "a component whose name begins alike",
                &|r| r.manifest.meta.component = "core-2".parse().unwrap(),
                "wrong-component",
            ),
            signed("another channel", &|r| r.manifest.meta.channel = "beta".parse().unwrap(), "wrong-channel"),
            signed(
                "another channel's highest sequence",
                &|r| {
                    r.manifest.meta.channel = "beta".parse().unwrap();
                    r.manifest.meta.sequence = u64::MAX;
                },
                "wrong-channel",
            ),
            signed(
                "another platform",
                &|r| r.manifest.meta.platform = "riscv64-plan9".parse().unwrap(),
                "wrong-platform",
            ),
            signed(
                "another platform's highest sequence",
                &|r| {
                    r.manifest.meta.platform = "riscv64-plan9".parse().unwrap();
                    r.manifest.meta.sequence = u64::MAX;
                },
                "wrong-platform",
            ),
            signed(
                "everything of somebody else, expired",
                &|r| {
                    r.manifest.meta.component = "addon".parse().unwrap();
                    r.manifest.meta.expires = Some("2024-01-02T00:00:00Z".parse().unwrap());
                },
                "wrong-component",
            ),
        ];
        // The installed release under its own sequence, with one change.
        let conflict = |name: &str, change: &dyn Fn(&mut Release)| {
            let mut release = world.old.clone();
            change(&mut release);
            manifest(name, sign(release.body(), &[first()]), "sequence-conflict")
        };
        rows.push(conflict("the installed release with another date", &|r| {
            r.manifest.meta.issued = "2023-01-01T00:00:00Z".parse().unwrap()
        }));
        rows.push(conflict("the installed release without an end", &|r| r.manifest.meta.expires = None));
        rows.push(conflict("the installed release with another address", &|r| {
            r.manifest.meta.base_urls = vec!["http://evil.example/".parse().unwrap()]
        }));
        rows.push(manifest(
            "the installed release with a space more",
            sign(world.old.body().replacen("<files>", "<files >", 1), &[first()]),
            "sequence-conflict",
        ));
        rows
    });
}

#[test]
fn the_installed_floor_holds_without_the_state() {
    type Damage = fn(&HostileWorld);
    let rows: &[(&str, Damage)] = &[
        ("no state folder", |w| fs::remove_dir_all(w.root().join(".patcher")).unwrap()),
        ("no memory", |w| fs::remove_file(w.state("seen.xml")).unwrap()),
        ("an empty memory", |w| fs::write(w.state("seen.xml"), "").unwrap()),
        ("garbage", |w| fs::write(w.state("seen.xml"), [0xff; 9]).unwrap()),
        ("a memory cut off", |w| {
            let text = fs::read_to_string(w.state("seen.xml")).unwrap();
            fs::write(w.state("seen.xml"), &text[..text.len() / 2]).unwrap();
        }),
        ("a lower sequence remembered", |w| {
            let text = fs::read_to_string(w.state("seen.xml")).unwrap();
            fs::write(w.state("seen.xml"), text.replace("sequence=\"10\"", "sequence=\"1\"")).unwrap();
        }),
        ("another key remembered", |w| {
            let text = fs::read_to_string(w.state("seen.xml")).unwrap();
            fs::write(w.state("seen.xml"), text.replace(&first().id.to_string(), &stranger().id.to_string())).unwrap();
        }),
        ("10 MB remembered", |w| fs::write(w.state("seen.xml"), vec![b' '; 10 << 20]).unwrap()),
    ];
    for (name, damage) in rows {
        let world = HostileWorld::new();
        world.offer(&world.offered_as("0.9.0", 9), &[first()]);
        damage(&world);
        assert_eq!(world.check(), "rollback", "{name}");
        world.offer(&world.new, &[first()]);
        assert_eq!(world.update(), "updated to 2.0.0", "{name}");
    }
}

#[test]
fn the_seen_floor_holds_without_the_installed_manifest() {
    type Damage = fn(&HostileWorld);
    let manifest = |world: &HostileWorld| world.core("manifest.xml");
    let rows: &[(&str, Damage, &str)] = &[
        ("no manifest", |w| fs::remove_file(w.core("manifest.xml")).unwrap(), "installed-manifest"),
        ("an empty manifest", |w| fs::write(w.core("manifest.xml"), "").unwrap(), "installed-manifest"),
        ("garbage", |w| fs::write(w.core("manifest.xml"), [7; 99]).unwrap(), "installed-manifest"),
        (
            "a body without a signature",
            |w| fs::write(w.core("manifest.xml"), w.old.body()).unwrap(),
            "installed-manifest",
        ),
        (
            "a signature that does not fit",
            |w| {
                let text = fs::read_to_string(w.core("manifest.xml")).unwrap();
                fs::write(w.core("manifest.xml"), text.replacen("sequence=\"10\"", "sequence=\"1\"", 1)).unwrap();
            },
            "installed-manifest",
        ),
        (
            "another component's",
            |w| {
                let mut other = w.old.clone();
                other.manifest.meta.component = "addon".parse().unwrap();
                fs::write(w.core("manifest.xml"), sign(other.body(), &[first()])).unwrap();
            },
            "installed-manifest",
        ),
        (
            "more than 64 MiB",
            |w| fs::write(w.core("manifest.xml"), vec![b' '; (64 << 20) + 1]).unwrap(),
            "installed-manifest",
        ),
        (
            "a folder",
            |w| {
                fs::remove_file(w.core("manifest.xml")).unwrap();
                fs::create_dir(w.core("manifest.xml")).unwrap();
            },
            "unsafe-path",
        ),
        (
            "a link",
            |w| {
                fs::rename(w.core("manifest.xml"), w.path("elsewhere.xml")).unwrap();
                std::os::unix::fs::symlink(w.path("elsewhere.xml"), w.core("manifest.xml")).unwrap();
            },
            "unsafe-path",
        ),
        (
            "an older one that was once signed",
            |w| {
                let mut older = w.old.clone();
                older.manifest.meta.sequence = 1;
                fs::write(w.core("manifest.xml"), sign(older.body(), &[first()])).unwrap();
            },
            "rollback",
        ),
        ("a stranger's", |w| fs::write(w.core("manifest.xml"), sign(w.old.body(), &[stranger()])).unwrap(), "rollback"),
    ];
    for (name, damage, expected) in rows {
        let world = HostileWorld::new();
        world.offer(&world.offered_as("0.9.0", 9), &[first()]);
        damage(&world);
        assert_eq!(world.check(), *expected, "{name}");
        if *expected == "unsafe-path" {
            continue;
        }
        let url = format!("{}core/manifest.xml", world.server.url());
        let outcome = world.patcher().install("core", &url).map(|_| ()).unwrap_err();
        assert_eq!(code(&outcome), "rollback", "{name}");
        world.offer(&world.new, &[first()]);
        let update = world.patcher().install("core", &url).unwrap();
        update.download(|_| {}).unwrap().apply().unwrap();
        assert!(manifest(&world).is_file(), "{name}");
    }
}

#[test]
fn the_built_in_floor_holds_without_state_and_manifest() {
    for (floor, sequence, expected) in [
        (10, 9, "rollback"),
        (10, 0, "rollback"),
        (u64::MAX, u64::MAX - 1, "rollback"),
        (10, 10, "2.0.0"),
        (0, 0, "2.0.0"),
    ] {
        let world = HostileWorld::new();
        fs::remove_dir_all(world.root().join(".patcher")).unwrap();
        fs::remove_file(world.core("manifest.xml")).unwrap();
        world.offer(&world.offered_as("2.0.0", sequence), &[first()]);
        let patcher = Patcher::new(world.config().floor("core", floor)).unwrap();
        let url = format!("{}core/manifest.xml", world.server.url());
        let outcome = outcome(patcher.install("core", &url).map(|update| update.to().to_string()));
        assert_eq!(outcome, expected, "{floor} {sequence}");
    }
    // The same floor refuses a check.
    let world = HostileWorld::new();
    let patcher = Patcher::new(world.config().floor("core", 30)).unwrap();
    assert_eq!(check(&patcher), "rollback");
    // A release that retires the key of the floor is above it.
    world.offer(&world.offered_as("3.0.0", 1).retiring(first()), &[second()]);
    assert_eq!(update(&patcher), "updated to 3.0.0");
}

#[test]
fn a_seen_release_raises_the_floor() {
    let world = HostileWorld::new();
    world.offer(&world.offered_as("3.0.0", 30), &[first()]);
    assert_eq!(world.check(), "update to 3.0.0");
    let before = world.snapshot();
    for (body, expected) in [
        (world.new.body(), "rollback"),
        // Even the installed release is no longer "up to date".
        (world.old.body(), "rollback"),
        (world.offered_as("3.0.1", 30).body(), "sequence-conflict"),
        (world.offered_as("3.0.0", 29).body(), "rollback"),
    ] {
        world.server.put(MANIFEST, sign(body, &[first()]));
        world.refuses(expected);
        assert_eq!(before.differences(&world.snapshot()), "");
    }
    world.offer(&world.offered_as("3.0.0", 30), &[first()]);
    assert_eq!(world.update(), "updated to 3.0.0");
}

#[test]
fn the_next_key_recovers_a_sequence_that_a_stolen_key_used_up() {
    let world = HostileWorld::new();
    // tuf: test_new_timestamp_fast_forward_recovery
    world.offer(&world.offered_as("6.6.6", u64::MAX), &[first()]);
    assert_eq!(world.check(), "update to 6.6.6");
    world.offer(&world.new, &[first()]);
    world.refuses("rollback");
    world.offer(&world.offered_as("2.0.0", u64::MAX), &[first()]);
    world.refuses("sequence-conflict");
    // tuf: test_root_rotation
    world.offer(&world.offered_as("2.0.0", 1), &[second()]);
    world.refuses("rollback");
    world.offer(&world.offered_as("2.0.0", 1).retiring(first()), &[first()]);
    world.refuses("threshold");
    world.offer(&world.offered_as("2.0.0", 1).retiring(first()), &[second()]);
    assert_eq!(world.update(), "updated to 2.0.0");
    for sequence in [0, 2, 21, u64::MAX] {
        world.offer(&world.offered_as("6.6.7", sequence), &[first()]);
        world.refuses("retired-key");
    }
    // The first key's old releases do not return when the state is lost.
    fs::remove_dir_all(world.root().join(".patcher")).unwrap();
    world.refuses("retired-key");
    world.offer(&world.offered_as("2.0.0", 0).retiring(first()), &[second()]);
    world.refuses("rollback");
    world.offer(&world.offered_as("2.1.0", 2).retiring(first()), &[first(), second()]);
    assert_eq!(world.update(), "updated to 2.1.0");
    // A copy without the first key's signature is the same release.
    let installed = fs::read(world.core("manifest.xml")).unwrap();
    world.offer(&world.offered_as("2.1.0", 2).retiring(first()), &[second()]);
    world.refuses("up to date");
    assert_eq!(fs::read(world.core("manifest.xml")).unwrap(), installed);
    world.offer(&world.offered_as("2.2.0", 3), &[first()]);
    world.refuses("retired-key");
    world.offer(&world.offered_as("2.2.0", 3), &[first(), second()]);
    world.refuses("retired-key");
}

#[test]
fn one_stolen_key_of_three_replays_and_retires_nothing() {
    let world = HostileWorld::new();
    let keys = [first(), second(), stranger()];
    let config = || world.config().trusted_key(&stranger().pem).threshold(2);
    let offered = |sequence, signers: &[&Key]| {
        world.offer(&world.offered_as(&format!("{sequence}.0.0"), sequence), signers);
        check(&Patcher::new(config()).unwrap())
    };
    assert_eq!(offered(30, &[first(), second()]), "update to 30.0.0");
    // The third key is stolen, and adds its signature to an old release.
    assert_eq!(offered(15, &[first(), second(), stranger()]), "rollback");
    assert_eq!(offered(99, &[stranger()]), "threshold");
    world.offer(&world.offered_as("99.0.0", 99).retiring(second()), &[stranger()]);
    assert_eq!(check(&Patcher::new(config()).unwrap()), "threshold");
    // Honest releases by changing pairs of keys.
    for (sequence, pair) in (31..).zip([[1, 2], [0, 2], [0, 1], [1, 2], [0, 1]]) {
        assert_eq!(offered(sequence, &pair.map(|key| keys[key])), format!("update to {sequence}.0.0"));
    }
}

#[test]
fn a_strangers_manifest_uses_up_no_sequence() {
    let world = HostileWorld::new();
    let before = world.snapshot();
    world.offer(&world.offered_as("6.6.6", u64::MAX), &[stranger()]);
    world.refuses("unknown-key");
    assert_eq!(before.differences(&world.snapshot()), "");
    world.offer(&world.new, &[first()]);
    assert_eq!(world.update(), "updated to 2.0.0");
}

/// An honest rollback: the old content under the next sequence.
#[test]
fn a_lower_version_under_a_higher_sequence_is_taken() {
    let world = HostileWorld::new();
    world.offer(&world.offered_as("0.5.0", 20), &[first()]);
    assert_eq!(world.update(), "updated to 0.5.0");
}

#[test]
fn each_channel_has_its_own_floor() {
    let world = HostileWorld::new();
    let beta = |config: Config| Patcher::new(config.channel("beta")).unwrap();
    let mut release = world.offered_as("3.0.0-beta.1", 3);
    release.manifest.meta.channel = "beta".parse().unwrap();
    let offered = |sequence, config: Config| {
        let mut release = release.clone();
        release.manifest.meta.sequence = sequence;
        world.server.put("/core/beta.xml", sign(release.body(), &[first()]));
        check(&beta(config))
    };
    // The installed release of the other channel has the sequence 10.
    assert_eq!(offered(3, world.config()), "rollback");
    assert_eq!(offered(9, world.config()), "rollback");
    assert_eq!(offered(3, world.config().allow_downgrade(true)), "update to 3.0.0-beta.1");
    assert_eq!(offered(2, world.config().allow_downgrade(true)), "rollback");
    assert_eq!(offered(11, world.config()), "update to 3.0.0-beta.1");
    assert_eq!(offered(10, world.config().allow_downgrade(true)), "rollback");
    // Nor does another channel count a retired key again.
    world.offer(&world.offered_as("2.0.0", 20).retiring(first()), &[second()]);
    assert_eq!(world.update(), "updated to 2.0.0");
    assert_eq!(offered(30, world.config()), "retired-key");
    // The other channel's file under this channel's name.
    world.server.put("/core/beta.xml", sign(world.new.body(), &[first()]));
    assert_eq!(check(&beta(world.config())), "wrong-channel");
}

/// The command line: a floor for the first installation, and the way to an older channel.
#[test]
fn the_program_takes_a_floor_and_allows_a_downgrade_for_once() {
    let world = HostileWorld::new();
    fs::write(world.path("key.pem"), &first().pem).unwrap();
    let run = |more: &[&str]| {
        let mut program = Command::new(programs::patcher());
        program.arg("--root").arg(world.root()).arg("--key").arg(world.path("key.pem")).args(["--retries", "0"]);
        program.args(more).env_clear().stdin(Stdio::null()).output().unwrap().status.code()
    };
    let from = format!("{}core/", world.server.url());
    fs::remove_dir_all(world.root().join(".patcher")).unwrap();
    fs::remove_file(world.core("manifest.xml")).unwrap();
    world.publish(&world.new);
    assert_eq!(run(&["install", "core", "--from", &from, "--floor", "21"]), Some(21));
    assert_eq!(run(&["install", "core", "--from", &from, "--floor", "20"]), Some(0));
    let mut beta = world.offered_as("1.9.0-beta", 19);
    beta.manifest.meta.channel = "beta".parse().unwrap();
    world.server.put("/core/beta.xml", sign(beta.body(), &[first()]));
    assert_eq!(run(&["--channel", "beta", "check"]), Some(21));
    assert_eq!(run(&["--channel", "beta", "--allow-downgrade", "check"]), Some(10));
}
