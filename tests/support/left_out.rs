//! Tests that need something which this machine lacks say so loudly; where `CI` is set they fail.

use std::path::PathBuf;

/// Where a program is that packages install; none when it is missing, which is told.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Servers are not in every user's path.
    folders.extend(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        say(&format!("{name} is not installed"));
    }
    found
}

/// Tells that the running test is left out, past the test harness's capture.
pub fn say(why: &str) {
    use std::io::Write as _;
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {test} ({why})");
}
