//! HTTP and HTTPS by reqwest: few redirects, and the same request from every user.
//!
//! A request carries no identifier and no version; only `If-None-Match` differs from user to user. Objects travel as they
//! are; a manifest may come as a gzip (RFC 9110, 8.4.1.3).

use super::call::{ResponseBody, ResponseHead, call};
use super::host_slots::{HostSlot, HostSlots};
use super::proxy::{self, Proxies, ProxyAddress};
use super::{Body, Fetch, RateLimit, Request, Response, unreachable};
use crate::error::{Caller, Error, Network, Result};
use reqwest::blocking::Client;
use reqwest::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, AUTHORIZATION, CONTENT_ENCODING, CONTENT_RANGE, COOKIE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 3;
/// How many connections that were closed while they were idle a request may meet.
const MAX_CLOSED: usize = 2;
/// The longest that a server may ask to be left alone.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// How to reach servers.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// A proxy for everything, as in `http://user:password@host:3128`; the usual environment variables where none is set.
    pub proxy: Option<ProxyAddress>,
    /// HostSlots that are reached without a proxy, separated by commas, as in `no_proxy`; that variable where none is set.
    pub no_proxy: Option<String>,
    /// Headers for every request; `Authorization` and `Cookie` stay with the address that was asked for.
    pub headers: Vec<RequestHeader>,
    /// The most bytes a second, of all requests together.
    pub rate_limit: Option<u64>,
    /// The most requests at a time for each host.
    pub per_host: usize,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long no byte may come.
    pub stall_timeout: Duration,
    /// PEM certificates of authorities that are trusted besides the system's.
    pub root_certificates: Vec<String>,
    /// What the client calls itself.
    pub user_agent: String,
}

/// A header as somebody gave it: its value may be a secret, and is not shown.
#[derive(Clone)]
pub struct RequestHeader {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl fmt::Debug for RequestHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            proxy: None,
            no_proxy: None,
            headers: Vec::new(),
            rate_limit: None,
            per_host: 4,
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
    headers: HeaderMap,
    proxies: Arc<Proxies>,
    hosts: Arc<HostSlots>,
    rate: Option<Arc<RateLimit>>,
    stall_timeout: Duration,
}

impl Http {
    /// A client with these settings, and the environment's proxies where they name none.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for a proxy, header or certificate that is none.
    pub fn new(settings: &HttpSettings) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let proxies = Arc::new(Proxies::new(settings.proxy.as_ref(), settings.no_proxy.as_deref(), variable)?);
        let chosen = Arc::clone(&proxies);
        let builder = Client::builder()
            .tls_backend_preconfigured(super::tls::config(&settings.root_certificates)?)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.stall_timeout)
            // Else requests would go on and on over a connection that is dead.
            .http2_keep_alive_interval(settings.stall_timeout / 3)
            .http2_keep_alive_timeout(settings.stall_timeout / 3)
            .redirect(Policy::none())
            .user_agent(&settings.user_agent)
            .proxy(reqwest::Proxy::custom(move |url| chosen.to(url).cloned()));
        let client = builder.build().map_err(|error| bad("client", "", innermost(&error)))?;
        Ok(Self {
            client,
            headers: headers(settings)?,
            proxies,
            hosts: HostSlots::new(settings.per_host),
            rate: settings.rate_limit.map(|limit| Arc::new(RateLimit::new(limit))),
            stall_timeout: settings.stall_timeout,
        })
    }
}

impl Fetch for Http {
    fn get(&self, request: &Request<'_>) -> Result<Response> {
        if let (Some((have, _)), Some(last)) = (request.resume, request.last_url)
            && may_lead(request.url, last).is_ok()
        {
            match self.follow(request, last) {
                Ok(Response::Body(body)) if body.from == have => return Ok(Response::Body(body)),
                // Addresses that servers redirect to are often good for a while only.
                Ok(_) | Err(Error::Network(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match self.follow(request, request.url) {
            // Another part than the one asked for, or none: everything anew.
            Err(Error::Network(Network::Status { status: 206 | 416, .. })) if request.resume.is_some() => {
                self.follow(&Request { resume: None, ..*request }, request.url)
            }
            answered => answered,
        }
    }
}

impl Http {
    /// Asks at `first` and wherever that leads.
    fn follow(&self, request: &Request<'_>, first: &Url) -> Result<Response> {
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let turn = self.hosts.turn(&url, request.cancel)?;
            let head = self.ask(request, &url);
            turn.answered();
            let head = head?;
            match location(&head, &url) {
                Some(next) => {
                    may_lead(&url, &next).map_err(|detail| redirected(request.url, detail))?;
                    url = next;
                }
                None => return self.answer(request, head, turn, url),
            }
        }
        Err(redirected(request.url, "more than 3 redirects"))
    }

    /// Asks at one address. A server may close an idle connection just when it is used again (RFC 9112, 9.6): that is no answer.
    fn ask(&self, request: &Request<'_>, url: &Url) -> Result<ResponseHead> {
        let mut tries = 0;
        loop {
            match call(self.client.get(url.clone()).headers(self.headers(request, url)), request.cancel)? {
                Ok(head) => return Ok(head),
                Err(error) if tries < MAX_CLOSED && was_closed(&error) => tries += 1,
                Err(error) => return Err(self.failed(request.url, url, &error)),
            }
        }
    }

    fn headers(&self, request: &Request<'_>, url: &Url) -> HeaderMap {
        let mut headers = self.headers.clone();
        if url.origin() != request.url.origin() {
            headers.remove(AUTHORIZATION);
            headers.remove(COOKIE);
        }
        headers.entry(ACCEPT_ENCODING).or_insert(if request.may_be_packed { GZIP } else { IDENTITY });
        if let Some(etag) = request.etag.and_then(|etag| HeaderValue::from_str(&any_packing_of(etag)).ok()) {
            headers.insert(IF_NONE_MATCH, etag);
        }
        if let Some((from, total)) = request.resume {
            let range = match last(request, from, total) {
                last if last + 1 < total => format!("bytes={from}-{last}"),
                _ => format!("bytes={from}-"),
            };
            headers.extend(HeaderValue::try_from(range).ok().map(|range| (RANGE, range)));
        }
        headers
    }

    fn answer(&self, request: &Request<'_>, head: ResponseHead, turn: HostSlot, url: Url) -> Result<Response> {
        match (head.status, request.resume) {
            (200, _) => Ok(Response::Body(self.body(request, head, turn, url, 0))),
            (206, Some((from, total))) if is_part(&head.headers, from, last(request, from, total), total) => {
                Ok(Response::Body(self.body(request, head, turn, url, from)))
            }
            (304, _) if request.etag.is_some() => Ok(Response::NotModified),
            (status, _) => Err(self.status(request.url, status, retry_after(&head.headers))),
        }
    }

    fn body(&self, request: &Request<'_>, head: ResponseHead, turn: HostSlot, final_url: Url, from: u64) -> Body {
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let etag = text(ETAG).map(str::to_owned);
        let ranges = head.status == 206 || text(ACCEPT_RANGES) == Some("bytes");
        let is_packed =
            request.may_be_packed && text(CONTENT_ENCODING).is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        let reader = Box::new(InTurn { body: head.body, _turn: turn });
        Body { reader, is_packed, etag, from, final_url, ranges, rate: self.rate.clone() }
    }

    fn status(&self, url: &Url, status: u16, retry_after: Option<Duration>) -> Error {
        Network::Status { url: url.to_string(), status, retry_after }.into()
    }

    /// The error of `asked`, on the way to which `at` did not answer.
    fn failed(&self, asked: &Url, at: &Url, error: &reqwest::Error) -> Error {
        if error.is_timeout() && !error.is_connect() {
            return Network::Stalled { url: asked.to_string(), limit: self.stall_timeout }.into();
        }
        let by = self.proxies.to(at).map(|proxy| format!(" (by the proxy {})", proxy::shown(proxy)));
        unreachable(asked, format!("{}{}", innermost(error), by.unwrap_or_default()))
    }
}

/// A body that is read during its request's turn.
struct InTurn {
    body: ResponseBody,
    _turn: HostSlot,
}

impl Read for InTurn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer)
    }
}

/// Where an answer leads; none when it is the last one.
fn location(head: &ResponseHead, url: &Url) -> Option<Url> {
    if !matches!(head.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let mut next = url.join(head.headers.get(LOCATION)?.to_str().ok()?).ok()?;
    // A server has no say in whom a client claims to be. Both fail only for addresses that have no host, and so no user.
    let _ = (next.set_username(""), next.set_password(None));
    Some(next)
}

/// Whether one address may lead to another; else the rule that it breaks.
fn may_lead(from: &Url, to: &Url) -> Result<(), &'static str> {
    match (from.scheme(), to.scheme()) {
        ("https", "http") => Err("from https to http"),
        (_, "http" | "https") => Ok(()),
        _ => Err("to another scheme"),
    }
}

fn redirected(url: &Url, detail: &str) -> Error {
    Network::Redirect { url: url.to_string(), detail: detail.to_owned() }.into()
}

fn headers(settings: &HttpSettings) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for RequestHeader { name, value } in &settings.headers {
        let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
        let (Ok(key), Ok(mut content)) = parsed else {
            return Err(bad("header", name, "not a header's name and value".into()));
        };
        // Neither shown nor kept in the tables of HTTP/2.
        content.set_sensitive(true);
        headers.insert(key, content);
    }
    Ok(headers)
}

/// What to ask for when it is known by this name: Apache calls a gzip of it otherwise, and does not know that name again.
fn any_packing_of(etag: &str) -> String {
    match etag.strip_suffix("-gzip\"") {
        Some(unpacked) => format!("{etag}, {unpacked}\""),
        None => etag.to_owned(),
    }
}

fn bad(setting: &'static str, value: &str, detail: String) -> Error {
    Caller::BadSetting { setting, value: value.to_owned(), detail }.into()
}

/// The place of the last byte that a request which resumes asks for.
fn last(request: &Request<'_>, from: u64, total: u64) -> u64 {
    let most = request.at_most.map_or(total, |most| from.saturating_add(most));
    most.min(total).saturating_sub(1)
}

/// Whether a partial answer is exactly the part asked for of an object of `total` bytes (RFC 9110, 14.4).
fn is_part(headers: &HeaderMap, from: u64, last: u64, total: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range == Some(&format!("bytes {from}-{last}/{total}"))
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

/// Whether a connection ended before the first byte of an answer.
fn was_closed(error: &reqwest::Error) -> bool {
    let mut causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(io, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
            || cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
    };
    !error.is_connect() && causes.any(closed)
}

/// Whether a body's reader gave up because no byte came for the stall limit.
pub(super) fn is_stall(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout)
}
