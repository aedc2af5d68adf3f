//! What resumes sessions.
//!
//! As server the state of a session stays here and the client gets a random name of it, in TLS 1.3 as in TLS 1.2: a ticket
//! that carried the state would carry the client's whole chain, and could not be taken back. As client each control session
//! has tickets of its own, which its data connections use.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::server::StoresServerSessions;

use super::judge::{HANDSHAKE, SessionMark};

/// Sessions of one profile that can be resumed; the oldest are forgotten first.
const SESSIONS_MAX: usize = 2048;
/// Octets of a session that is remembered: one with a longer chain of the client begins anew each time.
const SESSION_OCTETS_MAX: usize = 8 << 10;
/// Sessions of one control connection whose tickets count.
const MARKS_MAX: usize = 256;
/// Tickets of one session that we keep as client.
const TICKETS_MAX: usize = 8;

/// Sessions that partners may resume.
#[derive(Default)]
pub(super) struct ServerSessions(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    by_name: HashMap<Vec<u8>, (SessionMark, Vec<u8>)>,
    order: VecDeque<Vec<u8>>,
}

impl fmt::Debug for ServerSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSessions(redacted)")
    }
}

impl StoresServerSessions for ServerSessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        if value.len() > SESSION_OCTETS_MAX {
            return false;
        }
        let Ok(mark) = HANDSHAKE.try_with(|handshake| handshake.mark) else { return false };
        let mut remembered = lock(&self.0);
        if remembered.by_name.insert(key.clone(), (mark, value)).is_none() {
            remembered.order.push_back(key);
        }
        while remembered.order.len() > SESSIONS_MAX {
            if let Some(oldest) = remembered.order.pop_front() {
                remembered.by_name.remove(&oldest);
            }
        }
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let (mark, value) = lock(&self.0).by_name.get(key).cloned()?;
        let noted = HANDSHAKE.try_with(|handshake| handshake.notes().named = Some(mark));
        noted.is_ok().then_some(value)
    }

    /// The session stays: a client of Python's ftplib shows the one ticket of its control connection for each data
    /// connection. That a ticket works twice would matter for data sent before the handshake, which is never taken
    /// (RFC 8446 section 8).
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// The marks of the sessions that belong to one control connection as server: its own, that of the one it went on from, and
/// those of its data connections. Only what has gone on from one of them is added: whoever comes to a data port without
/// gets tickets, too, before he is refused.
#[derive(Debug)]
pub(super) struct SessionMarks(Mutex<VecDeque<SessionMark>>);

impl SessionMarks {
    pub(super) fn new(own: SessionMark, earlier: Option<SessionMark>) -> Self {
        Self(Mutex::new(std::iter::once(own).chain(earlier).collect()))
    }

    pub(super) fn has(&self, mark: SessionMark) -> bool {
        lock(&self.0).contains(&mark)
    }

    pub(super) fn add(&self, mark: SessionMark) {
        let mut marks = lock(&self.0);
        if marks.len() >= MARKS_MAX {
            // The first is the control connection's own.
            marks.remove(1);
        }
        marks.push_back(mark);
    }
}

/// What resumes one session of ours as client.
pub(super) struct SessionTickets {
    /// Whether tickets are taken, or only the session identifiers of TLS 1.2.
    tickets: bool,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl SessionTickets {
    pub(super) fn new(tickets: bool) -> Self {
        Self { tickets, held: Mutex::default() }
    }

    /// Whether another connection can go on from this session.
    pub(super) fn last(&self) -> bool {
        let held = lock(&self.held);
        held.tls12.is_some() || !held.tls13.is_empty()
    }
}

impl fmt::Debug for SessionTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionTickets(redacted)")
    }
}

/// All for one server, so that its name does not count.
impl ClientSessionStore for SessionTickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        lock(&self.held).group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        lock(&self.held).group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        lock(&self.held).tls12 = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        lock(&self.held).tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        lock(&self.held).tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        if !self.tickets {
            return;
        }
        let mut held = lock(&self.held);
        if held.tls13.len() >= TICKETS_MAX {
            held.tls13.pop_front();
        }
        held.tls13.push_back(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        lock(&self.held).tls13.pop_front()
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
