//! The plan of a swap: whatever its reader takes stays inside of its component.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::journal::Transaction;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(transaction) = Transaction::parse(bytes) {
        for part in &transaction.components {
            let steps = part.steps.iter().map(|step| step.path.as_str());
            let folders =
                part.new_folders.iter().chain(part.old_folders.iter().map(|(path, _)| path)).map(String::as_str);
            for path in steps.chain(folders) {
                assert!(!path.starts_with('/') && path.split('/').all(|segment| !matches!(segment, "" | "." | "..")));
            }
            assert!(part.steps.iter().filter_map(|step| step.staged.as_deref()).all(|name| !name.contains('/')));
        }
    }
});
