//! Takes a verified manifest to staged files: `plan` decides, `fetch` downloads, `stage` stores.
//!
//! `plan` and `fetch` know nothing of each other. `stage` uses both.

pub mod fetch;
pub mod plan;
pub mod stage;
