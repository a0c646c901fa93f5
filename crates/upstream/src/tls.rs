//! TLS towards providers: rustls, the system's roots or a given CA; nothing switches verification off.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::error::TargetError;
use crate::target::{Http2, TargetOptions};

/// A target's TLS: its name and what it trusts.
#[derive(Clone, Debug)]
pub(crate) struct ClientTls {
    pub(crate) name: ServerName<'static>,
    trust: Trust,
    pub(crate) http2: Http2,
}

#[derive(Clone, Debug)]
enum Trust {
    /// Read at the first handshake, not at start: it takes milliseconds.
    System,
    Given(Arc<ClientConfig>),
}

impl ClientTls {
    /// The configuration to connect with.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        match &self.trust {
            Trust::Given(config) => Ok(Arc::clone(config)),
            Trust::System => system_config(self.http2),
        }
    }
}

impl ClientTls {
    /// The same for HTTP/1.1 alone.
    pub(crate) fn config_h1(&self) -> Result<Arc<ClientConfig>, String> {
        match &self.trust {
            Trust::Given(config) => {
                let mut config = (**config).clone();
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                Ok(Arc::new(config))
            }
            Trust::System => system_config(Http2::Never),
        }
    }
}

/// Prepares a target's TLS.
pub(crate) fn client_tls(host: &str, options: &TargetOptions) -> Result<ClientTls, TargetError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| TargetError::Url("the host can't be the name of a certificate"))?;
    let trust = match &options.ca_pem {
        None => Trust::System,
        Some(pem) => {
            let roots = roots_from_pem(pem)?;
            let config = client_config(roots, options.http2)
                .map_err(|it| TargetError::Ca(it.to_string()))?;
            Trust::Given(Arc::new(config))
        }
    };
    Ok(ClientTls { name, trust, http2: options.http2 })
}

fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, TargetError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TargetError::Ca(error.to_string()))?;
        roots.add(certificate).map_err(|error| TargetError::Ca(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TargetError::Ca("no certificate found".to_owned()));
    }
    Ok(roots)
}

fn client_config(roots: RootCertStore, http2: Http2) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = match http2 {
        Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Http2::Never => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// The system's roots, read once for the process.
fn system_config(http2: Http2) -> Result<Arc<ClientConfig>, String> {
    static BOTH: OnceLock<Result<[Arc<ClientConfig>; 2], String>> = OnceLock::new();
    let both = BOTH.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _ignored) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.first().map(ToString::to_string).unwrap_or_default();
            return Err(format!("no trusted certificates found on this system {why}"));
        }
        let auto = client_config(roots.clone(), Http2::Auto).map_err(|it| it.to_string())?;
        let never = client_config(roots, Http2::Never).map_err(|it| it.to_string())?;
        Ok([Arc::new(auto), Arc::new(never)])
    });
    match both {
        Ok([auto, never]) => Ok(Arc::clone(if http2 == Http2::Auto { auto } else { never })),
        Err(why) => Err(why.clone()),
    }
}
