//! Errors, as JSON that the package turns into classes.

use updater::{Error, ToJson as _, Value};

/// Makes the error for an error of the library.
pub fn error(error: &Error) -> napi::Error {
    napi::Error::from_reason(error.to_json().to_string())
}

/// Makes the error for a wrong argument.
pub fn bad_argument(name: &str, detail: impl std::fmt::Display) -> napi::Error {
    failure("bad-setting", 2, false, &format!("argument {name}: {detail}"))
}

/// Makes the error for a thread that ended before its work was done.
pub fn panicked() -> napi::Error {
    failure("panic", 1, false, "a thread of the updater has ended early; this is a defect of the updater")
}

/// Makes the error for a thread that cannot start.
pub fn no_thread(error: &std::io::Error) -> napi::Error {
    failure("io", 22, true, &format!("no thread can start: {error}"))
}

fn failure(code: &str, exit: u8, is_retryable: bool, message: &str) -> napi::Error {
    let fields: [(&str, Value); 4] =
        [("code", code.into()), ("exit", exit.into()), ("message", message.into()), ("retryable", is_retryable.into())];
    napi::Error::from_reason(fields.into_iter().collect::<Value>().to_string())
}
