//! The addon of the Node package, over the public interface of the crate `patcher`.
//!
//! It hands out JSON as text, which the package `patcher` turns into objects. Work on the disk and
//! the network runs in threads, so that Node's event loop stays free.

mod errors;
mod events;
mod handle;
mod objects;
mod promise;
mod settings;
