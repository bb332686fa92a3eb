//! Install objects: what `sign` writes, and how the other commands treat it.

use crate::publisher::{Publisher, program};
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{ObjectKind, object_path};
use patcher::internal::manifest::{IndexedObject, Object};
use patcher::internal::tables::InstallTable;
use std::collections::BTreeSet;
use std::fs;

const LATEST: &str = "site/core/manifest.xml";

/// Signs builds in turn, each with an install object.
fn signed(builds: std::ops::RangeInclusive<u64>) -> Publisher {
    let publisher = Publisher::new();
    for build in builds {
        publisher.write("build/bin/app", program(build));
        publisher.sign_with_install_object(&format!("1.{build}.0"), &[]).ok();
    }
    publisher
}

fn install(publisher: &Publisher) -> IndexedObject {
    publisher.manifest(LATEST).meta.install.unwrap()
}

fn path(object: &Object) -> String {
    format!("site/core/{}", object_path(ObjectKind::Install, &object.sha256))
}

fn verify(publisher: &Publisher) -> crate::publisher::ToolRun {
    publisher.run(&["verify", "site", "--key", "release.pub.pem"])
}

#[test]
fn sign_packs_every_content_once() {
    let publisher = signed(1..=1);
    let manifest = publisher.manifest(LATEST);
    let install = install(&publisher);
    let bytes = publisher.read(path(&install.object));
    assert_eq!((bytes.len() as u64, Sha256::of(&bytes)), (install.object.size, install.object.sha256));
    let table = InstallTable::read(&bytes[..], &install).unwrap();
    let contents: Vec<Sha256> = table.contents.iter().map(|content| content.sha256).collect();
    let expected: BTreeSet<Sha256> = manifest.files.iter().map(|file| file.sha256).collect();
    assert_eq!(contents.len(), expected.len());
    assert_eq!(contents.into_iter().collect::<BTreeSet<_>>(), expected);
    let inspected = publisher.run(&["inspect", LATEST]).ok();
    assert!(inspected.contains(&format!("install    {} bytes\n", install.object.size)), "{inspected}");
    assert!(verify(&publisher).ok().starts_with("1 manifest and 4 objects are sound\n"));
}

#[test]
fn the_install_object_can_be_turned_off() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    assert_eq!(publisher.manifest(LATEST).meta.install, None);
    assert!(publisher.objects().iter().all(|path| path.extension().is_some_and(|extension| extension == "gz")));
}

/// A single small file is fetched in one request in any case.
#[test]
fn an_install_object_that_saves_nothing_is_not_made() {
    let publisher = Publisher::new();
    fs::remove_dir_all(publisher.path("build")).unwrap();
    publisher.write("build/small", "small");
    publisher.sign_with_install_object("1.0.0", &[]).ok();
    assert_eq!(publisher.manifest(LATEST).meta.install, None);
    assert_eq!(publisher.objects().len(), 1);
}

#[test]
fn the_same_contents_keep_their_install_object() {
    let publisher = signed(1..=1);
    let (before, states) = (install(&publisher), publisher.object_states());
    publisher.sign_with_install_object("1.1.1", &[]).ok();
    assert_eq!(install(&publisher), before);
    publisher.run(&["resign", "core"]).ok();
    assert_eq!(install(&publisher), before);
    publisher.run(&["promote", "core", "--from", "stable", "--to", "beta"]).ok();
    assert_eq!(publisher.manifest("site/core/beta.xml").meta.install, Some(before));
    assert_eq!(publisher.object_states(), states);
}

#[test]
fn prune_keeps_only_the_install_objects_of_kept_releases() {
    let publisher = signed(1..=2);
    let manifest = publisher.manifest("site/core/releases/1.xml");
    let old = path(&manifest.meta.install.unwrap().object);
    publisher.run(&["prune", "core", "--keep", "1"]).ok();
    assert!(publisher.path(&old).exists());
    publisher.run(&["prune", "core", "--keep", "0"]).ok();
    assert!(!publisher.path(&old).exists());
    assert!(publisher.path(path(&install(&publisher).object)).exists());
    verify(&publisher).ok();
}

#[test]
fn publish_sends_the_install_object() {
    let publisher = signed(1..=1);
    publisher.run(&["publish", "site", "served"]).ok();
    let sent = path(&install(&publisher).object).replacen("site", "served", 1);
    assert!(publisher.path(sent).exists());
}

#[test]
fn diff_tells_that_the_install_object_is_fetched() {
    let publisher = signed(1..=1);
    publisher.write("build/bin/app", program(2));
    publisher.write("build/share/data.txt", "other data");
    publisher.sign_with_install_object("1.2.0", &["--updates", "0"]).ok();
    let out = publisher.run(&["diff", "site/core/releases/1.xml", LATEST]).ok();
    let size = install(&publisher).object.size;
    assert!(out.contains("bin/app (install object)\n"), "{out}");
    assert!(out.contains(&format!("\n{size} bytes to fetch; ")), "{out}");
}

#[test]
fn verify_finds_an_install_object_that_is_damaged_or_missing() {
    let publisher = signed(1..=1);
    let path = path(&install(&publisher).object);
    let mut bytes = publisher.read(&path);
    *bytes.last_mut().unwrap() ^= 1;
    publisher.write(&path, bytes);
    let run = verify(&publisher);
    run.fails(21, "1 of 5 manifests and objects");
    fs::remove_file(publisher.path(&path)).unwrap();
    let run = verify(&publisher);
    run.fails(21, "1 of 5 manifests and objects");
    assert!(run.out.contains(".install is missing"), "{}", run.out);
}

#[test]
fn verify_finds_an_install_object_that_does_not_hold_the_release() {
    let publisher = signed(1..=2);
    let other = publisher.manifest("site/core/releases/1.xml").meta.install;
    publisher.sign_again(|manifest| manifest.meta.install = other);
    let run = verify(&publisher);
    run.fails(21, "1 of ");
    assert!(run.out.contains("is not the install object that the manifest names: it does not hold "), "{}", run.out);
}

#[test]
fn verify_finds_a_content_that_an_install_object_makes_wrong() {
    let publisher = signed(1..=1);
    let mut table =
        InstallTable::read(&publisher.read(path(&install(&publisher).object))[..], &install(&publisher)).unwrap();
    // An exchange of two contents of one size leaves every sum as it is.
    let bytes: Vec<u8> = b"onetwo".to_vec();
    table.contents.truncate(0);
    for text in ["two", "one"] {
        table.contents.push(Object { size: 3, sha256: Sha256::of(text.as_bytes()) });
    }
    table.blocks = vec![patcher::internal::tables::InstallBlock { size: 6, packed: 6 }];
    let table = table.to_bytes();
    let object = |bytes: &[u8]| Object { size: bytes.len() as u64, sha256: Sha256::of(bytes) };
    let whole = [table.clone(), bytes].concat();
    publisher.write(&path(&object(&whole)), &whole);
    publisher.sign_again(|manifest| {
        manifest.meta.install = Some(IndexedObject { object: object(&whole), table: object(&table) });
    });
    let run = verify(&publisher);
    run.fails(21, "1 of ");
    assert!(run.out.contains(&format!("it does not make {}", Sha256::of(b"two"))), "{}", run.out);
}
