//! Data connections: how the next one comes about, and its making (RFC 959 section 3.2, RFC 2428, RFC 4217 section 12).

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::pin::pin;
use std::time::Duration;

use channel::{DataListener, Link, TlsServer, TlsSession, dial_data};
use model::FtPolicy;

use super::SessionError;
use super::session::{Beside, Next, Session};
use crate::carriers::ftp::wire::{Family, Protection, Reply, epsv_text, pasv_text};

/// Ports that no data connection is made to: services live there (RFC 2577 section 3).
const PORT_MIN: u16 = 1024;

/// How the next data connection comes about.
#[derive(Debug)]
pub(super) enum Door {
    Shut,
    /// The peer calls us.
    Passive(DataListener),
    /// We call the peer.
    Active(SocketAddr),
}

/// What a data connection needs to be made.
pub(super) struct Making {
    door: Door,
    local: IpAddr,
    peer: IpAddr,
    wait: Duration,
    tls: Option<(TlsServer, Option<TlsSession>)>,
}

impl Session {
    /// PORT and EPRT: only to the caller itself, and to no port of a service (FTP-5).
    pub(super) async fn active(&mut self, address: SocketAddr) -> Result<Next, SessionError> {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if self.state.epsv_only {
            return self.refuse(&Reply::new(501, "EPSV ALL was given")).await;
        }
        let peer = self.ends()?.1;
        if peer.ip() != address.ip() || address.port() < PORT_MIN {
            tracing::warn!(%peer, %address, "PORT or EPRT to another address, or to a port of a service, was refused");
            return self.refuse(&Reply::new(501, "Only your own address and ports above 1023")).await;
        }
        self.state.door = Door::Active(address);
        self.say(200, "Address is noted").await
    }

    /// PASV: for IPv4 only.
    pub(super) async fn passive(&mut self) -> Result<Next, SessionError> {
        if self.state.epsv_only {
            return self.refuse(&Reply::new(501, "EPSV ALL was given")).await;
        }
        let (local, _) = self.ends()?;
        let IpAddr::V4(own) = local.ip() else {
            return self.refuse(&Reply::new(522, "PASV is for IPv4: use EPSV")).await;
        };
        match self.listen(local.ip()).await? {
            Some(port) => {
                let told = SocketAddrV4::new(self.settings.external.unwrap_or(own), port);
                self.say(227, pasv_text(told)).await
            }
            None => Ok(Next::Go),
        }
    }

    /// EPSV: on the address of the control connection (RFC 2428 section 3).
    pub(super) async fn extended_passive(&mut self, family: Option<Family>) -> Result<Next, SessionError> {
        let (local, _) = self.ends()?;
        let own = Family::of(local.ip());
        if family.is_some_and(|family| family != own) {
            let text = format!("Network protocol not supported, use ({})", own.encode());
            return self.refuse(&Reply::new(522, text)).await;
        }
        match self.listen(local.ip()).await? {
            Some(port) => self.say(229, epsv_text(port)).await,
            None => Ok(Next::Go),
        }
    }

    /// Opens a port for the peer; says so where there is none.
    async fn listen(&mut self, ip: IpAddr) -> Result<Option<u16>, SessionError> {
        // The port of the door before is free again.
        self.state.door = Door::Shut;
        match DataListener::bind(ip, self.settings.passive_ports.as_ref()) {
            Ok(listener) => {
                let port = listener.local().port();
                self.state.door = Door::Passive(listener);
                Ok(Some(port))
            }
            Err(error) => {
                let ports = self.settings.passive_ports.as_ref().map(|p| format!("{}:{}", p.start(), p.end()));
                tracing::warn!(%ip, ports, %error, "no port for a data connection: widen passive_ports of the listener");
                self.refuse(&Reply::new(425, "No port for data is free, try again later")).await?;
                Ok(None)
            }
        }
    }

    fn ends(&self) -> Result<(SocketAddr, SocketAddr), SessionError> {
        self.control.link().map(|link| (link.local(), link.peer())).ok_or(SessionError::Closed)
    }

    /// What the next data connection needs; or the reply that says what is missing.
    pub(super) fn making(&mut self) -> Result<Result<Making, Reply>, SessionError> {
        let door = std::mem::replace(&mut self.state.door, Door::Shut);
        let (local, peer) = self.ends()?;
        let secured = self.control.tls();
        let mandatory = self.tls.as_ref().is_some_and(|tls| tls.start().data == FtPolicy::Mandatory);
        let protected = self.state.protection == Protection::Private && secured.is_some();
        if mandatory && !protected {
            // FTP-7
            return Ok(Err(Reply::new(521, "Data have to be protected here: PROT P first")));
        }
        if matches!(door, Door::Shut) {
            return Ok(Err(Reply::new(425, "Say PASV, EPSV, PORT or EPRT first")));
        }
        let tls = self.tls.clone().filter(|_| protected).map(|server| (server, secured));
        let wait = self.settings.data_wait;
        Ok(Ok(Making { door, local: local.ip(), peer: peer.ip(), wait, tls }))
    }

    /// Makes the connection, in clear. `None`: it failed, and the peer was told.
    pub(super) async fn connect(&mut self, making: &mut Making) -> Result<Option<Link>, SessionError> {
        let door = std::mem::replace(&mut making.door, Door::Shut);
        let (local, peer, wait) = (making.local, making.peer, making.wait);
        let connecting = async {
            match door {
                Door::Passive(listener) => listener.accept(peer, wait).await,
                Door::Active(address) => dial_data(local, address, wait).await,
                Door::Shut => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        let connecting = pin!(connecting);
        match self.beside(connecting).await {
            Beside::Done(Ok(link)) => Ok(Some(link)),
            Beside::Done(Err(error)) => {
                tracing::info!(%peer, %error, "no data connection");
                self.refuse(&Reply::new(425, "No data connection")).await?;
                Ok(None)
            }
            Beside::Aborted => {
                self.aborted().await?;
                Ok(None)
            }
            Beside::Ended(error) => Err(error),
        }
    }

    /// Puts TLS on it where it is to be protected. `None`: it failed, and the peer was told (522, RFC 4217 section 10).
    pub(super) async fn secure(&mut self, making: Making, link: Link) -> Result<Option<Link>, SessionError> {
        let Some((server, session)) = making.tls else { return Ok(Some(link)) };
        let securing = pin!(link.secure(&server, session.as_ref()));
        match self.beside(securing).await {
            Beside::Done(Ok(link)) => Ok(Some(link)),
            Beside::Done(Err(refusal)) => {
                tracing::warn!(peer = %making.peer, %refusal, "data connection without TLS");
                self.refuse(&Reply::new(522, "TLS of the data connection failed")).await?;
                Ok(None)
            }
            Beside::Aborted => {
                self.aborted().await?;
                Ok(None)
            }
            Beside::Ended(error) => Err(error),
        }
    }

    /// Answers the transfer that ABOR ended, and ABOR (RFC 959 section 4.1.3).
    pub(super) async fn aborted(&mut self) -> Result<(), SessionError> {
        self.control.send(&Reply::new(426, "Transfer aborted")).await?;
        self.control.send(&Reply::new(226, "Abort is done")).await
    }
}
