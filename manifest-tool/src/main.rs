//! The program `manifest-tool`: see `manifest-tool help`.

#![forbid(unsafe_code)]

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use manifest_tool::{Error, Result, command};
use patcher::internal::plain_text::escaped;
use std::error::Error as _;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Make, sign and check the releases that patcher installs.
#[derive(Parser)]
#[command(name = "manifest-tool", version)]
struct Cli {
    /// Print the causes of an error, and with `inspect` all files and release notes
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Keygen(command::keygen::KeygenArgs),
    Init(command::init::InitArgs),
    Sign(Box<command::sign::SignArgs>),
    Resign(command::resign::ResignArgs),
    Pause(command::pause::PauseArgs),
    Promote(command::promote::PromoteArgs),
    Stamp(command::stamp::StampArgs),
    Attach(command::attach::AttachArgs),
    Bundle(command::bundle::BundleArgs),
    Publish(command::publish::PublishArgs),
    Prune(command::prune::PruneArgs),
    Inspect(command::inspect::InspectArgs),
    Diff(command::diff::DiffArgs),
    Body(command::body::BodyArgs),
    Verify(command::verify::VerifyArgs),
    Serve(command::serve::ServeArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages of all commands into a folder
    Man {
        /// The folder
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let Cli { verbose, command } = Cli::parse();
    match run(command, verbose) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, verbose),
    }
}

fn run(command: Command, verbose: bool) -> Result<()> {
    // The bytes to sign are for a program and stay as they are.
    if let Command::Body(args) = command {
        let mut out = BufWriter::new(io::stdout().lock());
        return command::body::run(args, &mut out).and(out.flush().map_err(Error::Output));
    }
    // A shell reads completions as they are.
    if let Command::Completions { shell } = command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "manifest-tool", &mut script);
        // clap_complete 4.6.12 writes the hyphen of the name in two ways, which bash must find
        // equal.
        let script = String::from_utf8_lossy(&script).replace("manifest__tool", "manifest__subcmd__tool");
        return io::stdout().write_all(script.as_bytes()).map_err(Error::Output);
    }
    let mut out = PlainWriter(BufWriter::new(io::stdout().lock()));
    let done = match command {
        Command::Keygen(args) => command::keygen::run(args, &mut out),
        Command::Init(args) => command::init::run(args, &mut out),
        Command::Sign(args) => command::sign::run(*args, &mut out),
        Command::Resign(args) => command::resign::run(args, &mut out),
        Command::Pause(args) => command::pause::run(args, &mut out),
        Command::Promote(args) => command::promote::run(args, &mut out),
        Command::Stamp(args) => command::stamp::run(args, &mut out),
        Command::Attach(args) => command::attach::run(args, &mut out),
        Command::Bundle(args) => command::bundle::run(args, &mut out),
        Command::Publish(args) => command::publish::run(args, &mut out),
        Command::Prune(args) => command::prune::run(args, &mut out),
        Command::Inspect(args) => command::inspect::run(args, verbose, &mut out),
        Command::Diff(args) => command::diff::run(args, &mut out),
        Command::Body(_) | Command::Completions { .. } => Ok(()),
        Command::Man { dir } => clap_mangen::generate_to(Cli::command(), &dir)
            .map_err(|error| Error::io("write the man pages into", &dir, error)),
        Command::Verify(args) => command::verify::run(args, &mut out),
        Command::Serve(args) => command::serve::run(args, &mut out),
    };
    // The output of a command before its failure is shown too.
    done.and(out.flush().map_err(Error::Output))
}

/// A writer that escapes control characters, on which a terminal would act.
///
/// Every write is a whole text.
struct PlainWriter<W>(W);

impl<W: io::Write> io::Write for PlainWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(escaped(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Prints an error in one line, with its causes if `verbose`; returns the exit code.
fn report(error: &Error, verbose: bool) -> ExitCode {
    let mut text = format!("manifest-tool: {error}\n");
    let mut source = error.source().filter(|_| verbose);
    while let Some(below) = source {
        text.push_str(&format!("  because: {below}\n"));
        source = below.source();
    }
    // If standard error is closed as well, the program cannot report it.
    let _ = io::stderr().write_all(escaped(&text).as_bytes());
    ExitCode::from(error.exit_code())
}
