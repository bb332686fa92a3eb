//! `manifest-tool verify SITE --key PUB`: checks that clients accept everything a site serves.

use super::{counted, write_expiry_warning};
use crate::error::{Error, Result};
use crate::setting::checked_url;
use crate::signing::public_key;
use crate::verify::{Verifier, latest_manifests, past_manifests};
use patcher::internal::fetch::{Fetch as _, HttpSettings, Sources};
use patcher::internal::keys::TrustedKeys;
use patcher::internal::timestamp::Timestamp;
use std::io::Write;
use std::path::{Path, PathBuf};
use url::Url;

/// Check every object of a site as a client does, and list everything that a client would refuse
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The site's folder, or the URL of a manifest.xml
    #[arg(value_name = "SITE|URL")]
    site: String,
    /// A public key that clients trust; repeat it for each
    #[arg(long = "key", value_name = "PUB", required = true)]
    keys: Vec<PathBuf>,
    /// The number of these keys that must have signed
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: usize,
}

/// Runs the command.
///
/// # Errors
/// [`Error::Unsound`] after all problems are listed; an error that prevents the check.
pub fn run(args: VerifyArgs, out: &mut impl Write) -> Result<()> {
    let keys = args.keys.iter().map(|path| public_key::load("--key", path)).collect::<Result<_>>()?;
    let keys = TrustedKeys::new(keys, args.threshold)?;
    let source = Sources::new(&HttpSettings::default())?;
    let (urls, past) = if args.site.contains("://") {
        let mut url = checked_url("URL", &args.site, Url::parse(&args.site))?;
        let base = url.clone();
        source.take_credentials(&mut url, &base);
        (vec![url], Vec::new())
    } else {
        (latest_manifests(Path::new(&args.site))?, past_manifests(Path::new(&args.site))?)
    };
    let now = Timestamp::now();
    let findings = Verifier { source: &source, keys: &keys, now, past: &past }.verify(&urls)?;
    for problem in &findings.problems {
        writeln!(out, "{problem}")?;
    }
    findings.latest.iter().try_for_each(|meta| write_expiry_warning(meta, now, out))?;
    match findings.problems.len() {
        0 => {
            writeln!(
                out,
                "{} and {} are sound",
                counted(findings.manifests, "manifest"),
                counted(findings.objects, "object")
            )?;
            if findings.applied + findings.not_applied > 0 {
                let (applied, not_applied) = (findings.applied, findings.not_applied);
                writeln!(
                    out,
                    "{applied} deltas make what they should; {not_applied} start from files that are not on the site"
                )?;
            }
            Ok(())
        }
        problems => Err(Error::Unsound { problems, checked: findings.manifests + findings.objects }),
    }
}
