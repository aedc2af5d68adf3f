//! What happens, as one closed list: journal, metrics, alarms and tests all read it from here.
//!
//! Every event is also one line of the log (target `gatehouse::event`, field names as below) and one count of
//! `gatehouse_events_total{event}`. The names are part of the manual.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use base::{Clock, Shown, TransferId};
use tokio::sync::{Notify, broadcast};

use crate::error::Cause;
use crate::limits::EVENTS_QUEUED_MAX;
use crate::sync::lock;
use crate::watch::Ledger;

/// Something that happened. Names from partners are shown escaped in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say it")]
pub enum Event {
    /// A partner's file is complete and durable.
    Received { transfer: TransferId, site: String, file: String, octets: u64 },
    /// An upload ended before its file was complete.
    Interrupted { transfer: TransferId, site: String, octets: u64 },
    /// A received file got its outgoing transfers.
    Routed { transfer: TransferId, to: Vec<TransferId> },
    /// A received file got none; it is kept.
    RouteFailed { transfer: TransferId, text: String },
    /// A request was accepted.
    Submitted { transfer: TransferId, site: String },
    /// A file reached its partner: we sent it, or the partner fetched it.
    Delivered { transfer: TransferId, site: String, octets: u64 },
    /// A partner's folder was looked into, and what was wanted there fetched.
    Fetched { transfer: TransferId, site: String, files: u32, octets: u64 },
    /// An attempt failed and will be repeated.
    Retried { transfer: TransferId, site: String, attempt: u32, cause: Cause, text: String },
    /// A transfer failed and waits for a person.
    Failed { transfer: TransferId, site: String, cause: Cause, text: String },
    /// A transfer was cancelled.
    Cancelled { transfer: TransferId, text: String },
    /// A transfer was paused by an operator.
    Suspended { transfer: TransferId, text: String },
    /// A transfer was restarted by an operator.
    Restarted { transfer: TransferId, text: String },
    /// No connection to a site; `next_s` seconds until the next try, none if it was the last.
    SiteFailed { site: String, failures: u32, next_s: Option<u64>, text: String },
    /// A site was started or stopped.
    SiteSwitched { site: String, active: bool, text: String },
    /// A partner is in.
    LoggedIn { gate: String, site: String, login: String, peer: IpAddr },
    /// A login was refused.
    LoginRefused { login: String, peer: IpAddr, text: String },
    /// A TLS handshake was refused: of a caller, or with a site that we called.
    TlsRefused { profile: String, site: Option<String>, peer: Option<IpAddr>, text: String },
    /// A partner has proved who it is, by a session that is not as its site asks for (events 051, 052; 0: certificate filter).
    SessionUnfit { code: u16, site: String, login: String, peer: IpAddr, text: String },
    /// A partner's session fits the TLS profile of its site, and was negotiated by another one (event 055).
    OtherProfile { site: String, profile: String, of_site: String },
    /// A gate blocks a login for a while.
    LoginBlocked { login: String, peer: IpAddr, seconds: u64 },
    /// An unknown key was stored in quarantine.
    Captured { alias: String, fingerprint: String, login: String, peer: Option<IpAddr> },
    /// A known partner shows another key than ever before.
    CaptureAlarm { site: String, fingerprint: String, text: String },
    /// Captures are at their cap: unknown keys are no longer stored.
    CaptureFull { text: String },
    /// A new configuration is in use.
    ConfigChanged { revision: i64, problems: usize },
    /// What was under way at the last stop was put in order.
    Recovered { restarted: u64, interrupted: u64 },
    /// The time of day was set back.
    ClockSetBack { seconds: u64 },
}

impl Event {
    /// Its stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Received { .. } => "received",
            Self::Interrupted { .. } => "interrupted",
            Self::Routed { .. } => "routed",
            Self::RouteFailed { .. } => "route_failed",
            Self::Submitted { .. } => "submitted",
            Self::Delivered { .. } => "delivered",
            Self::Fetched { .. } => "fetched",
            Self::Retried { .. } => "retried",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
            Self::Suspended { .. } => "suspended",
            Self::Restarted { .. } => "restarted",
            Self::SiteFailed { .. } => "site_failed",
            Self::SiteSwitched { .. } => "site_switched",
            Self::LoggedIn { .. } => "logged_in",
            Self::LoginRefused { .. } => "login_refused",
            Self::TlsRefused { .. } => "tls_refused",
            Self::SessionUnfit { .. } => "session_unfit",
            Self::OtherProfile { .. } => "other_profile",
            Self::LoginBlocked { .. } => "login_blocked",
            Self::Captured { .. } => "captured",
            Self::CaptureAlarm { .. } => "capture_alarm",
            Self::CaptureFull { .. } => "capture_full",
            Self::ConfigChanged { .. } => "config_changed",
            Self::Recovered { .. } => "recovered",
            Self::ClockSetBack { .. } => "clock_set_back",
        }
    }

    /// The transfer it is about, if any.
    #[must_use]
    pub const fn transfer(&self) -> Option<TransferId> {
        match self {
            Self::Received { transfer, .. }
            | Self::Interrupted { transfer, .. }
            | Self::Routed { transfer, .. }
            | Self::RouteFailed { transfer, .. }
            | Self::Submitted { transfer, .. }
            | Self::Delivered { transfer, .. }
            | Self::Fetched { transfer, .. }
            | Self::Retried { transfer, .. }
            | Self::Failed { transfer, .. }
            | Self::Cancelled { transfer, .. }
            | Self::Suspended { transfer, .. }
            | Self::Restarted { transfer, .. } => Some(*transfer),
            _ => None,
        }
    }

    fn log(&self) {
        match self {
            Self::SiteFailed { .. } | Self::SiteSwitched { .. } => self.log_site(),
            Self::LoggedIn { .. }
            | Self::LoginRefused { .. }
            | Self::TlsRefused { .. }
            | Self::SessionUnfit { .. }
            | Self::OtherProfile { .. }
            | Self::LoginBlocked { .. }
            | Self::Captured { .. }
            | Self::CaptureAlarm { .. }
            | Self::CaptureFull { .. } => self.log_login(),
            Self::ConfigChanged { revision, problems } => {
                tracing::info!(target: TARGET, event = self.name(), revision, problems);
            }
            Self::Recovered { restarted, interrupted } => {
                tracing::info!(target: TARGET, event = self.name(), restarted, interrupted);
            }
            Self::ClockSetBack { seconds } => tracing::warn!(target: TARGET, event = self.name(), seconds),
            _ => self.log_transfer(),
        }
    }

    fn log_transfer(&self) {
        let event = self.name();
        let transfer = self.transfer().map_or(0, |t| t.0);
        match self {
            Self::Received { site, file, octets, .. } => {
                tracing::info!(target: TARGET, event, transfer, %site, file = %shown(file), octets);
            }
            Self::Interrupted { site, octets, .. } => tracing::warn!(target: TARGET, event, transfer, %site, octets),
            Self::Routed { to, .. } => tracing::info!(target: TARGET, event, transfer, to = %ids(to)),
            Self::RouteFailed { text, .. } => tracing::warn!(target: TARGET, event, transfer, text),
            Self::Submitted { site, .. } => tracing::info!(target: TARGET, event, transfer, %site),
            Self::Delivered { site, octets, .. } => tracing::info!(target: TARGET, event, transfer, %site, octets),
            // A request that stays would fill the log.
            Self::Fetched { site, files: 0, .. } => tracing::debug!(target: TARGET, event, transfer, %site),
            Self::Fetched { site, files, octets, .. } => {
                tracing::info!(target: TARGET, event, transfer, %site, files, octets);
            }
            Self::Retried { site, attempt, cause, text, .. } => {
                tracing::warn!(target: TARGET, event, transfer, %site, attempt, cause = cause.as_str(), text);
            }
            Self::Failed { site, cause, text, .. } => {
                tracing::error!(target: TARGET, event, transfer, %site, cause = cause.as_str(), text);
            }
            Self::Cancelled { text, .. } | Self::Suspended { text, .. } | Self::Restarted { text, .. } => {
                tracing::info!(target: TARGET, event, transfer, text)
            }
            _ => {}
        }
    }

    fn log_site(&self) {
        let event = self.name();
        match self {
            Self::SiteFailed { site, failures, next_s, text } => {
                tracing::warn!(target: TARGET, event, %site, failures, next_s, text);
            }
            Self::SiteSwitched { site, active, text } => tracing::info!(target: TARGET, event, %site, active, text),
            _ => {}
        }
    }

    fn log_login(&self) {
        let event = self.name();
        match self {
            Self::LoggedIn { gate, site, login, peer } => {
                tracing::info!(target: TARGET, event, %gate, site = %shown(site), login = %shown(login), %peer);
            }
            Self::LoginRefused { login, peer, text } => {
                tracing::warn!(target: TARGET, event, login = %shown(login), %peer, text);
            }
            Self::TlsRefused { profile, site, peer, text } => {
                tracing::warn!(target: TARGET, event, %profile, site, ?peer, text);
            }
            Self::SessionUnfit { code, site, login, peer, text } => {
                tracing::warn!(target: TARGET, event, code = %numbered(*code), site = %shown(site), login = %shown(login), %peer, text);
            }
            Self::OtherProfile { site, profile, of_site } => {
                tracing::info!(target: TARGET, event, code = "055", site = %shown(site), %profile, %of_site);
            }
            Self::LoginBlocked { login, peer, seconds } => {
                tracing::warn!(target: TARGET, event, login = %shown(login), %peer, seconds);
            }
            Self::Captured { alias, fingerprint, login, peer } => {
                tracing::warn!(target: TARGET, event, %alias, %fingerprint, login = %shown(login), ?peer);
            }
            Self::CaptureAlarm { site, fingerprint, text } => {
                tracing::error!(target: TARGET, event, site = %shown(site), %fingerprint, text);
            }
            Self::CaptureFull { text } => tracing::error!(target: TARGET, event, text),
            _ => {}
        }
    }
}

/// The events of a running engine.
#[derive(Debug)]
pub struct Events {
    sender: broadcast::Sender<Arc<Event>>,
    clock: Arc<dyn Clock>,
    pub(crate) ledger: Mutex<Ledger>,
    /// There is something to be written down soon.
    pub(crate) noted: Notify,
}

impl Events {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            sender: broadcast::Sender::new(EVENTS_QUEUED_MAX),
            clock,
            ledger: Mutex::default(),
            noted: Notify::new(),
        }
    }

    /// Logs, counts and tells everyone who listens.
    pub fn emit(&self, event: Event) {
        event.log();
        metrics::counter!("gatehouse_events_total", "event" => event.name()).increment(1);
        match &event {
            Event::Received { octets, .. } => metrics::counter!("gatehouse_received_octets_total").increment(*octets),
            Event::Delivered { octets, .. } => metrics::counter!("gatehouse_delivered_octets_total").increment(*octets),
            _ => {}
        }
        if lock(&self.ledger).note(&event, self.clock.now(), self.clock.monotonic()) {
            self.noted.notify_one();
        }
        // No listener is no fault.
        drop(self.sender.send(Arc::new(event)));
    }

    /// Forgets what was noted but not written down.
    pub(crate) fn forget(&self) {
        *lock(&self.ledger) = Ledger::default();
    }

    /// All events from now on. Who lags by more than [`EVENTS_QUEUED_MAX`] loses the oldest and is told how many.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }
}

/// A documented number, as documented.
fn numbered(code: u16) -> String {
    if code == 0 { String::new() } else { format!("{code:03}") }
}

fn shown(text: &str) -> Shown<'_> {
    Shown::from(text)
}

fn ids(ids: &[TransferId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

const TARGET: &str = "gatehouse::event";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listeners_get_what_happens() {
        let events = Events::new(Arc::new(base::SystemClock::default()));
        let mut one = events.listen();
        let event = Event::Cancelled { transfer: TransferId(7), text: "by request".to_owned() };
        events.emit(event.clone());
        assert_eq!(*one.recv().await.unwrap(), event);
        assert_eq!((event.name(), event.transfer()), ("cancelled", Some(TransferId(7))));
    }
}
