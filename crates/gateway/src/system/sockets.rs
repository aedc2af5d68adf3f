//! Sockets that the service manager opened for us (`sd_listen_fds(3)`): each belongs to the listener of its name.

use std::collections::BTreeMap;
use std::net::TcpListener;

use listenfd::ListenFd;

/// Sockets by the lower-case name of their listener; several of one name for several addresses.
#[derive(Debug, Default)]
pub(crate) struct HandedSockets(BTreeMap<String, Vec<TcpListener>>);

impl HandedSockets {
    /// Takes what `LISTEN_FDS` announces, with the names of `LISTEN_FDNAMES`.
    ///
    /// # Errors
    /// A sentence, if one of them is no listening TCP socket.
    pub(crate) fn from_environment() -> Result<Self, String> {
        let mut handed = ListenFd::from_env();
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets: BTreeMap<String, Vec<TcpListener>> = BTreeMap::new();
        for at in 0..handed.len() {
            let name = names.next().unwrap_or_default();
            let wrong = |e: String| {
                format!("socket {at} ({name:?}) of the service manager is not usable: {e}; give listening TCP sockets")
            };
            let socket = handed.take_tcp_listener(at).map_err(|e| wrong(e.to_string()))?;
            let socket = socket.ok_or_else(|| wrong("it was taken".to_owned()))?;
            // Programs that we start must not inherit it.
            rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).map_err(|e| wrong(e.to_string()))?;
            socket.set_nonblocking(true).map_err(|e| wrong(e.to_string()))?;
            sockets.entry(name.to_ascii_lowercase()).or_default().push(socket);
        }
        Ok(Self(sockets))
    }

    /// Copies of the sockets of listener `name`; none if nothing was handed over for it.
    pub(crate) fn of(&self, name: &str) -> std::io::Result<Vec<TcpListener>> {
        let own = self.0.get(&name.to_ascii_lowercase());
        own.into_iter().flatten().map(TcpListener::try_clone).collect()
    }

    /// Names for which sockets were handed over, in lower case.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
