//! The tables are complete: a row expects every code of a refusal and every code of the network.

/// The files that define the codes.
const SOURCES: &[&str] = &[
    include_str!("../../src/error/refused.rs"),
    include_str!("../../src/error/network.rs"),
    include_str!("../../src/values/rel_path/defect.rs"),
];
/// The files with the tables.
const TABLES: &[&str] = &[
    include_str!("components.rs"),
    include_str!("expiry.rs"),
    include_str!("floors.rs"),
    include_str!("http.rs"),
    include_str!("journal.rs"),
    include_str!("keys.rs"),
    include_str!("links.rs"),
    include_str!("meta.rs"),
    include_str!("mirrors.rs"),
    include_str!("objects.rs"),
    include_str!("paths.rs"),
    include_str!("resume.rs"),
    include_str!("signatures.rs"),
    include_str!("staged.rs"),
    include_str!("xml.rs"),
    include_str!("../end_to_end/network.rs"),
];

/// The codes that no row expects yet. A site without the publisher's key cannot cause this one: the
/// key has to sign an install object of a flat site that lacks a content.
const WITHOUT_ROW: [&str; 1] = ["install-content"];

/// Returns the quoted text after `=> ` on each line that ends there.
fn codes(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","))
}

#[test]
fn every_code_of_a_refusal_and_of_the_network_is_expected_by_a_row() {
    let all: Vec<_> = SOURCES.iter().copied().flat_map(codes).collect();
    assert!(all.len() > 60, "{all:?}");
    let has_row = |code: &&&str| TABLES.iter().any(|table| table.contains(&format!("\"{code}\"")));
    let missing: Vec<_> = all.iter().filter(|code| !has_row(code) && !WITHOUT_ROW.contains(*code)).collect();
    assert!(missing.is_empty(), "no row expects {missing:?}");
}
