//! Telling the service manager how we are: the protocol of `sd_notify(3)`, one datagram for each message.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Longest text of a state, in characters.
const STATUS_CHARACTERS_MAX: usize = 200;

/// The way to the service manager. Messages get lost silently where there is none.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The way that `NOTIFY_SOCKET` names, and the time of `WATCHDOG_USEC` if it is meant for this process.
    pub(crate) fn from_environment() -> Self {
        let to = std::env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let address = address(&name)?;
            let socket = UnixDatagram::unbound().and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
            socket.ok().map(|socket| (socket, address))
        });
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Self { to, watchdog }
    }

    /// The way to a socket of a test.
    #[cfg(test)]
    pub(super) fn to(path: &std::path::Path, watchdog: Duration) -> Self {
        let to = UnixDatagram::unbound().ok().zip(address(path.as_os_str()));
        Self { to, watchdog: Some(watchdog) }
    }

    /// Within which time it wants to hear of us, if at all.
    pub(crate) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The start is at its end.
    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", shown(status)));
    }

    /// The settings are read anew; ends with [`Self::ready`].
    pub(crate) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the settings anew"));
    }

    /// The stop has begun.
    pub(crate) fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", shown(status)));
    }

    /// What we are doing, for a person.
    pub(crate) fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", shown(status)));
    }

    /// We live and get on with our work.
    pub(crate) fn alive(&self, status: &str) {
        self.send(&format!("WATCHDOG=1\nSTATUS={}", shown(status)));
    }

    fn send(&self, message: &str) {
        if let Some((socket, to)) = &self.to
            && let Err(error) = socket.send_to_addr(message.as_bytes(), to)
        {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

/// A path, or a name that begins with `@` for one that is in no folder.
fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).ok(),
        [b'/', ..] => SocketAddr::from_pathname(name).ok(),
        _ => None,
    }
}

/// One line, of bounded length.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(STATUS_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &OsStr, receiver: &UnixDatagram, tell: impl Fn(&Notifier)) -> String {
        let socket = UnixDatagram::unbound().unwrap();
        tell(&Notifier { to: address(name).map(|to| (socket, to)), watchdog: None });
        let mut octets = [0; 1024];
        let len = receiver.recv(&mut octets).unwrap();
        String::from_utf8(octets[..len].to_vec()).unwrap()
    }

    #[test] // sd_notify(3)
    fn messages_arrive_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let receiver = UnixDatagram::bind(&path).unwrap();
        assert_eq!(told(path.as_os_str(), &receiver, |n| n.ready("a\nREADY=0")), "READY=1\nSTATUS=a READY=0");
        assert!(told(path.as_os_str(), &receiver, Notifier::reloading).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        let name = format!("gatehouse-test-{}", std::process::id());
        let receiver = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        let name = format!("@{name}");
        assert_eq!(told(OsStr::new(&name), &receiver, |n| n.stopping("end")), "STOPPING=1\nSTATUS=end");
    }

    #[test]
    fn names_of_other_forms_are_none() {
        assert!(address(OsStr::new("relative")).is_none() && address(OsStr::new("")).is_none());
        Notifier::default().alive("nobody listens");
        assert_eq!(shown(&"x".repeat(1000)).len(), STATUS_CHARACTERS_MAX);
    }
}
