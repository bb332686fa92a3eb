//! The helper as a separate program. `patcher::internal::helper` describes it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    patcher::internal::helper::main(std::env::args_os().skip(1)).into()
}
