//! A known partner shows another key than its own: told once for each key, however often it is shown.

use std::collections::BTreeSet;

use keys::Fingerprint;

use crate::sync::lock;
use crate::{Engine, Event};

/// Pairs of partner and key that are remembered; beyond, all are forgotten and may be told again.
const TOLD_MAX: usize = 1000;

/// What was told since the start.
pub(crate) type Told = BTreeSet<(String, [u8; 32])>;

impl Engine {
    /// Raises the alarm for `partner` and this key, unless it was raised before.
    pub(super) fn alarm_once(&self, partner: &str, fingerprint: &Fingerprint, text: String) {
        let mut told = lock(&self.alarms);
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        if told.insert((partner.to_owned(), fingerprint.0)) {
            drop(told);
            let site = partner.to_owned();
            self.events.emit(Event::CaptureAlarm { site, fingerprint: fingerprint.to_string(), text });
        }
    }
}
