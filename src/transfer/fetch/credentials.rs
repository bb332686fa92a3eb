//! Credentials: the secrets by which a private server knows the client.
//!
//! Credentials come from three kinds of settings: headers of an origin ([`OriginHeaders`]), the
//! query of a site's URL, and a function of the program that supplies fresh ones. The client adds a
//! query to the URLs below its base URL and to no others: on many hosts, other customers have the
//! same origin. It adds the query when it sends a request, so that no message, log or state file
//! can contain it.

use super::origin_headers::{OriginHeaders, basic_authorization, sensitive};
use crate::error::{Caller, Result};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use url::Url;

/// The shortest time between two requests for fresh credentials.
///
/// Object stores answer 403 for files that do not exist. Without a limit, the client would ask the
/// program for each of them.
const RENEWAL_PERIOD: Duration = Duration::from_secs(60);

/// A secret by which a server knows the client. `Debug` does not show it.
///
/// A function that is set by [`Config::credentials`](crate::Config::credentials) returns it.
#[derive(Clone)]
pub struct Credentials(Secret);

#[derive(Clone)]
enum Secret {
    Header { name: String, value: String },
    Query(String),
}

/// The reason why the client asks the program for credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialsReason {
    /// The client is about to send its first request to the server.
    FirstRequest,
    /// The server has refused a request. Return fresh credentials: the last ones may have expired.
    Refused {
        /// The status of the answer, 401 or 403.
        status: u16,
    },
}

impl Credentials {
    /// Makes the header `Authorization: Bearer TOKEN`.
    pub fn bearer(token: impl fmt::Display) -> Self {
        Self::header("Authorization", format!("Bearer {token}"))
    }

    /// Makes the header of basic authentication for a user name and a password.
    pub fn basic(user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let pair = format!("{}:{}", user.as_ref(), password.as_ref());
        Self::header("Authorization", basic_authorization(pair.as_bytes()))
    }

    /// Makes a header.
    pub fn header(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self(Secret::Header { name: name.into(), value: value.into() })
    }

    /// Makes a query that is added to each URL, as in `sv=2024-11-04&sig=…`.
    pub fn query(query: impl Into<String>) -> Self {
        Self(Secret::Query(query.into()))
    }

    /// Adds the secret to a request.
    fn add_to(&self, sent: &mut SentCredentials) -> Result<()> {
        match &self.0 {
            Secret::Query(query) => sent.add_query(query),
            Secret::Header { name, value } => {
                let (Ok(key), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
                else {
                    let detail = "not a valid name and value of a header".to_owned();
                    return Err(Caller::BadSetting { setting: "credentials", value: name.clone(), detail }.into());
                };
                sent.headers.insert(key, sensitive(value));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Secret::Header { name, .. } => name,
            Secret::Query(_) => "query",
        })
    }
}

/// The function of the program that supplies credentials.
type Supply = dyn Fn(CredentialsReason) -> Option<Credentials> + Send + Sync;

/// The source of credentials for the URLs below one URL.
#[derive(Clone)]
pub struct CredentialsSource {
    /// The base URL.
    pub base: String,
    /// The function of the program.
    pub supply: Arc<Supply>,
}

impl fmt::Debug for CredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", super::without_secrets(&self.base))
    }
}

/// The credentials for all servers.
pub struct AllCredentials {
    headers: OriginHeaders,
    /// The queries of sites, each with the base URL that it belongs to.
    queries: RwLock<Vec<(Url, String)>>,
    suppliers: Vec<Supplier>,
}

/// The credentials that go with one request.
pub struct SentCredentials {
    /// The URL with the secret query.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// `true` if the URL got a secret query.
    pub has_query: bool,
    /// The number of the supplied credentials, for [`AllCredentials::renew`].
    supplied: u32,
}

impl SentCredentials {
    /// Adds a query to a URL that has none. The target of a redirect may have its own.
    fn add_query(&mut self, query: &str) {
        if self.url.query().is_none() {
            self.url.set_query(Some(query.trim_start_matches('?')));
            self.has_query = true;
        }
    }
}

impl AllCredentials {
    /// Checks and takes the sources that the program has set.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for an invalid URL.
    pub fn new(headers: OriginHeaders, sources: &[CredentialsSource]) -> Result<Self> {
        let mut suppliers = Vec::new();
        for CredentialsSource { base, supply } in sources {
            let url = Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let Some(base) = url else {
                let detail = "they are for no http or https URL".to_owned();
                return Err(Caller::BadSetting { setting: "credentials", value: String::new(), detail }.into());
            };
            suppliers.push(Supplier { base, supply: Arc::clone(supply), state: Mutex::default() });
        }
        Ok(Self { headers, queries: RwLock::default(), suppliers })
    }

    /// Takes the secrets out of `url`, and keeps them for requests to this server only.
    ///
    /// User name and password are for its origin, the query for the URLs below `base`.
    pub fn take_from(&self, url: &mut Url, base: &Url) {
        self.headers.take_credentials(url);
        let query = url.query().filter(|query| !query.is_empty()).map(str::to_owned);
        url.set_query(None);
        if let Some(query) = query {
            let mut queries = self.queries.write().unwrap_or_else(PoisonError::into_inner);
            let base = bare(base);
            queries.retain(|(other, _)| *other != base);
            queries.push((base, query));
        }
    }

    /// Returns the credentials for a request to `url`.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] if the program supplied an invalid header.
    pub fn for_url(&self, url: &Url) -> Result<SentCredentials> {
        let (headers, has_query) = (self.headers.for_url(url), false);
        let mut sent = SentCredentials { url: url.clone(), headers, has_query, supplied: 0 };
        if let Some(supplier) = self.supplier(url) {
            supplier.add_to(&mut sent)?;
        }
        let queries = self.queries.read().unwrap_or_else(PoisonError::into_inner);
        // The longest base URL is the most precise one.
        let of_url = queries.iter().filter(|(base, _)| is_below(url, base));
        if let Some((_, query)) = of_url.max_by_key(|(base, _)| base.path().len()) {
            sent.add_query(query);
        }
        Ok(sent)
    }

    /// Asks the program for fresh credentials after a server has refused those that were `sent`.
    ///
    /// Returns `true` if there are fresh ones, so that a retry may succeed.
    pub fn renew(&self, url: &Url, sent: &SentCredentials, status: u16) -> bool {
        matches!(status, 401 | 403)
            && self.supplier(url).is_some_and(|supplier| supplier.renew(sent.supplied, status, Instant::now()))
    }

    fn supplier(&self, url: &Url) -> Option<&Supplier> {
        self.suppliers.iter().find(|supplier| is_below(url, &supplier.base))
    }
}

/// A source of credentials with those that it supplied last.
struct Supplier {
    base: Url,
    supply: Arc<Supply>,
    state: Mutex<SupplierState>,
}

#[derive(Default)]
struct SupplierState {
    current: Option<Credentials>,
    /// The number of times that the program was asked.
    asked: u32,
    renewed_at: Option<Instant>,
}

impl Supplier {
    /// Adds the current credentials to a request; the first request asks the program.
    fn add_to(&self, sent: &mut SentCredentials) -> Result<()> {
        let mut state = self.lock();
        if state.asked == 0 {
            state.current = (self.supply)(CredentialsReason::FirstRequest);
            state.asked = 1;
        }
        sent.supplied = state.asked;
        state.current.as_ref().map_or(Ok(()), |current| current.add_to(sent))
    }

    /// Replaces the credentials with the number `sent`; returns `true` if there are newer ones.
    ///
    /// Other threads wait meanwhile, and use the same new credentials.
    fn renew(&self, sent: u32, status: u16, now: Instant) -> bool {
        let mut state = self.lock();
        if state.asked != sent {
            return state.current.is_some();
        }
        if state.renewed_at.is_some_and(|at| now.saturating_duration_since(at) < RENEWAL_PERIOD) {
            return false;
        }
        let fresh = (self.supply)(CredentialsReason::Refused { status });
        state.renewed_at = Some(now);
        let is_fresh = fresh.is_some();
        if is_fresh {
            state.current = fresh;
            state.asked += 1;
        }
        is_fresh
    }

    /// Locks the state. After a panic of the program's function, it has the credentials from
    /// before.
    fn lock(&self) -> MutexGuard<'_, SupplierState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `true` if `url` is in the folder of `base` or below it.
fn is_below(url: &Url, base: &Url) -> bool {
    let folder = base.path().rfind('/').map_or("/", |end| &base.path()[..=end]);
    url.origin() == base.origin() && url.path().starts_with(folder)
}

/// Returns a URL without user name, password, query and fragment.
fn bare(url: &Url) -> Url {
    let mut url = url.clone();
    // Both calls fail only for a URL without host, and such a URL has neither.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::AUTHORIZATION;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn with_sources(sources: &[CredentialsSource]) -> Result<AllCredentials> {
        AllCredentials::new(OriginHeaders::new(&[]).unwrap(), sources)
    }

    fn source(
        base: &str,
        supply: impl Fn(CredentialsReason) -> Option<Credentials> + Send + Sync + 'static,
    ) -> CredentialsSource {
        CredentialsSource { base: base.to_owned(), supply: Arc::new(supply) }
    }

    #[test]
    fn a_query_goes_below_its_base_url_and_nowhere_else() {
        let all = with_sources(&[]).unwrap();
        let mut site = url("https://h/mine/apps/?sv=1&sig=s3cret");
        let base = site.clone();
        all.take_from(&mut site, &base);
        assert_eq!(site.as_str(), "https://h/mine/apps/");
        let sent = |text: &str| all.for_url(&url(text)).unwrap().url.to_string();
        assert_eq!(sent("https://h/mine/apps/core/x.xml"), "https://h/mine/apps/core/x.xml?sv=1&sig=s3cret");
        for other in [
            "https://h/mine/",
            "https://h/mine/apps",
            "https://h/mine/other/",
            "https://h/theirs/x",
            "http://h/mine/apps/x",
            "https://h:8443/mine/apps/x",
            "https://mirror/mine/apps/x",
            "https://h/mine/apps/x?own=1",
        ] {
            assert_eq!(sent(other), other);
        }
    }

    #[test]
    fn a_later_query_replaces_the_one_of_the_same_base_url() {
        let all = with_sources(&[]).unwrap();
        for query in ["old", "new"] {
            let mut site = url(&format!("https://h/apps/?{query}"));
            let base = site.clone();
            all.take_from(&mut site, &base);
        }
        assert_eq!(all.for_url(&url("https://h/apps/x")).unwrap().url.query(), Some("new"));
    }

    #[test]
    fn the_program_is_asked_once_and_again_when_the_server_refuses() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let supply = move |reason| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            assert_eq!(reason == CredentialsReason::FirstRequest, number == 0);
            Some(Credentials::bearer(number))
        };
        let all = with_sources(&[source("https://h/apps/", supply)]).unwrap();
        let at = url("https://h/apps/x");
        let first = all.for_url(&at).unwrap();
        assert_eq!(first.headers[AUTHORIZATION], "Bearer 0");
        assert_eq!(all.for_url(&at).unwrap().headers[AUTHORIZATION], "Bearer 0");
        assert!(!all.renew(&at, &first, 404) && !all.renew(&at, &first, 500));
        assert!(all.renew(&at, &first, 401));
        // A second thread that was refused with the old ones gets the same fresh ones.
        assert!(all.renew(&at, &first, 403));
        let second = all.for_url(&at).unwrap();
        assert_eq!(second.headers[AUTHORIZATION], "Bearer 1");
        assert!(!all.renew(&at, &second, 401), "at most once in a minute");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert!(all.suppliers[0].renew(second.supplied, 401, Instant::now() + RENEWAL_PERIOD));
        for other in ["https://h/other", "https://mirror/apps/x", "http://h/apps/x"] {
            assert!(all.for_url(&url(other)).unwrap().headers.is_empty(), "{other}");
            assert!(!all.renew(&url(other), &second, 401), "{other}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_program_without_credentials_sends_none() {
        let all = with_sources(&[source("https://h/", |_| None)]).unwrap();
        let sent = all.for_url(&url("https://h/x")).unwrap();
        assert!(sent.headers.is_empty() && !sent.has_query);
        assert!(!all.renew(&url("https://h/x"), &sent, 401));
    }

    #[test]
    fn invalid_credentials_are_an_error_that_shows_none() {
        assert_eq!(with_sources(&[source("h/apps", |_| None)]).err().unwrap().code(), "bad-setting");
        let all = with_sources(&[source("https://h/", |_| Some(Credentials::bearer("s3cret\n")))]).unwrap();
        let error = all.for_url(&url("https://h/x")).err().unwrap();
        assert_eq!(error.code(), "bad-setting");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        let shown = [Credentials::bearer("s3cret"), Credentials::query("s3cret"), Credentials::basic("me", "s3cret")];
        assert_eq!(format!("{shown:?}"), "[Authorization, query, Authorization]");
    }
}
