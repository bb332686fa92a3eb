//! The handle: one install root with its trusted keys, and the operations on it.

use crate::errors::{bad_argument, error};
use crate::events::{Callback, EventSender};
use crate::objects::{CancelToken, Staged, Updates, Watcher};
use crate::promise::promise;
use crate::settings::{Settings, seconds};
use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use std::sync::Mutex;
use updater::{Caller, Patcher, ToJson as _, Update, Version, WatchEvent, WatchMode, WatchOptions};

/// One install root with its trusted keys.
#[napi]
pub struct Handle(Patcher);

#[napi]
impl Handle {
    /// Makes a handle, and checks all values. It does not touch the disk.
    #[napi(constructor)]
    pub fn new(settings: Settings) -> Result<Self> {
        Patcher::new(settings.config()?).map(Self).map_err(|failure| error(&failure))
    }

    /// Finishes what an earlier run began.
    #[napi]
    pub fn start<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || Ok(patcher.start()?.to_json().to_string()))
    }

    /// Confirms that this version works.
    #[napi]
    pub fn confirm<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || patcher.confirm())
    }

    /// Looks for newer releases: of all components if none is named.
    #[napi]
    pub fn check<'env>(&self, env: &'env Env, components: Vec<String>, cancel: &CancelToken) -> Result<Object<'env>> {
        let patcher = self.0.cancelled_by(&cancel.0);
        promise(env, move || match components.is_empty() {
            true => patcher.check_all().map(Updates::of),
            false => patcher.check(&components).map(Updates::of),
        })
    }

    /// Finds the release of a component that is not installed.
    #[napi]
    pub fn install<'env>(
        &self,
        env: &'env Env,
        component: String,
        source: String,
        cancel: &CancelToken,
    ) -> Result<Object<'env>> {
        let patcher = self.0.cancelled_by(&cancel.0);
        promise(env, move || Ok(Updates::of_updates(vec![patcher.install(&component, &source)?])))
    }

    /// Finds the missing and damaged files of a component.
    #[napi]
    pub fn repair<'env>(&self, env: &'env Env, component: String) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || Ok(Updates::of_updates(patcher.repair(&component)?.into_iter().collect())))
    }

    /// Returns the updates whose download was interrupted.
    #[napi]
    pub fn unfinished<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || patcher.unfinished().map(Updates::of_updates))
    }

    /// Downloads, verifies and stages updates.
    #[napi]
    pub fn download<'env>(
        &self,
        env: &'env Env,
        updates: &Updates,
        on_progress: Option<Callback>,
        cancel: &CancelToken,
    ) -> Result<Object<'env>> {
        let updates = updates.take()?.into_iter().map(|update| update.cancelled_by(&cancel.0)).collect();
        let mut sender = EventSender::new(on_progress);
        promise(env, move || Update::download_all(updates, |progress| sender.send_progress(&progress)).map(Staged::of))
    }

    /// Returns the updates that an earlier run has downloaded.
    #[napi]
    pub fn staged<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || Ok(patcher.staged()?.map(Staged::of)))
    }

    /// Lets the helper return to the version before, when the program has ended.
    #[napi]
    pub fn roll_back<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || patcher.previous()?.ok_or(Caller::NothingToRollBack)?.hand_over())
    }

    /// Starts a watcher.
    #[napi]
    pub fn watch<'env>(
        &self,
        env: &'env Env,
        on_event: Callback,
        mode: String,
        interval: f64,
        first_within: f64,
    ) -> Result<Object<'env>> {
        let mode = match mode.as_str() {
            "notify" => WatchMode::Notify,
            "download" => WatchMode::Download,
            "apply_on_exit" => WatchMode::ApplyOnExit,
            _ => return Err(bad_argument("mode", format!("{mode} is no mode of a watcher"))),
        };
        let options = WatchOptions::default().mode(mode).interval(seconds("interval", interval)?);
        let options = options.first_within(seconds("firstWithin", first_within)?);
        let patcher = self.0.clone();
        let mut sender = EventSender::new(Some(on_event));
        promise(env, move || {
            let watcher = updater::Watcher::start(&patcher, options, move |event| match event {
                WatchEvent::Progress(progress) => sender.send_progress(&progress),
                event => sender.send(&event),
            })?;
            Ok(Watcher(Mutex::new(Some(watcher))))
        })
    }

    /// Pauses downloads.
    #[napi]
    pub fn pause<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || patcher.pause())
    }

    /// Allows downloads again.
    #[napi]
    pub fn resume<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || patcher.resume().map(drop))
    }

    /// Records whether the user agrees to be counted once a week.
    #[napi]
    pub fn allow_adoption_count<'env>(&self, env: &'env Env, allowed: bool) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || patcher.allow_adoption_count(allowed))
    }

    /// Skips a version of a component.
    #[napi]
    pub fn skip<'env>(&self, env: &'env Env, component: String, version: String) -> Result<Object<'env>> {
        let version = version.parse::<Version>().map_err(|error| bad_argument("version", error))?;
        let patcher = self.0.clone();
        promise(env, move || patcher.skip(&component, &version))
    }

    /// Removes a component.
    #[napi]
    pub fn remove<'env>(&self, env: &'env Env, component: String) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || {
            Ok(patcher.remove(&component)?.iter().map(|path| path.as_str().to_owned()).collect::<Vec<_>>())
        })
    }

    /// Returns the damaged files of a component.
    #[napi]
    pub fn verify<'env>(&self, env: &'env Env, component: String) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || Ok(patcher.verify(&component)?.to_json().to_string()))
    }

    /// Returns the installed, staged and pending releases.
    #[napi]
    pub fn status<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || Ok(patcher.status()?.to_json().to_string()))
    }

    /// Returns past updates.
    #[napi]
    pub fn history<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let patcher = self.0.clone();
        promise(env, move || Ok(patcher.history()?.to_json().to_string()))
    }
}
