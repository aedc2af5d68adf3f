//! Connections through a proxy that carries octets: SOCKS version 4 and 4a (as NEC's and the OpenSSH project's pages describe
//! them), CONNECT of HTTP (RFC 9110 section 9.3.6).

use std::fmt;
use std::net::Ipv4Addr;

use base::{Secret, Shown};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dial::Target;

/// Octets of a proxy's answer to CONNECT.
const ANSWER_OCTETS_MAX: usize = 8192;
/// SOCKS version 4: connect; the answer that says yes.
const SOCKS_VERSION: u8 = 4;
const SOCKS_CONNECT: u8 = 1;
const SOCKS_GRANTED: u8 = 0x5a;
/// What stands for the address where a name follows (4a).
const SOCKS_BY_NAME: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

/// A proxy on the way to a partner.
#[derive(Debug)]
pub struct Tunnel {
    /// Where it is.
    pub at: Box<Target>,
    /// What it speaks.
    pub speaks: TunnelKind,
    /// User name at it.
    pub user: Option<String>,
    /// Password at it; SOCKS version 4 has none.
    pub password: Option<Secret<String>>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TunnelKind {
    /// SOCKS version 4, and 4a for names.
    Socks4,
    /// CONNECT of HTTP, in clear.
    Connect,
}

/// The proxy did not connect us: its words, or what was wrong with them.
#[derive(Debug, thiserror::Error)]
#[error("proxy {at}: {text}")]
pub(crate) struct TunnelError {
    at: String,
    text: String,
}

impl Tunnel {
    /// Has the proxy connect `stream` to `target`. What follows on it is the partner's.
    pub(crate) async fn open(&self, stream: &mut TcpStream, target: &Target) -> Result<(), TunnelError> {
        let done = match self.speaks {
            TunnelKind::Socks4 => self.socks(stream, target).await,
            TunnelKind::Connect => self.connect(stream, target).await,
        };
        done.map_err(|text| TunnelError { at: self.at.to_string(), text })
    }

    async fn socks(&self, stream: &mut TcpStream, target: &Target) -> Result<(), String> {
        if target.host.contains(':') {
            return Err("SOCKS4 reaches no IPv6 address: name the partner's host, or use an HTTPS proxy".to_owned());
        }
        let address = target.host.parse::<Ipv4Addr>();
        let mut request = vec![SOCKS_VERSION, SOCKS_CONNECT];
        request.extend(target.port.to_be_bytes());
        request.extend(address.clone().unwrap_or(SOCKS_BY_NAME).octets());
        request.extend(field(self.user.as_deref().unwrap_or_default())?);
        if address.is_err() {
            request.extend(field(&target.host)?);
        }
        stream.write_all(&request).await.map_err(|e| e.to_string())?;
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).await.map_err(|e| format!("it did not answer SOCKS4: {e}"))?;
        match answer {
            [0, SOCKS_GRANTED, ..] => Ok(()),
            [0, 0x5b, ..] => Err("it refuses, or the partner does not answer it".to_owned()),
            [0, 0x5c | 0x5d, ..] => Err("it does not take our user name (identd)".to_owned()),
            [version, code, ..] => Err(format!("it does not speak SOCKS4: it answered {version}, {code}")),
        }
    }

    async fn connect(&self, stream: &mut TcpStream, target: &Target) -> Result<(), String> {
        let at = target.to_string();
        if at.chars().any(|c| c.is_control() || c == ' ') {
            return Err(format!("{} is no name of a host", Shown(at.as_bytes())));
        }
        let mut request = format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n");
        if let Some(user) = &self.user {
            let password = self.password.as_ref().map_or("", |password| password.expose().as_str());
            let basic = STANDARD.encode(format!("{user}:{password}"));
            request.push_str(&format!("Proxy-Authorization: Basic {basic}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
        let answer = head(stream).await?;
        let line = answer.lines().next().unwrap_or_default();
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        match (words.next().is_some_and(|version| version.starts_with("HTTP/1.")), words.next()) {
            (true, Some(code)) if code.len() == 3 && code.starts_with('2') => Ok(()),
            (true, Some("401" | "407")) => Err("it asks for user name and password, or does not take them".to_owned()),
            (true, Some(_)) => Err(format!("it answered CONNECT with {}", Shown(line.as_bytes()))),
            _ => Err("it does not speak HTTP".to_owned()),
        }
    }
}

/// A text of SOCKS, which ends with a NUL.
fn field(text: &str) -> Result<Vec<u8>, String> {
    if text.contains('\0') {
        return Err("a name with a NUL can't be sent".to_owned());
    }
    Ok([text.as_bytes(), &[0]].concat())
}

/// The head of an answer of HTTP; not an octet behind it is taken, since those are the partner's.
async fn head(stream: &mut TcpStream) -> Result<String, String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") && !read.ends_with(b"\n\n") {
        if read.len() >= ANSWER_OCTETS_MAX {
            return Err(format!("its answer has more than {ANSWER_OCTETS_MAX} octets"));
        }
        let octet = stream.read_u8().await.map_err(|e| format!("it did not answer CONNECT: {e}"))?;
        read.push(octet);
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::dial::dial_where;

    const WAIT: Duration = Duration::from_secs(20);

    /// A proxy that reads so many octets, says this, and then what the partner would.
    async fn proxy(octets: usize, answer: &'static [u8]) -> (Target, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = Target::new("127.0.0.1", listener.local_addr().unwrap().port());
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = vec![0; octets];
            stream.read_exact(&mut read).await.unwrap();
            stream.write_all(&[answer, b"220"].concat()).await.unwrap();
            read
        });
        (at, task)
    }

    fn tunnel(at: Target, speaks: TunnelKind, user: Option<&str>) -> Arc<Tunnel> {
        let password = Some(Secret::new("secret".to_owned()));
        Arc::new(Tunnel { at: Box::new(at), speaks, user: user.map(str::to_owned), password })
    }

    /// What the partner said, through a proxy that was asked with these octets.
    async fn asked(
        wanted: &[u8],
        answer: &'static [u8],
        (speaks, user, host): (TunnelKind, Option<&str>, &str),
    ) -> Result<Vec<u8>, String> {
        let (at, task) = proxy(wanted.len(), answer).await;
        let target = Target { through: Some(tunnel(at, speaks, user)), ..Target::new(host, 21) };
        let mut stream = dial_where(&target, WAIT, |_| true).await.map_err(|e| e.to_string())?;
        assert_eq!(task.await.unwrap(), wanted);
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        Ok(said)
    }

    #[tokio::test]
    async fn socks_4_by_address_and_by_name() {
        let yes = b"\0\x5a\0\0\0\0\0\0";
        let asks = |user, host| (TunnelKind::Socks4, user, host);
        let by_address = asked(b"\x04\x01\0\x15\xc0\0\x02\x07me\0", yes, asks(Some("me"), "192.0.2.7")).await;
        assert_eq!(by_address.unwrap(), b"220");
        let by_name = asked(b"\x04\x01\0\x15\0\0\0\x01\0b.example\0", yes, asks(None, "b.example")).await;
        assert_eq!(by_name.unwrap(), b"220");
        for (answer, wanted) in [
            (b"\0\x5b\0\0\0\0\0\0".as_slice(), "it refuses"),
            (b"\0\x5c\0\0\0\0\0\0", "identd"),
            (b"HTTP/1.1 400", "does not speak SOCKS4"),
            (b"\0", "did not answer SOCKS4"),
        ] {
            let refused = asked(b"\x04\x01\0\x15\xc0\0\x02\x07\0", answer, asks(None, "192.0.2.7")).await.unwrap_err();
            assert!(refused.starts_with("proxy 127.0.0.1:") && refused.contains(wanted), "{refused}");
        }
        let refused = asked(b"", b"", asks(None, "2001:db8::1")).await.unwrap_err();
        assert!(refused.contains("no IPv6 address"), "{refused}");
    }

    #[tokio::test] // RFC 9110 section 9.3.6
    async fn connect_of_http() {
        let with =
            b"CONNECT b.example:21 HTTP/1.1\r\nHost: b.example:21\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n";
        let without = b"CONNECT [2001:db8::1]:21 HTTP/1.1\r\nHost: [2001:db8::1]:21\r\n\r\n";
        let asks = |user, host| (TunnelKind::Connect, user, host);
        let yes = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
        assert_eq!(asked(with, yes, asks(Some("me"), "b.example")).await.unwrap(), b"220");
        assert_eq!(asked(without, b"HTTP/1.0 204\r\n\r\n", asks(None, "2001:db8::1")).await.unwrap(), b"220");
        for (answer, wanted) in [
            (b"HTTP/1.1 407 Who?\r\n\r\n".as_slice(), "user name and password"),
            (b"HTTP/1.1 503 no \x1b[31m\r\n\r\n", "with HTTP/1.1 503 no \\u{1b}[31m"),
            (b"\r\n\r\n", "does not speak HTTP"),
            (b"SSH-2.0", "did not answer CONNECT"),
        ] {
            let refused = asked(with, answer, asks(Some("me"), "b.example")).await.unwrap_err();
            assert!(refused.contains(wanted) && !refused.contains("secret"), "{refused}");
        }
        static LONG: [u8; 9000] = [b'x'; 9000];
        let refused = asked(with, &LONG, asks(Some("me"), "b.example")).await.unwrap_err();
        assert!(refused.contains("more than 8192 octets"), "{refused}");
    }

    #[tokio::test]
    async fn a_silent_proxy_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = Target::new("127.0.0.1", listener.local_addr().unwrap().port());
        let target = Target { through: Some(tunnel(at, TunnelKind::Connect, None)), ..Target::new("b.example", 21) };
        let refused = dial_where(&target, Duration::from_millis(200), |_| true).await.unwrap_err().to_string();
        assert!(refused.contains("proxy 127.0.0.1:") && refused.contains("in time"), "{refused}");
    }
}
