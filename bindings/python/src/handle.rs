//! The handle: one install root with its trusted keys, and the operations on it.

use crate::attended::{ProgressSender, attend};
use crate::errors::{CallerError, released};
use crate::objects::{CancelToken, Staged, Updates, Watcher};
use pyo3::prelude::*;
use std::sync::Mutex;
use std::time::Duration;
use updater::{Caller, Config, Patcher, ToJson as _, Update, Version, WatchMode, WatchOptions};

/// One install root with its trusted keys.
#[pyclass(frozen)]
pub struct Handle(Patcher);

/// Returns the token of the caller, or a new one.
fn token(cancel: Option<&Bound<'_, CancelToken>>) -> updater::CancelToken {
    cancel.map(|cancel| cancel.get().0.child()).unwrap_or_default()
}

/// Makes a duration of seconds.
fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| CallerError::new_err(error.to_string()))
}

#[pymethods]
impl Handle {
    #[new]
    #[pyo3(signature = (*, keys, program, command, root=None, component=None, helper=None, components=Vec::new(),
        headers=Vec::new(), channel=None, site=None, state_dir=None, threshold=None, probation=None,
        check_timeout=None, stall_timeout=None, rate_limit=None, proxy=None, no_proxy=None, user_agent=None,
        languages=None, root_certificates=Vec::new()))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python, one for each setting")]
    fn new(
        py: Python<'_>,
        keys: Vec<String>,
        program: String,
        command: Vec<String>,
        root: Option<String>,
        component: Option<String>,
        helper: Option<String>,
        components: Vec<(String, String)>,
        headers: Vec<(String, String, String)>,
        channel: Option<String>,
        site: Option<String>,
        state_dir: Option<String>,
        threshold: Option<usize>,
        probation: Option<f64>,
        check_timeout: Option<f64>,
        stall_timeout: Option<f64>,
        rate_limit: Option<u64>,
        proxy: Option<String>,
        no_proxy: Option<String>,
        user_agent: Option<String>,
        languages: Option<Vec<String>>,
        root_certificates: Vec<String>,
    ) -> PyResult<Self> {
        /// Applies a setting that was given.
        macro_rules! set {
            ($config:ident, $($name:ident),+) => { $(
                if let Some(value) = $name {
                    $config = $config.$name(value);
                }
            )+ };
        }
        let mut config = match (root, component) {
            (Some(root), _) => Config::new(root).program(program),
            (None, Some(component)) => Config::for_program(component, program),
            (None, None) => return Err(CallerError::new_err("neither a root nor a component is given")),
        };
        config = config.trusted_keys(keys).command(command);
        for (name, dir) in components {
            config = config.component(name, dir);
        }
        for (origin, name, value) in headers {
            config = config.header(origin, name, value);
        }
        for pem in root_certificates {
            config = config.add_root_certificate(pem);
        }
        let [probation, check_timeout, stall_timeout] =
            [probation, check_timeout, stall_timeout].map(|time| time.map(seconds).transpose());
        let (probation, check_timeout, stall_timeout) = (probation?, check_timeout?, stall_timeout?);
        set!(config, helper, channel, site, state_dir, threshold, probation, check_timeout, stall_timeout);
        set!(config, rate_limit, proxy, no_proxy, user_agent, languages);
        released(py, || Patcher::new(config)).map(Self)
    }

    fn start(&self, py: Python<'_>) -> PyResult<String> {
        Ok(released(py, || self.0.start())?.to_json().to_string())
    }

    fn confirm(&self, py: Python<'_>) -> PyResult<bool> {
        released(py, || self.0.confirm())
    }

    fn check(
        &self,
        py: Python<'_>,
        components: Vec<String>,
        cancel: Option<&Bound<'_, CancelToken>>,
    ) -> PyResult<Updates> {
        let token = token(cancel);
        let patcher = self.0.cancelled_by(&token);
        let check = attend(py, &token, None, |_| match components.is_empty() {
            true => patcher.check_all(),
            false => patcher.check(&components),
        })?;
        Ok(Updates::of(check))
    }

    fn install(&self, py: Python<'_>, component: String, source: String) -> PyResult<Updates> {
        let token = updater::CancelToken::default();
        let patcher = self.0.cancelled_by(&token);
        let update = attend(py, &token, None, |_| patcher.install(&component, &source))?;
        Ok(Updates::of_updates(vec![update]))
    }

    fn repair(&self, py: Python<'_>, component: String) -> PyResult<Updates> {
        let update = released(py, || self.0.repair(&component))?;
        Ok(Updates::of_updates(update.into_iter().collect()))
    }

    fn unfinished(&self, py: Python<'_>) -> PyResult<Updates> {
        released(py, || self.0.unfinished()).map(Updates::of_updates)
    }

    #[pyo3(signature = (updates, on_progress, cancel))]
    fn download(
        &self,
        py: Python<'_>,
        updates: &Bound<'_, Updates>,
        on_progress: Option<&Bound<'_, PyAny>>,
        cancel: Option<&Bound<'_, CancelToken>>,
    ) -> PyResult<Staged> {
        let token = token(cancel);
        let updates = updates.get().take()?.into_iter().map(|update| update.cancelled_by(&token)).collect();
        let download = |mut sender: ProgressSender| Update::download_all(updates, |progress| sender.send(progress));
        attend(py, &token, on_progress, download).map(Staged::of)
    }

    fn staged(&self, py: Python<'_>) -> PyResult<Option<Staged>> {
        Ok(released(py, || self.0.staged())?.map(Staged::of))
    }

    fn roll_back(&self, py: Python<'_>) -> PyResult<()> {
        released(py, || self.0.previous()?.ok_or(Caller::NothingToRollBack)?.hand_over())
    }

    fn watch(
        &self,
        py: Python<'_>,
        on_event: Py<PyAny>,
        mode: &str,
        interval: f64,
        first_within: f64,
    ) -> PyResult<Watcher> {
        let mode = match mode {
            "notify" => WatchMode::Notify,
            "download" => WatchMode::Download,
            "apply_on_exit" => WatchMode::ApplyOnExit,
            _ => return Err(CallerError::new_err(format!("{mode} is no mode of a watcher"))),
        };
        let options = WatchOptions::default().mode(mode).interval(seconds(interval)?);
        let options = options.first_within(seconds(first_within)?);
        let watcher = released(py, || {
            updater::Watcher::start(&self.0, options, move |event| {
                let text = event.to_json().to_string();
                Python::attach(|py| {
                    if let Err(error) = on_event.call1(py, (text,)) {
                        // The watcher works on; Python prints the exception of a callback.
                        error.write_unraisable(py, None);
                    }
                });
            })
        })?;
        Ok(Watcher(Mutex::new(Some(watcher))))
    }

    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        released(py, || self.0.pause())
    }

    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        released(py, || self.0.resume().map(drop))
    }

    fn allow_adoption_count(&self, py: Python<'_>, allowed: bool) -> PyResult<()> {
        released(py, || self.0.allow_adoption_count(allowed))
    }

    fn skip(&self, py: Python<'_>, component: String, version: String) -> PyResult<()> {
        let version = version.parse::<Version>().map_err(|error| CallerError::new_err(error.to_string()))?;
        released(py, || self.0.skip(&component, &version))
    }

    fn remove(&self, py: Python<'_>, component: String) -> PyResult<Vec<String>> {
        let left = released(py, || self.0.remove(&component))?;
        Ok(left.iter().map(|path| path.as_str().to_owned()).collect())
    }

    fn verify(&self, py: Python<'_>, component: String) -> PyResult<String> {
        Ok(released(py, || self.0.verify(&component))?.to_json().to_string())
    }

    fn status(&self, py: Python<'_>) -> PyResult<String> {
        Ok(released(py, || self.0.status())?.to_json().to_string())
    }

    fn history(&self, py: Python<'_>) -> PyResult<String> {
        Ok(released(py, || self.0.history())?.to_json().to_string())
    }
}
