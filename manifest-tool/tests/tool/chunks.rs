//! Chunk indices on a site.

use crate::publisher::Publisher;
use patcher::internal::chunks::ChunkIndex;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{self, ObjectKind};
use patcher::internal::manifest::{File, Object};
use std::fs;

/// Creates a signed release with one file that is large enough.
fn signed() -> Publisher {
    let publisher = Publisher::new();
    let content: Vec<u8> = (0..8000u32).flat_map(|number| *Sha256::of(&number.to_le_bytes()).as_bytes()).collect();
    publisher.write("build/bin/large", content);
    publisher.sign(&[]).ok();
    publisher
}

fn large(publisher: &Publisher) -> File {
    let manifest = publisher.manifest("site/core/manifest.xml");
    manifest.files.into_iter().find(|file| file.path.as_str() == "bin/large").unwrap()
}

fn index_path(chunks: &Object) -> String {
    format!("site/core/{}", layout::object_path(ObjectKind::Chunks, &chunks.sha256))
}

fn verify(publisher: &Publisher) -> crate::publisher::ToolRun {
    publisher.run(&["verify", "site", "--key", "release.pub.pem"])
}

#[test]
fn large_files_have_a_matching_index_and_small_ones_none() {
    let publisher = signed();
    let manifest = publisher.manifest("site/core/manifest.xml");
    assert_eq!(manifest.files.iter().filter(|file| file.chunks.is_some()).count(), 1);
    let file = large(&publisher);
    let chunks = file.chunks.unwrap();
    let bytes = publisher.read(index_path(&chunks));
    assert_eq!(chunks, Object { size: bytes.len() as u64, sha256: Sha256::of(&bytes) });
    assert!(ChunkIndex::parse(&bytes, file.size, file.gz.unwrap().size).unwrap().segments().count() > 10);
    assert_eq!(verify(&publisher).ok(), "1 manifest and 5 objects are sound\n");
}

#[test]
fn an_unchanged_file_keeps_its_gzip_and_index() {
    let publisher = signed();
    let (before, file) = (publisher.object_states(), large(&publisher));
    let out = publisher.sign(&[]).ok();
    assert!(out.contains("0 new objects") && out.contains("5 reused"), "{out}");
    assert_eq!((publisher.object_states(), large(&publisher)), (before, file));
}

#[test]
fn a_lost_index_is_rebuilt() {
    let publisher = signed();
    let path = publisher.path(index_path(&large(&publisher).chunks.unwrap()));
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(verify(&publisher).out.contains("is missing"));
    publisher.sign(&[]).ok();
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn an_index_of_another_file_is_found() {
    let publisher = signed();
    let bytes = publisher.read(index_path(&large(&publisher).chunks.unwrap()));
    let mut other_hash = bytes.clone();
    *other_hash.last_mut().unwrap() ^= 1;
    let shorter = bytes[..bytes.len() - 10].to_vec();
    // The first segment ends one byte too late, and the second is one byte shorter.
    let mut moved = bytes.clone();
    (moved[8], moved[18]) = (moved[8].wrapping_add(1), moved[18].wrapping_sub(1));
    for (wrong, text) in [
        (other_hash, "a chunk has another hash"),
        (shorter, "do not add up to the size of the file"),
        (moved, "do not match the chunk index"),
    ] {
        let chunks = Object { size: wrong.len() as u64, sha256: Sha256::of(&wrong) };
        publisher.write(&index_path(&chunks), wrong);
        publisher.sign_again(|manifest| {
            manifest.files.iter_mut().find(|file| file.chunks.is_some()).unwrap().chunks = Some(chunks);
        });
        let run = verify(&publisher);
        run.fails(21, "1 of 6 manifests and objects");
        assert!(run.out.contains("bin/large") && run.out.contains(text), "{}", run.out);
    }
}
