//! The catalogue is complete: every code that a refusal can have is expected by a row, and so is every code of the network.

/// The library's own list of codes.
const ERRORS: &str = include_str!("../../src/error.rs");
const PATHS: &str = include_str!("../../src/rel_path.rs");
/// The tables.
const TABLES: &[&str] = &[
    include_str!("freshness.rs"),
    include_str!("http.rs"),
    include_str!("keys.rs"),
    include_str!("machine.rs"),
    include_str!("meta.rs"),
    include_str!("mirrors.rs"),
    include_str!("objects.rs"),
    include_str!("paths.rs"),
    include_str!("resume.rs"),
    include_str!("signatures.rs"),
    include_str!("xml.rs"),
];

/// What stands after `=> ` in quotes between two lines of a file.
fn codes(text: &'static str, from: &str, to: &str) -> Vec<&'static str> {
    let start = text.find(from).unwrap();
    let part = &text[start..start + text[start..].find(to).unwrap()];
    part.lines().filter_map(|line| line.split_once("=> \"")?.1.split('"').next()).collect()
}

#[test]
fn every_code_of_a_refusal_and_of_the_network_is_expected_by_a_row() {
    let mut all = codes(ERRORS, "impl Refused {", "impl Machine {");
    all.extend(codes(ERRORS, "match network {", "Error::Machine"));
    all.extend(codes(PATHS, "impl PathDefect {", "impl RelPath {"));
    assert!(all.len() > 60, "{all:?}");
    let missing: Vec<_> =
        all.iter().filter(|code| !TABLES.iter().any(|table| table.contains(&format!("\"{code}\"")))).collect();
    assert!(missing.is_empty(), "no row expects {missing:?}");
}
