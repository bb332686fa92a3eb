//! The files that lead clients to a manifest: the head beside it, and the deltas from earlier
//! manifests.

use super::{Verifier, missing};
use crate::error::{Error, Result};
use crate::site::manifest_file::ManifestFile;
use crate::site::{heads, manifest_deltas};
use patcher::internal::digest::Sha256;
use patcher::internal::error::Network;
use patcher::internal::fetch::{CancelToken, Retries, small_file};
use patcher::internal::head::{Head, MAX_HEAD_BYTES};
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{MAX_MANIFEST_BYTES, Manifest, SignedBytes};
use patcher::internal::trust;
use std::path::Path;
use url::Url;

impl Verifier<'_> {
    /// Returns everything that does not lead to the manifest at `url`.
    pub(super) fn check_leads(&self, url: &Url, base: &Url, manifest: &Manifest) -> Vec<Error> {
        let checked = self.check_head(url, base, manifest).err().into_iter();
        checked.chain(self.past.iter().filter_map(|past| self.check_delta(url, base, manifest, past).err())).collect()
    }

    fn check_head(&self, url: &Url, base: &Url, manifest: &Manifest) -> Result<()> {
        let meta = &manifest.meta;
        let Ok(at) = base.join(&SiteNames::of(meta).head(&meta.channel)) else { return Ok(()) };
        let wrong = |detail: String| Error::Lead { url: at.to_string(), detail };
        let bytes = self.small(&at, MAX_HEAD_BYTES)?;
        let head = Head::parse(&bytes).map_err(|error| wrong(error.detail))?;
        let file = self.bytes(url)?;
        let body = SignedBytes::split(file.clone()).map(|signed| Sha256::of(&signed.body))?;
        if (Head { stamp: None, ..head.clone() }) != heads::head(manifest, body, &file) {
            return Err(wrong(format!("it names sequence {}", head.sequence)));
        }
        trust::check_stamp(meta, &body, Some(&head), self.now).map_err(|refused| wrong(refused.to_string()))
    }

    /// Applies the delta from an earlier manifest, if the site has one.
    fn check_delta(&self, url: &Url, base: &Url, manifest: &Manifest, past: &Url) -> Result<()> {
        let Ok(earlier) = ManifestFile::from_bytes(Path::new(past.path()), self.bytes(past)?) else { return Ok(()) };
        let (to, from) = (manifest.meta.sequence, earlier.manifest.meta.sequence);
        let names = SiteNames::of(&manifest.meta);
        let Ok(at) = base.join(&names.manifest_delta(to, from)) else { return Ok(()) };
        // Past manifests of other components have other URLs.
        if from >= to || base.join(&names.release(from)).as_ref() != Ok(past) {
            return Ok(());
        }
        let patch = match self.small(&at, MAX_MANIFEST_BYTES) {
            Err(Error::Missing { .. }) => return Ok(()),
            patch => patch?,
        };
        let (old, new) = (earlier.signed.body, self.bytes(url)?);
        let wrong = |detail: String| Error::Lead { url: at.to_string(), detail };
        match manifest_deltas::makes(&patch, &old, &new) {
            Ok(true) => Ok(()),
            Ok(false) => Err(wrong("it makes another manifest".to_owned())),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    fn small(&self, url: &Url, max_bytes: u64) -> Result<Vec<u8>> {
        let cancel = CancelToken::default();
        let fetched = Retries::default().run(&cancel, || small_file(self.source, url, max_bytes, &cancel));
        let too_long = || Network::Unreachable { url: url.to_string(), detail: "it is too long".to_owned() };
        let bytes = fetched.map_err(|error| missing(url, error))?;
        if bytes.len() as u64 > max_bytes { Err(patcher::Error::from(too_long()).into()) } else { Ok(bytes) }
    }
}
