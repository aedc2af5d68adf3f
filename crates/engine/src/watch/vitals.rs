//! What only the running program knows of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use crate::sync::lock;

/// Gives the numbers of `/metrics` as text.
type Numbers = Box<dyn Fn() -> String + Send + Sync>;

/// How the running program stands.
pub struct Vitals {
    started: Duration,
    serving: AtomicBool,
    sessions: watch::Sender<usize>,
    listeners: Mutex<BTreeMap<String, ListenerStand>>,
    troubles: Mutex<BTreeMap<&'static str, String>>,
    numbers: OnceLock<Numbers>,
}

impl std::fmt::Debug for Vitals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vitals").field("started", &self.started).finish_non_exhaustive()
    }
}

/// How a listener stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ListenerStand {
    /// Its name.
    pub name: String,
    /// Where it listens, or should.
    pub address: SocketAddr,
    /// Why it does not; empty if it does.
    pub error: String,
}

/// Counts a session of a partner while it lives.
#[derive(Debug)]
pub struct SessionMark<'a>(&'a watch::Sender<usize>);

impl Drop for SessionMark<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
        metrics::gauge!("gatehouse_sessions_in").decrement(1.0);
    }
}

impl Vitals {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            started: now,
            serving: AtomicBool::new(false),
            sessions: watch::Sender::new(0),
            listeners: Mutex::default(),
            troubles: Mutex::default(),
            numbers: OnceLock::new(),
        }
    }

    /// The program serves partners, not one command alone.
    pub fn set_serving(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    /// Whether it does.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    /// How long it has been running.
    pub(crate) fn uptime(&self, now: Duration) -> Duration {
        now.saturating_sub(self.started)
    }

    /// States who gives the numbers of `/metrics`; the first one stays.
    pub fn set_numbers(&self, numbers: impl Fn() -> String + Send + Sync + 'static) {
        if self.numbers.set(Box::new(numbers)).is_err() {
            tracing::debug!("the numbers are given already");
        }
    }

    /// The numbers of `/metrics`; none where the program serves nobody.
    #[must_use]
    pub fn numbers(&self) -> Option<String> {
        self.numbers.get().map(|numbers| numbers())
    }

    /// Counts a session until the mark is dropped.
    pub fn session(&self) -> SessionMark<'_> {
        self.sessions.send_modify(|n| *n = n.saturating_add(1));
        metrics::gauge!("gatehouse_sessions_in").increment(1.0);
        SessionMark(&self.sessions)
    }

    /// Sessions of partners now.
    #[must_use]
    pub fn sessions(&self) -> watch::Receiver<usize> {
        self.sessions.subscribe()
    }

    /// States how every listener stands.
    pub fn set_listeners(&self, listeners: impl IntoIterator<Item = ListenerStand>) {
        let stands: BTreeMap<_, _> = listeners.into_iter().map(|one| (one.name.clone(), one)).collect();
        for gone in lock(&self.listeners).keys().filter(|name| !stands.contains_key(*name)) {
            // Neither up nor down: it is no more.
            metrics::gauge!("gatehouse_listener_up", "listener" => gone.clone()).set(f64::NAN);
        }
        for one in stands.values() {
            let up = if one.error.is_empty() { 1.0 } else { 0.0 };
            metrics::gauge!("gatehouse_listener_up", "listener" => one.name.clone()).set(up);
        }
        *lock(&self.listeners) = stands;
    }

    /// How every listener stands.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerStand> {
        lock(&self.listeners).values().cloned().collect()
    }

    /// Something that the program does by itself fails (a text), or works again (none).
    pub(crate) fn set_trouble(&self, what: &'static str, text: Option<String>) {
        let mut troubles = lock(&self.troubles);
        match text {
            Some(text) => drop(troubles.insert(what, text)),
            None => drop(troubles.remove(what)),
        }
    }

    /// What fails.
    pub(crate) fn troubles(&self) -> BTreeMap<&'static str, String> {
        lock(&self.troubles).clone()
    }
}
