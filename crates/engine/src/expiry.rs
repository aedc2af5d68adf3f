//! Certificates that expire: told once at each of some distances from their end, and when they have ended.

use std::collections::HashMap;

use base::{ObjectId, UtcMicros};
use model::{CertificateEntry, ObjectState};

use crate::engine::Engine;
use crate::events::Event;
use crate::sync::lock;

/// Days before the end of a certificate at which it is told; 0 is the end itself.
pub const EXPIRY_DAYS: [u16; 6] = [60, 30, 14, 7, 1, 0];
/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// What was told: by object, which certificate and the distance. It does not outlive the program: a start tells again.
pub(crate) type Told = HashMap<ObjectId, ([u8; 32], u16)>;

impl Engine {
    /// Tells of every enabled certificate that came nearer to its end than when it was last told.
    pub fn look_for_expiry(&self) {
        let (snapshot, now) = (self.snapshot(), self.clock.now());
        let mut events = Vec::new();
        {
            let mut told = lock(&self.expiry_told);
            told.retain(|id, _| snapshot.certificates().any(|entry| entry.id == *id));
            for entry in snapshot.certificates() {
                events.extend(due(entry, now, &mut told));
            }
        }
        for event in events {
            self.events.emit(event);
        }
    }
}

/// The event that is due for a certificate, noted as told.
fn due(entry: &CertificateEntry, now: UtcMicros, told: &mut Told) -> Option<Event> {
    let until = entry.valid_until.filter(|_| entry.state == ObjectState::Enabled)?;
    let left_s = until.seconds().saturating_sub(now.seconds());
    let reached = reached(left_s)?;
    let new = (entry.fingerprint, reached);
    match told.get(&entry.id) {
        Some((fingerprint, last)) if *fingerprint == entry.fingerprint && *last <= reached => None,
        _ => {
            told.insert(entry.id, new);
            Some(Event::CertificateExpiring {
                name: entry.name.clone(),
                subject: entry.subject.clone(),
                days: reached,
                until: until.to_string(),
            })
        }
    }
}

/// The smallest distance that is reached with so many seconds left; `None` if the end is far.
fn reached(left_s: i64) -> Option<u16> {
    EXPIRY_DAYS.into_iter().rev().find(|days| left_s <= i64::from(*days).saturating_mul(DAY_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(until: i64) -> CertificateEntry {
        CertificateEntry {
            id: ObjectId(1),
            name: "PARTNER".to_owned(),
            group: "GDEFAULT".to_owned(),
            state: ObjectState::Enabled,
            kind: "OTHER".to_owned(),
            private: false,
            subject: "CN=partner".to_owned(),
            valid_until: Some(UtcMicros(until * DAY_S * 1_000_000)),
            fingerprint: [7; 32],
            spki_sha256: [8; 32],
            der: Vec::new().into(),
        }
    }

    fn days(event: Option<Event>) -> Option<u16> {
        match event? {
            Event::CertificateExpiring { days, .. } => Some(days),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_distance_is_told_once() {
        let (entry, mut told, mut heard) = (entry(100), Told::new(), Vec::new());
        for day in 0..=101 {
            for _ in 0..3 {
                heard.extend(days(due(&entry, UtcMicros(day * DAY_S * 1_000_000), &mut told)));
            }
        }
        assert_eq!(heard, EXPIRY_DAYS);
    }

    #[test]
    fn a_late_look_tells_the_nearest_only() {
        let at = |day: i64| UtcMicros(day * DAY_S * 1_000_000);
        let mut told = Told::new();
        assert_eq!(days(due(&entry(100), at(90), &mut told)), Some(14));
        assert_eq!(days(due(&entry(100), at(91), &mut told)), None);
        assert_eq!(days(due(&entry(100), at(100), &mut told)), Some(0));
        // Renewed in its place: it is told again when its own end comes near.
        let renewed = CertificateEntry { fingerprint: [9; 32], ..entry(400) };
        assert_eq!(days(due(&renewed, at(100), &mut told)), None);
        assert_eq!(days(due(&renewed, at(345), &mut told)), Some(60));
    }

    #[test]
    fn a_certificate_that_is_not_used_is_not_told() {
        let mut told = Told::new();
        for state in [ObjectState::Disabled, ObjectState::ToCheck] {
            let entry = CertificateEntry { state, ..entry(1) };
            assert_eq!(due(&entry, UtcMicros(0), &mut told), None);
        }
        let unknown = CertificateEntry { valid_until: None, ..entry(1) };
        assert_eq!(due(&unknown, UtcMicros(0), &mut told), None);
    }
}
