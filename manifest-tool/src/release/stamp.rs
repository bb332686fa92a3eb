//! Stamps: signatures of an online key, which prove for some days that releases are the newest.

use crate::error::{Error, Result};
use crate::signing::private_key::PrivateKey;
use crate::site;
use crate::site::heads::head;
use crate::site::site_keys::SiteKeys;
use patcher::internal::digest::Sha256;
use patcher::internal::head::Stamp;
use patcher::internal::manifest::Meta;
use patcher::internal::timestamp::Timestamp;
use std::path::Path;

/// Stamps the heads of all releases on `site` that name `key` as their freshness key, and returns
/// these releases.
///
/// The tool makes each head from the manifest, which one of `trusted` must have signed.
///
/// # Errors
/// [`Error::NothingToStamp`] if no release names the key; those of
/// [`read`](site::ComponentSite::read) and [`PrivateKey::sign`]; an I/O error.
pub fn stamp(site: &Path, trusted: &SiteKeys, key: &PrivateKey, until: Timestamp) -> Result<Vec<Meta>> {
    let spki = key.public().to_spki()?;
    let mut stamped = Vec::new();
    for component in site::releases(site, trusted)? {
        let _lock = component.lock_existing()?;
        for file in component.manifests()?.latest {
            if file.manifest.meta.freshness.as_ref() != Some(&spki) {
                continue;
            }
            component.check_is_newest(&file)?;
            let mut head = head(&file.manifest, Sha256::of(&file.signed.body), &file.bytes);
            let signature = key.sign(&head.stamped_bytes(until))?;
            head.stamp = Some(Stamp { until, signature });
            component.write_head(&head)?;
            stamped.push(file.manifest.meta);
        }
    }
    let nothing = || Error::NothingToStamp { site: site.to_owned(), key: key.public().id() };
    if stamped.is_empty() { Err(nothing()) } else { Ok(stamped) }
}
