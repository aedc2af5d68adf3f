//! What happens, gathered as it is told: sums by site and cause, who keeps failing, how many logins were refused.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use base::{Shown, TransferId, UtcMicros};
use db::{Counted, NewAlarm, Tally};

use super::alarms::alarm_of;
use super::limits::{FAILING_MAX, PUSHES_MAX, REFUSED_MINUTES, SUMS_MAX};
use super::outbox::code_of;
use crate::events::Event;

/// The cause under which refused TLS handshakes of callers are summed.
pub(super) const HANDSHAKE: &str = "tls";

/// Deliveries to a partner that keep failing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failing {
    /// Since when, by the clock that never goes back.
    pub(crate) since: Duration,
    /// Failed tries.
    pub(crate) times: i64,
    /// The last cause in words.
    pub(crate) text: String,
    /// The last transfer, if a transfer failed and not the connection.
    pub(crate) transfer: Option<TransferId>,
    /// An alarm told it before the program was started anew; the text is its cause.
    pub(crate) known: bool,
}

/// Event gathered since the last writing, and what is remembered of it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sums: HashMap<(Counted, String, String), Tally>,
    failing: BTreeMap<String, Failing>,
    /// Refused logins by minute, the newest last.
    refused: VecDeque<(u64, u64)>,
    /// Events for webhooks: code, subject, JSON.
    pushes: Vec<(&'static str, String, String)>,
    pushes_lost: u64,
    alarms: Vec<NewAlarm>,
    /// Numbers of `/metrics` name the site.
    label_sites: bool,
}

impl Ledger {
    /// Whether numbers of `/metrics` name the site: as many series as there are partners.
    pub(crate) const fn label_sites(&mut self, yes: bool) {
        self.label_sites = yes;
    }

    /// Takes an event down. Gives whether somebody should write it down soon.
    pub(crate) fn note(&mut self, event: &Event, now: UtcMicros, monotonic: Duration) -> bool {
        self.count(event, now, monotonic);
        self.alarms.extend(alarm_of(event));
        let Some((code, subject, json)) = code_of(event) else { return false };
        if self.pushes.len() < PUSHES_MAX {
            self.pushes.push((code, subject, json.to_string()));
        } else {
            self.pushes_lost = self.pushes_lost.saturating_add(1);
        }
        true
    }

    fn count(&mut self, event: &Event, now: UtcMicros, monotonic: Duration) {
        match event {
            Event::Received { transfer, octets, .. } => {
                self.add((Counted::Received, "", ""), (now, *octets), (Some(*transfer), ""));
            }
            Event::Delivered { transfer, site, octets } => {
                self.failing.remove(site);
                self.add((Counted::Delivered, "", ""), (now, *octets), (Some(*transfer), ""));
            }
            Event::Fetched { site, .. } => drop(self.failing.remove(site)),
            Event::Retried { transfer, site, cause, text, .. } | Event::Failed { transfer, site, cause, text } => {
                self.fails(site, (Some(*transfer), text), monotonic);
                self.add((Counted::Failed, site, cause.as_str()), (now, 0), (Some(*transfer), text));
            }
            Event::SiteFailed { site, text, .. } => {
                self.fails(site, (None, text), monotonic);
                self.add((Counted::Failed, site, "connection"), (now, 0), (None, text));
            }
            Event::Interrupted { transfer, site, .. } => {
                self.add((Counted::Failed, site, "interrupted"), (now, 0), (Some(*transfer), "an upload broke off"));
            }
            Event::RouteFailed { transfer, text } => {
                self.add((Counted::Failed, "", "route"), (now, 0), (Some(*transfer), text));
            }
            Event::LoginRefused { login, peer, text } => {
                self.refuse(monotonic);
                let text = format!("login {} from {peer}: {text}", Shown::from(login.as_str()));
                self.add((Counted::Refused, "", ""), (now, 0), (None, &text));
            }
            Event::SessionUnfit { login, peer, text, .. } => {
                self.refuse(monotonic);
                let text = format!("login {} from {peer}: {text}", Shown::from(login.as_str()));
                self.add((Counted::Refused, "", ""), (now, 0), (None, &text));
            }
            Event::TlsRefused { peer: Some(peer), profile, text, .. } => {
                self.refuse(monotonic);
                let text = format!("TLS from {peer} by profile {profile}: {text}");
                self.add((Counted::Refused, "", HANDSHAKE), (now, 0), (None, &text));
            }
            _ => {}
        }
    }

    fn add(
        &mut self,
        (what, site, cause): (Counted, &str, &str),
        (at, octets): (UtcMicros, u64),
        (transfer, text): (Option<TransferId>, &str),
    ) {
        if what == Counted::Failed {
            let of = if self.label_sites { site.to_owned() } else { String::new() };
            metrics::counter!("gatehouse_failures_total", "cause" => cause.to_owned(), "site" => of).increment(1);
        }
        let key = (what, site.to_owned(), cause.to_owned());
        let full = self.sums.len() >= SUMS_MAX && !self.sums.contains_key(&key);
        let key = if full { (what, String::new(), cause.to_owned()) } else { key };
        let (site, cause) = (key.1.clone(), key.2.clone());
        let sum = self.sums.entry(key).or_insert_with(|| Tally { site, cause, ..Tally::default() });
        sum.times = sum.times.saturating_add(1);
        sum.octets = sum.octets.saturating_add(i64::try_from(octets).unwrap_or(i64::MAX));
        sum.last_at = at;
        sum.last_transfer = transfer.or(sum.last_transfer);
        text.clone_into(&mut sum.last_text);
    }

    fn fails(&mut self, site: &str, (transfer, text): (Option<TransferId>, &str), now: Duration) {
        if self.failing.len() >= FAILING_MAX && !self.failing.contains_key(site) {
            return;
        }
        let failing = self.failing.entry(site.to_owned()).or_insert_with(|| Failing {
            since: now,
            times: 0,
            text: String::new(),
            transfer: None,
            known: false,
        });
        failing.times = failing.times.saturating_add(1);
        failing.transfer = transfer.or(failing.transfer);
        text.clone_into(&mut failing.text);
    }

    fn refuse(&mut self, now: Duration) {
        let minute = now.as_secs() / 60;
        self.refused.retain(|(at, _)| at.saturating_add(REFUSED_MINUTES) > minute);
        match self.refused.back_mut() {
            Some((at, times)) if *at == minute => *times = times.saturating_add(1),
            _ => self.refused.push_back((minute, 1)),
        }
    }

    /// Logins refused in the last minutes.
    pub(crate) fn refused(&self, now: Duration) -> u64 {
        let minute = now.as_secs() / 60;
        self.refused.iter().filter(|(at, _)| at.saturating_add(REFUSED_MINUTES) > minute).map(|(_, times)| times).sum()
    }

    /// Partners whose deliveries keep failing.
    pub(crate) fn failing(&self) -> BTreeMap<String, Failing> {
        self.failing.clone()
    }

    /// Remembers from before a restart that deliveries to a partner keep failing.
    pub(crate) fn remember_failing(&mut self, site: &str, text: &str, since: Duration) {
        let known = Failing { since, times: 0, text: text.to_owned(), transfer: None, known: true };
        self.failing.entry(site.to_owned()).or_insert(known);
    }

    /// Forgets failing partners that nothing waits for any more.
    pub(crate) fn keep_failing(&mut self, waits: impl Fn(&str) -> bool) {
        self.failing.retain(|site, _| waits(site));
    }

    /// Takes the events for webhooks.
    pub(crate) fn take_pushes(&mut self) -> Vec<(&'static str, String, String)> {
        if self.pushes_lost > 0 {
            tracing::error!(lost = self.pushes_lost, "events for webhooks are lost: the database is too slow");
            self.pushes_lost = 0;
        }
        std::mem::take(&mut self.pushes)
    }

    /// Takes the alarms of what is over in a moment.
    pub(crate) fn take_alarms(&mut self) -> Vec<NewAlarm> {
        std::mem::take(&mut self.alarms)
    }

    /// Takes what is to be written.
    pub(crate) fn take(&mut self) -> Vec<(Counted, Tally)> {
        self.sums.drain().map(|((what, _, _), sum)| (what, sum)).collect()
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&mut self, sums: Vec<(Counted, Tally)>) {
        for (what, old) in sums {
            let key = (what, old.site.clone(), old.cause.clone());
            if let Some(sum) = self.sums.get_mut(&key) {
                sum.times = sum.times.saturating_add(old.times);
                sum.octets = sum.octets.saturating_add(old.octets);
            } else if self.sums.len() < SUMS_MAX {
                self.sums.insert(key, old);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Cause;

    const NOW: UtcMicros = UtcMicros(1_795_000_000_000_000);

    fn failed(site: &str) -> Event {
        let text = "no route to host".to_owned();
        Event::Retried { transfer: TransferId(7), site: site.to_owned(), attempt: 1, cause: Cause::Partner, text }
    }

    #[test]
    fn failures_are_summed_by_site_and_cause() {
        let mut ledger = Ledger::default();
        let at = Duration::from_secs(600);
        for _ in 0..3 {
            ledger.note(&failed("acme"), NOW, at);
        }
        let failing = ledger.failing();
        assert_eq!(
            (failing["acme"].times, failing["acme"].since, failing["acme"].transfer),
            (3, at, Some(TransferId(7)))
        );
        let sums = ledger.take();
        assert_eq!((sums.len(), sums[0].1.times, sums[0].1.cause.as_str()), (1, 3, "partner"));
        ledger.note(&failed("acme"), NOW, at);
        ledger.put_back(sums);
        assert_eq!(ledger.take()[0].1.times, 4);
        ledger.note(&Event::Delivered { transfer: TransferId(7), site: "acme".to_owned(), octets: 5 }, NOW, at);
        assert!(ledger.failing().is_empty(), "a delivery ends it");
    }

    #[test]
    fn a_flood_of_names_takes_bounded_room() {
        let mut ledger = Ledger::default();
        for n in 0..SUMS_MAX * 3 {
            ledger.note(&failed(&format!("site-{n}")), NOW, Duration::ZERO);
        }
        let sums = ledger.take();
        assert!(sums.len() <= SUMS_MAX + 1);
        assert_eq!(sums.iter().map(|(_, sum)| sum.times).sum::<i64>(), i64::try_from(SUMS_MAX * 3).unwrap());
    }

    #[test]
    fn refused_logins_are_counted_for_some_minutes() {
        let mut ledger = Ledger::default();
        let peer = "192.0.2.1".parse().unwrap();
        for second in [0, 30, 60, 3000] {
            let event = Event::LoginRefused { login: "x".to_owned(), peer, text: "no".to_owned() };
            ledger.note(&event, NOW, Duration::from_secs(second));
        }
        assert_eq!(ledger.refused(Duration::from_secs(3000)), 1);
        assert_eq!(ledger.refused(Duration::from_secs(9000)), 0);
    }
}
