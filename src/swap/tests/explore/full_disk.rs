//! A disk that fills at any step of the helper's swap leaves a complete version without a recovery,
//! because the program starts on the full disk, too.

use super::*;
use crate::disk::fs::simulated::Fault;

#[test]
fn a_disk_that_fills_at_any_step_leaves_a_complete_version() {
    for trees in [MOST_CHANGES, FOLDER_BECOMES_FILE] {
        let total = trees.run(&trees.start(), swap_by_the_helper, None).steps;
        let mut found = BTreeSet::new();
        for at in 0..=total {
            let left = trees.run(&trees.start(), swap_by_the_helper, Some((at, Event::Fault(Fault::NoSpace))));
            let Some(version) = trees.version(&left.disk, &[]) else {
                panic!("full at step {at}: {:?}, {:#?}", left.result, component(&left.disk))
            };
            assert_eq!(left.result.unwrap_or(false), version == "new", "full at step {at}");
            found.insert(version);
        }
        assert_eq!(found, BTreeSet::from(["new", "old"]));
    }
}
