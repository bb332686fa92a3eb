//! Makes only the calls that every swap with backups needs, and measures them.
//!
//! These are a hard link for each old file, a rename of each new file over it, and a sync of each
//! changed folder. Then the new version is started. Prints two times in seconds: that of the calls,
//! and that from the first call to the first action of the new version.
//!
//! `bare COMPONENT STAGE BACKUPS STARTED FILE`: STAGE has the files of COMPONENT under the same
//! names. STARTED is the new version, which writes its start time into FILE.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [component, stage, backups, started, file_with_time] = &arguments[..] else {
        panic!("usage: bare COMPONENT STAGE BACKUPS STARTED FILE")
    };
    let mut folders = vec![component.clone()];
    let mut files = Vec::new();
    list(component, Path::new(""), &mut folders, &mut files);
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).expect("a correct clock").as_secs_f64();
    let start = Instant::now();
    for (number, file) in files.iter().enumerate() {
        fs::hard_link(component.join(file), backups.join(number.to_string())).expect("a hard link");
    }
    sync(backups);
    for file in &files {
        fs::rename(stage.join(file), component.join(file)).expect("a rename");
    }
    folders.iter().for_each(|folder| sync(folder));
    let calls = start.elapsed().as_secs_f64();
    assert!(
        Command::new(started).arg(file_with_time).status().expect("a start").success(),
        "the new version failed"
    );
    let first_action: f64 = fs::read_to_string(file_with_time).expect("a file").trim().parse().expect("seconds");
    println!("{calls:.4} {:.4}", first_action - begin);
}

fn list(dir: &Path, below: &Path, folders: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(dir.join(below)).expect("a folder").map(|entry| entry.expect("an entry")).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            folders.push(dir.join(&path));
            list(dir, &path, folders, files);
        } else {
            files.push(path);
        }
    }
}

fn sync(folder: &Path) {
    File::open(folder).expect("a folder").sync_all().expect("a sync");
}
