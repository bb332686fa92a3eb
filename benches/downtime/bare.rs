//! The calls that no swap with backups can do without, and nothing else: a second name for every old file, a rename of every
//! new one over it, and a sync of every folder that was touched. Prints the seconds.
//!
//! `bare COMPONENT STAGE BACKUPS`: STAGE holds the files of COMPONENT under the same names.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [component, stage, backups] = &arguments[..] else { panic!("usage: bare COMPONENT STAGE BACKUPS") };
    let mut folders = vec![component.clone()];
    let mut files = Vec::new();
    list(component, Path::new(""), &mut folders, &mut files);
    let start = Instant::now();
    for (number, file) in files.iter().enumerate() {
        fs::hard_link(component.join(file), backups.join(number.to_string())).expect("a second name");
    }
    sync(backups);
    for file in &files {
        fs::rename(stage.join(file), component.join(file)).expect("a rename");
    }
    folders.iter().for_each(|folder| sync(folder));
    println!("{:.4}", start.elapsed().as_secs_f64());
}

fn list(dir: &Path, below: &Path, folders: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir.join(below)).expect("a folder").map(|entry| entry.expect("an entry")).collect();
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
