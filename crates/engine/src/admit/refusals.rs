//! The last TLS handshakes that were refused, in memory: what `explain tls` tells beside what it works out.

use std::collections::VecDeque;
use std::net::IpAddr;

use base::UtcMicros;
use serde::Serialize;

use super::session::source_of;

/// Refusals that are remembered.
const KEPT_MAX: usize = 500;
/// Of one source or site.
const KEPT_EACH_MAX: usize = 10;
/// Characters of one that are kept.
const TEXT_CHARS_MAX: usize = 2000;

/// A handshake that was refused, or several alike.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RefusedHandshake {
    /// When, the last time.
    pub at: UtcMicros,
    /// How often.
    pub times: u64,
    /// The profile.
    pub profile: String,
    /// The site that we called, if we did.
    pub site: Option<String>,
    /// Who called, if it was not us.
    pub peer: Option<IpAddr>,
    /// They offer this, the profile allows that, change this.
    pub text: String,
}

impl RefusedHandshake {
    fn source(&self) -> (Option<String>, Option<&str>) {
        (self.peer.map(source_of), self.site.as_deref())
    }
}

/// Refusals of all sources, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Refusals(VecDeque<RefusedHandshake>);

impl Refusals {
    /// Remembers one. Who makes many takes only his own place.
    pub(super) fn note(&mut self, mut new: RefusedHandshake) {
        new.text = base::brief(&new.text, TEXT_CHARS_MAX);
        let alike =
            |old: &RefusedHandshake| old.source() == new.source() && old.profile == new.profile && old.text == new.text;
        if let Some(old) = self.0.iter().position(alike).and_then(|at| self.0.remove(at)) {
            new.times = old.times.saturating_add(1);
        }
        let source = new.source();
        if self.0.iter().filter(|old| old.source() == source).count() >= KEPT_EACH_MAX {
            if let Some(at) = self.0.iter().position(|old| old.source() == source) {
                self.0.remove(at);
            }
        } else if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(new);
    }

    /// Those that `wanted` asks for, the newest first.
    pub(super) fn list(&self, wanted: impl Fn(&RefusedHandshake) -> bool) -> Vec<RefusedHandshake> {
        self.0.iter().rev().filter(|one| wanted(one)).cloned().collect()
    }
}

impl crate::Engine {
    /// The last refused handshakes that `wanted` asks for since the start of this node, the newest first.
    #[must_use]
    pub fn refused_handshakes(&self, wanted: impl Fn(&RefusedHandshake) -> bool) -> Vec<RefusedHandshake> {
        crate::sync::lock(&self.refusals).list(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(peer: &str, text: &str) -> RefusedHandshake {
        let (profile, text) = ("IN".to_owned(), text.to_owned());
        RefusedHandshake { at: UtcMicros(1), times: 1, profile, site: None, peer: peer.parse().ok(), text }
    }

    #[test]
    fn who_is_refused_often_does_not_push_out_the_others() {
        let mut refusals = Refusals::default();
        refusals.note(refused("192.0.2.1", "first"));
        for n in 0..KEPT_MAX * 2 {
            refusals.note(refused("192.0.2.2", &format!("flood {n}")));
            // One source: addresses of one net.
            refusals.note(refused(&format!("2001:db8::{n:x}"), &format!("flood {n}")));
        }
        refusals.note(refused("192.0.2.1", "first"));
        let all = refusals.list(|_| true);
        assert_eq!(all.len(), 1 + 2 * KEPT_EACH_MAX);
        assert_eq!((all[0].text.as_str(), all[0].times), ("first", 2));
        assert_eq!(refusals.list(|one| one.peer == "192.0.2.1".parse().ok()).len(), 1);
        for n in 0..KEPT_MAX * 2 {
            refusals.note(refused(&format!("198.51.{}.{}", n / 250, n % 250), "one each"));
        }
        assert_eq!(refusals.list(|_| true).len(), KEPT_MAX);
    }
}
