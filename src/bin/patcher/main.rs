//! The command line program: every operation of the library for administrators, scripts and
//! programs in other languages.
#![cfg_attr(not(windows), forbid(unsafe_code))]

mod advice;
mod arguments;
mod commands;
mod integration;
mod quantities;
mod report;
mod session;

use arguments::PatcherArguments;
use clap::Parser as _;
use commands::{CommandOutcome, run};
use patcher::{Caller, Check, DeferralReason, Deferred, Finding, Verdict};
use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match PatcherArguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let report = Report::new(&arguments);
    match run(&arguments, &report) {
        Ok(outcome) => {
            report.outcome(&outcome);
            ExitCode::from(outcome.exit_code())
        }
        Err(error) => {
            report.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints the help, the version or an error of usage, as JSON if the user wants that.
fn usage(error: &clap::Error) -> ExitCode {
    let is_json = std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json");
    if !error.use_stderr() || !is_json {
        error.exit();
    }
    let text = error.render().to_string();
    let detail = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let error = Caller::BadSetting { setting: "arguments", value: String::new(), detail }.into();
    report::print_json(&report::error_object(&error));
    ExitCode::from(error.exit_code())
}

impl CommandOutcome {
    /// Returns the exit code of a command that succeeded.
    fn exit_code(&self) -> u8 {
        let has_failed_here =
            |deferred: &Deferred| matches!(deferred.reason, DeferralReason::RolledBack(_) | DeferralReason::SwapFailed);
        let is_problem = |finding: &Finding| matches!(finding.verdict, Verdict::Problem(_));
        match self {
            CommandOutcome::Checked(check) if !check.updates.is_empty() => 10,
            CommandOutcome::Checked(Check { deferred, .. })
            | CommandOutcome::Staged(None, deferred)
            | CommandOutcome::Applied(None, deferred)
                if deferred.iter().any(has_failed_here) =>
            {
                25
            }
            CommandOutcome::Staged(None, deferred) | CommandOutcome::Applied(None, deferred)
                if !deferred.is_empty()
                    && deferred.iter().all(|deferred| matches!(deferred.reason, DeferralReason::Requires(_))) =>
            {
                21
            }
            CommandOutcome::Verified(components) if components.iter().any(|(_, damages)| !damages.is_empty()) => 11,
            CommandOutcome::Examined(findings) if findings.iter().any(is_problem) => 12,
            _ => 0,
        }
    }
}
