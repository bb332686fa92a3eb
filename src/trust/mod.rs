//! Trust: turns bytes, keys, policy and clock into a trusted manifest, or into one exact error.
//!
//! The rules, in the order in which they are checked:
//! - the signature lines are 1 to 8, exactly formed, of distinct keys (`signature-line`,
//!   `signature-count`, …);
//! - at least one is by a trusted key (`unknown-key`), others are skipped;
//! - as many distinct trusted keys as the threshold asks for have a good signature over the body
//!   (`bad-signature`, `threshold`); a bad one beside enough good ones does no harm;
//! - the body is manifest format 1 ([`Defect`](crate::error::Defect));
//! - the threshold is reached without the keys that the body retires (`threshold`);
//! - component, channel and platform are the ones asked for (`wrong-component`, `wrong-channel`,
//!   `wrong-platform`);
//! - it is not older than any floor: its (epoch, sequence) is higher, or it is that very body again
//!   (`retired-key`, `rollback`, `sequence-conflict`);
//! - it has not expired (`stale`), which [`VerifiedManifest::fresh`] checks last: an expired
//!   manifest still moves the floor. One that was signed in the future is taken with a
//!   [`TrustWarning`].
//!
//! The *epoch* of a release is the number of trusted keys that its body retires. Signatures do not
//! decide it: they lie outside of the body, and an attacker with fewer keys than the threshold can
//! still add one to an old release.
//!
//! A client that finds nothing newer also demands a stamp, if the release names a freshness key:
//! [`check_stamp`].
//!
//! [`check_requires`] checks the `requires` of a set of components. [`verify_stepping_stone`] has
//! the rules for an earlier release that older versions install first.

mod freshness;
pub mod keys;

use crate::error::{Refused, Result};
use crate::formats::manifest::{self, Channel, Component, Manifest, Meta, Platform, SignedBytes, SteppingStone};
use crate::trust::keys::TrustedKeys;
use crate::values::digest::Sha256;
pub use crate::values::release_order::ReleaseOrder;
use crate::values::timestamp::Timestamp;
pub use freshness::check_stamp;
use semver::Version;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The component, channel and platform that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseTarget {
    /// The component.
    pub component: Component,
    /// The channel that the client follows.
    pub channel: Channel,
    /// The platform of the client.
    pub platform: Platform,
}

/// The lowest release order that a client accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Floor {
    /// A release that was verified before. The client accepts it again, or a later one.
    Release(ReleaseOrder),
    /// A sequence that a program was built with, under one of its keys. The client accepts this
    /// sequence or a higher one.
    Number {
        /// The id of the key.
        key: Sha256,
        /// The lowest accepted sequence.
        sequence: u64,
    },
}

/// A manifest whose signature, form, bindings and order hold.
#[derive(Debug, Clone)]
pub struct VerifiedManifest {
    manifest: Manifest,
    order: ReleaseOrder,
    bytes: Vec<u8>,
}

/// A manifest that a client may act on: verified, and not expired at the time of the check.
#[derive(Debug, Clone)]
pub struct TrustedManifest {
    verified: VerifiedManifest,
    warning: Option<TrustWarning>,
}

/// A fact about a manifest that the user should know, and that is no reason to refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustWarning {
    /// By this machine's clock, the manifest was signed in the future. Such a clock cannot tell
    /// which releases have expired.
    #[error("by this machine's clock it is before {issued}, when the release was signed; is the clock right?")]
    ClockBehind {
        /// The time of signing.
        issued: Timestamp,
    },
}

/// Checks every rule but the last on the bytes of a manifest file.
///
/// # Errors
/// The first rule that they break.
pub fn verify(
    bytes: Vec<u8>,
    keys: &TrustedKeys,
    target: &ReleaseTarget,
    floors: &[Floor],
) -> Result<VerifiedManifest, Refused> {
    let verified = authenticate(bytes, keys)?;
    check_target(&verified.manifest.meta, target)?;
    floors.iter().try_for_each(|floor| check_order(&verified.order, floor, keys))?;
    Ok(verified)
}

/// Checks the bytes of a stepping stone: the earlier release that this client's version installs
/// before the newest one.
///
/// `stone` comes from a manifest that [`verify`] and [`VerifiedManifest::fresh`] accepted. `floors`
/// are the installed release and the floor that the program was built with. The newest release seen
/// is no floor here, because a stepping stone is older. A stepping stone does not change what was
/// seen. The rules, in order:
/// - a trusted key signed it, as for every manifest. With a hash alone, one signature would be
///   enough to name any content;
/// - component, channel and platform are the ones asked for;
/// - its body is the one that the newest manifest names (`stepping-stone`), so that no other signed
///   release can replace it;
/// - its sequence is the named one, and its version does not need this stone itself
///   (`stepping-stone`), so that the chain of stones ends;
/// - it comes after what is installed (`rollback`, `retired-key`, and `stepping-stone` for the
///   installed release itself).
///
/// The age, rollout and stepping stones of the newest manifest count, not those of the stone:
/// [`VerifiedManifest::fresh_as_stepping_stone_of`]. An attacker who replays an old manifest for
/// its stones fails, because its order is checked before they are read.
///
/// # Errors
/// The first rule that they break.
pub fn verify_stepping_stone(
    bytes: Vec<u8>,
    keys: &TrustedKeys,
    target: &ReleaseTarget,
    stone: &SteppingStone,
    floors: &[Floor],
) -> Result<VerifiedManifest, Refused> {
    let verified = authenticate(bytes, keys)?;
    let VerifiedManifest { manifest: Manifest { meta, .. }, order, .. } = &verified;
    check_target(meta, target)?;
    let other = |detail| Err(Refused::SteppingStone { sequence: stone.sequence, detail });
    if order.body != stone.body {
        return other("its content is another one");
    }
    if order.sequence != stone.sequence {
        return other("it has another sequence");
    }
    if meta.version.cmp_precedence(&stone.below).is_lt() {
        return other("its version is one that needs the stone itself");
    }
    if floors.iter().any(|floor| matches!(floor, Floor::Release(installed) if installed.body == order.body)) {
        return other("it is the release that is installed");
    }
    floors.iter().try_for_each(|floor| check_order(order, floor, keys))?;
    Ok(verified)
}

/// Checks signatures and form alone.
///
/// This is for the installed manifest, whose order and age need no check.
///
/// # Errors
/// The first rule that the bytes break.
pub fn authenticate(bytes: Vec<u8>, keys: &TrustedKeys) -> Result<VerifiedManifest, Refused> {
    // The signature lines are cut out and put back in place: a second copy of a large manifest that
    // nothing has verified yet would double the memory.
    let signed = SignedBytes::split(bytes)?;
    let body = Sha256::of(&signed.body);
    // The positions of the keys with a good signature in the list of trusted keys.
    let (mut signers, mut bad) = (Vec::new(), None);
    for signature in &signed.signatures {
        match keys.find(&signature.key) {
            None => {}
            Some((position, key)) if key.verifies(&body, &signature.bytes) => signers.push(position),
            Some(_) => bad = Some(signature.key),
        }
    }
    let needed = keys.threshold();
    if let Some(key) = bad.filter(|_| signers.len() < needed) {
        return Err(Refused::BadSignature { key });
    }
    if signers.is_empty() {
        let signer = signed.signatures.first().map_or(Sha256::of(b""), |signature| signature.key);
        return Err(Refused::UnknownKey { signer, trusted: keys.newest_id() });
    }
    let reached = |valid| if valid < needed { Err(Refused::Threshold { valid, needed }) } else { Ok(()) };
    reached(signers.len())?;
    let manifest = manifest::parse(&signed.body)?;
    let epoch = manifest.meta.retires.and_then(|id| keys.find(&id)).map_or(0, |(position, _)| position + 1);
    // Any threshold of at least 1 also proves that a key is left after the retired ones.
    reached(signers.iter().filter(|position| **position >= epoch).count())?;
    let order = ReleaseOrder { key: keys.id(epoch), sequence: manifest.meta.sequence, body };
    Ok(VerifiedManifest { manifest, order, bytes: signed.into_file() })
}

fn check_target(meta: &Meta, target: &ReleaseTarget) -> Result<(), Refused> {
    let wrong = |what, found: &str, expected: &str| {
        Err(Refused::WrongTarget { what, found: found.to_owned(), expected: expected.to_owned() })
    };
    if meta.component != target.component {
        return wrong("component", meta.component.as_str(), target.component.as_str());
    }
    if meta.channel != target.channel {
        return wrong("channel", meta.channel.as_str(), target.channel.as_str());
    }
    if !meta.platform.serves(&target.platform) {
        return wrong("platform", meta.platform.as_str(), target.platform.as_str());
    }
    Ok(())
}

fn check_order(order: &ReleaseOrder, floor: &Floor, keys: &TrustedKeys) -> Result<(), Refused> {
    let (key, sequence) = match floor {
        Floor::Release(seen) if seen.body == order.body => return Ok(()),
        Floor::Release(seen) => (&seen.key, seen.sequence),
        Floor::Number { key, sequence } => (key, *sequence),
    };
    let epoch = |key| keys.find(key).map(|(epoch, _)| epoch);
    match (epoch(&order.key).cmp(&epoch(key)), order.sequence.cmp(&sequence)) {
        (Ordering::Greater, _) | (Ordering::Equal, Ordering::Greater) => Ok(()),
        (Ordering::Less, _) => Err(Refused::RetiredKey { newer: *key }),
        (Ordering::Equal, Ordering::Less) => Err(Refused::Rollback { found: order.sequence, floor: sequence }),
        (Ordering::Equal, Ordering::Equal) => match floor {
            Floor::Number { .. } => Ok(()),
            Floor::Release(_) => Err(Refused::SequenceConflict { sequence }),
        },
    }
}

impl ReleaseOrder {
    /// Returns `true` if this release comes after `other`.
    pub fn is_after(&self, other: &ReleaseOrder, keys: &TrustedKeys) -> bool {
        let rank = |order: &ReleaseOrder| (keys.find(&order.key).map(|(epoch, _)| epoch), order.sequence);
        rank(self) > rank(other)
    }
}

impl VerifiedManifest {
    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the release order.
    pub fn order(&self) -> &ReleaseOrder {
        &self.order
    }

    /// Returns the bytes of the file, signatures included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Accepts the manifest of an installed release, whatever its age.
    pub fn installed(self) -> TrustedManifest {
        TrustedManifest { verified: self, warning: None }
    }

    /// Checks the last rule: the manifest has not expired.
    ///
    /// # Errors
    /// [`Refused::Stale`] at and after the manifest's `expires`.
    pub fn fresh(self, now: Timestamp) -> Result<TrustedManifest, Refused> {
        not_expired(&self.manifest.meta, now)?;
        let warning = clock_warning(&self.manifest.meta, now);
        Ok(TrustedManifest { verified: self, warning })
    }

    /// Accepts a stepping stone as being as fresh as the manifest that names it.
    ///
    /// Its own expiry was set before the publisher knew how long clients would need it.
    ///
    /// # Errors
    /// [`Refused::SteppingStone`] when `newest` does not name it.
    pub fn fresh_as_stepping_stone_of(self, newest: &TrustedManifest) -> Result<TrustedManifest, Refused> {
        let ReleaseOrder { sequence, body, .. } = self.order;
        if newest.manifest.meta.stepping_stones.iter().any(|stone| stone.body == body) {
            Ok(TrustedManifest { verified: self, warning: newest.warning })
        } else {
            Err(Refused::SteppingStone { sequence, detail: "it does not name this one" })
        }
    }
}

/// Checks that a manifest, which was trusted before, has not expired.
///
/// # Errors
/// [`Refused::Stale`] at and after its `expires`.
pub fn not_expired(meta: &Meta, now: Timestamp) -> Result<(), Refused> {
    match meta.expires {
        Some(expires) if now >= expires => Err(Refused::Stale { expires }),
        _ => Ok(()),
    }
}

/// Returns a warning if a trusted manifest was signed after `now`.
pub fn clock_warning(meta: &Meta, now: Timestamp) -> Option<TrustWarning> {
    (meta.issued > now).then_some(TrustWarning::ClockBehind { issued: meta.issued })
}

impl TrustedManifest {
    /// Returns a fact about the manifest that the user should know.
    pub fn warning(&self) -> Option<TrustWarning> {
        self.warning
    }
}

impl std::ops::Deref for TrustedManifest {
    type Target = VerifiedManifest;

    fn deref(&self) -> &VerifiedManifest {
        &self.verified
    }
}

/// Checks that the `requires` of all components in a future set hold.
///
/// # Errors
/// [`Refused::Requires`] for the first one that does not.
pub fn check_requires<'a>(manifests: impl Iterator<Item = &'a Meta> + Clone) -> Result<(), Refused> {
    let versions: BTreeMap<&Component, &Version> =
        manifests.clone().map(|meta| (&meta.component, &meta.version)).collect();
    for meta in manifests {
        for requirement in &meta.requires {
            let found = versions.get(&requirement.component).copied();
            if !found.is_some_and(|version| requirement.version.matches(version)) {
                return Err(Refused::Requires {
                    component: meta.component.clone(),
                    required: requirement.component.clone(),
                    range: requirement.version.to_string(),
                    found: found.cloned(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
