//! Which earlier releases older versions have to go through first: what the publisher wants, and what the site has for it.
//!
//! What a new manifest vouches for was vouched for before: stones that are taken over come from a latest manifest that one
//! of our keys signed, and so does every other release that is named.

use crate::build::settings::{checked, parsed};
use crate::error::{Error, Result};
use crate::signing::Signing;
use crate::site::SiteRelease;
use crate::site::manifest_file::ManifestFile;
use patcher::internal::layout;
use patcher::internal::manifest::{Meta, SteppingStone};
use patcher::internal::trust::{self, ReleaseTarget};
use semver::Version;
use std::collections::BTreeMap;

/// What the command line says of stepping stones.
#[derive(Debug, Default, clap::Args)]
pub struct StoneFlags {
    /// Clients below VERSION first go to the newest release on the site that is not below it, but below this one
    #[arg(long, value_name = "VERSION")]
    min_version: Option<String>,
    /// Clients below a version first go to the release on the site with this sequence; again for each
    #[arg(long = "stepping-stone", value_name = "BELOW=SEQUENCE")]
    stones: Vec<String>,
    /// No stepping stones but those of this command line: neither from the release before nor from component.toml
    #[arg(long)]
    no_stepping_stones: bool,
}

/// What a publisher wants older versions to go through first.
#[derive(Debug, Clone)]
pub struct SteppingStones {
    /// Whether those of the channel's latest release are taken over.
    carry: bool,
    /// Versions below which clients go to the newest release that is not below them, but below the one to be published.
    min_versions: Vec<Version>,
    /// Sequences of releases, by the version below which clients go there.
    named: Vec<(Version, u64)>,
}

impl SteppingStones {
    /// What the command line says, over what component.toml does.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting).
    pub fn new(flags: StoneFlags, min_version: Option<String>, stones: BTreeMap<String, u64>) -> Result<Self> {
        let from_file = |given: bool| !given && !flags.no_stepping_stones;
        let min_version = flags.min_version.clone().or(min_version.filter(|_| from_file(false)));
        let named = if from_file(!flags.stones.is_empty()) {
            let stone = |(below, sequence): (&String, &u64)| Ok((parsed("stepping-stone", below)?, *sequence));
            stones.iter().map(stone).collect::<Result<_>>()?
        } else {
            flags.stones.iter().map(|flag| stone_flag(flag)).collect::<Result<_>>()?
        };
        let min_version = min_version.map(|version| parsed("min-version", &version)).transpose()?;
        Ok(Self { carry: !flags.no_stepping_stones, min_versions: min_version.into_iter().collect(), named })
    }

    /// Wants for another channel too what `meta` wants of its own: not the same releases, but the same versions.
    pub fn also_of(&mut self, meta: &Meta) {
        if self.carry {
            self.min_versions.extend(meta.stepping_stones.iter().map(|stone| stone.below.clone()));
        }
    }

    /// The stepping stones of the release `meta`, which supersedes `latest`. One that is named wins over one that is taken over,
    /// and that one over a new one for the same version: what older versions go through stays what it was.
    ///
    /// # Errors
    /// [`Error::NoSteppingStone`]; those of [`Signing::check_earlier`] for a manifest that is to be vouched for.
    pub fn choose(
        &self,
        meta: &Meta,
        latest: Option<&ManifestFile>,
        releases: &[SiteRelease],
        signing: &Signing,
    ) -> Result<Vec<SteppingStone>> {
        let mut chosen = BTreeMap::new();
        for stone in self.carried(meta, latest, signing)? {
            check_there(&stone, releases)?;
            chosen.insert(stone.below.clone(), stone);
        }
        let candidates: Vec<_> = releases.iter().filter(|release| is_candidate(release, meta)).collect();
        for (below, sequence) in &self.named {
            let found = candidates.iter().find(|release| release.meta.sequence == *sequence);
            let detail = "the site has no such release of this component, channel and platform";
            let found = found.ok_or_else(|| missing(below, format!("sequence {sequence}"), detail))?;
            chosen.insert(below.clone(), name(found, below, meta, signing)?);
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
                let detail = "the site has none in this channel and before this version; publish one there first, or do without (--no-stepping-stones)";
                return Err(missing(below, "a release that is not below it".into(), detail));
            };
            chosen.insert(below.clone(), name(newest, below, meta, signing)?);
        }
        Ok(chosen.into_values().collect())
    }

    /// The stones of the latest release, without those that would lie above a version that went down.
    fn carried(&self, meta: &Meta, latest: Option<&ManifestFile>, signing: &Signing) -> Result<Vec<SteppingStone>> {
        let Some(latest) = latest.filter(|latest| self.carry && !latest.manifest.meta.stepping_stones.is_empty())
        else {
            return Ok(Vec::new());
        };
        let check = |keys: &_| trust::verify(latest.bytes.clone(), keys, &target(meta), &[]);
        let verified = signing.check_earlier(&latest.path, check)?;
        let mut stones = verified.manifest().meta.stepping_stones.clone();
        stones.retain(|stone| stone.below.cmp_precedence(&meta.version).is_le());
        Ok(stones)
    }
}

fn stone_flag(flag: &str) -> Result<(Version, u64)> {
    let parts = flag.split_once('=').ok_or("not BELOW=SEQUENCE, as in 2.0.0=41");
    let (below, sequence) = checked("stepping-stone", flag, parts)?;
    Ok((parsed("stepping-stone", below)?, parsed("stepping-stone", sequence)?))
}

/// Whether clients that `meta` is for find the release where its sequence says: what is the latest now is kept there once
/// it is superseded.
fn is_candidate(release: &SiteRelease, meta: &Meta) -> bool {
    let other = &release.meta;
    let is_kept = release.path.ends_with(layout::release_manifest_path(other.sequence));
    let will_be = release.path.file_name().is_some_and(|name| *name == *layout::latest_manifest_name(&meta.channel));
    (other.component == meta.component && other.channel == meta.channel && other.platform.serves(&meta.platform))
        && (is_kept || will_be)
}

fn target(meta: &Meta) -> ReleaseTarget {
    ReleaseTarget { component: meta.component.clone(), channel: meta.channel.clone(), platform: meta.platform.clone() }
}

/// The stone that leads to `release`, found good as a client finds it.
fn name(release: &SiteRelease, below: &Version, meta: &Meta, signing: &Signing) -> Result<SteppingStone> {
    let other = &release.meta;
    if other.version.cmp_precedence(below).is_lt() {
        let detail = format!("its version, {}, is below that itself", other.version);
        return Err(missing(below, format!("sequence {}", other.sequence), &detail));
    }
    let stone = SteppingStone { below: below.clone(), sequence: other.sequence, body: release.body };
    let bytes = ManifestFile::read(&release.path)?.bytes;
    let check = |keys: &_| trust::verify_stepping_stone(bytes, keys, &target(meta), &stone, &[]);
    signing.check_earlier(&release.path, check)?;
    Ok(stone)
}

fn check_there(stone: &SteppingStone, releases: &[SiteRelease]) -> Result<()> {
    let SteppingStone { below, sequence, body } = stone;
    let place = layout::release_manifest_path(*sequence);
    let is_it = |release: &SiteRelease| release.path.ends_with(&place) && release.body == *body;
    if releases.iter().any(is_it) {
        return Ok(());
    }
    let detail = "the site has it no more; name another one, or use --no-stepping-stones";
    Err(missing(below, place, detail))
}

fn missing(below: &Version, release: String, detail: &str) -> Error {
    Error::NoSteppingStone { below: below.clone(), release, detail: detail.to_owned() }
}
