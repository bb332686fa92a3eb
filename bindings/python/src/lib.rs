//! The extension module of the Python package, over the public interface of the crate `patcher`.
//!
//! It hands out JSON as text, which the package `patcher` turns into objects. Every call releases
//! the interpreter's lock.

mod attended;
mod errors;
mod handle;
mod objects;

use pyo3::prelude::*;

/// Fills the module `patcher._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<handle::Handle>()?;
    module.add_class::<objects::CancelToken>()?;
    module.add_class::<objects::Updates>()?;
    module.add_class::<objects::Staged>()?;
    module.add_class::<objects::Watcher>()?;
    errors::add_to(module)
}
