//! `manifest-tool publish SITE DEST`: copies new files of the site to the place that clients read.

use super::counted;
use super::flags::signing::TrustFlags;
use super::{named, write_expiry_warning};
use crate::error::{Error, Result};
use crate::publish::{self, Destination, Folder, GitHub, PublishOptions};
use patcher::internal::error::Caller;
use patcher::internal::timestamp::Timestamp;
use std::io::Write;
use std::path::PathBuf;

/// Copy new files of a site to a folder, a GitHub release or an object store, manifests last, and
/// check the copies
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    /// The site's folder
    site: PathBuf,
    /// The destination: a folder; github:OWNER/REPO@TAG, with $GITHUB_TOKEN; or s3://BUCKET/PREFIX,
    /// with keys and region in the AWS_* variables
    #[arg(value_name = "DEST")]
    destination: String,
    /// The number of files to send at the same time
    #[arg(long, value_name = "N", default_value_t = 8)]
    parallel: usize,
    /// Send nothing; tell what would be sent
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    trust: TrustFlags,
    #[cfg(feature = "cloud")]
    #[command(flatten)]
    store: StoreFlags,
}

/// The address style of a store that is not Amazon's.
#[cfg(feature = "cloud")]
#[derive(Debug, clap::Args)]
struct StoreFlags {
    /// The base URL of the store, as in `https://s3.oss-cn-hangzhou.aliyuncs.com` [default:
    /// $AWS_ENDPOINT_URL, or Amazon's]
    #[arg(long, value_name = "URL")]
    endpoint: Option<url::Url>,
    /// The bucket is part of the store's host name, as Aliyun OSS wants it, not of the path
    #[arg(long)]
    virtual_hosted: bool,
}

/// Runs the command.
///
/// # Errors
/// Those of [`publish::publish`].
pub fn run(args: PublishArgs, out: &mut impl Write) -> Result<()> {
    let (site, keys) = (args.site.clone(), args.trust.load()?);
    let options = PublishOptions { parallel: args.parallel, is_dry_run: args.dry_run };
    let destination = open(args)?;
    let sent = publish::publish(&site, &keys, &*destination, options)?;
    if options.is_dry_run {
        writeln!(out, "{} to send, {} bytes", counted(sent.uploads, "file"), sent.bytes)?;
        return Ok(());
    }
    writeln!(
        out,
        "{} and {} sent, {} bytes; {} already there",
        counted(sent.objects, "object"),
        counted(sent.manifests, "manifest"),
        sent.bytes,
        counted(sent.known, "object")
    )?;
    for meta in &sent.unstamped {
        writeln!(out, "warning: {}: the head has no stamp, and clients report `stale`; `stamp` makes it", named(meta))?;
    }
    sent.latest.iter().try_for_each(|meta| write_expiry_warning(meta, Timestamp::now(), out))
}

fn open(args: PublishArgs) -> Result<Box<dyn Destination>> {
    let place = args.destination;
    if place.starts_with("github:") {
        return Ok(Box::new(GitHub::new(&place)?));
    }
    match place.split_once("://") {
        None => Ok(Box::new(Folder::new(place.into()))),
        #[cfg(feature = "cloud")]
        Some(("s3", _)) => {
            let StoreFlags { endpoint, virtual_hosted } = args.store;
            Ok(Box::new(publish::Cloud::new(&place, &publish::StoreAddress { endpoint, virtual_hosted })?))
        }
        #[cfg(not(feature = "cloud"))]
        Some(("s3", _)) => Err(Error::NoObjectStores { place }),
        Some(_) => {
            let detail = "neither a folder nor github:OWNER/REPO@TAG nor s3://BUCKET/PREFIX".to_owned();
            let unknown = Caller::BadSetting { setting: "destination", value: place, detail };
            Err(Error::from(unknown))
        }
    }
}
