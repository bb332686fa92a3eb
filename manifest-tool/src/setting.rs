//! Settings as text: turns a publisher's text into a value, or names the setting that is wrong.
//!
//! A setting comes from a flag or from `component.toml`; both go through these functions.

use crate::error::Result;
use patcher::internal::error::Caller;
use patcher::internal::fetch::without_secrets;
use patcher::internal::timestamp::Timestamp;
use std::fmt::Display;
use std::str::FromStr;

/// Parses the text of a setting.
///
/// # Errors
/// [`Caller::BadSetting`].
pub fn parsed<T: FromStr<Err: Display>>(setting: &'static str, text: &str) -> Result<T> {
    checked(setting, text, text.parse())
}

/// Returns the value of a setting, or an error that names the setting and its text.
///
/// # Errors
/// [`Caller::BadSetting`] for `Err`.
pub fn checked<T>(setting: &'static str, text: &str, value: Result<T, impl Display>) -> Result<T> {
    value.map_err(|error| Caller::BadSetting { setting, value: text.to_owned(), detail: error.to_string() }.into())
}

/// Returns the value of a setting that is a URL, or an error that hides the URL's secrets.
///
/// # Errors
/// [`Caller::BadSetting`] for `Err`.
pub fn checked_url<T>(setting: &'static str, text: &str, value: Result<T, impl Display>) -> Result<T> {
    checked(setting, without_secrets(text), value)
}

/// Parses the expiry of a release: a time, a number of days after `issued`, or `never`.
///
/// # Errors
/// [`Caller::BadSetting`], also for a time that is not after `issued`.
pub fn expiry(text: &str, issued: Timestamp) -> Result<Option<Timestamp>> {
    let expires = match text.strip_suffix('d').map(str::parse::<u32>) {
        _ if text == "never" => return Ok(None),
        Some(days) => days.ok().map(|days| Timestamp::from_unix(issued.unix() + i64::from(days) * 86_400)),
        None => text.parse().ok(),
    };
    let expires = match expires {
        None => Err("neither a time as in 2027-05-20T00:00:00Z nor days as in 180d nor never"),
        Some(expires) if expires <= issued => Err("the release would expire before it is issued"),
        Some(expires) => Ok(Some(expires)),
    };
    checked("expires", text, expires)
}

/// Parses the validity of a stamp, a number of hours or days from `now`, and returns its end.
///
/// # Errors
/// [`Caller::BadSetting`], also for no time and for more than a year.
pub fn valid_until(text: &str, now: Timestamp) -> Result<Timestamp> {
    let number = |digits: &str| digits.parse::<u16>().ok().map(i64::from);
    let hours = match (text.strip_suffix('h'), text.strip_suffix('d')) {
        (Some(hours), _) => number(hours),
        (_, Some(days)) => number(days).map(|days| days * 24),
        _ => None,
    };
    let hours = hours.filter(|hours| (1..=366 * 24).contains(hours));
    let until = hours.map(|hours| Timestamp::from_unix(now.unix() + hours * 3600));
    checked("valid", text, until.ok_or("neither hours as in 12h nor days as in 3d, up to 366d"))
}

/// Parses a rollout percentage; `None` means all clients, as in the manifest.
///
/// # Errors
/// [`Caller::BadSetting`].
pub fn rollout(text: &str) -> Result<Option<u8>> {
    let percent: Option<u8> = text.strip_suffix('%').unwrap_or(text).parse().ok();
    match percent {
        Some(100) => Ok(None),
        Some(percent @ ..100) => Ok(Some(percent)),
        _ => checked("rollout", text, Err("not a percentage from 0% to 100%")),
    }
}
