//! Proxies: chooses the proxy of a request from the program's settings, from the environment as
//! curl does, or from the system's settings.
//!
//! No error message and no `Debug` output contains the user name or the password of a proxy.

use super::system_proxy::{SettingsName, SystemProxies};
use crate::error::{Caller, Result};
use hyper_util::client::proxy::matcher::Matcher;
use std::fmt;
use url::Url;

/// The supported proxy protocols.
///
/// With `socks5` and `socks4` the client resolves host names; with `socks5h` and `socks4a` the
/// proxy does.
#[cfg(feature = "socks")]
const SCHEMES: &[&str] = &["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
#[cfg(not(feature = "socks"))]
const SCHEMES: &[&str] = &["http", "https"];

/// The URL of a proxy or a site as the program set it; `Debug` hides its secrets.
#[derive(Clone)]
pub struct ProxyAddress(pub String);

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", without_secrets(&self.0))
    }
}

/// The proxies for http and https, and the hosts that are reached without a proxy.
#[derive(Debug)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Matches every URL except those of `no_proxy`.
    proxied: Matcher,
    /// The system's settings, where neither the program nor the environment names a proxy.
    system: Option<SystemProxies>,
}

/// A proxy from the program's settings or from the environment.
struct Proxy {
    /// The URL, validated; `None` for a direct connection.
    url: Option<Url>,
    /// The environment variable that names it; `None` for the program's settings.
    variable: Option<&'static str>,
}

impl Proxies {
    /// Reads the proxies from the settings, or from environment variables where none is set.
    ///
    /// `http_proxy` is read in lower case only, because a CGI server sets `HTTP_PROXY` from a
    /// request header (CVE-2016-5385). `https_proxy`, `all_proxy` and `no_proxy` are read in both
    /// cases, lower case first. An empty `proxy` disables proxies. `no_proxy` applies to proxies
    /// from each source. Without `proxy` and all of these variables but `no_proxy`, the system's
    /// settings count.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for an invalid URL. A direct connection instead would reveal to the
    /// network what the client requests.
    pub fn new(
        proxy: Option<&ProxyAddress>,
        no_proxy: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let first = |names: &[&'static str]| names.iter().find_map(|name| Some((*name, variable(name)?)));
        let no_variable = || first(&["no_proxy", "NO_PROXY"]).map(|(_, hosts)| hosts);
        let no_proxy = no_proxy.map(str::to_owned).or_else(no_variable).unwrap_or_default();
        let named = |names: &[&'static str]| -> Result<Option<Proxy>> {
            match (proxy, first(names)) {
                (Some(ProxyAddress(all)), _) => Ok(Some(Proxy { url: parse(all)?, variable: None })),
                (None, Some((name, text))) => Ok(Some(Proxy { url: parse(&text)?, variable: Some(name) })),
                (None, None) => Ok(None),
            }
        };
        let http = named(&["http_proxy", "all_proxy", "ALL_PROXY"])?;
        let https = named(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?;
        let system = (http.is_none() && https.is_none()).then(SystemProxies::default);
        Ok(Self { http, https, proxied: Matcher::builder().all("http://any.invalid").no(no_proxy).build(), system })
    }

    /// Reads the system's settings if they count and were not read lately.
    pub fn refresh(&self) {
        self.system.iter().for_each(|system| drop(system.settings()));
    }

    /// Returns the proxy for a URL, or `None` for a direct connection.
    pub fn proxy_for(&self, url: &Url) -> Option<Url> {
        if self.is_excepted(url) {
            return None;
        }
        match (&self.system, self.named_for(url)) {
            (Some(system), _) => system.settings().proxy_for(url),
            (None, named) => named?.url.clone(),
        }
    }

    /// Tells the proxy for a URL and where it comes from, without user name and password.
    pub fn explain(&self, url: &Url) -> String {
        let name = |proxy: Option<Url>| proxy.map_or_else(|| "no proxy".to_owned(), |proxy| redacted(&proxy));
        let proxy = name(self.proxy_for(url));
        match (&self.system, self.named_for(url)) {
            _ if self.is_excepted(url) => format!("{proxy}, by the list of hosts without one"),
            (Some(system), _) if system.settings().has_pac => {
                format!("{proxy}; {SettingsName} name a PAC file, which is not evaluated")
            }
            (Some(_), _) => format!("{proxy}, by {SettingsName}"),
            (None, Some(Proxy { variable: Some(variable), .. })) => format!("{proxy}, by the variable {variable}"),
            (None, Some(_)) => format!("{proxy}, by the configuration"),
            (None, None) => format!("{proxy}: the environment names one for other URLs only"),
        }
    }

    fn named_for(&self, url: &Url) -> Option<&Proxy> {
        if url.scheme() == "https" { &self.https } else { &self.http }.as_ref()
    }

    /// Returns `true` for a host that is reached without a proxy.
    fn is_excepted(&self, url: &Url) -> bool {
        url.as_str().parse().is_ok_and(|target| self.proxied.intercept(&target).is_none())
    }
}

/// Parses a proxy URL, whose default scheme is http; returns `None` for an empty text.
fn parse(text: &str) -> Result<Option<Url>> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let bad = |detail: String| Caller::BadSetting { setting: "proxy", value: without_secrets(text).to_owned(), detail };
    let mut url = Url::parse(&whole).map_err(|error| bad(error.to_string()))?;
    if !SCHEMES.contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) {
        return Err(bad(format!("not a URL with one of the schemes {}", SCHEMES.join(", "))).into());
    }
    if url.port_or_known_default().is_none() {
        url.set_port(Some(1080)).map_err(|()| bad("the URL cannot have a port".to_owned()))?;
    }
    Ok(Some(url))
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.url.as_ref().map(redacted))
    }
}

/// Checks the URL of a proxy; an empty text means no proxy.
///
/// # Errors
/// [`Caller::BadSetting`] for an invalid URL.
pub fn check_proxy(proxy: &ProxyAddress) -> Result<()> {
    parse(&proxy.0).map(drop)
}

/// Returns the URL of a proxy without user name and password.
pub fn redacted(proxy: &Url) -> String {
    let host = proxy.host_str().unwrap_or_default();
    let port = proxy.port_or_known_default().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}", proxy.scheme())
}

/// Returns the part of a URL that cannot contain a password, a query or a fragment, even if it is
/// malformed.
pub fn without_secrets(text: &str) -> &str {
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    // A question mark in a password that is not escaped.
    if query.contains('@') && !before.contains('@') {
        return "";
    }
    let after_password = before.rsplit('@').next().unwrap_or_default();
    after_password.split('#').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the proxies for http and https URLs of `host`, with these environment variables.
    fn to(host: &str, proxy: Option<&str>, no_proxy: Option<&str>, environment: &[(&str, &str)]) -> [String; 2] {
        let variable =
            |name: &str| environment.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned());
        let proxies =
            Proxies::new(proxy.map(|text| ProxyAddress(text.to_owned())).as_ref(), no_proxy, variable).unwrap();
        ["http", "https"].map(|scheme| {
            let url = Url::parse(&format!("{scheme}://{host}/")).unwrap();
            proxies.proxy_for(&url).map_or_else(|| "-".to_owned(), |proxy| redacted(&proxy))
        })
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let both = ["http://a:1".to_owned(), "http://a:1".to_owned()];
        let read = |environment: &[(&str, &str)]| to("h", None, None, environment);
        assert_eq!(read(&[("all_proxy", "http://a:1")]), both);
        assert_eq!(read(&[("ALL_PROXY", "a:1")]), both);
        assert_eq!(read(&[("http_proxy", "http://a:1")]), ["http://a:1", "-"]);
        assert_eq!(read(&[("HTTP_PROXY", "http://a:1")]), ["-", "-"]);
        assert_eq!(read(&[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:2")]), ["-", "http://a:1"]);
        assert_eq!(
            read(&[("all_proxy", "socks5h://s"), ("https_proxy", "https://a")]),
            ["socks5h://s:1080", "https://a:443"]
        );
        assert_eq!(read(&[("all_proxy", "http://a:1"), ("http_proxy", "")]), ["-", "http://a:1"]);
    }

    #[test]
    fn the_setting_comes_before_the_environment_and_an_empty_one_disables_proxies() {
        let environment = [("all_proxy", "http://a:1")];
        assert_eq!(to("h", Some("http://b:2"), None, &environment), ["http://b:2", "http://b:2"]);
        assert_eq!(to("h", Some(""), None, &environment), ["-", "-"]);
    }

    #[test]
    fn no_proxy_applies_to_proxies_from_either_source() {
        for (proxy, environment) in [(Some("a:1"), &[][..]), (None, &[("all_proxy", "a:1")][..])] {
            for (host, no_proxy) in
                [("h", "h"), ("x.h", "h"), ("x.h", ".h"), ("h", "*"), ("h", "z, h"), ("127.0.0.1", "127.0.0.0/8")]
            {
                assert_eq!(to(host, proxy, Some(no_proxy), environment), ["-", "-"], "{host} {no_proxy}");
            }
            assert_eq!(to("xh", proxy, Some("h"), environment), ["http://a:1", "http://a:1"]);
        }
        assert_eq!(to("h", Some("a:1"), None, &[("NO_PROXY", "h")]), ["-", "-"]);
        assert_eq!(to("h", Some("a:1"), Some(""), &[("NO_PROXY", "h")]), ["http://a:1", "http://a:1"]);
    }

    #[test]
    fn the_source_of_a_proxy_is_told() {
        let explain = |url: &str, no_proxy: &str, environment: &'static [(&'static str, &'static str)]| {
            let variable =
                |name: &str| environment.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned());
            Proxies::new(None, Some(no_proxy), variable).unwrap().explain(&Url::parse(url).unwrap())
        };
        let environment = &[("HTTPS_PROXY", "http://me:secret@a:1")];
        assert_eq!(explain("https://h/", "", environment), "http://a:1, by the variable HTTPS_PROXY");
        assert_eq!(explain("https://h/", "h", environment), "no proxy, by the list of hosts without one");
        assert_eq!(explain("http://h/", "", environment), "no proxy: the environment names one for other URLs only");
        assert_eq!(explain("http://h/", "", &[("all_proxy", "")]), "no proxy, by the variable all_proxy");
        assert_eq!(explain("http://h/", "", &[]), format!("no proxy, by {SettingsName}"));
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("https://h/apps/", "https://h/apps/"),
            ("https://me:secret@h/apps/", "h/apps/"),
            ("https://h/apps/?sig=secret", "https://h/apps/"),
            ("https://me:secret@h/apps/?sig=secret@secret", "h/apps/"),
            ("https://me:sec?ret@h/", ""),
            ("https://me:sec#ret@h/#secret", "h/"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn passwords_are_never_shown() {
        for bad in ["ftp://me:secret@h", "http://me:secret@", "http://me:secret@h:port", "me:secret@h:port"] {
            let error = Proxies::new(Some(&ProxyAddress(bad.to_owned())), None, |_| None).unwrap_err();
            assert_eq!(error.code(), "bad-setting");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        let address = ProxyAddress("http://me:secret@h:1".to_owned());
        let proxies = Proxies::new(Some(&address), None, |_| None).unwrap();
        assert!(!format!("{address:?} {proxies:?}").contains("secret"));
        let url = Url::parse("http://x").unwrap();
        assert_eq!(proxies.proxy_for(&url).unwrap().password(), Some("secret"));
        assert_eq!(proxies.explain(&url), "http://h:1, by the configuration");
    }
}
