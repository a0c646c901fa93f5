//! TLS on the listener, with certificates that can be replaced while running.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;

/// A certificate or key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The PEM text holds no certificate or no key.
    #[error("no {0} found in the PEM text")]
    Missing(&'static str),
    /// The PEM text can't be read.
    #[error("the PEM text can't be read")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// Certificate and key don't go together, or are of a kind that is not served.
    #[error("the certificate can't be used")]
    Rejected(#[source] rustls::Error),
}

/// The certificate in use; connections accepted after [`TlsSource::replace`] see the new one.
#[derive(Debug)]
pub struct TlsSource {
    current: ArcSwap<ServerConfig>,
}

impl TlsSource {
    /// From a PEM chain and a PEM key.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self { current: ArcSwap::new(server_config(chain, key)?) }))
    }

    /// Puts another certificate in place; on an error the old one stays.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.current.store(server_config(chain, key)?);
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn server_config(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};

    let certificates = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Pem)?;
    if certificates.is_empty() {
        return Err(TlsError::Missing("certificate"));
    }
    let key = match PrivateKeyDer::from_pem_slice(key) {
        Ok(key) => key,
        Err(rustls_pki_types::pem::Error::NoItemsFound) => {
            return Err(TlsError::Missing("private key"));
        }
        Err(error) => return Err(TlsError::Pem(error)),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Rejected)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(TlsError::Rejected)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
