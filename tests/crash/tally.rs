//! The tally: the outcomes of a scenario in one mode. `CRASH_TABLE` names a file that gets a line
//! for each tally.

use std::fs::File;
use std::io::Write as _;

/// The complete state that a tree is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Before,
    After,
}

/// The outcomes so far.
pub struct Tally {
    mode: String,
    scenario: String,
    before: usize,
    after: usize,
    wrong: Vec<String>,
}

impl Tally {
    pub fn new(mode: &str, scenario: &str) -> Self {
        Self { mode: mode.to_owned(), scenario: scenario.to_owned(), before: 0, after: 0, wrong: Vec::new() }
    }

    /// Counts what was found after the program was disturbed at `point`.
    pub fn count(&mut self, point: &str, found: Result<End, String>) {
        match found {
            Ok(End::Before) => self.before += 1,
            Ok(End::After) => self.after += 1,
            Err(words) => self.wrong.push(format!("{} at {point}: {words}", self.mode)),
        }
    }

    /// Writes the line, and fails if an outcome was wrong.
    #[track_caller]
    pub fn close(self) {
        let Self { mode, scenario, before, after, wrong } = self;
        let points = before + after + wrong.len();
        if let Some(path) = std::env::var_os("CRASH_TABLE") {
            let mut table = File::options().create(true).append(true).open(path).unwrap();
            let line = format!("{mode}|{scenario}|{points}|{before}|{after}|{}\n", wrong.len());
            table.write_all(line.as_bytes()).unwrap();
        }
        assert!(points > 0, "{mode}, {scenario}: no point was tried");
        let first: Vec<String> = wrong.iter().take(5).map(|words| words.chars().take(2000).collect()).collect();
        assert!(wrong.is_empty(), "{scenario}: {} of {points} points went wrong: {first:#?}", wrong.len());
    }
}
