//! The new version of the downtime bench: writes its start time in seconds into a file.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a correct clock");
    let file = std::env::args_os().nth(1).expect("usage: started FILE");
    let new = std::path::Path::new(&file).with_extension("new");
    std::fs::write(&new, format!("{:.6}\n", now.as_secs_f64())).expect("a file");
    std::fs::rename(&new, &file).expect("a rename");
}
