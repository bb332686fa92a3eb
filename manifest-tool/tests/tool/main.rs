//! The program `manifest-tool` as a publisher uses it: real runs, each in its own folder.

#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up fails")]

mod attach;
mod chunks;
mod deltas;
mod diff;
mod flat;
mod hostile_build;
mod hostile_site;
mod install_object;
mod keygen;
#[cfg(feature = "cloud")]
mod object_store;
mod openssl;
mod passphrase;
mod platforms;
mod promote;
mod prune;
mod publish;
mod publisher;
mod resign;
mod retired_keys;
mod rollout;
mod sign;
mod stamp;
mod stepping_stones;
mod verify;
