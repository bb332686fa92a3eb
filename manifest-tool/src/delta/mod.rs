//! Deltas: [`plan`] decides which ones a release gets, and [`encode`] makes one of them.

pub mod encode;
pub mod plan;
mod rolling_hash;
mod sketch;
