//! HTTP and HTTPS by reqwest: no decompression, few redirects, and the same request from every user.
//!
//! A request carries no identifier and no version; only `If-None-Match` differs from user to user.

use super::call::{Head, call};
use super::{Answer, Body, Fetch, Request, unreachable};
use crate::error::{Caller, Error, Network, Result};
use reqwest::blocking::Client;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RANGE, RETRY_AFTER,
};
use reqwest::redirect::{Attempt, Policy};
use std::io;
use std::time::{Duration, SystemTime};
use url::Url;

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 3;
/// The longest that a server may ask to be left alone.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How to reach servers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A proxy for everything, as in `http://user:password@host:3128`; the usual environment variables where none is set.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, separated by commas, as in `no_proxy`.
    pub no_proxy: Option<String>,
    /// Headers for every request.
    pub headers: Vec<(String, String)>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long no byte may come.
    pub stall_timeout: Duration,
    /// PEM certificates of authorities that are trusted besides the system's.
    pub root_certificates: Vec<String>,
    /// What the client calls itself.
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            proxy: None,
            no_proxy: None,
            headers: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            root_certificates: Vec::new(),
            user_agent: "patcher".to_owned(),
        }
    }
}

/// An HTTP client; connections are kept and used again.
pub struct Http {
    client: Client,
    stall_timeout: Duration,
}

impl Http {
    /// A client with these settings.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for a proxy, header or certificate that is none.
    pub fn new(settings: &Settings) -> Result<Self> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(super::tls::config(&settings.root_certificates)?)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.stall_timeout)
            .redirect(Policy::custom(redirect))
            .referer(false)
            .user_agent(&settings.user_agent)
            .default_headers(headers(settings)?);
        if let Some(proxy) = &settings.proxy {
            let bad = |error: reqwest::Error| bad("proxy", proxy, innermost(&error));
            let no_proxy = settings.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(bad)?.no_proxy(no_proxy));
        }
        let client = builder.build().map_err(|error| bad("client", "", innermost(&error)))?;
        Ok(Self { client, stall_timeout: settings.stall_timeout })
    }
}

impl Fetch for Http {
    fn get(&self, request: &Request<'_>) -> Result<Answer> {
        let url = request.url;
        let mut headers = HeaderMap::new();
        if let Some(etag) = request.etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
            headers.insert(IF_NONE_MATCH, etag);
        }
        if let Some((from, _)) = request.resume {
            headers.insert(
                RANGE,
                HeaderValue::try_from(format!("bytes={from}-")).map_err(|error| unreachable(url, error))?,
            );
        }
        let head = call(self.client.get(url.clone()).headers(headers), request.cancel)?;
        let head = head.map_err(|error| self.failed(url, &error))?;
        match (head.status, request.resume) {
            (200, _) => Ok(Answer::Found(body(head, 0))),
            (206, Some((from, total))) if is_rest(&head.headers, from, total) => Ok(Answer::Found(body(head, from))),
            // Another part than the one asked for, or none: everything anew.
            (206 | 416, Some(_)) => self.get(&Request { resume: None, ..*request }),
            (304, _) if request.etag.is_some() => Ok(Answer::NotModified),
            (status, _) => {
                Err(Network::Status { url: url.to_string(), status, retry_after: retry_after(&head.headers) }.into())
            }
        }
    }
}

impl Http {
    fn failed(&self, url: &Url, error: &reqwest::Error) -> Error {
        if error.is_redirect() {
            return Network::Redirect { url: url.to_string(), detail: innermost(error) }.into();
        }
        if error.is_timeout() && !error.is_connect() {
            return Network::Stalled { url: url.to_string(), limit: self.stall_timeout }.into();
        }
        unreachable(url, innermost(error))
    }
}

fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from = attempt.previous().last().map(Url::scheme);
    match (from, attempt.url().scheme()) {
        _ if attempt.previous().len() > MAX_REDIRECTS => attempt.error("more than 3 redirects"),
        (Some("https"), "http") => attempt.error("from https to http"),
        (_, "http" | "https") => attempt.follow(),
        _ => attempt.error("to another scheme"),
    }
}

fn headers(settings: &Settings) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &settings.headers {
        let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
        let (Ok(key), Ok(content)) = parsed else {
            return Err(bad("header", name, "not a header's name and value".into()));
        };
        headers.insert(key, content);
    }
    Ok(headers)
}

fn bad(setting: &'static str, value: &str, detail: String) -> Error {
    Caller::BadSetting { setting, value: value.to_owned(), detail }.into()
}

fn body(head: Head, from: u64) -> Body {
    let etag = head.headers.get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Body { reader: Box::new(head.body), etag, from }
}

/// Whether a partial answer is exactly the rest of an object of `total` bytes (RFC 9110, 14.4).
fn is_rest(headers: &HeaderMap, from: u64, total: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    total > 0 && range == Some(&format!("bytes {from}-{}/{total}", total - 1))
}

/// How long the server asks to be left alone, by a number of seconds or a date (RFC 9110, 10.2.3); a day at most.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The last error of a chain, which says what really happened.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// Whether a body's reader gave up because no byte came for the stall limit.
pub(super) fn is_stall(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout)
}
