//! From a verified manifest to staged files: what to do (`plan`), fetching it (`fetch`), keeping it (`stage`).

pub mod fetch;
pub mod plan;
pub mod stage;
