//! Deltas: how one is made ([`encode`]), and which ones a release gets ([`plan`]).

pub mod encode;
pub mod plan;
