//! The deltas that `sign` makes and keeps.

use crate::publisher::{Publisher, program};
use patcher::internal::manifest::{Delta, Manifest};
use std::fs;

const LATEST: &str = "site/core/manifest.xml";

fn deltas_of<'a>(manifest: &'a Manifest, path: &str) -> &'a [Delta] {
    &manifest.files.iter().find(|file| file.path.as_str() == path).unwrap().deltas
}

/// Reads the number of deltas from the output of `sign`.
fn made(out: &str) -> usize {
    let words = out.lines().find(|line| line.contains(" deltas, ")).unwrap();
    let words = words.split("; ").find(|part| part.contains(" deltas, ")).unwrap();
    words.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn deltas_lead_from_the_last_three_releases_and_stay_while_they_save_bytes() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=4, &[]);
    let manifest = publisher.manifest(LATEST);
    let deltas = deltas_of(&manifest, "bin/app");
    assert_eq!(deltas.iter().filter(|delta| delta.to.is_none()).count(), 3);
    // The new bytes of each release are so many that two deltas together are as small as a direct
    // one.
    let grown = |build: u64| [program(build), noise(1, 7)[..4000 * build as usize].to_vec()].concat();
    let publisher = Publisher::new();
    for build in 1..=5 {
        publisher.write("build/bin/app", grown(build));
        publisher.sign_as(&format!("1.{build}.0"), &[]).ok();
    }
    let manifest = publisher.manifest(LATEST);
    let deltas = deltas_of(&manifest, "bin/app");
    assert_eq!(deltas.iter().filter(|delta| delta.to.is_none()).count(), 3);
    let oldest = patcher::internal::digest::Sha256::of(&grown(1));
    let from_oldest: Vec<_> = deltas.iter().filter(|delta| delta.from == oldest).collect();
    assert_eq!(from_oldest.len(), 1, "the cheapest way from there, and no other");
    assert!(from_oldest[0].to.is_some(), "it goes through a release between");
}

#[test]
fn a_direct_delta_replaces_a_chain_that_costs_more() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=5, &[]);
    let manifest = publisher.manifest(LATEST);
    let deltas = deltas_of(&manifest, "bin/app");
    assert!(deltas.iter().all(|delta| delta.to.is_none()) && deltas.len() == 4, "one from each: {deltas:?}");
    // Two deltas lead to each content. The third of the distant releases still needs several.
    publisher.sign_builds(6..=9, &[]);
    let manifest = publisher.manifest(LATEST);
    let deltas = deltas_of(&manifest, "bin/app");
    assert_eq!(deltas.len(), 8, "from each release one");
    assert_eq!(deltas.iter().filter(|delta| delta.to.is_none()).count(), 5, "{deltas:?}");
}

#[test]
fn an_unchanged_tree_keeps_its_deltas_and_makes_none() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    let before = publisher.object_states();
    let deltas = publisher.manifest(LATEST).files.iter().flat_map(|file| file.deltas.clone()).collect::<Vec<_>>();
    assert_eq!(deltas.len(), 1);
    let out = publisher.sign_as("1.3.0", &[]).ok();
    assert_eq!(made(&out), 0);
    assert!(publisher.object_states() == before, "no object was touched");
    let after = publisher.manifest(LATEST).files.iter().flat_map(|file| file.deltas.clone()).collect::<Vec<_>>();
    assert_eq!(after, deltas);
}

#[test]
fn a_delta_to_reverted_content_is_reused() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    publisher.write("build/bin/app", program(1));
    let out = publisher.sign_as("1.3.0", &[]).ok();
    assert_eq!(made(&out), 1, "who has 1.2.0 goes back by a patch, too");
    publisher.write("build/bin/app", program(2));
    let out = publisher.sign_as("1.4.0", &[]).ok();
    assert_eq!(made(&out), 0, "this way was made for 1.2.0");
    let manifest = publisher.manifest(LATEST);
    assert_eq!(deltas_of(&manifest, "bin/app")[0].from, patcher::internal::digest::Sha256::of(&program(1)));
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
fn a_delta_that_saves_less_than_a_request_is_not_published() {
    let publisher = Publisher::new();
    publisher.write("build/small", "a small file\n".repeat(100));
    publisher.write("build/bin/app", noise(1, 7));
    publisher.sign_as("1.0.0", &[]).ok();
    publisher.write("build/bin/app", noise(2, 7));
    publisher.write("build/small", "a small file.\n".repeat(100));
    let out = publisher.sign_as("2.0.0", &[]).ok();
    assert_eq!(made(&out), 0);
    assert!(!publisher.objects().iter().any(|path| path.extension().is_some_and(|ending| ending == "delta")));
}

#[test]
fn compressed_files_get_no_delta() {
    let publisher = Publisher::new();
    let mut archive = noise(1, 8);
    publisher.write("build/archive.zip", &archive);
    publisher.sign_as("1.0.0", &[]).ok();
    archive[77] ^= 1;
    publisher.write("build/archive.zip", archive);
    assert_eq!(made(&publisher.sign_as("1.1.0", &[]).ok()), 0);
}

#[test]
fn sign_makes_no_deltas_if_told_so() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &["--deltas", "0"]);
    assert!(publisher.manifest(LATEST).files.iter().all(|file| file.deltas.is_empty()));
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
fn verify_finds_a_delta_that_makes_something_else() {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=3, &[]);
    publisher.sign_again(|manifest| {
        let deltas = &mut manifest.files.iter_mut().find(|file| !file.deltas.is_empty()).unwrap().deltas;
        deltas[0].object = deltas[1].object;
    });
    let run = publisher.run(&["verify", "site", "--key", "release.pub.pem"]);
    run.fails(21, "1 of ");
    assert!(
        run.out.contains("the delta to bin/app is wrong") && run.out.contains("old file has another size"),
        "{}",
        run.out
    );
}
