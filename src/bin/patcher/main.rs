//! The command line program: every verb of the library for programs in any language, administrators and scripts.
#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod report;

use arguments::Arguments;
use clap::Parser as _;
use commands::{Outcome, run};
use patcher::{Check, DeferralReason};
use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::new(arguments.json, arguments.verbose);
    match run(&arguments, &report) {
        Ok(outcome) => {
            report.done(&outcome);
            ExitCode::from(outcome.exit_code())
        }
        Err(error) => {
            report.failed(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

impl Outcome {
    /// The exit code of a command that did what it was asked to.
    fn exit_code(&self) -> u8 {
        match self {
            Outcome::Available(check) if !check.updates.is_empty() => 10,
            Outcome::Available(Check { deferred: held, .. })
            | Outcome::Staged(None, held)
            | Outcome::Applied(None, held)
                if held
                    .iter()
                    .any(|held| matches!(held.reason, DeferralReason::RolledBack(_) | DeferralReason::SwapFailed)) =>
            {
                25
            }
            Outcome::Verified(components) if components.iter().any(|(_, damages)| !damages.is_empty()) => 11,
            _ => 0,
        }
    }
}
