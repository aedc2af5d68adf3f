//! TLS towards servers that we call on our own behalf: webhooks and mail. The one place that names the TLS library.
//!
//! A server is always verified: its chain against the authorities of the system or of a named file, its name against the
//! one that was configured. Profiles for partners, with their own algorithms and trust, get an engine of their own.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

/// Octets of a file of authorities.
const CA_FILE_OCTETS_MAX: u64 = 4 << 20;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say it")]
pub enum TlsError {
    #[error("certificates of authorities {file}: {cause}")]
    Trust { file: String, cause: String },
    #[error("TLS with {host}: {cause}")]
    Handshake { host: String, cause: String },
}

/// A stream with TLS on it.
pub(crate) type TlsStream<S> = tokio_rustls::client::TlsStream<S>;

/// Whom we believe.
#[derive(Clone)]
pub(crate) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Reads the authorities of `ca_file`, or those of the system.
    pub(crate) async fn read(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let file = ca_file.map(Path::to_path_buf);
        let shown = ca_file.map_or_else(|| "of the system".to_owned(), |file| file.display().to_string());
        let failed = |cause: String| TlsError::Trust { file: shown.clone(), cause };
        let read = tokio::task::spawn_blocking(move || match file {
            Some(file) => named(&file),
            None => system(),
        });
        let roots = read.await.map_err(|e| failed(e.to_string()))?.map_err(&failed)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Puts TLS on a stream to `host`.
    pub(crate) async fn connect<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let failed = |cause: String| TlsError::Handshake { host: host.to_owned(), cause };
        let name = ServerName::try_from(host.to_owned()).map_err(|_| failed("it is no name of a server".to_owned()))?;
        let connected = TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await;
        connected.map_err(|e| failed(e.to_string()))
    }
}

fn named(file: &Path) -> Result<RootCertStore, String> {
    let about = std::fs::metadata(file).map_err(|e| e.to_string())?;
    if about.len() > CA_FILE_OCTETS_MAX {
        return Err(format!("the file has more than {CA_FILE_OCTETS_MAX} octets"));
    }
    let octets = std::fs::read(file).map_err(|e| e.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&octets) {
        let certificate = certificate.map_err(|e| format!("it is no PEM file: {e}"))?;
        roots.add(certificate).map_err(|e| format!("one of them can't be used: {e}"))?;
    }
    if roots.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(roots) }
}

fn system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let cause = found.errors.first().map_or_else(|| "install ca-certificates".to_owned(), ToString::to_string);
    Err(format!("there are none: {cause}"))
}

/// The error of a stream, in words for people.
pub(crate) fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        _ => error.to_string(),
    }
}
