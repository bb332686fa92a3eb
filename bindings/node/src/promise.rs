//! Promises of work that runs in a thread.

use crate::errors::{error, no_thread, panicked};
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::Builder;

/// Does work in a thread, and returns a promise of its result.
///
/// The thread is not one of Node's pool: those are four, and a download would take one of them from
/// the program.
pub fn promise<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
    work: impl FnOnce() -> updater::Result<T> + Send + 'static,
) -> Result<Object<'env>> {
    let (deferred, promise) = env.create_deferred()?;
    let run = move || match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => deferred.resolve(|_| Ok(value)),
        Ok(Err(failure)) => deferred.reject(error(&failure)),
        // No panic crosses the boundary of the language.
        Err(_) => deferred.reject(panicked()),
    };
    Builder::new().name("patcher".to_owned()).spawn(run).map_err(|error| no_thread(&error))?;
    Ok(promise)
}
