//! The files that `prune` removes, and those that it must keep.

use crate::publisher::{Publisher, program};
use std::fs;
use std::path::{Path, PathBuf};

fn releases(publisher: &Publisher) -> Vec<String> {
    let Ok(entries) = fs::read_dir(publisher.path("site/core/releases")) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".xml"));
    names.sort();
    names
}

fn prune(publisher: &Publisher, more: &[&str]) -> String {
    publisher.run(&[&["prune", "core"], more].concat()).ok()
}

#[track_caller]
fn is_sound(publisher: &Publisher) {
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
}

/// Expects that every object that a manifest names exists.
#[track_caller]
fn has_what_it_names(publisher: &Publisher) {
    for path in [vec!["manifest.xml".to_owned()], releases(publisher)].concat() {
        let path = if path == "manifest.xml" { path } else { format!("releases/{path}") };
        let manifest = publisher.manifest(&format!("site/core/{path}"));
        for (object, _) in manifest_tool::site::objects(&manifest) {
            assert!(publisher.path(Path::new("site/core").join(&object)).exists(), "{path} names {object}");
        }
    }
}

/// Reads all files of the site.
fn files(publisher: &Publisher) -> Vec<(PathBuf, u64)> {
    let walk = walkdir::WalkDir::new(publisher.path("site")).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = walk.filter(|entry| entry.file_type().is_file());
    files.map(|entry| (entry.path().to_owned(), entry.metadata().unwrap().len())).collect()
}

#[test]
fn prune_removes_old_releases_and_the_objects_that_only_they_name() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=5, &["--updates", "0"]);
    let before = files(&publisher);
    let planned = prune(&publisher, &["--keep", "2", "--dry-run"]);
    assert_eq!(files(&publisher), before, "a dry run drops nothing");
    let out = prune(&publisher, &["--keep", "2"]);
    let after = files(&publisher);
    let bytes = |files: &[(PathBuf, u64)]| files.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let dropped = bytes(&before) - bytes(&after);
    assert!(out.ends_with(&format!("2 manifests and 8 objects, {dropped} bytes, dropped\n")), "{out}");
    assert_eq!(planned.replace("would be dropped", "dropped"), out);
    assert_eq!(out.lines().count(), 11);
    assert_eq!(releases(&publisher), ["3.xml", "4.xml"]);
    has_what_it_names(&publisher);
    is_sound(&publisher);
    assert!(prune(&publisher, &["--keep", "2"]).ends_with("0 manifests and 0 objects, 0 bytes, dropped\n"));
    // The remaining files are enough for the next release.
    publisher.sign_builds(6..=6, &[]);
    is_sound(&publisher);
}

#[test]
fn deltas_in_the_latest_manifest_stay() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=5, &[]);
    prune(&publisher, &["--keep", "0"]);
    assert_eq!(releases(&publisher), [""; 0]);
    has_what_it_names(&publisher);
    is_sound(&publisher);
}

#[test]
fn each_channel_keeps_its_own_releases() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &["--channel", "beta"]);
    publisher.sign_builds(3..=5, &[]);
    prune(&publisher, &["--keep", "1"]);
    assert_eq!(releases(&publisher), ["1.xml", "4.xml"], "a release of beta and one of stable");
    prune(&publisher, &["--keep", "0"]);
    assert_eq!(releases(&publisher), [""; 0]);
    is_sound(&publisher);
    assert!(publisher.path("site/core/beta.xml").exists());
}

#[test]
fn a_renewed_release_counts_as_one() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    publisher.run(&["resign", "core", "--rollout", "10%"]).ok();
    publisher.run(&["resign", "core", "--rollout", "50%"]).ok();
    prune(&publisher, &["--keep", "1"]);
    assert_eq!(releases(&publisher), ["1.xml", "2.xml", "3.xml"]);
}

#[test]
fn prune_keeps_stepping_stones_and_their_objects() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    publisher.write("build/bin/app", program(3));
    publisher.sign_as("1.3.0", &["--min-version", "1.2.0"]).ok();
    publisher.sign_builds(4..=6, &[]);
    prune(&publisher, &["--keep", "1"]);
    assert_eq!(releases(&publisher), ["2.xml", "5.xml"], "the stone is release 2");
    has_what_it_names(&publisher);
    is_sound(&publisher);
}

#[test]
fn prune_leaves_foreign_files_alone() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=3, &[]);
    let strange = [
        "site/core/objects/README",
        "site/core/objects/ab/notes.txt",
        "site/core/objects/ab/0000000000000000000000000000000000000000000000000000000000000000.gz",
        "site/core/objects/ab/.new-x1y2z3",
        "site/core/index.html",
        "site/other.txt",
    ];
    strange.iter().for_each(|path| publisher.write(path, "somebody else's"));
    fs::rename(publisher.path("site/core/releases/1.xml"), publisher.path("site/core/releases/first.xml")).unwrap();
    prune(&publisher, &["--keep", "0"]);
    strange.iter().for_each(|path| assert!(publisher.path(path).exists(), "{path}"));
    assert_eq!(releases(&publisher), ["first.xml"]);
    has_what_it_names(&publisher);
}

#[test]
fn objects_that_no_manifest_names_are_removed() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let name = patcher::internal::digest::Sha256::of(b"x").to_string();
    let path = format!("site/core/objects/{}/{name}.update", &name[..2]);
    publisher.write(&path, "x");
    assert!(prune(&publisher, &["--keep", "3"]).ends_with("0 manifests and 1 object, 1 bytes, dropped\n"));
    assert!(!publisher.path(&path).exists());
}

#[test]
fn an_unreadable_latest_manifest_stops_prune_before_any_removal() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=3, &[]);
    publisher.write("site/core/manifest.xml", "nothing");
    let before = files(&publisher);
    publisher.run(&["prune", "core", "--keep", "0"]).fails(21, "manifest.xml");
    assert_eq!(files(&publisher), before);
    publisher.run(&["prune", "other", "--keep", "0"]).fails(22, "other");
    publisher.run(&["prune", "core"]).usage_error();
}

/// After a removal that stops in the middle, no manifest lacks an object, and the next `prune`
/// continues.
#[test]
fn an_interrupted_prune_leaves_no_manifest_without_its_objects() {
    use manifest_tool::prune::Dropped;
    use manifest_tool::site::ComponentSite;
    use patcher::internal::manifest::Platform;
    let publisher = Publisher::new();
    publisher.sign_builds(1..=4, &["--updates", "0"]);
    let site =
        ComponentSite::find(&publisher.path("site"), &"core".parse().unwrap(), Platform::any(), publisher.site_keys());
    let site = site.unwrap();
    let dropped = Dropped::find(&site, 0).unwrap();
    assert_eq!((dropped.manifests.len(), dropped.objects.len()), (3, 6), "three manifest deltas among the objects");
    // `prune` cannot remove a folder at the path of an object.
    let obstacle = &dropped.objects[0].path;
    let bytes = fs::read(obstacle).unwrap();
    fs::remove_file(obstacle).unwrap();
    fs::create_dir(obstacle).unwrap();
    dropped.carry_out(&site).unwrap_err();
    assert_eq!(releases(&publisher), [""; 0], "manifests go first");
    has_what_it_names(&publisher);
    fs::remove_dir(obstacle).unwrap();
    fs::write(obstacle, bytes).unwrap();
    assert!(prune(&publisher, &["--keep", "0"]).contains("0 manifests and 6 objects"));
}
