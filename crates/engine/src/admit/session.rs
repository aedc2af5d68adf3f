//! One partner's way in: what it showed so far, and what follows from it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use base::{Alias, ObjectId, Secret};
use db::BlockPolicy;
use keys::{PasswordHash, PublicKey};
use model::{GateMatch, Inbound, LoginTls, Refusal, RemoteSite, SiteBinding, Snapshot, SshProfile};
use tokio::sync::{Mutex, Semaphore};

use super::Admitted;
use super::capture::{Material, Shown, capture};
use super::line::{LoginLine, Unfit};
use super::trust::{KNOWN_AND_WAITING, KeyDemand, KeyVerdict, NOT_THE_NAMED_KEY, judge};
use crate::{Engine, Event};

/// Unknown keys of one connection that may be proved, and so captured (DESIGN 1.6).
const PROVED_MAX: usize = 3;
/// Keys of one connection that were offered in vain, and are told.
const OFFERED_TOLD_MAX: usize = 3;
/// Failures of one source at one gate until it is locked out, and for how long (best-practices.md row 10).
const BLOCK: BlockPolicy =
    BlockPolicy { fails_max: 5, window: Duration::from_secs(300), lockout: Duration::from_secs(300) };

/// Passwords that are checked at one time: each takes 19 MiB and some 20 ms of a core.
static HASHING: Semaphore = Semaphore::const_new(4);

/// How partners may prove who they are on a connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LoginRules {
    /// By password.
    pub password: bool,
    /// By key.
    pub public_key: bool,
    /// By the certificate of the connection, where gate and site say so.
    pub certificate: bool,
    /// All of these, not one of them.
    pub all_methods: bool,
    /// Unknown keys that were proved are kept, to be checked.
    pub key_import: bool,
    /// Any enabled key opens a gate that names none.
    pub trust_hosted: bool,
}

impl LoginRules {
    /// A password, or the certificate of the connection.
    #[must_use]
    pub fn password_or_certificate() -> Self {
        Self { password: true, certificate: true, ..Self::default() }
    }
}

impl From<&SshProfile> for LoginRules {
    fn from(profile: &SshProfile) -> Self {
        let SshProfile { password, public_key, all_methods, key_import, trust_hosted, .. } = *profile;
        Self { password, public_key, certificate: false, all_methods, key_import, trust_hosted }
    }
}

/// Methods that may go on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MethodsLeft {
    /// Password.
    pub password: bool,
    /// Public key.
    pub public_key: bool,
}

/// The answer to one proof. Its form is the same for every cause of refusal (SSH-32).
#[derive(Clone, Debug)]
pub enum AuthAnswer {
    /// In.
    Accept(Arc<Admitted>),
    /// Right so far; the other method is needed as well.
    Partial(MethodsLeft),
    /// Not in.
    Reject(MethodsLeft),
}

/// One connection that wants in.
pub struct AuthSession {
    engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    inbound: Inbound,
    protocol: &'static str,
    rules: LoginRules,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None: nobody asks about it, as over SSH.
    line: Option<Arc<dyn LoginLine>>,
    login: Option<String>,
    candidate: Option<Arc<Candidate>>,
    key: Option<String>,
    certificate: Option<String>,
    password: bool,
    failed: bool,
    unknown: Vec<(PublicKey, bool)>,
    /// What was wrong with keys that were offered and not asked for.
    offered: Vec<String>,
    admitted: Option<Arc<Admitted>>,
}

/// What the login would be let in as, once it has proved itself.
struct Candidate {
    gate: ObjectId,
    site: Arc<RemoteSite>,
    demand: KeyDemand,
    by_certificate: bool,
    admitted: Admitted,
}

impl AuthSession {
    /// A connection that came in by `inbound` under `rules`, judged by the snapshot of this moment.
    #[must_use]
    pub fn new(engine: Arc<Engine>, inbound: Inbound, protocol: &'static str, rules: impl Into<LoginRules>) -> Self {
        let snapshot = engine.snapshot();
        Self { engine, snapshot, inbound, protocol, rules: rules.into(), state: Mutex::default() }
    }

    /// What the rules leave to try at the start.
    #[must_use]
    pub fn methods(&self) -> MethodsLeft {
        MethodsLeft { password: self.rules.password, public_key: self.rules.public_key }
    }

    /// The connection has become another one than before the last call of this: gates and sites are asked anew.
    pub async fn over(&self, line: Arc<dyn LoginLine>) {
        let mut state = self.state.lock().await;
        *state = State { line: Some(line), failed: state.failed, ..State::default() };
    }

    /// A name, by a connection whose client has shown a certificate: it stands for the password where the gate says so and
    /// the site names it. A refusal says only that a password is asked for.
    pub async fn certificate(&self, login: &[u8]) -> AuthAnswer {
        let mut state = self.state.lock().await;
        let may = self.rules.certificate && self.take_login(&mut state, login).await;
        let line = state.line.clone().filter(|line| line.tls().is_some_and(|tls| tls.client_authenticated));
        match (&state.candidate, line) {
            (Some(candidate), Some(line)) if may && candidate.by_certificate => {
                state.certificate = line.certificate();
                self.advance(&mut state).await
            }
            _ => AuthAnswer::Reject(self.left(&state)),
        }
    }

    /// Whether it is worth the partner's while to prove this key: it would be accepted, or captured.
    pub async fn offered_key(&self, login: &[u8], key: &PublicKey) -> bool {
        let mut state = self.state.lock().await;
        if !self.rules.public_key || !self.take_login(&mut state, login).await {
            // An unknown login is asked to prove as a known one is (DESIGN 1.6), and then refused.
            return self.rules.public_key && self.rules.key_import && state.unknown.len() < PROVED_MAX;
        }
        let (may_be_kept, why) = match self.verdict(&state, key) {
            Some(KeyVerdict::Good(_)) => return true,
            Some(KeyVerdict::Unknown { .. }) => (true, format!("key {} is unknown", key.fingerprint())),
            // One that waits in quarantine is proved again, so that its showing can be counted (AUTO-2).
            Some(KeyVerdict::Refused { event, text }) => (event == KNOWN_AND_WAITING, text),
            None => return false,
        };
        let proves = may_be_kept && self.rules.key_import && state.unknown.len() < PROVED_MAX;
        if !proves && state.offered.len() < OFFERED_TOLD_MAX {
            state.offered.push(why);
        }
        proves
    }

    /// A key whose possession the partner has proved.
    pub async fn proved_key(&self, login: &[u8], key: &PublicKey) -> AuthAnswer {
        let mut state = self.state.lock().await;
        if !self.rules.public_key {
            return AuthAnswer::Reject(self.methods());
        }
        let known = self.take_login(&mut state, login).await;
        let (event, text) = match self.verdict(&state, key).filter(|_| known) {
            Some(KeyVerdict::Good(entry)) => {
                state.key = Some(entry.alias.to_string());
                return self.advance(&mut state).await;
            }
            Some(KeyVerdict::Unknown { alarm }) => {
                remember(&mut state, key, alarm);
                (146, format!("key {} is unknown", key.fingerprint()))
            }
            Some(KeyVerdict::Refused { event, text }) => {
                if event == KNOWN_AND_WAITING && self.rules.key_import {
                    remember(&mut state, key, false);
                }
                if let (NOT_THE_NAMED_KEY, Some(candidate)) = (event, &state.candidate) {
                    self.engine.alarm_once(&candidate.admitted.gate, &key.fingerprint(), text.clone());
                }
                (event, text)
            }
            None => {
                remember(&mut state, key, false);
                (129, "login not accepted".to_owned())
            }
        };
        if known {
            self.refused(&mut state, event, text);
        }
        AuthAnswer::Reject(self.left(&state))
    }

    /// A password.
    pub async fn password(&self, login: &[u8], password: &Secret<String>) -> AuthAnswer {
        let mut state = self.state.lock().await;
        if !self.rules.password {
            return AuthAnswer::Reject(self.methods());
        }
        let known = self.take_login(&mut state, login).await;
        let stored = match &state.candidate {
            Some(candidate) if known => self.stored_hash(candidate.gate).await,
            _ => None,
        };
        // Unknown logins cost the same work (SSH-32). Argon2id is slow by design: not on the threads of the network.
        let given = Secret::new(password.expose().clone());
        let _turn = HASHING.acquire().await;
        let right = tokio::task::spawn_blocking(move || match &stored {
            Some(hash) => hash.verify(&given),
            None => {
                let _same_work = PasswordHash::decoy().verify(&given);
                false
            }
        });
        if right.await.unwrap_or(false) {
            state.password = true;
            return self.advance(&mut state).await;
        }
        if known {
            let by_certificate = state.candidate.as_ref().is_some_and(|candidate| candidate.by_certificate);
            let text = if by_certificate { "the gate takes a certificate, no password" } else { "wrong password" };
            self.refused(&mut state, 128, text.to_owned());
        }
        AuthAnswer::Reject(self.left(&state))
    }

    /// The connection is over: unknown keys that were proved go to quarantine, a failure counts towards the lock-out.
    pub async fn ended(&self) {
        let mut state = self.state.lock().await;
        if state.admitted.is_some() {
            return;
        }
        if !state.failed && !state.offered.is_empty() {
            // Only offered and never proved: no failed login that counts, but somebody will ask why it came to nothing.
            let text = format!("no key was accepted: {}", state.offered.join("; "));
            self.told(&state, 146, text);
        }
        let unknown = std::mem::take(&mut state.unknown);
        let Some(candidate) = state.candidate.clone() else { return };
        let admitted = &candidate.admitted;
        for (key, alarm) in unknown {
            let shown = Shown {
                what: Material::Key(&key),
                place: &admitted.gate,
                partner: &admitted.site,
                login: &admitted.login,
                source: source_of(self.inbound.peer.ip()),
                peer: Some(self.inbound.peer.ip()),
                group: candidate.demand.group.clone(),
                alarm,
            };
            capture(&self.engine, shown).await;
        }
        if state.failed {
            self.count_failure(admitted).await;
        }
    }

    async fn count_failure(&self, admitted: &Admitted) {
        let (peer, now) = (self.inbound.peer.ip(), self.engine.clock().now());
        match self.engine.db().login_blocks().failed(&admitted.gate, &source_of(peer), now, BLOCK).await {
            Ok(Some(until)) => {
                let seconds = until.since(now).as_secs();
                self.engine.emit(Event::LoginBlocked { login: admitted.login.clone(), peer, seconds });
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "failed login could not be counted"),
        }
    }

    /// Finds the gate of the login. A connection keeps to one login; whoever changes it begins again.
    async fn take_login(&self, state: &mut State, login: &[u8]) -> bool {
        let Ok(login) = std::str::from_utf8(login) else { return false };
        if state.login.as_deref() == Some(login) {
            return state.candidate.is_some();
        }
        let (line, failed) = (state.line.take(), state.failed);
        let found = self.candidate(login, line.as_ref().and_then(|line| line.tls()).as_ref());
        *state = State { line, login: Some(login.to_owned()), failed, ..State::default() };
        match found {
            Ok(candidate) if self.is_blocked(&candidate.admitted.gate).await => {
                self.refused(state, 0, "this address is locked out after failed logins".to_owned());
            }
            Ok(candidate) => state.candidate = Some(Arc::new(candidate)),
            Err(refusal) => self.refused(state, refusal.event, refusal.to_string()),
        }
        state.candidate.is_some()
    }

    fn candidate(&self, login: &str, tls: Option<&LoginTls>) -> Result<Candidate, Refusal> {
        let gate = model::choose_gate(&self.inbound, self.protocol, tls, login, &self.snapshot).result?;
        let demand = KeyDemand {
            aliases: gate.keys.clone(),
            bound: bound_keys(&gate),
            trust_hosted: self.rules.trust_hosted,
            group: gate.key_group.clone(),
            capture: self.rules.key_import,
            sizes: self.engine.options().key_sizes,
        };
        let (by_certificate, site) = (gate.by_certificate, Arc::clone(gate.site.site()));
        Ok(Candidate { gate: gate.gate.id, site, demand, by_certificate, admitted: self.admitted(gate, login) })
    }

    fn admitted(&self, gate: GateMatch<'_>, login: &str) -> Admitted {
        Admitted {
            gate: gate.gate.name.clone(),
            site: gate.site.name().to_owned(),
            login: login.to_owned(),
            protocol: self.protocol,
            peer: self.inbound.peer,
            local: self.inbound.local,
            key: None,
            certificate: None,
            secured: None,
            root_dir: gate.root_dir,
            home_dir: gate.home_dir,
            rights: gate.rights,
            settle: Duration::from_secs(gate.settle_s.into()),
            max_upload: gate.max_upload_octets,
            rates: gate.rates,
            route_remote_agent: gate.route_remote_agent,
        }
    }

    async fn is_blocked(&self, gate: &str) -> bool {
        let source = source_of(self.inbound.peer.ip());
        match self.engine.db().login_blocks().blocked(gate, &source, self.engine.clock().now()).await {
            Ok(until) => until.is_some(),
            Err(error) => {
                tracing::error!(%error, "lock-out could not be looked up: login refused");
                true
            }
        }
    }

    async fn stored_hash(&self, gate: ObjectId) -> Option<PasswordHash> {
        let row = self.engine.db().objects().secret(gate, "login_password").await;
        let (uid, sealed) = match row {
            Ok(row) => row?,
            Err(error) => {
                tracing::error!(%error, "password could not be looked up: login refused");
                return None;
            }
        };
        let text = self.engine.master().open(format!("object_secret|{uid}|login_password").as_bytes(), &sealed).ok()?;
        PasswordHash::parse(std::str::from_utf8(text.expose()).ok()?).ok()
    }

    /// The key judged by what is stored now: it may have been enabled or disabled since the connection began.
    fn verdict(&self, state: &State, key: &PublicKey) -> Option<KeyVerdict> {
        let candidate = state.candidate.as_ref()?;
        Some(judge(key, &candidate.demand, &self.engine.snapshot()))
    }

    async fn advance(&self, state: &mut State) -> AuthAnswer {
        let (key, password) = (state.key.is_some(), state.password);
        if self.rules.all_methods && !(key && password) {
            return AuthAnswer::Partial(MethodsLeft { password: !password, public_key: !key });
        }
        let Some(candidate) = state.candidate.clone() else { return AuthAnswer::Reject(self.methods()) };
        let other_profile = match self.fits(state, &candidate) {
            Ok(other) => other,
            Err(unfit) => {
                self.unfit(&candidate.admitted, &unfit);
                state.certificate = None;
                return AuthAnswer::Reject(self.left(state));
            }
        };
        let admitted = Arc::new(Admitted {
            key: state.key.clone(),
            certificate: state.certificate.clone(),
            secured: state.line.as_ref().and_then(|line| line.secured()),
            ..candidate.admitted.clone()
        });
        let facts = crate::hooks::facts(&admitted, "", "");
        if let Err(refusal) = self.engine.ask_hooks("LOGIN", &facts, &admitted).await {
            self.refused(state, 0, refusal.text);
            return AuthAnswer::Reject(self.left(state));
        }
        state.admitted = Some(Arc::clone(&admitted));
        let peer = self.inbound.peer.ip();
        if let Err(error) = self.engine.db().login_blocks().clear(&admitted.gate, &source_of(peer)).await {
            tracing::warn!(%error, "failed logins could not be forgotten");
        }
        let (gate, site, login) = (admitted.gate.clone(), admitted.site.clone(), admitted.login.clone());
        if let Some((of_site, tls)) = other_profile.zip(state.line.as_ref().and_then(|line| line.tls())) {
            self.engine.emit(Event::OtherProfile { site: site.clone(), profile: tls.profile, of_site });
        }
        self.engine.emit(Event::LoggedIn { gate, site, login, peer });
        self.engine.note_login(&admitted);
        AuthAnswer::Accept(admitted)
    }

    /// Whether the connection is as the site asks for; SSH has been judged by its own profile.
    fn fits(&self, state: &State, candidate: &Candidate) -> Result<Option<String>, Unfit> {
        match &state.line {
            Some(line) => line.fits(&candidate.site),
            None if !self.rules.certificate => Ok(None),
            None => Err(Unfit {
                event: 0,
                text: "nothing is known of the connection under the login".to_owned(),
                fix: "this is a fault of the program: report it".to_owned(),
            }),
        }
    }

    fn left(&self, state: &State) -> MethodsLeft {
        let all = self.methods();
        match self.rules.all_methods {
            true => MethodsLeft {
                password: all.password && !state.password,
                public_key: all.public_key && state.key.is_none(),
            },
            false => all,
        }
    }

    /// Password or certificate were right: no failure that counts towards the lock-out.
    fn unfit(&self, who: &Admitted, unfit: &Unfit) {
        self.engine.emit(Event::SessionUnfit {
            code: unfit.event,
            site: who.site.clone(),
            login: who.login.clone(),
            peer: self.inbound.peer.ip(),
            text: unfit.to_string(),
        });
    }

    fn refused(&self, state: &mut State, event: u16, text: String) {
        state.failed = true;
        self.told(state, event, text);
    }

    fn told(&self, state: &State, event: u16, text: String) {
        self.engine.emit(Event::LoginRefused {
            login: state.login.clone().unwrap_or_default(),
            peer: self.inbound.peer.ip(),
            text: if event == 0 { text } else { format!("{text} (event {event})") },
        });
    }
}

fn remember(state: &mut State, key: &PublicKey, alarm: bool) {
    if state.unknown.len() < PROVED_MAX && !state.unknown.iter().any(|(k, _)| k == key) {
        state.unknown.push((key.clone(), alarm));
    }
}

/// Keys bound to the gate, and to its site if that is one partner's.
fn bound_keys(gate: &GateMatch<'_>) -> Vec<Alias> {
    let of_site = match &gate.site {
        SiteBinding::Static(site) => site.bound_keys.as_slice(),
        SiteBinding::Dynamic { .. } => &[],
    };
    gate.gate.bound_keys.iter().chain(of_site).cloned().collect()
}

/// What a source is counted by: the IPv4 address, or the /64 of an IPv6 address (DESIGN 1.6).
#[must_use]
pub fn source_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("{}/64", Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_addresses_or_nets() {
        assert_eq!(source_of("192.0.2.7".parse().unwrap()), "192.0.2.7");
        assert_eq!(source_of("::ffff:192.0.2.7".parse().unwrap()), "192.0.2.7");
        assert_eq!(source_of("2001:db8:1:2:3:4:5:6".parse().unwrap()), "2001:db8:1:2::/64");
    }
}
