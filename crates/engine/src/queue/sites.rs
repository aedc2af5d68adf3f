//! What the queue remembers of each site while the program runs: connections, failures in a row, the next try, and
//! whether it is started (OBJ-6 to OBJ-8). Pure: time comes as an argument.

use std::collections::HashMap;
use std::time::Duration;

use super::backoff::Backoff;

/// Limits of one site, from its object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SiteRules {
    /// Connections at the same time (`init_conn_max`).
    pub(crate) connections_max: u32,
    /// Waits after failed connections.
    pub(crate) backoff: Backoff,
    /// Whether the object lets us call it (enabled, initiator, start-up mode).
    pub(crate) callable: bool,
}

/// One site at this moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteStatus {
    /// Whether new connections are made.
    pub active: bool,
    /// Why not, or the last failure; empty if all is well.
    pub text: String,
    /// Connections now.
    pub connections: u32,
    /// Failed rounds in a row; a round tries every path once.
    pub failures: u32,
    /// Time to the next try, if one is waited for.
    pub next_in: Option<Duration>,
    /// Path that worked last, counted from 0 (main).
    pub path: usize,
}

#[derive(Debug, Default)]
struct SiteState {
    stopped: bool,
    exhausted: bool,
    /// One is being opened: the next follows when it has taken its first job.
    connecting: bool,
    connections: u32,
    failures: u32,
    next_at: Duration,
    path: usize,
    text: String,
}

/// All sites that were ever of interest.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    states: HashMap<String, SiteState>,
    connections: u32,
}

/// What to do about a site that has work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// Open a connection now; its place is taken.
    Connect,
    /// Look again after this time.
    Wait(Duration),
    /// Nothing until something changes.
    Blocked,
}

impl Sites {
    /// Decides whether `site` may have one more connection at `now`, and takes its place if so (TRF-8).
    pub(crate) fn turn(&mut self, site: &str, rules: &SiteRules, all_max: u32, now: Duration) -> Turn {
        let full = self.connections >= all_max;
        let state = self.states.entry(site.to_owned()).or_default();
        if state.stopped || state.exhausted || !rules.callable || full || state.connections >= rules.connections_max {
            return Turn::Blocked;
        }
        // One connection after the other: the next follows once this one stands and has taken a job, if there is more.
        if state.connecting {
            return Turn::Blocked;
        }
        if state.next_at > now {
            return Turn::Wait(state.next_at.saturating_sub(now));
        }
        state.connecting = true;
        state.connections += 1;
        self.connections += 1;
        Turn::Connect
    }

    /// A connection ended; its place is free.
    pub(crate) fn ended(&mut self, site: &str) {
        if let Some(state) = self.states.get_mut(site) {
            state.connections = state.connections.saturating_sub(1);
            // Perhaps the one that was being opened, without a word; one too many at the same time does no harm.
            state.connecting = false;
            self.connections = self.connections.saturating_sub(1);
        }
    }

    /// A connection stands, by path number `path` if that is known.
    pub(crate) fn connected(&mut self, site: &str, path: Option<usize>) {
        let state = self.states.entry(site.to_owned()).or_default();
        state.failures = 0;
        state.next_at = Duration::ZERO;
        state.connecting = false;
        state.path = path.unwrap_or(state.path);
        state.text.clear();
    }

    /// Every path failed. Gives failures in a row and the wait; none when tries are used up.
    pub(crate) fn failed(
        &mut self,
        site: &str,
        rules: &SiteRules,
        text: &str,
        now: Duration,
    ) -> (u32, Option<Duration>) {
        let state = self.states.entry(site.to_owned()).or_default();
        state.failures = state.failures.saturating_add(1);
        state.connecting = false;
        text.clone_into(&mut state.text);
        let wait = rules.backoff.wait(state.failures);
        match wait {
            Some(wait) => state.next_at = now.saturating_add(wait),
            // New work may bring one more try, yet no sooner than the longest wait.
            None => {
                state.exhausted = true;
                state.next_at = now.saturating_add(rules.backoff.max);
            }
        }
        (state.failures, wait)
    }

    /// Not before `at`: no connection failed, there is only no room for one.
    pub(crate) fn wait(&mut self, site: &str, at: Duration) {
        if let Some(state) = self.states.get_mut(site) {
            state.connecting = false;
            state.next_at = at;
        }
    }

    /// OBJ-7: active, counters zero, at once.
    pub(crate) fn start(&mut self, site: &str) {
        let state = self.states.entry(site.to_owned()).or_default();
        let (connections, connecting, path) = (state.connections, state.connecting, state.path);
        *state = SiteState { connections, connecting, path, ..SiteState::default() };
    }

    /// OBJ-7: no new connections; running ones finish.
    pub(crate) fn stop(&mut self, site: &str, text: &str) {
        let state = self.states.entry(site.to_owned()).or_default();
        state.stopped = true;
        text.clone_into(&mut state.text);
    }

    /// New work for a site whose tries were used up: one more try, when its wait is over.
    pub(crate) fn new_work(&mut self, site: &str) {
        if let Some(state) = self.states.get_mut(site) {
            state.exhausted = false;
        }
    }

    /// Whether running connections of `site` may take another job.
    pub(crate) fn may_go_on(&self, site: &str) -> bool {
        self.states.get(site).is_none_or(|s| !s.stopped)
    }

    /// Order in which a connection tries the paths: the one that worked last first, then the others (OBJ-5).
    pub(crate) fn path_order(&self, site: &str, paths: usize) -> Vec<usize> {
        let first = self.states.get(site).map_or(0, |s| s.path);
        let first = if first < paths { first } else { 0 };
        std::iter::once(first).chain((0..paths).filter(|p| *p != first)).take(paths).collect()
    }

    /// Connections of all sites.
    pub(crate) const fn connections(&self) -> u32 {
        self.connections
    }

    /// How `site` stands.
    pub(crate) fn status(&self, site: &str, callable: bool, now: Duration) -> SiteStatus {
        let state = self.states.get(site);
        let waiting = state.filter(|s| s.next_at > now).map(|s| s.next_at.saturating_sub(now));
        SiteStatus {
            active: callable && state.is_none_or(|s| !s.stopped && !s.exhausted),
            text: state.map(|s| s.text.clone()).unwrap_or_default(),
            connections: state.map_or(0, |s| s.connections),
            failures: state.map_or(0, |s| s.failures),
            next_in: waiting,
            path: state.map_or(0, |s| s.path),
        }
    }

    /// Its object was changed: failures are forgotten; stopped stays stopped.
    pub(crate) fn changed(&mut self, site: &str) {
        if let Some(state) = self.states.get_mut(site) {
            state.exhausted = false;
            state.failures = 0;
            state.next_at = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: SiteRules = SiteRules {
        connections_max: 2,
        backoff: Backoff { min: Duration::from_secs(10), max: Duration::from_secs(30), tries: 3 },
        callable: true,
    };

    #[test] // TRF-8
    fn limits_of_site_and_protocol_hold() {
        let mut s = Sites::default();
        let now = Duration::ZERO;
        assert_eq!(s.turn("A", &RULES, 3, now), Turn::Connect);
        assert_eq!(s.turn("A", &RULES, 3, now), Turn::Blocked, "the first is being opened");
        s.connected("A", None);
        assert_eq!(s.turn("A", &RULES, 3, now), Turn::Connect);
        s.connected("A", None);
        assert_eq!(s.turn("A", &RULES, 3, now), Turn::Blocked, "site limit");
        assert_eq!(s.turn("B", &RULES, 3, now), Turn::Connect);
        assert_eq!(s.turn("C", &RULES, 3, now), Turn::Blocked, "protocol limit");
        s.ended("B");
        assert_eq!(s.turn("C", &RULES, 3, now), Turn::Connect);
        assert_eq!(s.connections(), 3);
    }

    #[test] // OBJ-6, OBJ-7
    fn failures_wait_and_a_start_forgets_them() {
        let mut s = Sites::default();
        assert_eq!(s.turn("A", &RULES, 9, Duration::ZERO), Turn::Connect);
        assert_eq!(s.failed("A", &RULES, "no route", Duration::ZERO), (1, Some(Duration::from_secs(10))));
        s.ended("A");
        assert_eq!(s.turn("A", &RULES, 9, Duration::from_secs(4)), Turn::Wait(Duration::from_secs(6)));
        assert_eq!(s.turn("A", &RULES, 9, Duration::from_secs(10)), Turn::Connect);
        assert_eq!(s.turn("A", &RULES, 9, Duration::from_secs(10)), Turn::Blocked, "one tries for all");
        for expected in [Some(20), Some(30), None] {
            let (_, wait) = s.failed("A", &RULES, "no route", Duration::ZERO);
            assert_eq!(wait.map(|w| w.as_secs()), expected);
        }
        s.ended("A");
        let later = Duration::from_secs(9999);
        assert_eq!(s.turn("A", &RULES, 9, later), Turn::Blocked, "tries are used up");
        s.new_work("A");
        assert_eq!(s.turn("A", &RULES, 9, Duration::from_secs(1)), Turn::Wait(Duration::from_secs(29)));
        assert_eq!(s.turn("A", &RULES, 9, later), Turn::Connect);
        assert_eq!(s.failed("A", &RULES, "still none", later), (5, None));
        s.ended("A");
        assert!(!s.status("A", true, later).active);
        s.changed("A");
        assert_eq!(s.turn("A", &RULES, 9, later), Turn::Connect, "its object was changed");
        s.failed("A", &RULES, "no", later);
        s.ended("A");
        s.start("A");
        assert_eq!(s.turn("A", &RULES, 9, later), Turn::Connect);
        assert_eq!(s.status("A", true, later).failures, 0);
    }

    #[test] // OBJ-7
    fn a_stopped_site_makes_no_connection() {
        let mut s = Sites::default();
        s.stop("A", "by operator");
        assert_eq!(s.turn("A", &RULES, 9, Duration::ZERO), Turn::Blocked);
        assert!(!s.may_go_on("A") && s.may_go_on("B"));
        s.start("A");
        assert_eq!(s.turn("A", &RULES, 9, Duration::ZERO), Turn::Connect);
        let off = SiteRules { callable: false, ..RULES };
        assert_eq!(s.turn("B", &off, 9, Duration::ZERO), Turn::Blocked);
    }

    #[test] // OBJ-5
    fn the_path_that_worked_comes_first() {
        let mut s = Sites::default();
        assert_eq!(s.path_order("A", 3), [0, 1, 2]);
        s.connected("A", Some(2));
        assert_eq!(s.path_order("A", 3), [2, 0, 1]);
        assert_eq!(s.path_order("A", 1), [0]);
        assert_eq!(s.path_order("A", 0), [0_usize; 0]);
    }
}
