//! Posting to a web server: one connection, kept while it is used, bounded in time and octets. Redirects are not followed,
//! and a name that leads into a private network is refused unless that is allowed: the address that was looked at is the
//! one that is connected to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONTENT_LENGTH, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use model::{WebAddress, is_private};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::dial::{DialError, Target, dial_where};
use crate::tls::{TlsError, Trust};

/// Octets of an answer's head.
const HEAD_OCTETS_MAX: usize = 16 * 1024;
/// Headers of an answer.
const HEADERS_MAX: usize = 64;
/// How we call ourselves: no version, so that strangers learn nothing (BP-20).
const AGENT: &str = "Gatehouse";

/// How a web server may be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebDoor {
    /// Where.
    pub address: WebAddress,
    /// It may be in a private network.
    pub allow_private: bool,
    /// Authorities; the system's where none are named.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for a connection, and again for an answer.
    pub wait: Duration,
    /// Octets of an answer that are read.
    pub answer_octets_max: usize,
}

/// What the server said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebAnswer {
    /// Status code.
    pub status: u16,
    /// Seconds after which it wants to be asked again, if it says so.
    pub retry_after_s: Option<u64>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say it")]
pub enum WebError {
    #[error("{target}: {cause}")]
    Connect { target: String, cause: String },
    #[error("{target} is in a private network: set allow_private if that is meant")]
    Private { target: String },
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("no answer in {0} s")]
    Timeout(u64),
    #[error("the request can't be made: {0}")]
    Request(String),
    #[error("no answer: {0}")]
    Answer(String),
}

/// A connection to a web server.
#[derive(Debug)]
pub struct WebLine {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
    door: WebDoor,
}

impl WebLine {
    /// Connects.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn open(door: &WebDoor) -> Result<Self, WebError> {
        let late = || WebError::Timeout(door.wait.as_secs());
        timeout(door.wait, Self::connect(door)).await.map_err(|_| late())?
    }

    async fn connect(door: &WebDoor) -> Result<Self, WebError> {
        let target = Target::new(door.address.host.clone(), door.address.port);
        // Who writes an address of this very machine means it.
        let anywhere = door.allow_private || door.address.is_loopback();
        let keep = |address: &SocketAddr| anywhere || !is_private(address.ip());
        let stream = dial_where(&target, door.wait, keep).await.map_err(|e| match e {
            DialError::NoneLeft => WebError::Private { target: target.to_string() },
            other => WebError::Connect { target: target.to_string(), cause: other.to_string() },
        })?;
        if door.address.secure {
            let trust = Trust::read(door.ca_file.as_deref()).await?;
            Self::speak(trust.connect(&door.address.host, stream).await?, door).await
        } else {
            Self::speak(stream, door).await
        }
    }

    async fn speak<S>(stream: S, door: &WebDoor) -> Result<Self, WebError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        builder.max_buf_size(HEAD_OCTETS_MAX).max_headers(HEADERS_MAX);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|e| WebError::Answer(e.to_string()))?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a web server ended");
            }
        });
        Ok(Self { sender, task, door: door.clone() })
    }

    /// Whether it leads where `door` does and can take a request.
    #[must_use]
    pub fn fits(&self, door: &WebDoor) -> bool {
        self.door == *door && self.sender.is_ready()
    }

    /// Posts `body`, which is whole in memory; reads no more of the answer than the door allows.
    ///
    /// # Errors
    /// [`WebError`]; the line is then of no further use.
    pub async fn post(&mut self, headers: &[(String, String)], body: Bytes) -> Result<WebAnswer, WebError> {
        let request = self.request(headers, body)?;
        let most = self.door.answer_octets_max;
        let wait = self.door.wait;
        let asked = async {
            let answer = self.sender.send_request(request).await.map_err(|e| WebError::Answer(told(&e)))?;
            let status = answer.status().as_u16();
            let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            // What is beyond the bound is not read; then the line ends with this answer.
            let body = match Limited::new(answer.into_body(), most).collect().await {
                Ok(collected) => collected.to_bytes().to_vec(),
                Err(_) => Vec::new(),
            };
            Ok(WebAnswer { status, retry_after_s: after, body })
        };
        timeout(wait, asked).await.map_err(|_| WebError::Timeout(wait.as_secs()))?
    }

    fn request(&self, headers: &[(String, String)], body: Bytes) -> Result<Request<Full<Bytes>>, WebError> {
        let address = &self.door.address;
        let mut builder = Request::builder()
            .method(Method::POST)
            .uri(address.path.as_str())
            .header(HOST, address.authority())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_LENGTH, body.len());
        for (name, value) in headers {
            builder = builder.header(name.as_str(), value.as_str());
        }
        builder.body(Full::new(body)).map_err(|e| WebError::Request(e.to_string()))
    }
}

impl Drop for WebLine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn told(error: &hyper::Error) -> String {
    use std::error::Error;
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn door(port: u16, host: &str) -> WebDoor {
        let address = WebAddress { secure: false, host: host.to_owned(), port, path: "/hook".to_owned() };
        WebDoor { address, allow_private: false, ca_file: None, wait: Duration::from_secs(10), answer_octets_max: 1000 }
    }

    /// Answers one request with `answer`; gives the request.
    async fn server(answer: &'static str) -> (u16, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = vec![0; 4096];
            let n = stream.read(&mut got).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&got[..n]).into_owned()
        });
        (port, task)
    }

    #[tokio::test]
    async fn a_post_is_answered_and_redirects_are_not_followed() {
        let answer =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno";
        let (port, task) = server(answer).await;
        let mut line = WebLine::open(&door(port, "127.0.0.1")).await.unwrap();
        let headers = [("webhook-id".to_owned(), "1".to_owned())];
        let got = line.post(&headers, Bytes::from_static(b"{}")).await.unwrap();
        assert_eq!(got, WebAnswer { status: 302, retry_after_s: Some(7), body: b"no".to_vec() });
        let request = task.await.unwrap();
        assert!(request.starts_with("POST /hook HTTP/1.1\r\n") && request.contains("webhook-id: 1\r\n"), "{request}");
        assert!(request.ends_with("{}"), "{request}");
    }

    #[tokio::test]
    async fn a_long_answer_is_cut() {
        let (port, _task) = server("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nxxxx").await;
        let mut door = door(port, "127.0.0.1");
        door.answer_octets_max = 3;
        let got = WebLine::open(&door).await.unwrap().post(&[], Bytes::new()).await.unwrap();
        assert_eq!((got.status, got.body.len()), (200, 0));
    }

    // SSRF: a name of a private address is refused before anything is sent.
    #[tokio::test]
    async fn private_networks_are_refused() {
        let mut door = door(9, "10.255.255.1");
        let error = WebLine::open(&door).await.unwrap_err();
        assert!(matches!(error, WebError::Private { .. }), "{error}");
        door.address.host = "169.254.169.254".to_owned();
        assert!(matches!(WebLine::open(&door).await.unwrap_err(), WebError::Private { .. }));
    }
}
