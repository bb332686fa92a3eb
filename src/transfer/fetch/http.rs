//! HTTP and HTTPS with reqwest: up to three redirects, and the same request from every user.
//!
//! A request contains neither an identifier nor the installed version, and nothing that a server
//! said: no `If-None-Match`, no `If-Modified-Since`, no cookie. An ETag is a cookie: a server that
//! gives each user another one gets it back with each check. Objects are requested without content
//! coding, manifests as gzip (RFC 9110, 8.4.1.3).
//!
//! Redirects are followed here and not by reqwest, for two reasons. Each target goes through the
//! rules for proxies and host slots, and the final URL is known for resuming the object.

use super::call::{ResponseBody, ResponseHead, call};
use super::credentials::{AllCredentials, CredentialsSource, SentCredentials};
use super::host_slots::{HostSlot, HostSlots};
use super::origin_headers::{OriginHeaders, RequestHeader};
use super::own_thread::OwnThread;
use super::proxy::{self, Proxies, ProxyAddress};
use super::tls::ClientIdentity;
use super::tls_sessions::SESSION_LIFE;
use super::{Body, ByteRange, Fetch, RateLimit, Request, tls, unreachable};
use crate::error::{Caller, Error, Network, Result};
use reqwest::blocking::Client;
use reqwest::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, LOCATION, RANGE,
    RETRY_AFTER,
};
use reqwest::redirect::Policy;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::{Origin, Url};

/// The limit on redirects of one request.
const MAX_REDIRECTS: usize = 3;
/// Retries after the server closed an idle pooled connection.
const MAX_STALE_CONNECTIONS: usize = 2;
/// The longest `Retry-After` that the client obeys. A longer one is shortened to it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// The HTTP settings of a client.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The proxy for all requests, such as `http://user:password@host:3128`.
    ///
    /// `None` reads the environment variables `http_proxy`, `https_proxy` and `all_proxy`.
    pub proxy: Option<ProxyAddress>,
    /// The hosts to reach without a proxy, separated by commas.
    ///
    /// `None` reads the environment variable `no_proxy`.
    pub no_proxy: Option<String>,
    /// Headers for requests to their origins.
    pub headers: Vec<RequestHeader>,
    /// Sources of credentials for the URLs below their base URLs.
    pub credentials: Vec<CredentialsSource>,
    /// Client certificates for their origins.
    pub identities: Vec<ClientIdentity>,
    /// The limit on bytes per second of all requests together.
    pub rate_limit: Option<u64>,
    /// The limit on concurrent requests to each host.
    pub requests_per_host: usize,
    /// The limit on the time to connect.
    pub connect_timeout: Duration,
    /// The limit on the time without a received byte.
    pub stall_timeout: Duration,
    /// PEM certificates of authorities to trust in addition to the system's.
    pub root_certificates: Vec<String>,
    /// The value of the `User-Agent` header.
    pub user_agent: String,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            proxy: None,
            no_proxy: None,
            headers: Vec::new(),
            credentials: Vec::new(),
            identities: Vec::new(),
            rate_limit: None,
            requests_per_host: 4,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            root_certificates: Vec::new(),
            user_agent: "patcher".to_owned(),
        }
    }
}

/// An HTTP client with a pool of connections.
pub struct Http {
    client: OwnThread<Client>,
    /// The clients with a certificate, by origin.
    certified: Vec<(Origin, ClientIdentity, OwnThread<Client>)>,
    settings: HttpSettings,
    credentials: AllCredentials,
    proxies: Arc<Proxies>,
    host_slots: Arc<HostSlots>,
    rate_limit: Option<Arc<RateLimit>>,
    stall_timeout: Duration,
}

impl Http {
    /// Creates a client with these settings.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for an invalid proxy, header, certificate or URL of credentials.
    pub fn new(settings: &HttpSettings) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let proxies = Proxies::new(settings.proxy.as_ref(), settings.no_proxy.as_deref(), variable)?;
        tls::check(&settings.root_certificates)?;
        let mut certified = Vec::new();
        for identity in &settings.identities {
            tls::config(&[], Some(identity))?;
            certified.push((identity.origin()?, identity.clone(), OwnThread::default()));
        }
        Ok(Self {
            client: OwnThread::default(),
            certified,
            settings: settings.clone(),
            credentials: AllCredentials::new(OriginHeaders::new(&settings.headers)?, &settings.credentials)?,
            proxies: Arc::new(proxies),
            host_slots: HostSlots::new(settings.requests_per_host),
            rate_limit: settings.rate_limit.map(|limit| Arc::new(RateLimit::new(limit))),
            stall_timeout: settings.stall_timeout,
        })
    }

    /// Returns the client of the HTTP library for the server of `url`, made at the first request.
    ///
    /// A server could learn the user's name from a certificate, so each is for one origin only.
    fn client(&self, url: &Url) -> Result<Client> {
        let origin = url.origin();
        let certified = self.certified.iter().find(|(other, ..)| *other == origin);
        let (made, identity) = certified.map_or((&self.client, None), |(_, identity, made)| (made, Some(identity)));
        made.get_or_make(|| client(&self.settings, identity, Arc::clone(&self.proxies)))
    }
}

/// Makes the client of the HTTP library.
fn client(settings: &HttpSettings, identity: Option<&ClientIdentity>, proxies: Arc<Proxies>) -> Result<Client> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls::config(&settings.root_certificates, identity)?)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.stall_timeout)
        .pool_idle_timeout(SESSION_LIFE)
        .redirect(Policy::none())
        .user_agent(&settings.user_agent)
        .proxy(reqwest::Proxy::custom(move |url| proxies.proxy_for(url)));
    // Detects a dead connection. Otherwise new requests would reuse it.
    #[cfg(feature = "http2")]
    let builder = builder
        .http2_keep_alive_interval(settings.stall_timeout / 3)
        .http2_keep_alive_timeout(settings.stall_timeout / 3);
    builder.build().map_err(|error| bad_setting("client", "", innermost(&error)))
}

impl Fetch for Http {
    fn take_credentials(&self, url: &mut Url, base: &Url) {
        self.credentials.take_from(url, base);
    }

    fn explain_proxy(&self, url: &Url) -> String {
        self.proxies.explain(url)
    }

    fn get(&self, request: &Request<'_>) -> Result<Body> {
        if let (Some(range), Some(last)) = (request.range, request.last_url)
            && check_redirect(request.url, last).is_ok()
        {
            match self.follow(request, last) {
                Ok(body) if body.offset == range.start => return Ok(body),
                // The targets of redirects often expire.
                Ok(_) | Err(Error::Network(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match self.follow(request, request.url) {
            // The server sent another range or rejected this one: request the whole object.
            Err(Error::Network(Network::Status { status: 206 | 416, .. })) if request.range.is_some() => {
                self.follow(&Request { range: None, ..*request }, request.url)
            }
            result => result,
        }
    }
}

impl Http {
    /// Sends the request to `first` and follows redirects.
    fn follow(&self, request: &Request<'_>, first: &Url) -> Result<Body> {
        let mut url = first.clone();
        let mut had_query = false;
        for _ in 0..=MAX_REDIRECTS {
            let slot = self.host_slots.acquire(&url, request.cancel)?;
            let answer = self.send_with_credentials(request, &url);
            slot.record_answer();
            let (head, credentials) = answer?;
            had_query |= credentials.has_query;
            match redirect_target(&head, &url) {
                Some(next) => {
                    check_redirect(&url, &next).map_err(|detail| redirected(request.url, detail))?;
                    url = next;
                }
                // A server that got a secret query may have put it into the redirect.
                None => return self.response(request, head, slot, if had_query { first.clone() } else { url }),
            }
        }
        Err(redirected(request.url, "more than 3 redirects"))
    }

    /// Sends the request to one URL, and once more if the server refuses the credentials and the
    /// program has fresh ones.
    fn send_with_credentials(&self, request: &Request<'_>, url: &Url) -> Result<(ResponseHead, SentCredentials)> {
        let credentials = self.credentials.for_url(url)?;
        let head = self.send(request, url, &credentials)?;
        if !self.credentials.renew(url, &credentials, head.status) {
            return Ok((head, credentials));
        }
        let fresh = self.credentials.for_url(url)?;
        Ok((self.send(request, url, &fresh)?, fresh))
    }

    /// Sends the request to one URL.
    ///
    /// A server may close an idle connection at the moment the client reuses it (RFC 9112, 9.6).
    /// Such a request is sent again.
    fn send(&self, request: &Request<'_>, url: &Url, credentials: &SentCredentials) -> Result<ResponseHead> {
        // The thread of the HTTP library serves all requests: it must not wait for the settings.
        self.proxies.refresh();
        let mut retries = 0;
        loop {
            let headers = headers(request, credentials);
            match call(self.client(url)?.get(credentials.url.clone()).headers(headers), request.cancel)? {
                Ok(head) => return Ok(head),
                Err(error) if retries < MAX_STALE_CONNECTIONS && was_closed(&error) => retries += 1,
                Err(error) => return Err(self.error(request.url, url, &error)),
            }
        }
    }

    fn response(&self, request: &Request<'_>, head: ResponseHead, slot: HostSlot, url: Url) -> Result<Body> {
        match (head.status, request.range) {
            (200, _) => Ok(self.body(request, head, slot, url, 0)),
            (206, Some(range)) if is_exactly(&head.headers, range) => {
                Ok(self.body(request, head, slot, url, range.start))
            }
            (status, _) => {
                let (url, retry_after) = (request.url.to_string(), retry_after(&head.headers));
                Err(Network::Status { url, status, retry_after }.into())
            }
        }
    }

    fn body(&self, request: &Request<'_>, head: ResponseHead, slot: HostSlot, final_url: Url, offset: u64) -> Body {
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let accepts_ranges = head.status == 206 || text(ACCEPT_RANGES) == Some("bytes");
        let is_gzip =
            request.accept_gzip && text(CONTENT_ENCODING).is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        let reader = Box::new(SlottedBody { body: head.body, _slot: slot });
        Body { reader, is_gzip, offset, final_url, accepts_ranges, rate_limit: self.rate_limit.clone() }
    }

    /// Returns the error of a request for `requested`, where `at` did not answer.
    ///
    /// The two URLs differ after a redirect.
    fn error(&self, requested: &Url, at: &Url, error: &reqwest::Error) -> Error {
        if error.is_timeout() && !error.is_connect() {
            return Network::Stalled { url: requested.to_string(), limit: self.stall_timeout }.into();
        }
        let by = self.proxies.proxy_for(at).map(|proxy| format!(" (by the proxy {})", proxy::redacted(&proxy)));
        unreachable(requested, format!("{}{}", innermost(error), by.unwrap_or_default()))
    }
}

/// Returns the headers of a request.
fn headers(request: &Request<'_>, credentials: &SentCredentials) -> HeaderMap {
    let mut headers = credentials.headers.clone();
    headers.entry(ACCEPT_ENCODING).or_insert(if request.accept_gzip { GZIP } else { IDENTITY });
    if let Some(range) = request.range {
        let value = match range.is_rest() {
            true => format!("bytes={}-", range.start),
            false => format!("bytes={}-{}", range.start, range.end.saturating_sub(1)),
        };
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (RANGE, value)));
    }
    headers
}

/// A body that occupies a host slot until it is dropped.
struct SlottedBody {
    body: ResponseBody,
    _slot: HostSlot,
}

impl Read for SlottedBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer)
    }
}

/// Returns the target of a redirect; `None` for any other response.
fn redirect_target(head: &ResponseHead, url: &Url) -> Option<Url> {
    if !matches!(head.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let mut next = url.join(head.headers.get(LOCATION)?.to_str().ok()?).ok()?;
    // A server must not set the client's credentials. Both calls fail only for a URL without host,
    // and such a URL has no credentials.
    let _ = (next.set_username(""), next.set_password(None));
    Some(next)
}

/// Checks a redirect; returns the rule that it breaks.
fn check_redirect(from: &Url, to: &Url) -> Result<(), &'static str> {
    match (from.scheme(), to.scheme()) {
        ("https", "http") => Err("from https to http"),
        (_, "http" | "https") => Ok(()),
        _ => Err("to another scheme"),
    }
}

fn redirected(url: &Url, detail: &str) -> Error {
    Network::Redirect { url: url.to_string(), detail: detail.to_owned() }.into()
}

fn bad_setting(setting: &'static str, value: &str, detail: String) -> Error {
    Caller::BadSetting { setting, value: value.to_owned(), detail }.into()
}

/// Returns `true` if a partial response contains exactly the requested range (RFC 9110, 14.4).
fn is_exactly(headers: &HeaderMap, ByteRange { start, end, total }: ByteRange) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range == Some(&format!("bytes {start}-{}/{total}", end.saturating_sub(1)))
}

/// Reads `Retry-After`, a number of seconds or a date (RFC 9110, 10.2.3).
///
/// The result is at most [`MAX_RETRY_AFTER`].
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Returns the text of the innermost error, which names the cause.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// Returns `true` if the connection was closed before the first byte of a response.
fn was_closed(error: &reqwest::Error) -> bool {
    let mut causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(io, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
            || cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
    };
    !error.is_connect() && causes.any(closed)
}

/// Returns `true` if reading a body failed because no byte came within the stall timeout.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout)
}
