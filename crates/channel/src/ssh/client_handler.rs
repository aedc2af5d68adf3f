//! The library's calls for one client session: the server's key, and what arrives on our channels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keys::PublicKey;
use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelId, ChannelMsg, ChannelReadHalf};
use tokio::sync::oneshot;

use super::client::HostKeyChecker;
use super::error::SshError;
use super::input::{Incoming, waiting};
use super::output::Outgoing;
use super::server_handler::HandlerError;
use super::shared::Shared;

/// Our channels of one session.
#[derive(Default)]
pub(crate) struct Channels {
    open: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    channels: HashMap<ChannelId, Open>,
    is_over: bool,
}

/// One channel.
pub(crate) struct Open {
    pub(crate) from_library: ChannelReadHalf,
    pub(crate) incoming: Arc<Incoming>,
    pub(crate) outgoing: Arc<Outgoing>,
    /// Who waits for the answer to the subsystem request.
    pub(crate) answer: Option<oneshot::Sender<bool>>,
}

/// One connection's handler.
pub(crate) struct ClientHandler {
    pub(crate) shared: Arc<Shared>,
    pub(crate) channels: Arc<Channels>,
    pub(crate) checker: Arc<dyn HostKeyChecker>,
}

impl Channels {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a channel known, and takes what has come for it already.
    pub(crate) fn add(&self, id: ChannelId, open: Open) {
        let mut table = self.table();
        if table.is_over {
            return open.end();
        }
        table.channels.retain(|_, open| !open.outgoing.is_finished());
        table.channels.insert(id, open);
        drop(table);
        self.pull(id);
    }

    /// Takes what the library has put into a channel's queue before it called us.
    fn pull(&self, id: ChannelId) {
        let mut table = self.table();
        let Some(open) = table.channels.get_mut(&id) else { return };
        let mut is_over = false;
        while let Some(message) = waiting(&mut open.from_library) {
            match message {
                ChannelMsg::Data { data } => open.incoming.push(data),
                ChannelMsg::Success => open.answer(true),
                ChannelMsg::Failure => open.answer(false),
                ChannelMsg::Eof => open.incoming.end(),
                ChannelMsg::Close => is_over = true,
                _ => {}
            }
        }
        if is_over && let Some(open) = table.channels.remove(&id) {
            open.end();
        }
    }

    /// The session is over.
    fn end(&self) {
        let mut table = self.table();
        table.is_over = true;
        for open in std::mem::take(&mut table.channels).into_values() {
            open.end();
        }
    }
}

impl Open {
    fn answer(&mut self, is_success: bool) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(is_success);
        }
    }

    fn end(self) {
        self.outgoing.end();
        self.incoming.end();
    }
}

impl Drop for ClientHandler {
    fn drop(&mut self) {
        self.channels.end();
    }
}

impl Handler for ClientHandler {
    type Error = HandlerError;

    async fn check_server_key(&mut self, server: &PublicKeyOrCertificate) -> Result<bool, HandlerError> {
        let key = match server {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.to_bytes().ok(),
            PublicKeyOrCertificate::Certificate(_) => None,
        };
        let key = key.and_then(|blob| PublicKey::from_ssh_blob(&blob).ok());
        let Some(key) = key else {
            self.shared.fail(SshError::Protocol("the server's host key is of a kind that is not supported".to_owned()));
            return Ok(false);
        };
        let is_known = self.checker.check(&key).await;
        if !is_known {
            self.shared.fail(SshError::HostKeyRefused { fingerprint: key.fingerprint().to_string() });
        }
        Ok(is_known)
    }

    async fn data(&mut self, id: ChannelId, _: &[u8], _: &mut Session) -> Result<(), HandlerError> {
        self.channels.pull(id);
        self.shared.until_room().await.map_err(|e| {
            self.shared.fail(e.clone());
            HandlerError::Own(e)
        })
    }

    async fn extended_data(&mut self, id: ChannelId, _: u32, _: &[u8], _: &mut Session) -> Result<(), HandlerError> {
        self.channels.pull(id);
        Ok(())
    }

    async fn channel_success(&mut self, id: ChannelId, _: &mut Session) -> Result<(), HandlerError> {
        self.channels.pull(id);
        Ok(())
    }

    async fn channel_failure(&mut self, id: ChannelId, _: &mut Session) -> Result<(), HandlerError> {
        self.channels.pull(id);
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), HandlerError> {
        self.channels.pull(id);
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), HandlerError> {
        self.channels.pull(id);
        Ok(())
    }

    async fn window_adjusted(&mut self, id: ChannelId, _: u32, _: &mut Session) -> Result<(), HandlerError> {
        self.channels.pull(id);
        Ok(())
    }

    async fn exit_status(&mut self, id: ChannelId, _: u32, _: &mut Session) -> Result<(), HandlerError> {
        self.channels.pull(id);
        Ok(())
    }

    async fn xon_xoff(&mut self, id: ChannelId, _: bool, _: &mut Session) -> Result<(), HandlerError> {
        self.channels.pull(id);
        Ok(())
    }

    async fn exit_signal(
        &mut self,
        id: ChannelId,
        _: russh::Sig,
        _: bool,
        _: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        self.channels.pull(id);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<HandlerError>) -> Result<(), HandlerError> {
        if let DisconnectReason::Error(e) = reason {
            self.shared.fail(e.into_ssh());
        }
        Ok(())
    }
}
