//! The update objects that `sign` makes, and the deltas in them.

use crate::publisher::{Publisher, program};
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{ObjectKind, object_path};
use patcher::internal::manifest::{Manifest, Object};
use patcher::internal::tables::{RowBase, UpdateTable};
use std::fs;

const LATEST: &str = "site/core/manifest.xml";

/// Returns the table of the update object from each earlier release, the newest first.
fn tables(publisher: &Publisher, manifest: &Manifest) -> Vec<UpdateTable> {
    let table = |object: &patcher::internal::manifest::IndexedObject| {
        let path = format!("site/core/{}", object_path(ObjectKind::Update, &object.object.sha256));
        let bytes = publisher.read(path);
        let (table, deltas) = bytes.split_at(object.table.size as usize);
        assert_eq!(Sha256::of(table), object.table.sha256);
        UpdateTable::parse(table, deltas.len() as u64).unwrap()
    };
    manifest.meta.updates.iter().map(|update| table(&update.object)).collect()
}

/// Returns the number of rows from each earlier release, the newest first.
fn rows(publisher: &Publisher) -> Vec<usize> {
    tables(publisher, &publisher.manifest(LATEST)).iter().map(|table| table.rows.len()).collect()
}

/// Reads the number of deltas from the output of `sign`.
fn made(out: &str) -> usize {
    let words = out.lines().find(|line| line.contains(" delta")).unwrap();
    let words = words.split("; ").find(|part| part.contains(" delta")).unwrap();
    words.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_release_has_an_update_object_from_each_of_the_last_ten() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=12, &[]);
    let from: Vec<u64> = publisher.manifest(LATEST).meta.updates.iter().map(|update| update.from).collect();
    assert_eq!(from, (2..=11).rev().collect::<Vec<_>>());
    publisher.sign_builds(13..=13, &["--updates", "2"]);
    let from: Vec<u64> = publisher.manifest(LATEST).meta.updates.iter().map(|update| update.from).collect();
    assert_eq!(from, [12, 11]);
    publisher.sign_as("1.14.0", &["--updates", "17"]).usage_error();
}

#[test]
fn older_clients_get_several_deltas_where_these_cost_less() {
    // Most bytes of a delta are new bytes of the release, so two deltas together are as small as a
    // direct one.
    let grown = |build: u64| [program(build), noise(1, 7)[..4000 * build as usize].to_vec()].concat();
    let publisher = Publisher::new();
    for build in 1..=5 {
        publisher.write("build/bin/app", grown(build));
        publisher.sign_as(&format!("1.{build}.0"), &[]).ok();
    }
    let tables = tables(&publisher, &publisher.manifest(LATEST));
    let oldest = &tables[3];
    assert_eq!(oldest.rows.len(), 2, "through a release between");
    assert_eq!(oldest.rows[0].base, RowBase::Content(Sha256::of(&grown(1))));
    assert_eq!(oldest.rows[1].base, RowBase::Row(0));
    assert_eq!(oldest.rows[1].to.sha256, Sha256::of(&grown(5)));
}

#[test]
fn a_direct_delta_replaces_a_chain_that_costs_more() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=5, &[]);
    assert_eq!(rows(&publisher), [1, 1, 1, 1], "one delta from each");
    // Two deltas lead to each content. The third of the distant releases still needs several.
    publisher.sign_builds(6..=9, &[]);
    let rows = rows(&publisher);
    assert_eq!(rows.len(), 8);
    assert_eq!(rows.iter().filter(|count| **count == 1).count(), 5, "{rows:?}");
}

#[test]
fn an_unchanged_tree_keeps_its_update_objects_and_makes_no_delta() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    let before = publisher.object_states();
    let updates = publisher.manifest(LATEST).meta.updates;
    assert_eq!(updates.len(), 1);
    let out = publisher.sign_as("1.3.0", &[]).ok();
    assert_eq!(made(&out), 0);
    assert!(publisher.object_states() == before, "no object was touched");
    let after = publisher.manifest(LATEST).meta.updates;
    assert_eq!(after.last(), updates.first());
}

#[test]
fn a_delta_to_reverted_content_is_reused() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    publisher.write("build/bin/app", program(1));
    let out = publisher.sign_as("1.3.0", &[]).ok();
    assert_eq!(made(&out), 1, "clients with 1.2.0 go back by a delta, too");
    publisher.write("build/bin/app", program(2));
    let out = publisher.sign_as("1.4.0", &[]).ok();
    assert_eq!(made(&out), 0, "this delta was made for 1.2.0");
    let tables = tables(&publisher, &publisher.manifest(LATEST));
    assert_eq!(tables[0].rows[0].base, RowBase::Content(Sha256::of(&program(1))));
}

#[test]
fn a_renewed_release_keeps_its_update_objects() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    let updates = publisher.manifest(LATEST).meta.updates;
    publisher.run(&["resign", "core", "--rollout", "50%"]).ok();
    assert_eq!(publisher.manifest(LATEST).meta.updates, updates);
}

#[test]
fn a_promoted_release_has_update_objects_from_the_releases_of_its_new_channel() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=1, &[]);
    publisher.sign_builds(2..=4, &["--channel", "beta", "--updates", "1"]);
    publisher.run(&["promote", "core", "--from", "beta", "--to", "stable"]).ok();
    let manifest = publisher.manifest(LATEST);
    let stable = manifest.meta.updates.iter().find(|update| update.from == 1).unwrap();
    assert_eq!(stable.rest, 0, "the deltas of the betas lead there");
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
}

/// Returns bytes that compress to at least `bits`/8 of their size, the same for the same seed
/// (xorshift64, Marsaglia 2003).
fn noise(seed: u64, bits: u8) -> Vec<u8> {
    let mut state = seed | 1 << 63;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as u8 >> (8 - bits)
    };
    (0..50_000).map(|_| next()).collect()
}

#[test]
fn a_delta_that_saves_nothing_is_not_published() {
    let publisher = Publisher::new();
    publisher.write("build/bin/app", noise(1, 7));
    publisher.sign_as("1.0.0", &[]).ok();
    publisher.write("build/bin/app", noise(2, 7));
    publisher.sign_as("2.0.0", &["--updates", "1"]).ok();
    let tables = tables(&publisher, &publisher.manifest(LATEST));
    assert!(tables.iter().flat_map(|table| &table.rows).all(|row| row.base == RowBase::Empty), "{tables:?}");
}

#[test]
fn small_new_files_are_in_the_update_object_and_a_large_one_is_not() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=1, &[]);
    let large: Vec<u8> = (0..8).flat_map(|seed| noise(seed + 1, 8)).collect();
    for number in 0..3 {
        publisher.write(&format!("build/small-{number}"), format!("a small new file {number}"));
    }
    publisher.write("build/large", &large);
    publisher.sign_as("1.2.0", &[]).ok();
    let manifest = publisher.manifest(LATEST);
    let update = &manifest.meta.updates[0];
    let gz = manifest.files.iter().find(|file| file.path.as_str() == "large").unwrap().gz.unwrap();
    assert!(gz.size > 256 << 10);
    assert_eq!(update.rest, gz.size);
    let table = &tables(&publisher, &manifest)[0];
    assert_eq!(table.rows.len(), 3);
    assert!(table.rows.iter().all(|row| row.base == RowBase::Empty));
    let made = Object { size: 18, sha256: Sha256::of(b"a small new file 0") };
    assert!(table.rows.iter().any(|row| row.to == made));
}

#[test]
fn an_update_object_that_saves_nothing_is_not_published() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=1, &[]);
    publisher.write("build/small", "a small new file");
    publisher.sign_as("1.2.0", &[]).ok();
    assert!(publisher.manifest(LATEST).meta.updates.is_empty(), "the gzip alone is smaller");
}

#[test]
fn compressed_files_get_no_delta() {
    let publisher = Publisher::new();
    let mut archive = noise(1, 8);
    publisher.write("build/archive.zip", &archive);
    publisher.sign_as("1.0.0", &[]).ok();
    archive[77] ^= 1;
    publisher.write("build/archive.zip", archive);
    publisher.sign_as("1.1.0", &[]).ok();
    let tables = tables(&publisher, &publisher.manifest(LATEST));
    assert!(tables.iter().flat_map(|table| &table.rows).all(|row| row.base == RowBase::Empty), "{tables:?}");
}

#[test]
fn sign_makes_no_update_objects_if_told_so() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &["--updates", "0"]);
    assert!(publisher.manifest(LATEST).meta.updates.is_empty());
}

#[test]
fn many_files_are_diffed_within_the_memory_limit() {
    let publisher = Publisher::new();
    let write =
        |build| (0..12).for_each(|n| publisher.write(&format!("build/{n}.bin"), [&program(build)[..], &[n]].concat()));
    write(1);
    publisher.sign_as("1.0.0", &[]).ok();
    write(2);
    assert_eq!(made(&publisher.sign_as("1.1.0", &["--memory", "100K"]).ok()), 12);
}

#[test]
fn a_damaged_old_object_stops_publishing_before_any_write() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=1, &[]);
    let before = publisher.read(LATEST);
    let largest = publisher.objects().into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    bytes[500] ^= 1;
    fs::write(&largest, bytes).unwrap();
    publisher.write("build/bin/app", program(2));
    publisher.sign_as("1.2.0", &[]).fails(22, "cannot unpack");
    assert_eq!(publisher.read(LATEST), before);
}

#[test]
fn verify_applies_deltas_whose_old_files_are_on_the_site() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=3, &[]);
    let verify = || publisher.run(&["verify", "site", "--key", "release.pub.pem"]);
    assert!(verify().ok().ends_with("\n2 deltas make what they should; 0 start from files that are not on the site\n"));
    fs::remove_dir_all(publisher.path("site/core/releases")).unwrap();
    assert!(verify().ok().ends_with("\n0 deltas make what they should; 2 start from files that are not on the site\n"));
}

#[test]
fn verify_finds_an_update_object_that_makes_something_else() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=3, &[]);
    publisher.sign_again(|manifest| {
        manifest.meta.updates[0].object.table.sha256 = Sha256::of(b"another table");
    });
    let run = publisher.run(&["verify", "site", "--key", "release.pub.pem"]);
    run.fails(21, "1 of ");
    assert!(run.out.contains("is not the update object that the manifest names"), "{}", run.out);
}

#[test]
fn verify_finds_a_head_and_a_manifest_delta_that_lead_elsewhere() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    let head = publisher.read("site/core/latest.xml");
    let text = String::from_utf8(head.clone()).unwrap();
    publisher.write("site/core/latest.xml", text.replace("sequence=\"2\"", "sequence=\"3\""));
    let verify = || publisher.run(&["verify", "site", "--key", "release.pub.pem"]);
    let run = verify();
    run.fails(21, "1 of ");
    assert!(run.out.contains("latest.xml does not lead to the manifest: it names sequence 3"), "{}", run.out);
    publisher.write("site/core/latest.xml", head);
    verify().ok();
    publisher.write("site/core/releases/2/from-1.delta", "no delta");
    let run = verify();
    run.fails(21, "1 of ");
    assert!(run.out.contains("from-1.delta does not lead to the manifest"), "{}", run.out);
}
