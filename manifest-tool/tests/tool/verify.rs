//! Intact and damaged sites in a folder.

use crate::publisher::{Publisher, day};
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{self, ObjectKind};
use patcher::internal::manifest::Object;
use std::fs;
use std::path::PathBuf;

fn signed() -> Publisher {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    publisher
}

fn verify(publisher: &Publisher) -> crate::publisher::ToolRun {
    publisher.run(&["verify", "site", "--key", "release.pub.pem"])
}

/// Returns the largest object and its bytes.
fn object(publisher: &Publisher) -> (PathBuf, Vec<u8>) {
    let path = publisher.objects().into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

/// Expects one finding, which names `object` and contains `text`.
#[track_caller]
fn finds(publisher: &Publisher, object: &str, text: &str) {
    let run = verify(publisher);
    run.fails(21, "1 of 4 manifests and objects");
    assert_eq!(run.out.lines().count(), 1, "{}", run.out);
    assert!(run.out.contains(object) && run.out.contains(text), "{}", run.out);
}

fn name(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_fresh_site_is_sound() {
    let publisher = signed();
    publisher.sign(&["--channel", "beta"]).ok();
    assert_eq!(verify(&publisher).ok(), "2 manifests and 3 objects are sound\n");
    let url = format!("file://{}", publisher.path("site/core/beta.xml").display());
    assert_eq!(
        publisher.run(&["verify", &url, "--key", "release.pub.pem"]).ok(),
        "1 manifest and 3 objects are sound\n"
    );
}

#[test]
fn a_flipped_byte_is_found() {
    let publisher = signed();
    let (path, mut bytes) = object(&publisher);
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    finds(&publisher, &name(&path), "SHA-256");
}

#[test]
fn a_truncated_object_is_found() {
    let publisher = signed();
    let (path, bytes) = object(&publisher);
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    finds(&publisher, &name(&path), "bytes");
}

#[test]
fn a_missing_object_is_found() {
    let publisher = signed();
    let (path, _) = object(&publisher);
    fs::remove_file(&path).unwrap();
    finds(&publisher, &name(&path), "is missing");
}

/// Signs a manifest with `gz` as its largest object, as a defective tool would.
fn with_object(publisher: &Publisher, gz: &[u8]) -> String {
    publisher.sign_again(|manifest| {
        let file = manifest.files.iter_mut().max_by_key(|file| file.size).unwrap();
        let object = Object { size: gz.len() as u64, sha256: Sha256::of(gz) };
        file.gz = Some(object);
        let name = layout::object_path(ObjectKind::Gz, &object.sha256);
        publisher.write(&format!("site/core/{name}"), gz);
        name
    })
}

#[test]
fn a_second_gzip_member_is_found() {
    let publisher = signed();
    let (_, bytes) = object(&publisher);
    let name = with_object(&publisher, &[&bytes[..], &bytes[..]].concat());
    finds(&publisher, &name, "bin/app");
}

#[test]
fn header_flags_and_other_content_are_found() {
    let publisher = signed();
    let (_, mut bytes) = object(&publisher);
    let other =
        fs::read(publisher.objects().into_iter().min_by_key(|path| path.metadata().unwrap().len()).unwrap()).unwrap();
    bytes[3] = 8;
    let name = with_object(&publisher, &bytes);
    finds(&publisher, &name, "header");
    let name = with_object(&publisher, &other);
    // The manifest now gives the empty file's object to a second file. The object fits the empty
    // file only.
    finds(&publisher, &name, "bin/app");
}

#[test]
fn verify_refuses_a_key_that_did_not_sign() {
    let publisher = signed();
    publisher.run(&["keygen", "other", "--bits", "2048"]).ok();
    let run = publisher.run(&["verify", "site", "--key", "other.pub.pem"]);
    run.fails(21, "1 of 1 manifests");
    assert!(run.out.contains("not by a trusted key"), "{}", run.out);
    publisher.run(&["verify", "site", "--key", "other.pub.pem", "--key", "release.pub.pem"]).ok();
}

#[test]
fn an_expired_manifest_and_one_of_another_channel_are_found() {
    let publisher = Publisher::new();
    publisher.sign_on(day(-2), "1.0.0", &["--expires", "1d"]).ok();
    fs::rename(publisher.path("site/core/manifest.xml"), publisher.path("site/core/beta.xml")).unwrap();
    let run = verify(&publisher);
    run.fails(21, "1 of 1");
    fs::remove_file(publisher.path("site/core/beta.xml")).unwrap();
    publisher.sign(&[]).ok();
    fs::copy(publisher.path("site/core/manifest.xml"), publisher.path("site/core/beta.xml")).unwrap();
    assert!(verify(&publisher).out.contains("`stable`, not `beta`"));
}

#[test]
fn a_folder_without_manifests_is_no_site() {
    let publisher = Publisher::new();
    publisher.run(&["verify", "build", "--key", "release.pub.pem"]).fails(21, "manifest.xml");
    publisher.run(&["verify", "nowhere", "--key", "release.pub.pem"]).fails(22, "nowhere");
    publisher.run(&["verify", "site", "--key", "release.key.pem"]).fails(2, "private key");
}
