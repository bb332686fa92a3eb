//! Freshness: the proof that a release is still the newest one of its channel.
//!
//! An attacker on the network cannot make a client install an old release, but can keep a new one
//! from it. `expires` ends that after months. A *stamp* in the head ends it after days: a key that
//! is online signs the heads again and again. The release names that key, so the release keys stay
//! offline. The freshness key installs nothing and retires nothing. An attacker who has stolen it
//! can hide new releases until the installed one expires.

use crate::error::Refused;
use crate::formats::head::{Head, Stamp};
use crate::formats::manifest::Meta;
use crate::trust::keys::PublicKey;
use crate::values::digest::Sha256;
use crate::values::timestamp::Timestamp;

/// Checks that `head` proves a release to be the newest one, if the release demands a proof.
///
/// `meta` and `body` are those of the verified manifest of the release. `head` is the one that the
/// server sent beside it, of the same component and channel.
///
/// # Errors
/// [`Refused::NoStamp`] if the release names a freshness key, and the head is missing, leads to
/// another release, or has no stamp of that key that is valid at `now`.
pub fn check_stamp(meta: &Meta, body: &Sha256, head: Option<&Head>, now: Timestamp) -> Result<(), Refused> {
    let Some(spki) = &meta.freshness else { return Ok(()) };
    let refuse = |detail: String| Err(Refused::NoStamp { detail });
    let Some(head) = head else { return refuse("it has no valid head".to_owned()) };
    if head.body != *body || (&head.component, &head.channel) != (&meta.component, &meta.channel) {
        return refuse(format!("its head names sequence {}, with another content", head.sequence));
    }
    let Some(Stamp { until, signature }) = &head.stamp else { return refuse("its head has no stamp".to_owned()) };
    let key = match PublicKey::from_spki(spki) {
        Ok(key) => key,
        Err(error) => return refuse(format!("the freshness key of the release is unusable: {error}")),
    };
    if signature.key != key.id() {
        return refuse(format!("the stamp is by key {}, not {}", signature.key, key.id()));
    }
    if !key.verifies(&Sha256::of(&head.stamped_bytes(*until)), &signature.bytes) {
        return refuse("the signature of the stamp does not match the head".to_owned());
    }
    if now >= *until {
        return refuse(format!("the stamp was valid until {until}"));
    }
    Ok(())
}
