//! `manifest-tool serve SITE`: a web server on this machine, to try out updates.

use crate::error::{Error, Result};
use crate::serve::SiteServer;
use crate::serve::faults::Faults;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Serve a site on this machine, to try out the updates of a program; it can fail on purpose
///
/// A client takes the site's address instead of its base URL with `--site` or `Config::site`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The site's folder
    site: PathBuf,
    /// The address to listen at; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Make the faults below only for paths that contain this text, as in `.update`
    #[arg(long, value_name = "TEXT", help_heading = "Faults")]
    only: Option<String>,
    /// Send at most this many bytes per second
    #[arg(long, value_name = "BYTES", help_heading = "Faults", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// End each connection after this many bytes of the file
    #[arg(long, value_name = "BYTES", help_heading = "Faults")]
    cut_off: Option<u64>,
    /// Answer with this HTTP status
    #[arg(long, value_name = "STATUS", help_heading = "Faults", value_parser = clap::value_parser!(u16).range(400..600))]
    status: Option<u16>,
    /// Send the whole file to a client that asks for a range
    #[arg(long, help_heading = "Faults", conflicts_with = "wrong_ranges")]
    ignore_ranges: bool,
    /// Send another range than the client asks for
    #[arg(long, help_heading = "Faults")]
    wrong_ranges: bool,
    /// Change a byte in each 1,000 bytes
    #[arg(long, help_heading = "Faults")]
    damage: bool,
}

/// Runs the command until the process is stopped.
///
/// # Errors
/// Those of [`SiteServer::new`].
pub fn run(args: ServeArgs, out: &mut impl Write) -> Result<()> {
    let ServeArgs { site, listen, only, rate, cut_off, status, ignore_ranges, wrong_ranges, damage } = args;
    let faults = Faults { only, rate, cut_off, status, ignore_ranges, wrong_ranges, damage };
    let server = SiteServer::new(&site, listen, faults)?;
    writeln!(out, "serving {} at {}", site.display(), server.url()?)
        .and_then(|()| out.flush())
        .map_err(Error::Output)?;
    server.serve(out);
    Ok(())
}
