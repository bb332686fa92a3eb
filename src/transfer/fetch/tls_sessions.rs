//! TLS sessions: what the client keeps of a handshake, so that the next one is shorter.
//!
//! A session ticket is a cookie: the server makes it, and the client sends it back in its next
//! handshake, from any address. The connections of a download share their sessions. The client
//! forgets all of them before the next check, when no handshake has used them for
//! [`SESSION_LIFE`].

use rustls::NamedGroup;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time after the last handshake in which the client resumes sessions, and keeps an idle
/// connection.
///
/// It bridges the pause between a check and a download, and is shorter than that between checks.
pub const SESSION_LIFE: Duration = Duration::from_secs(60);
/// The limit on stored sessions.
const MAX_SESSIONS: usize = 64;

/// A store of sessions that empties itself.
#[derive(Debug, Default)]
pub struct ShortSessions(Mutex<Option<SessionsOfNow>>);

/// The sessions that the client still resumes.
#[derive(Debug)]
struct SessionsOfNow {
    cache: Arc<ClientSessionMemoryCache>,
    used: Instant,
}

impl ShortSessions {
    /// Returns the sessions that a handshake at the time `now` may resume, and that it adds to.
    fn at(&self, now: Instant) -> Arc<ClientSessionMemoryCache> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_live = |kept: &SessionsOfNow| now.saturating_duration_since(kept.used) < SESSION_LIFE;
        let cache = match sessions.take().filter(is_live) {
            Some(SessionsOfNow { cache, .. }) => cache,
            None => Arc::new(ClientSessionMemoryCache::new(MAX_SESSIONS)),
        };
        *sessions = Some(SessionsOfNow { cache: Arc::clone(&cache), used: now });
        cache
    }
}

impl ClientSessionStore for ShortSessions {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.at(Instant::now()).set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.at(Instant::now()).kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.at(Instant::now()).set_tls12_session(server, session);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.at(Instant::now()).tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.at(Instant::now()).remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.at(Instant::now()).insert_tls13_ticket(server, ticket);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.at(Instant::now()).take_tls13_ticket(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server's choice of a key exchange group stands for its tickets, which a test cannot
    /// make.
    #[test]
    fn a_later_check_resumes_no_session() {
        let (sessions, start) = (ShortSessions::default(), Instant::now());
        let server = ServerName::try_from("dl.example.com").unwrap();
        let seconds = |seconds: f64| start + SESSION_LIFE.mul_f64(seconds);
        sessions.at(start).set_kx_hint(server.clone(), NamedGroup::secp384r1);
        for now in [0.0, 0.9, 1.8] {
            assert_eq!(sessions.at(seconds(now)).kx_hint(&server), Some(NamedGroup::secp384r1), "{now}");
        }
        assert_eq!(sessions.at(seconds(2.8)).kx_hint(&server), None);
    }
}
