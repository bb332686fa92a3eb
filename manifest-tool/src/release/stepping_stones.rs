//! Stepping stones: earlier releases that clients with older versions install first.
//!
//! A [`StonePolicy`] holds the wishes of the publisher, and [`StonePolicy::choose`] finds releases
//! on the site for it. The tool verifies every release before it becomes a stepping stone, and the
//! latest manifest before a new release inherits its stepping stones. So a new manifest names only
//! releases that a key of this publisher has signed.

use crate::error::{Error, Result};
use crate::signing::Signing;
use crate::site::SiteRelease;
use crate::site::manifest_file::ManifestFile;
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{Meta, SteppingStone};
use patcher::internal::trust::{self, ReleaseTarget};
use semver::Version;
use std::collections::BTreeMap;

/// The stepping stones that the publisher wants.
#[derive(Debug, Clone)]
pub struct StonePolicy {
    /// `true` carries over the stepping stones of the channel's latest release.
    pub carry: bool,
    /// For each version V: clients below V get the newest release from V on, below the new one.
    pub min_versions: Vec<Version>,
    /// For each version V and sequence: clients below V get the release with that sequence.
    pub named: Vec<(Version, u64)>,
}

impl StonePolicy {
    /// Adds the versions of the stepping stones of `meta`, a release of another channel.
    ///
    /// Only the versions are added: the target channel has its own releases for them.
    pub fn add_versions_of(&mut self, meta: &Meta) {
        if self.carry {
            self.min_versions.extend(meta.stepping_stones.iter().map(|stone| stone.below.clone()));
        }
    }

    /// Returns the stepping stones of the release `meta`, which supersedes `latest`.
    ///
    /// For one version, a named stepping stone wins over a carried one, and a carried one over a
    /// newly chosen one, so that the path of old versions stays the same from release to release.
    ///
    /// # Errors
    /// [`Error::NoSteppingStone`]; those of
    /// [`SiteKeys::verify`](crate::site::site_keys::SiteKeys::verify) for each release chosen.
    pub fn choose(
        &self,
        meta: &Meta,
        latest: Option<&ManifestFile>,
        releases: &[SiteRelease],
        signing: &Signing,
    ) -> Result<Vec<SteppingStone>> {
        let mut chosen = BTreeMap::new();
        for stone in self.carried(meta, latest, signing)? {
            check_on_site(&stone, releases)?;
            chosen.insert(stone.below.clone(), stone);
        }
        let candidates: Vec<_> = releases.iter().filter(|release| is_candidate(release, meta)).collect();
        for (below, sequence) in &self.named {
            let found = candidates.iter().find(|release| release.meta.sequence == *sequence);
            let detail = "the site has no such release of this component, channel and platform";
            let found = found.ok_or_else(|| missing(below, format!("sequence {sequence}"), detail))?;
            chosen.insert(below.clone(), verified_stone(found, below, meta, signing)?);
        }
        for below in &self.min_versions {
            if chosen.contains_key(below) {
                continue;
            }
            let is_between = |release: &&&SiteRelease| {
                let version = &release.meta.version;
                version.cmp_precedence(below).is_ge() && version.cmp_precedence(&meta.version).is_lt()
            };
            let newest = candidates.iter().filter(is_between).max_by_key(|release| release.meta.sequence);
            let Some(newest) = newest else {
                let detail = "the site has none in this channel and before this version";
                return Err(missing(below, "a release that is not below it".into(), detail));
            };
            chosen.insert(below.clone(), verified_stone(newest, below, meta, signing)?);
        }
        Ok(chosen.into_values().collect())
    }

    /// Returns the stepping stones of `latest`, without those above the new version.
    ///
    /// After a downgrade, some are above it.
    fn carried(&self, meta: &Meta, latest: Option<&ManifestFile>, signing: &Signing) -> Result<Vec<SteppingStone>> {
        let Some(latest) = latest.filter(|latest| self.carry && !latest.manifest.meta.stepping_stones.is_empty())
        else {
            return Ok(Vec::new());
        };
        let check = |keys: &_| trust::verify(latest.bytes.clone(), keys, &target(meta), &[]);
        let verified = signing.site_keys()?.verify(&latest.path, check)?;
        let mut stones = verified.manifest().meta.stepping_stones.clone();
        stones.retain(|stone| stone.below.cmp_precedence(&meta.version).is_le());
        Ok(stones)
    }
}

/// Returns `true` if clients can fetch `release` by its sequence once `meta` is published.
///
/// A past release is already there; the latest one moves there when it is superseded.
fn is_candidate(release: &SiteRelease, meta: &Meta) -> bool {
    let other = &release.meta;
    let names = SiteNames::of(other);
    let is_past = release.path.ends_with(names.release(other.sequence));
    let is_latest = release.path.ends_with(names.manifest(&meta.channel));
    (other.component == meta.component && other.channel == meta.channel && other.platform.serves(&meta.platform))
        && (is_past || is_latest)
}

fn target(meta: &Meta) -> ReleaseTarget {
    ReleaseTarget { component: meta.component.clone(), channel: meta.channel.clone(), platform: meta.platform.clone() }
}

/// Makes `release` a stepping stone, after the checks that a client makes.
fn verified_stone(release: &SiteRelease, below: &Version, meta: &Meta, signing: &Signing) -> Result<SteppingStone> {
    let other = &release.meta;
    if other.version.cmp_precedence(below).is_lt() {
        let detail = format!("its version {} is itself below that", other.version);
        return Err(missing(below, format!("sequence {}", other.sequence), &detail));
    }
    let stone = SteppingStone { below: below.clone(), sequence: other.sequence, body: release.body };
    let bytes = ManifestFile::read(&release.path)?.bytes;
    let check = |keys: &_| trust::verify_stepping_stone(bytes.clone(), keys, &target(meta), &stone, &[]);
    signing.site_keys()?.verify(&release.path, check)?;
    Ok(stone)
}

fn check_on_site(stone: &SteppingStone, releases: &[SiteRelease]) -> Result<()> {
    let SteppingStone { below, sequence, body } = stone;
    let is_it = |release: &SiteRelease| {
        release.path.ends_with(SiteNames::of(&release.meta).release(*sequence)) && release.body == *body
    };
    if releases.iter().any(is_it) {
        return Ok(());
    }
    let detail = "the site no longer has it";
    Err(missing(below, format!("sequence {sequence}"), detail))
}

fn missing(below: &Version, release: String, detail: &str) -> Error {
    Error::NoSteppingStone { below: below.clone(), release, detail: detail.to_owned() }
}
