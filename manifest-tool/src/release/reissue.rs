//! Issues a release again: the same content under the next sequence, in its own channel or in another one. Objects are not
//! touched.

use crate::build::settings::{checked, expiry, rollout};
use crate::error::Result;
use crate::release::stepping_stones::SteppingStones;
use crate::release::{check_version, next_sequence};
use crate::signing::Signing;
use crate::site::ComponentSite;
use crate::site::manifest_file::ManifestFile;
use patcher::internal::manifest::{Channel, Component, Manifest, Meta};
use patcher::internal::timestamp::Timestamp;
use patcher::internal::trust::{self, ReleaseTarget};
use std::path::Path;

/// What changes when a release is issued again.
#[derive(Debug)]
pub struct Renewal {
    /// The component.
    pub component: Component,
    /// The channel whose latest release it is.
    pub channel: Channel,
    /// When it is issued again.
    pub issued: Timestamp,
    /// When it expires, as [`expiry`] reads it; without it the old term starts anew, and none stays none.
    pub expires: Option<String>,
    /// The share of clients that it is offered to, as [`rollout`] reads it.
    pub rollout: Option<String>,
    /// Whether it is for everybody, whatever the rollout.
    pub critical: Option<bool>,
}

/// Another channel for a release.
#[derive(Debug)]
pub struct Promotion {
    /// The channel.
    pub to: Channel,
    /// What older versions of that channel go through first.
    pub stepping_stones: SteppingStones,
    /// Whether the version need not grow.
    pub allow_downgrade: bool,
}

/// Issues the latest release on `site` again: with a new term, and what the renewal changes. It has to be signed by one of the
/// keys that sign it now or by a trusted one.
///
/// # Errors
/// [`Error::OtherSigner`](crate::Error::OtherSigner); whatever a client would refuse, before anything is written; or the system's answer.
pub fn renew(site: &Path, renewal: &Renewal, signing: &Signing) -> Result<Meta> {
    let site = ComponentSite::new(site.join(renewal.component.as_str()));
    let mut manifest = renewed(&site, renewal, signing)?;
    if let Some(percent) = &renewal.rollout {
        manifest.meta.rollout = rollout(percent)?;
    }
    manifest.meta.sequence = next_sequence(site.survey(|_| false)?.last_sequence)?;
    signing.seal(&manifest)?.publish(&site, None)?;
    Ok(manifest.meta)
}

/// Makes the latest release of one channel on `site` the latest one of another. Its rollout begins anew, and older versions of
/// that channel go through releases of that channel.
///
/// # Errors
/// [`Error::VersionNotNewer`](crate::Error::VersionNotNewer), those of [`SteppingStones::choose`], and those of [`renew`].
pub fn promote(site: &Path, renewal: &Renewal, mut promotion: Promotion, signing: &Signing) -> Result<Meta> {
    let site = ComponentSite::new(site.join(renewal.component.as_str()));
    if promotion.to == renewal.channel {
        return checked("to", promotion.to.as_str(), Err("it is there already; `resign` issues it again"));
    }
    let mut manifest = renewed(&site, renewal, signing)?;
    let latest = site.read_latest(&promotion.to)?;
    let survey = site.survey(|_| false)?;
    manifest.meta.channel = promotion.to;
    if !promotion.allow_downgrade {
        check_version(&manifest, latest.as_ref())?;
    }
    let meta = &mut manifest.meta;
    meta.sequence = next_sequence(survey.last_sequence)?;
    meta.rollout = match &renewal.rollout {
        Some(percent) => rollout(percent)?,
        None => None,
    };
    if latest.is_some() {
        promotion.stepping_stones.also_of(meta);
    }
    meta.stepping_stones = promotion.stepping_stones.choose(meta, latest.as_ref(), &survey.releases, signing)?;
    signing.seal(&manifest)?.publish(&site, None)?;
    Ok(manifest.meta)
}

/// The latest release of the renewal's channel, signed by somebody that we trust, with a new term.
fn renewed(site: &ComponentSite, renewal: &Renewal, signing: &Signing) -> Result<Manifest> {
    let latest = ManifestFile::read(&site.latest(&renewal.channel))?;
    let target = ReleaseTarget {
        component: renewal.component.clone(),
        channel: renewal.channel.clone(),
        platform: latest.manifest.meta.platform.clone(),
    };
    let check = |keys: &_| trust::verify(latest.bytes, keys, &target, &[]);
    let mut manifest = signing.check_earlier(&latest.path, check)?.manifest().clone();
    let meta = &mut manifest.meta;
    let anew = |expires: Timestamp| {
        Timestamp::from_unix(renewal.issued.unix().saturating_add(expires.unix() - meta.issued.unix()))
    };
    meta.expires = match &renewal.expires {
        Some(expires) => expiry(expires, renewal.issued)?,
        None => meta.expires.map(anew),
    };
    meta.issued = renewal.issued;
    meta.critical = renewal.critical.unwrap_or(meta.critical);
    Ok(manifest)
}
