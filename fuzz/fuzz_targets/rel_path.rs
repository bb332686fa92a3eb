//! Paths: one that is taken leads nowhere but below the folder that it is joined to, and is still
//! taken when it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::rel_path::{RelPath, check_conflicts};
use std::path::{Component, Path};

fuzz_target!(|text: &str| {
    let paths: Vec<RelPath> = text.split('\n').filter_map(|line| RelPath::new(line).ok()).collect();
    for path in &paths {
        assert_eq!(RelPath::new(path.as_str()).as_ref(), Ok(path));
        assert!(Path::new(path.as_str()).components().all(|part| matches!(part, Component::Normal(_))));
    }
    let _ = check_conflicts(paths.iter());
});
