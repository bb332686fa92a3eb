//! TLS for the HTTP client: trusts the system's authorities and the program's own, and shows a
//! client certificate to the server that it is for.
//!
//! The process-wide defaults of rustls stay as they are: they belong to the program that uses this
//! library.

use super::tls_sessions::ShortSessions;
use crate::error::{Caller, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use std::fmt;
use std::sync::{Arc, OnceLock};
use url::{Origin, Url};

/// A client certificate with its private key. `Debug` does not show them.
#[derive(Clone)]
pub struct ClientIdentity {
    /// A URL of the origin that gets the certificate.
    pub origin: String,
    /// The certificate, those of its authorities, and the private key, in PEM.
    pub pem: String,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", super::without_secrets(&self.origin))
    }
}

impl ClientIdentity {
    /// Returns the origin that gets the certificate.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for a text that is no https URL.
    pub fn origin(&self) -> Result<Origin> {
        let url = Url::parse(&self.origin).ok().filter(|url| url.scheme() == "https");
        Ok(url.ok_or_else(|| bad_identity("it is for no https URL".to_owned()))?.origin())
    }
}

fn bad_identity(detail: String) -> Caller {
    Caller::BadSetting { setting: "client certificate", value: String::new(), detail }
}

/// Checks that each text contains a PEM certificate.
///
/// # Errors
/// [`Caller::BadSetting`].
pub fn check(pems: &[String]) -> Result<()> {
    if pems.iter().any(|pem| certificates(pem).next().is_none()) {
        return Err(bad("contains no PEM certificate".to_owned()).into());
    }
    Ok(())
}

fn certificates(pem: &str) -> impl Iterator<Item = CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(|read| read.ok())
}

fn bad(detail: String) -> Caller {
    Caller::BadSetting { setting: "root certificate", value: String::new(), detail }
}

/// Returns a TLS configuration that also trusts the authorities in `pems`, and shows `identity` to
/// servers that ask for a certificate.
///
/// # Errors
/// [`Caller::BadSetting`] for an identity without a certificate or its private key, or if the
/// cryptography supports no version of TLS.
pub fn config(pems: &[String], identity: Option<&ClientIdentity>) -> Result<ClientConfig> {
    let own = pems.iter().flat_map(|pem| certificates(pem)).collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = LateVerifier { own, provider: Arc::clone(&provider), verifier: OnceLock::new() };
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| bad(error.to_string()))?.dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(ClientIdentity { pem, .. }) => {
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
                .map_err(|_| bad_identity("contains no PEM private key without a passphrase".to_owned()))?;
            builder
                .with_client_auth_cert(certificates(pem).collect(), key)
                .map_err(|error| bad_identity(error.to_string()))?
        }
    };
    config.resumption = Resumption::store(Arc::new(ShortSessions::default()));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    #[cfg(feature = "http2")]
    config.alpn_protocols.insert(0, b"h2".to_vec());
    Ok(config)
}

/// A certificate verifier that reads the system's authorities at the first TLS handshake.
///
/// They can be hundreds of files. A site over http and a command without network never read them.
#[derive(Debug)]
struct LateVerifier {
    own: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    verifier: OnceLock<Option<Arc<dyn ServerCertVerifier>>>,
}

impl LateVerifier {
    fn verifier(&self) -> Result<&Arc<dyn ServerCertVerifier>, Error> {
        let made = self.verifier.get_or_init(|| {
            match Verifier::new_with_extra_roots(self.own.iter().cloned(), Arc::clone(&self.provider)) {
                Ok(verifier) => Some(Arc::new(verifier)),
                // A system without authorities: use the program's own alone.
                Err(_) => {
                    let mut roots = RootCertStore::empty();
                    roots.add_parsable_certificates(self.own.iter().cloned());
                    let builder =
                        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
                    Some(builder.build().ok()?)
                }
            }
        });
        made.as_ref().ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }
}

impl ServerCertVerifier for LateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
