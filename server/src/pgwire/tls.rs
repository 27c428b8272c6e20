//! TLS of the wire: a certificate chain and its key, loaded once.

use anyhow::{Context, anyhow};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

#[derive(Clone)]
pub struct Tls {
    pub acceptor: TlsAcceptor,
    /// The chain as text: SCRAM's channel binding signs it.
    pub certificate_pem: Arc<Vec<u8>>,
}

impl Tls {
    /// Errors name the file that is wrong.
    pub fn load(certificate: &Path, key: &Path) -> anyhow::Result<Tls> {
        let pem = std::fs::read(certificate).with_context(|| format!("could not read the certificate file \"{}\"", certificate.display()))?;
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|error| anyhow!("certificate file \"{}\": {error:?}", certificate.display()))?;
        if chain.is_empty() {
            return Err(anyhow!("certificate file \"{}\" holds no certificate", certificate.display()));
        }
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| anyhow!("private key file \"{}\": {error:?}", key.display()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key_der)
            .with_context(|| format!("the private key \"{}\" does not fit the certificate \"{}\"", key.display(), certificate.display()))?;
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), certificate_pem: Arc::new(pem) })
    }
}
