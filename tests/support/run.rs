//! The exit code and output of a program that has ended.

use serde_json::Value;
use std::process::{Command, Output};

/// The exit code and output of a program that has ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` if a signal ended the program.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Runs a program to its end.
    pub fn of(command: &mut Command) -> Self {
        Self::ended(command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Takes the output of a program that has ended.
    pub fn ended(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let status = output.status;
        Self { code: status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Expects this exit code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Returns the one JSON object in the output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Expects the JSON object of an error with this exit code and this stable code.
    #[track_caller]
    pub fn fails(&self, exit: i32, code: &str) {
        assert_eq!(self.code, Some(exit), "{self:#?}");
        let error = &self.json()["error"];
        assert_eq!((error["code"].as_str(), error["exit"].as_i64()), (Some(code), Some(exit.into())), "{self:#?}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:#?}");
    }
}
