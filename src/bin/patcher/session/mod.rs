//! The session: a child process that updates a program in any language.
//!
//! The program sends requests as JSON lines on standard input, and reads answers and events as JSON
//! lines on standard output. The session ends with its input, and at the latest with the program.
//! Until then it holds the running lock for the program. `docs/reference/session.md` describes the
//! protocol.

mod input;
mod request;

use crate::arguments::{PatcherArguments, SessionArguments};
use crate::commands::execute;
use crate::report::{Report, error_object, outcome_object, print_json};
use input::{Input, MAX_LINE_BYTES, inputs};
use patcher::{Caller, CancelToken, Config, Error, Patcher, Result, Started, ToJson as _, Value, Watcher};
use request::{Method, SessionRequest, bad, watch_options};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

/// The number of requests that wait for a network at the same time.
const MAX_REQUESTS: usize = 32;

/// A session with its program.
struct Session {
    patcher: Patcher,
    cancel: CancelToken,
    state: Mutex<SessionState>,
}

/// The parts of a session that change.
#[derive(Default)]
struct SessionState {
    /// The requests that are being carried out.
    requests: BTreeMap<u64, CancelToken>,
    watcher: Option<Watcher>,
    /// `true` after a successful `start`, while the program need not end.
    is_running: bool,
}

/// Serves the parent process until standard input or the program ends.
///
/// # Errors
/// Those of the configuration; [`Caller::BadSetting`] for a request that is too long.
pub fn run(arguments: &PatcherArguments, session: &SessionArguments) -> Result<()> {
    let cancel = CancelToken::default();
    let pid = session.pid.or_else(parent).ok_or_else(|| Caller::BadSetting {
        setting: "pid",
        value: String::new(),
        detail: "this system does not name the parent process".to_owned(),
    })?;
    let config = of_program(arguments.config()?, session, pid).cancelled_by(&cancel);
    let session = Session { patcher: Patcher::new(config)?, cancel, state: Mutex::default() };
    let inputs = inputs(pid);
    std::thread::scope(|scope| {
        let served = session.serve(scope, &inputs);
        // The program has ended, or has closed the input. Complete files stay staged.
        session.cancel.cancel();
        served
    })
}

/// Names the program that the session updates.
fn of_program(config: Config, session: &SessionArguments, pid: u32) -> Config {
    let mut config = config.process(pid);
    if let Some(path) = &session.program {
        config = config.program(path);
    }
    if !session.command.is_empty() {
        config = config.command(&session.command);
    }
    config
}

#[cfg(unix)]
fn parent() -> Option<u32> {
    Some(std::os::unix::process::parent_id())
}

#[cfg(not(unix))]
fn parent() -> Option<u32> {
    None
}

impl Session {
    /// Carries out requests until the input ends.
    fn serve<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, inputs: &Receiver<Input>) -> Result<()> {
        for input in inputs {
            match input {
                Input::Line(line) if line.trim_ascii().is_empty() => {}
                Input::Line(line) => self.accept(scope, &line),
                Input::TooLong => return Err(bad(format!("longer than {MAX_LINE_BYTES} bytes"))),
                Input::End => break,
            }
        }
        Ok(())
    }

    /// Carries out a request here if it is quick, else in a thread.
    fn accept<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, line: &[u8]) {
        let request = match SessionRequest::parse(line) {
            Ok(request) => request,
            Err(error) => return answer(None, Err(error)),
        };
        let id = request.id;
        let begin = |method: Method| self.begin(id, method.is_quick()).map(|cancel| (method, cancel));
        let (method, cancel) = match request.method().and_then(begin) {
            Ok(begun) => begun,
            Err(error) => return answer(Some(id), Err(error)),
        };
        let is_quick = method.is_quick();
        let perform = move || {
            let result = self.perform(id, method, &cancel);
            // Before the answer, after which the program may use the id again.
            self.state().requests.remove(&id);
            answer(Some(id), result);
        };
        if is_quick {
            perform();
        } else {
            scope.spawn(perform);
        }
    }

    /// Registers a request. Returns the token that cancels it.
    ///
    /// A quick request is never refused for the others: it may cancel them, or confirm.
    fn begin(&self, id: u64, is_quick: bool) -> Result<CancelToken> {
        let mut state = self.state();
        if state.requests.contains_key(&id) {
            return Err(bad("its id is that of a request without an answer".to_owned()));
        }
        if !is_quick && state.requests.len() >= MAX_REQUESTS {
            return Err(Error::Busy { what: "the session", holder: Some(std::process::id()) });
        }
        let cancel = self.cancel.child();
        state.requests.insert(id, cancel.clone());
        Ok(cancel)
    }

    fn perform(&self, id: u64, method: Method, cancel: &CancelToken) -> Result<Value> {
        let patcher = self.patcher.cancelled_by(cancel);
        let method = match method.command() {
            Ok(command) => {
                let outcome = execute(&patcher, &command, &Report::for_request(id), cancel)?;
                return Ok(outcome_object(&outcome).unwrap_or_default());
            }
            Err(method) => method,
        };
        let staged = || patcher.staged()?.ok_or_else(|| Caller::NothingStaged.into());
        match method {
            Method::Start {} => {
                let started = patcher.start()?;
                self.state().is_running = started != Started::HandedOver;
                return Ok(started.to_json());
            }
            // Before `start`, the version on probation may be another one than the program's.
            Method::Confirm {} if !self.state().is_running => {
                return Err(Caller::Init("`start` has not succeeded").into());
            }
            Method::Confirm {} => return Ok(json!({ "confirmed": patcher.confirm()? })),
            Method::Restart {} => staged().and_then(|staged| staged.hand_over())?,
            Method::ApplyOnExit {} => staged().and_then(|staged| staged.apply_on_exit())?,
            Method::Rollback {} => patcher.previous()?.ok_or(Caller::NothingToRollBack)?.hand_over()?,
            Method::Watch { interval, first_within, mode } => {
                let options = watch_options(interval.as_deref(), first_within.as_deref(), mode)?;
                let mut log = Report::for_watcher();
                let watcher = Watcher::start(&self.patcher, options, move |event| log.print(&event))?;
                self.state().watcher = Some(watcher);
                return Ok(json!({ "watching": true }));
            }
            Method::CheckNow {} => {
                let is_watching = self.state().watcher.as_ref().map(Watcher::check_now).is_some();
                return Ok(json!({ "watching": is_watching }));
            }
            Method::Unwatch {} => {
                // The lock is free again before the watcher's thread ends: its last event may need
                // it.
                let watcher = self.state().watcher.take();
                drop(watcher);
                return Ok(json!({ "watching": false }));
            }
            Method::Cancel { id } => {
                let request = self.state().requests.get(&id).cloned();
                request.iter().for_each(CancelToken::cancel);
                return Ok(json!({ "cancelled": request.is_some() }));
            }
            other => return Err(bad(format!("{other:?} is not served"))),
        }
        Ok(json!({ "scheduled": true }))
    }

    fn state(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prints the answer to a request; the id is `null` if the request has none.
fn answer(id: Option<u64>, result: Result<Value>) {
    let mut object = match result {
        Ok(result) => json!({ "result": result }),
        Err(error) => error_object(&error),
    };
    object["id"] = id.into();
    print_json(&object);
}
