//! The flat layout: names without folders, and the same commands as on any site.

use crate::publisher::Publisher;
use patcher::internal::manifest::{Manifest, SiteLayout};
use std::collections::BTreeSet;
use std::fs;

const FLAT: &[&str] = &["--layout", "flat"];

/// Signs `builds` in turn in the flat layout.
fn sign_flat(publisher: &Publisher, builds: std::ops::RangeInclusive<u64>, more: &[&str]) {
    for build in builds {
        publisher.write("build/bin/app", crate::publisher::program(build));
        publisher.sign_with_install_object(&format!("1.{build}.0"), &[FLAT, more].concat()).ok();
    }
}

/// Returns the names of all files on the site.
fn names(publisher: &Publisher) -> BTreeSet<String> {
    let entries = fs::read_dir(publisher.path("site")).unwrap().map(Result::unwrap);
    let names = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        assert!(entry.file_type().unwrap().is_file(), "{name} is no file");
        name
    });
    names.filter(|name| name != ".lock").collect()
}

fn latest(publisher: &Publisher) -> Manifest {
    publisher.manifest("site/core.manifest.xml")
}

/// Expects that `verify` finds nothing wrong, and applies this number of deltas.
#[track_caller]
fn is_right(publisher: &Publisher, deltas: usize) {
    let out = publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
    assert!(out.contains(&format!("{deltas} delta")), "{out}");
}

#[test]
fn a_flat_site_has_no_folders_and_no_gz() {
    let publisher = Publisher::new();
    sign_flat(&publisher, 1..=2, &[]);
    let manifest = latest(&publisher);
    assert_eq!(manifest.meta.layout, SiteLayout::Flat);
    assert!(manifest.files.iter().all(|file| file.gz.is_none() && file.chunks.is_none()));
    let install = manifest.meta.install.unwrap().object.sha256;
    let update = manifest.meta.updates[0].object.object.sha256;
    let first = publisher.manifest("site/core-1.xml").meta.install.unwrap().object.sha256;
    let expected = [
        "core.latest.xml".to_owned(),
        "core.manifest.xml".to_owned(),
        "core-1.xml".to_owned(),
        "core-2-from-1.delta".to_owned(),
        format!("core-{first}.install"),
        format!("core-{install}.install"),
        format!("core-{update}.update"),
    ];
    assert_eq!(names(&publisher), expected.into());
    is_right(&publisher, 1);
}

#[test]
fn every_command_works_on_a_flat_site() {
    let publisher = Publisher::new();
    publisher.run(&["keygen", "fresh", "--no-passphrase"]).ok();
    sign_flat(&publisher, 1..=2, &["--freshness-key", "fresh.pub.pem"]);
    // The site remembers its layout.
    publisher.write("build/bin/app", crate::publisher::program(3));
    publisher.sign_with_install_object("1.3.0", &["--channel", "beta"]).ok();
    assert!(names(&publisher).contains("core.manifest.beta.xml"));
    publisher.run(&["resign", "core", "--rollout", "50%"]).ok();
    publisher.run(&["pause", "core"]).ok();
    assert_eq!(latest(&publisher).meta.rollout, Some(0));
    publisher.run(&["promote", "core", "--from", "beta", "--to", "stable"]).ok();
    let promoted = latest(&publisher);
    assert_eq!((promoted.meta.version.to_string().as_str(), promoted.meta.sequence), ("1.3.0", 6));
    assert_eq!(promoted.meta.layout, SiteLayout::Flat);
    publisher.run(&["stamp", "site", "--key", "fresh.key.pem", "--valid", "3d"]).ok();
    let out = publisher.run(&["diff", "site/core-2.xml", "site/core.manifest.xml"]).ok();
    assert!(out.contains("~") && out.contains("bin/app"), "{out}");
    publisher.run(&["inspect", "site/core.manifest.xml"]).ok();
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
    publisher.run(&["publish", "site", "copy"]).ok();
    let mut verify = publisher.path("copy").into_os_string().into_string().unwrap();
    verify.insert_str(0, "file://");
    publisher.run(&["verify", &format!("{verify}/core.manifest.xml"), "--key", "release.pub.pem"]).ok();
    let before = names(&publisher);
    publisher.run(&["prune", "core", "--keep", "0"]).ok();
    let after = names(&publisher);
    let dropped: Vec<&String> = before.difference(&after).collect();
    assert!(dropped.iter().any(|name| *name == "core-1.xml"), "{dropped:?}");
    assert!(dropped.iter().any(|name| name.ends_with(".install")), "{dropped:?}");
    assert!(!dropped.iter().any(|name| name.contains("latest") || name.contains("manifest")), "{dropped:?}");
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
}

#[test]
fn deltas_are_as_small_as_in_folders() {
    let (flat, folders) = (Publisher::new(), Publisher::new());
    sign_flat(&flat, 1..=4, &[]);
    for build in 1..=4 {
        folders.write("build/bin/app", crate::publisher::program(build));
        folders.sign_with_install_object(&format!("1.{build}.0"), &[]).ok();
    }
    let sizes = |manifest: Manifest| -> Vec<u64> {
        manifest.meta.updates.iter().map(|update| update.object.object.size + update.rest).collect()
    };
    let (flat, folders) = (sizes(latest(&flat)), sizes(folders.manifest("site/core/manifest.xml")));
    assert_eq!(flat.len(), 3);
    for (flat, folders) in flat.iter().zip(&folders) {
        assert!(flat * 100 <= folders * 102, "{flat} and {folders}");
    }
}

/// A file that no delta leads to has no `.gz`, so that the update object holds it, whatever its
/// size.
#[test]
fn an_update_object_holds_large_new_files() {
    let publisher = Publisher::new();
    publisher.write("build/share/other", noise(500_000));
    sign_flat(&publisher, 1..=1, &[]);
    publisher.write("build/large", noise(400_000));
    sign_flat(&publisher, 2..=2, &[]);
    let update = &latest(&publisher).meta.updates[0];
    assert_eq!(update.rest, 0);
    assert!(update.object.object.size > 400_000, "{}", update.object.object.size);
    is_right(&publisher, 2);
}

#[test]
fn a_component_keeps_its_layout() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    publisher.sign_with_install_object("1.1.0", FLAT).fails(21, "has the layout `folders` on this site, and keeps it");
    publisher.sign_with_install_object("1.1.0", &[FLAT, &["--no-install-object"]].concat()).usage_error();
}

#[test]
fn platforms_and_components_share_a_flat_site() {
    let publisher = Publisher::new();
    for platform in ["x86_64-linux", "aarch64-macos"] {
        sign_flat(&publisher, 1..=1, &["--platform", platform]);
    }
    let other =
        ["sign", "build", "--component", "core-x", "--version", "1.0.0", "--base-url", "https://dl.example.com/"];
    publisher.run(&[&other[..], FLAT].concat()).ok();
    let names = names(&publisher);
    for name in ["core.x86_64-linux.manifest.xml", "core.aarch64-macos.latest.xml"] {
        assert!(names.contains(name), "{names:?}");
    }
    publisher.run(&["resign", "core"]).ok();
    assert!(self::names(&publisher).contains("core.x86_64-linux-1.xml"));
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
    publisher.run(&["publish", "site", "copy"]).ok();
    publisher.run(&["prune", "core", "--keep", "0"]).ok();
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
}

/// Returns bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = length as u64 | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
