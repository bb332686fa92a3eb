//! `manifest-tool publish SITE DEST`: brings what is new to where clients find it, in the right order.

use crate::error::{Error, Result};
use crate::publish::{self, Destination, Folder};
use patcher::internal::error::Caller;
use std::io::Write;
use std::path::PathBuf;

/// Copy what is new of a site to a folder or an object store, manifests last, and look at it there
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    /// The site's folder
    site: PathBuf,
    /// Where it goes: a folder, or s3://BUCKET/PREFIX; the store's keys and region come from the AWS_* variables
    #[arg(value_name = "DEST")]
    destination: String,
    /// How many files to send at a time
    #[arg(long, value_name = "N", default_value_t = 8)]
    parallel: usize,
    #[cfg(feature = "cloud")]
    #[command(flatten)]
    store: publish::StoreFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`publish::publish`].
pub fn run(args: PublishArgs, out: &mut impl Write) -> Result<()> {
    let destination = open(&args)?;
    let sent = publish::publish(&args.site, &*destination, args.parallel)?;
    writeln!(
        out,
        "{} objects and {} manifests sent, {} bytes; {} objects were there",
        sent.objects, sent.manifests, sent.bytes, sent.known
    )?;
    Ok(())
}

fn open(args: &PublishArgs) -> Result<Box<dyn Destination>> {
    let place = &args.destination;
    match place.split_once("://") {
        None => Ok(Box::new(Folder::new(place.into()))),
        #[cfg(feature = "cloud")]
        Some(("s3", _)) => Ok(Box::new(publish::Cloud::new(place, &args.store)?)),
        #[cfg(not(feature = "cloud"))]
        Some(("s3", _)) => Err(Error::NoObjectStores { place: place.clone() }),
        Some(_) => {
            let detail = "neither a folder nor s3://BUCKET/PREFIX".to_owned();
            let unknown = Caller::BadSetting { setting: "destination", value: place.clone(), detail };
            Err(Error::from(unknown))
        }
    }
}
