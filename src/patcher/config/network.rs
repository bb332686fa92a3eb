//! The settings of requests: proxies, credentials, timeouts and limits.

use super::Config;
use crate::transfer::fetch::{
    CancelToken, ClientIdentity, Credentials, CredentialsReason, CredentialsSource, ProxyAddress, RequestHeader,
};
use std::sync::Arc;
use std::time::Duration;

impl Config {
    /// Sets a proxy for all requests, as in `http://user:password@host:3128`.
    ///
    /// The scheme is `http`, `https`, `socks4`, `socks4a`, `socks5` or `socks5h`; an empty text
    /// means no proxy. Default: the environment variables `http_proxy` (lower case only),
    /// `https_proxy` and `all_proxy`; without them the settings of Windows, macOS or GNOME.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.settings.proxy = Some(ProxyAddress(url.into()));
        self
    }

    /// Sets the hosts that the client reaches without a proxy, separated by commas.
    ///
    /// An entry is a name, which includes its subdomains, an IP address, a network as in
    /// `10.0.0.0/8`, or `*`. Default: the environment variable `no_proxy`.
    pub fn no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.settings.no_proxy = Some(hosts.into());
        self
    }

    /// Adds a header to the requests to the origin (scheme, host and port) of the URL `origin`.
    ///
    /// Neither redirects to another origin nor mirrors on another one get it. No message and no
    /// `Debug` output shows its value.
    pub fn header(mut self, origin: impl Into<String>, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (origin, name, value) = (origin.into(), name.into(), value.into());
        self.settings.headers.push(RequestHeader { origin, name, value });
        self
    }

    /// Lets `supply` return the credentials for the URLs below `base_url`.
    ///
    /// The client asks before its first request there, and after an answer with status 401 or 403.
    /// Then it repeats the request once. It asks for fresh credentials at most once in a minute.
    /// With `None` the client uses the last ones, or none. No other server gets them: neither
    /// another mirror nor the target of a redirect to another origin or folder.
    ///
    /// `supply` runs in a thread that downloads, and other downloads from there wait for it. It
    /// must not call this library.
    ///
    /// ```
    /// use patcher::{Config, Credentials, CredentialsReason};
    ///
    /// # fn token(is_cached_one_good: bool) -> Option<String> { None }
    /// let config = Config::new("/opt/app").credentials("https://dl.example.com/apps/", |reason| {
    ///     let token = token(reason == CredentialsReason::FirstRequest)?;
    ///     Some(Credentials::bearer(token))
    /// });
    /// ```
    pub fn credentials(
        mut self,
        base_url: impl Into<String>,
        supply: impl Fn(CredentialsReason) -> Option<Credentials> + Send + Sync + 'static,
    ) -> Self {
        self.settings.credentials.push(CredentialsSource { base: base_url.into(), supply: Arc::new(supply) });
        self
    }

    /// Sets the client certificate for the origin (scheme, host and port) of the URL `origin`.
    ///
    /// `pem` holds the certificate, those of its authorities below the root, and the private key
    /// without a passphrase. No other server gets it: a certificate often names its user.
    pub fn client_identity(mut self, origin: impl Into<String>, pem: impl Into<String>) -> Self {
        self.settings.identities.push(ClientIdentity { origin: origin.into(), pem: pem.into() });
        self
    }

    /// Adds a certificate authority in PEM to those of the system.
    pub fn add_root_certificate(mut self, pem: impl Into<String>) -> Self {
        self.settings.root_certificates.push(pem.into());
        self
    }

    /// Sets the time limit for connecting to a server. Default: 10 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_timeout = limit;
        self
    }

    /// Sets the time limit for a whole check, over all mirrors and retries. Default: 10 s.
    pub fn check_timeout(mut self, limit: Duration) -> Self {
        self.check_timeout = limit;
        self
    }

    /// Sets the time without a byte after which a download has stalled. Default: 30 s.
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.settings.stall_timeout = limit;
        self
    }

    /// Sets the number of retries after a network error. Default: 3.
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count;
        self
    }

    /// Lets `token` cancel every call that waits for the network.
    pub fn cancelled_by(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Limits the rate of all downloads together, in bytes per second.
    ///
    /// The lowest limit is 1000. Default: no limit.
    pub fn rate_limit(mut self, bytes_per_second: u64) -> Self {
        self.settings.rate_limit = Some(bytes_per_second);
        self
    }

    /// Sets the number of simultaneous requests, 1 to 16. Default: 4.
    ///
    /// It limits all requests together and those to each host.
    pub fn parallel(mut self, count: usize) -> Self {
        self.parallel = count;
        self.settings.requests_per_host = count;
        self
    }

    /// Sets the user agent of requests. Default: `patcher`.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.settings.user_agent = name.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let config = Config::new("/root")
            .header("https://host/", "Authorization", "Bearer s3cret")
            .proxy("http://me:s3cret@proxy:3128")
            .site("https://me:s3cret@host/?sig=s3cret")
            .credentials("https://host/?s3cret", |_| Some(Credentials::bearer("s3cret")))
            .client_identity("https://host/", "s3cret");
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("Authorization") && shown.contains("proxy:3128") && shown.contains("host"), "{shown}");
    }
}
