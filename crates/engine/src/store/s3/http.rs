//! How requests to the object store travel: hyper, and TLS by the one library that the house has. The `object_store`
//! library would bring an HTTP client of its own (docs/decisions/0011).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Longest wait for the beginning of an answer, the sending of a part included.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an unused connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Connections to one store.
#[derive(Clone, Debug)]
pub(super) struct Wire(Client<HttpsConnector<Tcp>, HttpRequestBody>);

impl Wire {
    /// With the certificates of the system, or those of a file in PEM.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let config = match ca_file {
            None => config.with_native_roots().map_err(|e| format!("certificates of the system: {e}"))?,
            Some(path) => {
                let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
                let mut roots = rustls::RootCertStore::empty();
                for cert in CertificateDer::pem_file_iter(path).map_err(|e| failed(&e))? {
                    roots.add(cert.map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
                }
                config.with_root_certificates(roots)
            }
        };
        let mut tcp = Tcp::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth());
        let https = https.https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(https);
        Ok(Self(client))
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answered = tokio::time::timeout(ANSWER_MAX, self.0.request(request)).await;
        let answered = answered.map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?;
        let answer = answered.map_err(|e| {
            let kind = if e.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request };
            HttpError::new(kind, e)
        })?;
        let (head, body) = answer.into_parts();
        let body = body.map_err(|e| HttpError::new(HttpErrorKind::Interrupted, e));
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}
