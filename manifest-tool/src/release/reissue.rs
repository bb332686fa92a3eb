//! Issues a release again: the same content under the next sequence, without touching objects.
//!
//! [`renew`] does so in the release's own channel, [`promote`] in another one.

use crate::delta::plan::delta_graph::DeltaGraph;
use crate::delta::plan::{stored_deltas, update_objects};
use crate::error::Result;
use crate::release::stepping_stones::StonePolicy;
use crate::release::{check_version, earlier_releases, next_sequence};
use crate::setting::{checked, expiry, rollout};
use crate::signing::Signing;
use crate::site::{ComponentSite, SiteRelease};
use patcher::internal::manifest::{Channel, MAX_UPDATE_OBJECTS, Manifest, Meta, UpdateObject};
use patcher::internal::timestamp::Timestamp;
use patcher::internal::trust::{self, ReleaseTarget};

/// The number of earlier releases that get an update object to a promoted release.
const PROMOTED_UPDATES: usize = 10;

/// The new terms of a release that is issued again.
#[derive(Debug)]
pub struct Terms {
    /// The channel whose latest release is issued again.
    pub channel: Channel,
    /// The time of issue.
    pub issued: Timestamp,
    /// The new expiry, as [`expiry`] parses it; `None` keeps the length of the old term.
    pub expires: Option<String>,
    /// The new rollout, as [`rollout`] parses it.
    pub rollout: Option<String>,
    /// The new value of `critical`; `None` keeps the old one.
    pub critical: Option<bool>,
}

/// The channel that a release is promoted to.
#[derive(Debug, Clone)]
pub struct Promotion {
    /// The channel.
    pub to: Channel,
    /// The stepping stones that older versions of that channel need.
    pub stepping_stones: StonePolicy,
    /// `true` accepts a version that is not higher than the channel's latest one.
    pub allow_downgrade: bool,
}

/// Issues the latest release on `site` again, on new terms.
///
/// One of the keys that sign now, or a trusted one, must have signed it before.
///
/// # Errors
/// [`Error::OtherSigner`](crate::Error::OtherSigner); everything that a client would refuse, before
/// anything is written; an I/O error.
pub fn renew(site: &ComponentSite, terms: &Terms, signing: &Signing) -> Result<Meta> {
    let _lock = site.lock_existing()?;
    let mut manifest = renewed(site, terms, signing)?;
    if let Some(percent) = &terms.rollout {
        manifest.meta.rollout = rollout(percent)?;
    }
    let survey = site.survey(|_| false)?;
    manifest.meta.sequence = next_sequence(survey.last_sequence, signing.sequence)?;
    signing.inherit(&mut manifest.meta, &survey)?;
    signing.seal(&manifest)?.publish(site, None)?;
    Ok(manifest.meta)
}

/// Makes the latest release of one channel on `site` the latest one of another channel.
///
/// Its rollout starts again, and its stepping stones are releases of the other channel.
///
/// # Errors
/// [`Error::VersionNotNewer`](crate::Error::VersionNotNewer), those of [`StonePolicy::choose`], and
/// those of [`renew`].
pub fn promote(site: &ComponentSite, terms: &Terms, mut promotion: Promotion, signing: &Signing) -> Result<Meta> {
    if promotion.to == terms.channel {
        return checked("to", promotion.to.as_str(), Err("the release is already in this channel"));
    }
    let _lock = site.lock_existing()?;
    let mut manifest = renewed(site, terms, signing)?;
    let latest = site.read_latest(&promotion.to)?;
    let survey = site.survey(|_| false)?;
    latest.iter().try_for_each(|latest| survey.check_is_newest(latest))?;
    manifest.meta.channel = promotion.to;
    if !promotion.allow_downgrade {
        check_version(&manifest, latest.as_ref())?;
    }
    let meta = &mut manifest.meta;
    meta.sequence = next_sequence(survey.last_sequence, signing.sequence)?;
    signing.inherit(meta, &survey)?;
    meta.rollout = match &terms.rollout {
        Some(percent) => rollout(percent)?,
        None => None,
    };
    if latest.is_some() {
        promotion.stepping_stones.add_versions_of(meta);
    }
    meta.stepping_stones = promotion.stepping_stones.choose(meta, latest.as_ref(), &survey.releases, signing)?;
    add_updates(site, &survey.releases, &mut manifest)?;
    signing.seal(&manifest)?.publish(site, None)?;
    Ok(manifest.meta)
}

/// Adds update objects for the releases of the target channel.
///
/// They are put together from the deltas of earlier releases. A content that none of these leads to
/// is fetched whole.
fn add_updates(site: &ComponentSite, releases: &[SiteRelease], manifest: &mut Manifest) -> Result<()> {
    let earlier = earlier_releases(releases, &manifest.meta.channel, PROMOTED_UPDATES)?;
    let mut graph = DeltaGraph::default();
    stored_deltas::add_all(&mut graph, site, &manifest.meta)?;
    for other in &earlier {
        stored_deltas::add_all(&mut graph, site, &other.meta)?;
    }
    let mut updates = update_objects::write(site, &graph, &earlier, manifest)?;
    for update in &manifest.meta.updates {
        let is_known = |other: &UpdateObject| other.from == update.from || other.content == update.content;
        if updates.len() < MAX_UPDATE_OBJECTS && !updates.iter().any(is_known) {
            updates.push(update.clone());
        }
    }
    manifest.meta.updates = updates;
    Ok(())
}

/// Reads and verifies the latest release of the channel, and sets its new dates.
fn renewed(site: &ComponentSite, terms: &Terms, signing: &Signing) -> Result<Manifest> {
    let latest = site.read(&site.latest_path(&terms.channel))?;
    site.check_is_newest(&latest)?;
    let Meta { component, platform, .. } = latest.manifest.meta.clone();
    let target = ReleaseTarget { component, channel: terms.channel.clone(), platform };
    let check = |keys: &_| trust::verify(latest.bytes.clone(), keys, &target, &[]);
    let mut manifest = signing.site_keys()?.verify(&latest.path, check)?.manifest().clone();
    let meta = &mut manifest.meta;
    let same_length = |expires: Timestamp| {
        Timestamp::from_unix(terms.issued.unix().saturating_add(expires.unix() - meta.issued.unix()))
    };
    meta.expires = match &terms.expires {
        Some(expires) => expiry(expires, terms.issued)?,
        None => meta.expires.map(same_length),
    };
    meta.issued = terms.issued;
    meta.critical = terms.critical.unwrap_or(meta.critical);
    Ok(manifest)
}
