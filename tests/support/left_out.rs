//! Reports tests that need a program which the machine lacks. Where `CI` is set they fail instead.

use std::path::PathBuf;

/// Finds an installed program. Reports a missing one and returns `None`.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Debian installs servers in the folders for administrators.
    folders.extend(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        report(&format!("{name} is not installed"));
    }
    found
}

/// Reports on the standard error, past the test harness, that the running test is left out.
pub fn report(why: &str) {
    use std::io::Write as _;
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {test} ({why})");
}
