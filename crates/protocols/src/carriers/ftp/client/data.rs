//! Data connections (RFC 959 section 3.2, RFC 2428, RFC 4217 section 7).

use std::net::{IpAddr, SocketAddr};

use channel::{DataListener, Link, Target, call_link, dial_data};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::FtpClient;
use super::error::refused;
use super::names::{begins, first_text};
use crate::carriers::ftp::wire::{Bare, Command, Reply, decode_epsv_text, decode_pasv_text};
use crate::outward::{Answer, ClientError, Meaning};

/// A data connection to come.
pub(super) enum Data {
    /// We have opened it.
    Open(Link),
    /// The server will.
    Expected(DataListener),
}

/// Octets of a list that are read at once.
const LIST_READ_OCTETS: usize = 64 * 1024;

impl FtpClient {
    /// Agrees with the server on a data connection.
    pub(super) async fn open_data(&mut self) -> Result<Data, ClientError> {
        if self.options.passive {
            self.passive().await.map(Data::Open)
        } else {
            self.active().await.map(Data::Expected)
        }
    }

    /// EPSV, which names no address that could be wrong; PASV where that does not work, once and for all. Firewalls that
    /// know only PASV let connections of EPSV not through.
    async fn passive(&mut self) -> Result<Link, ClientError> {
        let peer = self.control.link()?.peer();
        if !self.lacks.extended {
            let refusal = match self.extended(peer).await {
                Err(error) if error.is_fatal() || peer.is_ipv6() => return Err(error),
                Err(error) => error,
                opened => return opened,
            };
            tracing::debug!(%refusal, "EPSV does not work here: PASV is used");
            self.lacks.extended = true;
        }
        let reply = self.control.ask_done(&Command::Bare(Bare::Pasv)).await?;
        let named = decode_pasv_text(&first_text(&reply)).map_err(|_| unreadable("PASV", &reply))?;
        self.dial(data_address(peer, SocketAddr::V4(named), self.options.other_data_address)).await
    }

    async fn extended(&mut self, peer: SocketAddr) -> Result<Link, ClientError> {
        let reply = self.control.ask_done(&Command::Epsv(None)).await?;
        let port = decode_epsv_text(&first_text(&reply)).map_err(|_| unreadable("EPSV", &reply))?;
        self.dial(SocketAddr::new(peer.ip(), port)).await
    }

    /// Opens a data connection, from the address of the control connection, or through the proxy that connected us.
    async fn dial(&mut self, address: SocketAddr) -> Result<Link, ClientError> {
        if let Some(server) = &self.tunnelled {
            // Who connects us is the peer there; the server has its own address.
            let host = match self.control.link()?.peer().ip() == address.ip() {
                true => server.host.clone(),
                false => address.ip().to_string(),
            };
            let target = Target { host, port: address.port(), ..server.clone() };
            let opened = call_link(&target, self.options.connect_wait_max).await;
            return opened.map_err(|error| ClientError::NoData { text: error.to_string() });
        }
        let (ours, wait) = (self.control.link()?.local().ip(), self.options.connect_wait_max);
        let opened = dial_data(ours, address, wait).await;
        opened.map_err(|error| ClientError::NoData { text: format!("{address} was called: {error}") })
    }

    /// PORT or EPRT with an address of ours.
    async fn active(&mut self) -> Result<DataListener, ClientError> {
        let ours = self.control.link()?.local().ip();
        let expected = DataListener::bind(ours, None)
            .map_err(|error| ClientError::NoData { text: format!("no port of ours is free: {error}") })?;
        let command = match expected.local() {
            SocketAddr::V4(at) => Command::Port(at),
            at @ SocketAddr::V6(_) => Command::Eprt(at),
        };
        self.control.ask_done(&command).await?;
        Ok(expected)
    }

    /// Sends the command that the data belong to; when the server has agreed, the connection stands, with TLS on it where
    /// that is asked for.
    pub(super) async fn begin_data(&mut self, command: &Command, data: Data) -> Result<Link, ClientError> {
        self.control.send(command).await?;
        let reply = self.control.reply().await?;
        begins(command, &reply)?;
        let link = match data {
            Data::Open(link) => link,
            Data::Expected(expected) => {
                let from = self.control.link()?.peer().ip();
                match expected.accept(from, self.options.connect_wait_max).await {
                    Ok(link) => link,
                    Err(error) => {
                        return Err(self.why_none(command, format!("no data connection came: {error}")).await);
                    }
                }
            }
        };
        let Some(tls) = &self.data_tls else { return Ok(link) };
        match tls.secure(link, self.control.tls()).await {
            Ok(link) => Ok(link),
            Err(refusal) => Err(self.why_none(command, format!("no TLS on the data connection: {refusal}")).await),
        }
    }

    /// Why no data connection came to stand. Whatever the server's words for it are, it may work the next time.
    async fn why_none(&mut self, command: &Command, ours: String) -> ClientError {
        match self.why(command, ours).await {
            ClientError::Refused { what, answer, text } => {
                ClientError::Refused { what, answer: Answer { meaning: Meaning::Passing, ..answer }, text }
            }
            other => other,
        }
    }

    /// Why data could not be sent: what the server says of it, beside `ours`.
    pub(super) async fn why(&mut self, command: &Command, ours: String) -> ClientError {
        match timeout(self.options.connect_wait_max, self.control.last_reply()).await {
            Ok(Ok(reply)) if reply.code() >= 400 => match refused(command.verb(), &reply) {
                ClientError::Refused { what, answer, text } => {
                    ClientError::Refused { what, answer, text: format!("{text} ({ours})") }
                }
                other => other,
            },
            Ok(Err(error)) => error,
            // The session is out of step: it ends here.
            Ok(Ok(_)) | Err(_) => ClientError::Broken { text: ours },
        }
    }

    /// Reads a list to its end, and the reply behind it.
    pub(super) async fn read_list(&mut self, link: Link) -> Result<Vec<u8>, ClientError> {
        let mut link = link;
        let (mut list, mut buffer) = (Vec::new(), vec![0; LIST_READ_OCTETS]);
        loop {
            let read = timeout(self.options.reply_wait_max, link.read(&mut buffer)).await;
            match read {
                Ok(Ok(0)) => break,
                Ok(Ok(octets)) => list.extend_from_slice(buffer.get(..octets).unwrap_or_default()),
                Ok(Err(_)) => return Err(ClientError::Closed),
                Err(_) => return Err(ClientError::Silent { seconds: self.options.reply_wait_max.as_secs() }),
            }
            if list.len() > self.options.list_octets_max {
                return Err(ClientError::protocol(format!(
                    "a list has more than {} octets",
                    self.options.list_octets_max
                )));
            }
        }
        drop(link.finish().await);
        drop(link);
        let reply = self.control.last_reply().await?;
        match reply.code() {
            200..=299 => Ok(list),
            _ => Err(refused("the list", &reply)),
        }
    }
}

fn unreadable(what: &str, reply: &Reply) -> ClientError {
    ClientError::protocol(format!("{what} was answered without an address that can be read: {reply}"))
}

/// Where a data connection of PASV leads. The address that the server names counts only where the site allows another
/// one than that of the control connection: behind address translation it is often wrong, and it could be anybody's
/// (FTP-5).
fn data_address(peer: SocketAddr, named: SocketAddr, other_allowed: bool) -> SocketAddr {
    let ip: IpAddr = if other_allowed && !named.ip().is_unspecified() { named.ip() } else { peer.ip() };
    SocketAddr::new(ip, named.port())
}

#[cfg(test)]
mod inner_tests {
    use super::*;

    #[test]
    fn the_address_that_a_server_names_counts_only_where_a_site_allows_it() {
        // FTP-5
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (peer, named) = (at("192.0.2.1:21"), at("10.0.0.7:5001"));
        assert_eq!(data_address(peer, named, false), at("192.0.2.1:5001"));
        assert_eq!(data_address(peer, named, true), named);
        assert_eq!(data_address(peer, at("0.0.0.0:5001"), true), at("192.0.2.1:5001"));
    }
}
