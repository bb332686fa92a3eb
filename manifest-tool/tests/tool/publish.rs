//! Sites that are published to a folder.

use crate::publisher::{Publisher, ToolRun, program};
use std::fs;
use std::path::Path;

fn publish(publisher: &Publisher) -> ToolRun {
    publisher.run(&["publish", "site", "www"])
}

/// Reads all files below a folder.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let walk = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(Result::unwrap);
    // A lock's file names the process that held the lock last.
    let files = walk.filter(|entry| entry.file_type().is_file() && entry.file_name() != ".lock");
    let name = |path: &Path| path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
    files.map(|entry| (name(entry.path()), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn publish_sends_a_whole_site_and_later_only_new_files() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    publisher.sign_as("2.0.0-beta", &["--channel", "beta"]).ok();
    let out = publish(&publisher).ok();
    assert!(out.starts_with("5 objects and 3 manifests sent, "), "{out}");
    assert!(files(&publisher.path("site")) == files(&publisher.path("www")));
    publisher.run(&["verify", "www", "--key", "release.pub.pem"]).ok();
    assert_eq!(publish(&publisher).ok(), "0 objects and 0 manifests sent, 0 bytes; 5 objects already there\n");

    publisher.sign_builds(3..=3, &[]);
    // The new program, update objects from both earlier contents, the new manifest, and the
    // superseded one.
    let out = publish(&publisher).ok();
    assert!(out.starts_with("3 objects and 2 manifests sent, "), "{out}");
    assert!(files(&publisher.path("site")) == files(&publisher.path("www")));
}

#[test]
fn an_interrupted_upload_is_sent_again() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=1, &[]);
    publish(&publisher).ok();
    let (path, bytes) = files(&publisher.path("www")).into_iter().find(|(path, _)| path.ends_with(".gz")).unwrap();
    fs::write(publisher.path("www").join(path), &bytes[..bytes.len() - 1]).unwrap();
    assert!(publish(&publisher).ok().starts_with("1 object and 0 manifests sent, "));
    assert!(files(&publisher.path("site")) == files(&publisher.path("www")));
}

#[test]
fn publish_sends_nothing_of_an_incomplete_site() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=1, &[]);
    publish(&publisher).ok();
    publisher.sign_builds(2..=2, &[]);
    let before = files(&publisher.path("www"));
    let newest =
        publisher.objects().into_iter().max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::remove_file(&newest).unwrap();
    publish(&publisher).fails(21, "which is not there");
    assert!(files(&publisher.path("www")) == before);
    fs::write(&newest, bytes).unwrap();
    publish(&publisher).ok();
}

#[test]
fn publish_finds_a_damaged_object_before_it_sends_the_manifest() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=1, &[]);
    publish(&publisher).ok();
    publisher.sign_builds(2..=2, &["--updates", "0"]);
    let manifest = fs::read(publisher.path("www/core/manifest.xml")).unwrap();
    let new =
        publisher.manifest("site/core/manifest.xml").files.into_iter().find(|file| file.path.as_str() == "bin/app");
    let hash = new.unwrap().gz.unwrap().sha256.to_string();
    let object = publisher.path(format!("site/core/objects/{}/{hash}.gz", &hash[..2]));
    let mut bytes = fs::read(&object).unwrap();
    bytes[99] ^= 1;
    fs::write(&object, &bytes).unwrap();
    for _ in 0..2 {
        publish(&publisher).fails(21, "does not have the bytes that its manifest names");
        assert_eq!(fs::read(publisher.path("www/core/manifest.xml")).unwrap(), manifest);
    }
    bytes[99] ^= 1;
    fs::write(&object, &bytes).unwrap();
    publish(&publisher).ok();
}

#[test]
fn publish_does_not_overwrite_a_later_release() {
    let (publisher, other) = (Publisher::new(), Publisher::new());
    publisher.sign_builds(1..=2, &[]);
    other.sign_builds(1..=1, &[]);
    publish(&publisher).ok();
    let www = publisher.path("www").display().to_string();
    other.run(&["publish", "site", &www]).fails(21, "sequence 2, and the site has 1");
    other.write("build/bin/app", program(9));
    other.sign_as("1.2.0", &[]).ok();
    other.run(&["publish", "site", &www]).fails(21, "another site was published there");
    other.sign_as("1.3.0", &[]).ok();
    other.run(&["publish", "site", &www]).ok();
}

#[test]
fn impossible_sources_and_destinations_are_refused() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    publisher.run(&["publish", "build", "www"]).fails(21, "manifest.xml");
    publisher.run(&["publish", "nowhere", "www"]).fails(22, "nowhere");
    publisher.run(&["publish", "site", "ftp://example.com/"]).fails(2, "destination");
    #[cfg(not(feature = "cloud"))]
    publisher.run(&["publish", "site", "s3://bucket/updates"]).fails(2, "--features cloud");
    assert!(!publisher.path("www").exists());
}

#[test]
fn a_manifest_that_was_replaced_meanwhile_is_not_overwritten() {
    use manifest_tool::publish::{Destination as _, Folder, ResponseHeaders};
    let publisher = Publisher::new();
    let (folder, path) = (Folder::new(publisher.path("www")), "core/manifest.xml");
    let replace = |bytes: &[u8], old| folder.replace(path, bytes, old, ResponseHeaders::of(path));
    replace(b"one", None).unwrap();
    assert_eq!(replace(b"two", None).unwrap_err().code(), "conflict");
    let one = folder.read(path).unwrap();
    replace(b"two", one.as_ref()).unwrap();
    assert_eq!(replace(b"three", one.as_ref()).unwrap_err().code(), "conflict");
    assert_eq!(folder.read(path).unwrap().unwrap().bytes, b"two");
}

#[test]
fn a_dry_run_tells_what_would_be_sent_and_sends_nothing() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let files = walkdir::WalkDir::new(publisher.path("site")).into_iter().map(Result::unwrap);
    let files: Vec<u64> = files
        .filter(|entry| entry.file_type().is_file() && entry.file_name() != ".lock")
        .map(|entry| entry.metadata().unwrap().len())
        .collect();
    let expected = format!("{} files to send, {} bytes\n", files.len(), files.iter().sum::<u64>());
    assert_eq!(publisher.run(&["publish", "site", "copy", "--dry-run"]).ok(), expected);
    assert!(!publisher.path("copy/core/manifest.xml").exists());
    publisher.run(&["publish", "site", "copy"]).ok();
    assert_eq!(publisher.run(&["publish", "site", "copy", "--dry-run"]).ok(), "0 files to send, 0 bytes\n");
}

#[test]
fn passwords_in_urls_are_never_shown() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let url = "https://me:hunter2@example.com:port/?signature=hunter2#hunter2";
    let runs = [
        publisher.run(&["verify", url, "--key", "release.pub.pem"]),
        publisher.sign(&["--base-url", url]),
        publisher.sign(&["--notes", &format!("en={url}")]),
        publisher.run(&["init", "new", "--base-url", url]),
        publisher.run_with(
            &["publish", "site", "github:owner/repo@v1", "--trust", "release.pub.pem"],
            &[("GITHUB_API_URL", url), ("GITHUB_TOKEN", "hunter2")],
        ),
    ];
    for run in runs {
        run.fails(2, "example.com:port");
        assert!(!run.out.contains("hunter2") && !run.err.contains("hunter2"), "{}", run.err);
    }
}
