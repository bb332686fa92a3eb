//! The updater as a library for C and C++, over the public interface of the crate `patcher`.
//!
//! Each function is documented in `include/patcher.h`, which is generated from this code.

mod app;
mod boundary;
mod cancel;
mod config;
mod failure;
mod staged;
mod text;
mod updates;
mod watcher;
