//! `gatehouse explain tls`: what would become of a TLS caller, by the functions that decide it, and who was refused of late.

use std::sync::Arc;

use engine::admit::{RefusedHandshake, source_of};
use keys::certificate::KeyKind;
use keys::verify::{PathMode, StoredCertificate, TrustStore, Wanted, choose_own};
use model::tls_suites::TlsSuite;
use model::{
    ClientAuth, Field, FieldKind, FtPolicy, Inbound, ObjectState, Reason, Refusal, Security, Snapshot, TlsOffer,
    TlsProfile, TlsRevocation,
};
use serde_json::{Map, Value as Json, json};

use super::observe::{address, reasons};
use crate::{Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

/// Refused handshakes that are shown.
const REFUSED_SHOWN_MAX: usize = 10;
/// Authorities that are named.
const AUTHORITIES_SHOWN_MAX: usize = 20;

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[Operation {
    name: "explain tls",
    title: "Say what a TLS caller would meet, whether an offer fits a profile, and whom it refused of late",
    right: Right { resource: Resource::Configuration, letter: 'R' },
    effect: Effect::Read,
    params,
    run: |context, input| Box::pin(async { explain(context, input) }),
}];

fn params() -> Vec<Param> {
    let list = |name, help| Field::new(name, FieldKind::List { max: 64, choices: None }, help).separators(" \t,;");
    vec![
        Param::of(Field::text("profile", 31, "TLS profile; else give peer and local").shorts(&["spn"])).positional(),
        Param::of(Field::text("peer", 64, "address and port of the caller, as 192.0.2.7:40000")),
        Param::of(Field::text("local", 64, "our address and port, as 192.0.2.1:990")),
        Param::of(list("versions", "versions that the partner offers, as TLSv12 TLSv13; any if not given")),
        Param::of(list("suites", "cipher suites that the partner offers, by the names of profiles; any if not given")),
    ]
}

/// What is asked about.
struct Asked {
    peer: Option<Inbound>,
    why: Vec<Reason>,
    profile: Result<Arc<TlsProfile>, String>,
    refusal: Option<Refusal>,
    /// Whether the profile is looked at as one for partners who call.
    as_server: bool,
}

fn explain(context: &Context, input: &Input) -> Result<Output, OpError> {
    let snapshot = context.engine.snapshot();
    let asked = asked(input, &snapshot)?;
    let offer = TlsOffer::parse(&listed(input, "versions"), &listed(input, "suites"));
    let offer = offer.map_err(|text| OpError::Syntax(InputError::Together(text)))?;
    let mut told = Told { lines: reasons(&asked.why), facts: Map::new(), good: asked.profile.is_ok() };
    told.fact("why", json!(asked.why));
    match &asked.profile {
        Ok(profile) => {
            let own = told.profile(profile, asked.as_server, context);
            told.trust(profile, &snapshot);
            told.offer(profile, &offer, &|suite| !asked.as_server || own.fits(suite));
        }
        Err(text) => {
            told.lines.push(format!("=> {text}"));
            told.fact("refused", asked.refusal.as_ref().map_or_else(|| json!(text), |refusal| json!(refusal)));
        }
    }
    told.handshakes(&refused(context, &asked));
    let good = told.good;
    Ok(match offer.is_open() && good {
        true => Output::Story { lines: told.lines, facts: Json::Object(told.facts) },
        false => Output::tested(told.lines, Json::Object(told.facts), good),
    })
}

fn listed(input: &Input, name: &str) -> Vec<String> {
    match input.value(name) {
        Some(model::Value::List(words)) => words.clone(),
        _ => Vec::new(),
    }
}

fn asked(input: &Input, snapshot: &Snapshot) -> Result<Asked, OpError> {
    if let Some(name) = input.text("profile") {
        let Some(profile) = snapshot.tls_profile(name) else {
            return Err(OpError::NotFound(format!("no TLS profile is called {name}: secdsp select_sprof lists them")));
        };
        let as_server = profile.server;
        let profile = profile.refusal(as_server).map_or_else(
            || Ok(Arc::clone(profile)),
            |why| Err(format!("TLS profile {name} can't be used: {why}; correct it: secadm update_sprof -spn {name}")),
        );
        return Ok(Asked { peer: None, why: Vec::new(), profile, refusal: None, as_server });
    }
    if !input.has("peer") || !input.has("local") {
        let text = "say which: -profile NAME, or -peer ADDRESS:PORT and -local ADDRESS:PORT".to_owned();
        return Err(OpError::Syntax(InputError::Together(text)));
    }
    let inbound = Inbound::new(address(input, "local")?, address(input, "peer")?);
    let decision = model::match_inbound(&inbound, snapshot);
    let (profile, refusal) = match decision.result {
        Ok(matched) => match matched.security {
            Security::Tls(profile) => (Ok(Arc::clone(profile)), None),
            Security::Clear => {
                (Err(format!("network profile {} leads to no TLS: in clear", matched.network.name)), None)
            }
            _ => (Err(format!("network profile {} leads to no TLS but to SSH", matched.network.name)), None),
        },
        Err(refusal) => (Err(format!("closed: {refusal}")), Some(refusal)),
    };
    Ok(Asked { peer: Some(inbound), why: decision.why, profile, refusal, as_server: true })
}

/// The last refusals of the peer, or of the profile.
fn refused(context: &Context, asked: &Asked) -> Vec<RefusedHandshake> {
    let mut all = match (&asked.peer, &asked.profile) {
        (Some(inbound), _) => {
            let source = source_of(inbound.peer.ip());
            context.engine.refused_handshakes(|one| one.peer.is_some_and(|peer| source_of(peer) == source))
        }
        (None, Ok(profile)) => context.engine.refused_handshakes(|one| one.profile == profile.name),
        (None, Err(_)) => Vec::new(),
    };
    all.truncate(REFUSED_SHOWN_MAX);
    all
}

/// Which of our certificates is shown to whom.
struct OwnKeys(Vec<(&'static str, Option<String>)>);

impl OwnKeys {
    /// Whether one can be shown with the suite.
    fn fits(&self, suite: &TlsSuite) -> bool {
        self.0.iter().any(|(kind, alias)| alias.is_some() && suite.key_algorithm().is_none_or(|needed| needed == *kind))
    }
}

/// What is told so far.
struct Told {
    lines: Vec<String>,
    facts: Map<String, Json>,
    good: bool,
}

impl Told {
    fn fact(&mut self, name: &str, value: Json) {
        self.facts.insert(name.to_owned(), value);
    }

    fn row(&mut self, title: &str, text: impl AsRef<str>) {
        self.lines.push(format!("  {title:<13}  {}", text.as_ref()));
    }

    /// What it speaks, and what it shows.
    fn profile(&mut self, profile: &TlsProfile, as_server: bool, context: &Context) -> OwnKeys {
        let does = if as_server { "serves" } else { "calls" };
        self.lines.push(format!("=> TLS profile {} {does}, {}", profile.name, begins(profile)));
        let versions: Vec<&str> = profile.versions.iter().map(|v| v.as_str()).collect();
        let suites: Vec<&str> = profile.suites.iter().map(|s| s.name).collect();
        let groups: Vec<&str> = profile.groups.iter().map(|g| g.name).collect();
        self.row("versions", versions.join(" "));
        self.row("suites", suites.join(" "));
        self.row("key exchanges", groups.join(" "));
        let own = self.own(profile, &context.engine.trust_store(), context);
        let (word, text) = match (profile.client_auth, as_server) {
            (ClientAuth::Anonymous, true) => ("TLS_AUT_ANONYMOUS", "is not asked for a certificate"),
            (ClientAuth::Optional, true) => ("TLS_AUT_OPTIONAL", "is asked for a certificate and may go on without"),
            (ClientAuth::Mandatory, true) => ("TLS_AUT_MANDATORY", "must show a certificate that is trusted"),
            (ClientAuth::Anonymous, false) => ("TLS_AUT_ANONYMOUS", "shows no certificate"),
            (ClientAuth::Optional, false) => {
                ("TLS_AUT_OPTIONAL", "shows a certificate where one fits what is asked for")
            }
            (ClientAuth::Mandatory, false) => ("TLS_AUT_MANDATORY", "must have a certificate to show"),
        };
        self.row("client", format!("{text} ({word})"));
        self.fact("profile", json!(profile.name));
        self.fact("side", json!(if as_server { "SERVER" } else { "CLIENT" }));
        self.fact("begins", json!(if profile.start.explicit { "explicit" } else { "implicit" }));
        self.fact("versions", json!(versions));
        self.fact("suites", json!(suites));
        self.fact("groups", json!(groups));
        self.fact("client_auth_policy", json!(word));
        own
    }

    /// Which certificate of ours is taken for which kind of key, and why others are not.
    fn own(&mut self, profile: &TlsProfile, store: &TrustStore, context: &Context) -> OwnKeys {
        let aliases: Vec<String> = profile.certificates.iter().map(ToString::to_string).collect();
        let mode = if profile.trust.by_key_id { PathMode::Rfc4158 } else { PathMode::Legacy };
        let at = context.engine.clock().now();
        let (mut taken, mut passed) = (Vec::new(), std::collections::BTreeMap::new());
        for kind in ["RSA", "ECDSA", "Ed25519"] {
            let key_fits = |entry: &StoredCertificate| kind_of(entry) == Some(kind);
            let choice = choose_own(store, &aliases, &Wanted { mode, at, key_fits: &key_fits, accepted: &[] });
            for (alias, why) in choice.skipped {
                if !matches!(why, keys::verify::Skipped::Key(_)) {
                    passed.insert(alias, why.to_string());
                }
            }
            let first = choice.chain.and_then(|chain| chain.steps.into_iter().next());
            let entry = first.and_then(|step| store.entry_of(&step.certificate));
            if let Some(entry) = entry {
                let certificate = &entry.certificate;
                let text = format!("{} ({}, until {})", entry.alias, certificate.key_text(), certificate.not_after());
                self.row("certificate", format!("{text} where the partner takes {kind}"));
            }
            taken.push((kind, entry.map(|entry| entry.alias.clone())));
        }
        for (alias, why) in &passed {
            self.row("", format!("{alias} is passed over: {why}"));
        }
        if taken.iter().all(|(_, alias)| alias.is_none()) {
            self.row("certificate", "none of ours can be shown");
        }
        let shown =
            taken.iter().filter_map(|(kind, alias)| Some(json!({ "key": kind, "certificate": alias.as_ref()? })));
        self.fact("certificates", Json::Array(shown.collect()));
        self.fact("certificates_passed_over", json!(passed));
        OwnKeys(taken)
    }

    /// Whom it trusts.
    fn trust(&mut self, profile: &TlsProfile, snapshot: &Snapshot) {
        let trust = &profile.trust;
        let roots = snapshot.certificates().filter(|c| c.state == ObjectState::Enabled && c.kind == "ROOT");
        let named: Vec<String> = match trust.authorities.is_empty() {
            false => trust.authorities.iter().map(ToString::to_string).collect(),
            true => roots.map(|c| c.name.clone()).collect(),
        };
        let more = named.len().saturating_sub(AUTHORITIES_SHOWN_MAX);
        let mut text = named.iter().take(AUTHORITIES_SHOWN_MAX).cloned().collect::<Vec<_>>().join(" ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        let what =
            if trust.authorities.is_empty() { "every enabled root of the store" } else { "accepted_authorities" };
        self.row("trusts", format!("{what}: {}", if text.is_empty() { "there is none" } else { &text }));
        let revocation = match trust.revocation {
            TlsRevocation::Ignore => "revocation lists are not looked at",
            TlsRevocation::IfListed => "revocation lists count where there are some",
            TlsRevocation::Required => "each authority must have a revocation list",
        };
        let templates = trust.user.len() + trust.ca.len() + trust.root.len();
        let rules = [
            Some(format!("at most {} certificates in a path", trust.depth)),
            trust.hosted_only.then(|| "only stored certificates".to_owned()),
            trust.import.then(|| "unknown ones are kept to be checked".to_owned()),
            (templates > 0).then(|| format!("{templates} templates")),
            Some(revocation.to_owned()),
        ];
        self.row("", rules.into_iter().flatten().collect::<Vec<_>>().join("; "));
        self.fact("trusts", json!(named));
        self.fact("trust_hosted_certificates", json!(trust.hosted_only));
    }

    fn offer(&mut self, profile: &TlsProfile, offer: &TlsOffer, has_key: &dyn Fn(&TlsSuite) -> bool) {
        match profile.meets(offer, has_key) {
            Ok(agreed) => {
                let text = format!("{} {}", agreed.version.as_str(), agreed.suite.name);
                let title = if offer.is_open() { "at best" } else { "offer fits" };
                self.row(title, &text);
                self.fact("agreed", json!({ "version": agreed.version.as_str(), "suite": agreed.suite.name }));
            }
            Err(miss) => {
                self.good = false;
                self.row("does not fit", miss.to_string());
                self.fact("does_not_fit", json!({ "text": miss.text, "change": miss.fix }));
            }
        }
    }

    fn handshakes(&mut self, refused: &[RefusedHandshake]) {
        for one in refused {
            let who = match (&one.site, one.peer) {
                (Some(site), _) => format!("site {site}"),
                (None, peer) => peer.map(|peer| peer.to_string()).unwrap_or_default(),
            };
            let times = if one.times > 1 { format!(", {} times", one.times) } else { String::new() };
            self.row("refused", format!("{} {who} by {}{times}: {}", one.at, one.profile, one.text));
        }
        let each = refused.iter().map(|one| {
            json!({
                "at": one.at.to_string(), "times": one.times, "profile": one.profile, "site": one.site, "peer": one.peer,
                "text": one.text,
            })
        });
        self.fact("handshakes_refused", Json::Array(each.collect()));
    }
}

/// The kind of key as suites name it.
fn kind_of(entry: &StoredCertificate) -> Option<&'static str> {
    match entry.certificate.key_kind() {
        KeyKind::Rsa | KeyKind::RsaPss => Some("RSA"),
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => Some("ECDSA"),
        KeyKind::Ed25519 => Some("Ed25519"),
        _ => None,
    }
}

/// When TLS begins.
fn begins(profile: &TlsProfile) -> String {
    if !profile.start.explicit {
        return "implicit: from the first octet".to_owned();
    }
    let need = |policy: FtPolicy| match policy {
        FtPolicy::Mandatory => "mandatory",
        FtPolicy::Optional => "optional",
        FtPolicy::Disabled => "disabled",
    };
    let (session, data) = (need(profile.start.session), need(profile.start.data));
    format!("explicit: after AUTH TLS, which is {session} for a login; on data connections {data}")
}
