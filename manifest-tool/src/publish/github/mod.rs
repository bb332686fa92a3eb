//! A release on GitHub, whose assets are the files of a flat site.
//!
//! - A release that does not exist yet becomes a draft. The last step makes it public, and the
//!   latest one if it is stable. So clients see it whole or not at all. The tool changes nothing in
//!   it afterwards, so GitHub may make it immutable.
//! - In a release that is public, the tool replaces manifests and heads: it deletes the old asset
//!   and uploads the new one. Clients that ask in between get 404, and retry or use the manifest.
//! - An interrupted run continues: assets with the right size and digest stay. The tool deletes
//!   incomplete assets and sends them again.

mod api;

use super::{CheckedFile, Destination, ListedFile, RemoteFile, ResponseHeaders};
use crate::error::{Error, Result};
use api::{Api, Asset, GitHubRelease, Uploaded, backoff, failed, limited};
use patcher::internal::digest::Sha256;
use patcher::internal::error::Caller;
use patcher::internal::fs::Lock;
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{MAX_MANIFEST_BYTES, Meta, Object};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// GitHub's limit on assets of one release.
const MAX_ASSETS: usize = 1000;
/// GitHub's limit on the size of an asset: it must be smaller.
const MAX_ASSET_BYTES: u64 = 2 << 30;
/// Attempts to upload one asset.
const MAX_ATTEMPTS: u32 = 4;
/// The longest wait that a rate limit may ask for.
const MAX_WAIT: Duration = Duration::from_secs(120);
/// The number of digits of a hash in a name.
const HASH_DIGITS: usize = 64;

/// A release on GitHub.
pub struct GitHub {
    api: Api,
    address: String,
    tag: String,
    known: Mutex<KnownRelease>,
}

/// The release as the tool knows it.
struct KnownRelease {
    /// `None` until the first upload creates it.
    release: Option<GitHubRelease>,
    /// The assets by name.
    assets: HashMap<String, Asset>,
}

impl GitHub {
    /// Names the release `github:OWNER/REPO@TAG`.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for another address or without `$GITHUB_TOKEN`;
    /// [`Error::ObjectStore`].
    pub fn new(address: &str) -> Result<Self> {
        let Some((repository, tag)) = parse(address) else {
            let detail = "not github:OWNER/REPO@TAG".to_owned();
            return Err(Caller::BadSetting { setting: "destination", value: address.to_owned(), detail }.into());
        };
        let (api, tag) = (Api::new(repository)?, tag.to_owned());
        let release = api.release(&tag)?;
        let assets = match &release {
            Some(release) => by_name(api.assets(release.id)?),
            None => HashMap::new(),
        };
        Ok(Self { api, address: address.to_owned(), tag, known: Mutex::new(KnownRelease { release, assets }) })
    }

    fn known(&self) -> MutexGuard<'_, KnownRelease> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the release, or creates a draft for the tag.
    fn release(&self) -> Result<GitHubRelease> {
        let mut known = self.known();
        if let Some(release) = &known.release {
            return Ok(release.clone());
        }
        Ok(known.release.insert(self.api.create_draft(&self.tag)?).clone())
    }

    /// Uploads a file as the asset `name`, in place of one that has this name.
    fn upload(
        &self,
        name: &str,
        headers: ResponseHeaders,
        body: &dyn Fn() -> Result<(reqwest::blocking::Body, u64)>,
    ) -> Result<()> {
        let release = self.release()?;
        let mut attempt = 1;
        loop {
            let old = self.known().assets.get(name).map(|asset| asset.id);
            if let Some(old) = old {
                self.api.delete(old)?;
                self.known().assets.remove(name);
            }
            let (body, size) = body()?;
            let wait = match self.api.upload(&release, name, headers.content_type, body, size)? {
                Uploaded::Done(asset) => {
                    self.known().assets.insert(name.to_owned(), asset);
                    return Ok(());
                }
                Uploaded::Wait(wait) if wait > MAX_WAIT || attempt == MAX_ATTEMPTS => {
                    return Err(limited(&self.name(name), wait));
                }
                Uploaded::Wait(wait) => wait,
                Uploaded::CutOff(detail) if attempt == MAX_ATTEMPTS => {
                    return Err(failed("send", &self.name(name), detail.clone(), detail));
                }
                Uploaded::Exists if attempt == MAX_ATTEMPTS => {
                    return Err(Error::Conflict { place: self.name(name) });
                }
                // A lost answer, or a half of the asset: the next attempt deletes it.
                Uploaded::CutOff(_) | Uploaded::Exists => backoff(attempt),
            };
            std::thread::sleep(wait);
            self.refresh(&release)?;
            attempt += 1;
        }
    }

    /// Lists the assets anew.
    fn refresh(&self, release: &GitHubRelease) -> Result<()> {
        let assets = by_name(self.api.assets(release.id)?);
        self.known().assets = assets;
        Ok(())
    }
}

impl Destination for GitHub {
    fn prepare(&self, paths: &BTreeSet<&str>, largest: u64) -> Result<()> {
        let refuse = |detail: String| Err(Error::NotTaken { place: self.address.clone(), detail });
        if let Some(path) = paths.iter().find(|path| path.contains('/')) {
            return refuse(format!(
                "it has no folders for {path}; a new component gets names without by `sign --layout flat`"
            ));
        }
        if largest >= MAX_ASSET_BYTES {
            return refuse(format!("a file of {largest} bytes is not below 2 GiB"));
        }
        let known = self.known();
        let is_new = |path: &&&str| !known.assets.contains_key(**path);
        let count = known.assets.len() + paths.iter().filter(is_new).count();
        if count > MAX_ASSETS {
            return refuse(format!(
                "it would have {count} assets, and GitHub takes 1,000; `prune` removes old releases"
            ));
        }
        let is_changed = paths.iter().any(|path| !known.assets.contains_key(*path));
        if is_changed && known.release.as_ref().is_some_and(|release| release.immutable) {
            return refuse("the release is immutable; publish under another tag".to_owned());
        }
        Ok(())
    }

    fn list(&self, _: &str) -> Result<HashMap<String, ListedFile>> {
        let listed = |asset: &Asset| {
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(asset.updated_at.0.unix()).ok()?);
            Some((asset.name.clone(), ListedFile { bytes: asset.size, modified }))
        };
        Ok(self.known().assets.values().filter(|asset| is_whole(asset)).filter_map(listed).collect())
    }

    fn read(&self, path: &str) -> Result<Option<RemoteFile>> {
        let asset = self.known().assets.get(path).cloned();
        asset.filter(is_whole).map(|asset| self.api.read(&asset, MAX_MANIFEST_BYTES)).transpose()
    }

    fn read_before(&self, path: &str) -> Result<Option<RemoteFile>> {
        if self.known().release.as_ref().is_some_and(|release| !release.draft) {
            return Ok(None);
        }
        let Some(latest) = self.api.latest_release()? else { return Ok(None) };
        let asset = self.api.assets(latest.id)?.into_iter().find(|asset| asset.name == path);
        asset.map(|asset| self.api.read(&asset, MAX_MANIFEST_BYTES)).transpose()
    }

    fn replace(&self, path: &str, bytes: &[u8], old: Option<&RemoteFile>, headers: ResponseHeaders) -> Result<()> {
        let release = self.release()?;
        if release.immutable {
            let detail = "the release is immutable; publish under another tag".to_owned();
            return Err(Error::NotTaken { place: self.address.clone(), detail });
        }
        self.refresh(&release)?;
        let there = self.known().assets.get(path).filter(|asset| is_whole(asset)).map(|asset| asset.id.to_string());
        if there != old.and_then(|old| old.etag.clone()) {
            return Err(Error::Conflict { place: self.name(path) });
        }
        self.upload(path, headers, &|| Ok((bytes.to_vec().into(), bytes.len() as u64)))
    }

    fn lock(&self, _: &SiteNames) -> Result<Option<Lock>> {
        Ok(None)
    }

    fn put(&self, path: &str, from: &CheckedFile, headers: ResponseHeaders) -> Result<()> {
        let size = from.bytes();
        self.upload(path, headers, &|| Ok((reqwest::blocking::Body::sized(from.reader()?, size), size)))
    }

    fn check(&self, path: &str, object: &Object, _: ResponseHeaders) -> Result<()> {
        let asset = self.known().assets.get(path).cloned();
        let differs = |detail| Err(Error::CopyDiffers { place: self.name(path), detail });
        let Some(asset) = asset else { return differs("it is not there".to_owned()) };
        if (asset.size, is_whole(&asset)) != (object.size, true) {
            return differs(format!("it has {} bytes, not {}", asset.size, object.size));
        }
        match asset.digest {
            Some(digest) if digest != format!("sha256:{}", object.sha256) => differs(format!("its digest is {digest}")),
            _ => Ok(()),
        }
    }

    fn finish(&self, latest: &[Meta]) -> Result<()> {
        let release = self.release()?;
        if !release.draft {
            return Ok(());
        }
        self.api.publish(release.id, latest.iter().any(|meta| meta.channel.as_str() == "stable"))
    }

    fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }
}

fn by_name(assets: Vec<Asset>) -> HashMap<String, Asset> {
    assets.into_iter().map(|asset| (asset.name.clone(), asset)).collect()
}

/// Returns `false` for an upload that was cut off, and for an object with another hash than its
/// name.
fn is_whole(asset: &Asset) -> bool {
    let stem = asset.name.rsplit_once('.').map_or("", |(stem, _)| stem);
    let named = stem.get(stem.len().saturating_sub(HASH_DIGITS)..).and_then(|hash| hash.parse::<Sha256>().ok());
    let is_named = match (named, &asset.digest) {
        (Some(hash), Some(digest)) => *digest == format!("sha256:{hash}"),
        _ => true,
    };
    asset.state == "uploaded" && is_named
}

/// Returns `OWNER/REPO` and the tag of an address.
fn parse(address: &str) -> Option<(String, &str)> {
    let (repository, tag) = address.strip_prefix("github:")?.split_once('@')?;
    let (owner, name) = repository.split_once('/')?;
    let is_name = |text: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !text.is_empty() && text.bytes().all(is_allowed) && !matches!(text, "." | "..")
    };
    let is_valid = is_name(owner) && is_name(name) && tag.split('/').all(is_name);
    is_valid.then(|| (repository.to_owned(), tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_owner_repository_and_tag() {
        let parsed = |text| parse(text).map(|(repository, tag)| format!("{repository} {tag}"));
        assert_eq!(parsed("github:me/app@v1.2").unwrap(), "me/app v1.2");
        assert_eq!(parsed("github:me/app@app/v1.2").unwrap(), "me/app app/v1.2");
        for wrong in ["github:me/app", "github:app@v1", "github:me/app@", "github:me/../x@v1", "github:me/a?b@v1", "x"]
        {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_object_with_another_digest_than_its_name_is_sent_again() {
        let hash = Sha256::of(b"object");
        let asset = |state: &str, digest: Option<Sha256>| Asset {
            id: 1,
            name: format!("core-{hash}.update"),
            size: 6,
            state: state.to_owned(),
            digest: digest.map(|digest| format!("sha256:{digest}")),
            updated_at: api::Timestamped("2026-01-01T00:00:00Z".parse().unwrap()),
        };
        assert!(is_whole(&asset("uploaded", Some(hash))) && is_whole(&asset("uploaded", None)));
        assert!(!is_whole(&asset("starter", None)));
        assert!(!is_whole(&asset("uploaded", Some(Sha256::of(b"other")))));
    }
}
