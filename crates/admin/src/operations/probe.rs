//! Looking at a server: what it is, what it offers, and with which of our profiles we could call it.

use std::sync::Arc;

use keys::certificate::Certificate;
use keys::{Fingerprint, PublicKey};
use model::ssh_algorithms::{Algorithm, Class};
use model::{Field, HostPort, Snapshot, SshProfile, SshRole};
use serde_json::{Value as Json, json};

use crate::partner::{CallPartner, Probe, TlsProbe, address, address_in};
use crate::{Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "probe sftp",
        title: "Call a server without logging in: its version, algorithms, host keys, and which profile would do",
        right: Right { resource: Resource::Sites, letter: 'A' },
        effect: Effect::Control,
        params,
        run: |context, input| Box::pin(probe(context, input)),
    },
    Operation {
        name: "probe tls",
        title: "Call a server by TLS from the first octet: versions, suites, certificates, and which profile would do",
        right: Right { resource: Resource::Sites, letter: 'A' },
        effect: Effect::Control,
        params,
        run: |context, input| Box::pin(probe_tls(context, input)),
    },
    Operation {
        name: "probe ftp",
        title: "Call an FTP server without logging in: greeting, features, TLS, and which profile would do",
        right: Right { resource: Resource::Sites, letter: 'A' },
        effect: Effect::Control,
        params,
        run: |context, input| Box::pin(look(context, input, "FTP")),
    },
];

fn params() -> Vec<Param> {
    let at = Field::text("address", 261, "the server, as HOST or HOST:PORT").required();
    vec![Param::of(at).positional()]
}

async fn probe(context: &Context, input: &Input) -> Result<Output, OpError> {
    let at = address(input.text("address").ok_or(InputError::Absent("address"))?)?;
    let caller = context.caller.as_deref().ok_or_else(|| OpError::Failed("nobody here can call".to_owned()))?;
    let snapshot = context.engine.snapshot();
    let profile = widest(&snapshot)?;
    let first = caller.probe(&at, &profile).await.map_err(OpError::Refused)?;
    let keys = host_keys(caller, &at, (&profile, &first)).await;
    let fits = fitting(&snapshot, &first);
    let mut lines = vec![format!("{at} is {}", if first.server.is_empty() { "no SSH server" } else { &first.server })];
    lines.extend(first.offered.iter().map(|(class, names)| format!("  {:<13}  {}", title(*class), names.join(", "))));
    for key in &keys {
        lines.push(format!("  {:<13}  {} {}", "host key", key.openssh_line("").trim(), key.fingerprint()));
    }
    if !first.failure.is_empty() {
        lines.push(format!("  {:<13}  {}", "ended", first.failure));
    }
    for (name, why) in &fits {
        lines.push(match why.is_empty() {
            true => format!("  {:<13}  {name} would do", "profile"),
            false => format!("  {:<13}  {name} would not: {why}", "profile"),
        });
    }
    let good = !first.offered.is_empty() && fits.iter().any(|(_, why)| why.is_empty());
    let offered = first.offered.iter().map(|(class, names)| (title(*class).replace(' ', "_"), json!(names)));
    let key = |k: &PublicKey| json!({ "algorithm": k.ssh_name(), "fingerprint": k.fingerprint().to_string(), "line": k.openssh_line("").trim() });
    let facts = json!({
        "address": at.to_string(),
        "server": first.server,
        "offered": offered.collect::<serde_json::Map<String, Json>>(),
        "host_keys": keys.iter().map(key).collect::<Vec<_>>(),
        "failure": first.failure,
        "profiles": fits.iter().map(|(name, why)| json!({ "name": name, "missing": why })).collect::<Vec<_>>(),
    });
    Ok(Output::tested(lines, facts, good))
}

/// A server that speaks TLS from the first octet: FTPS, the first protocol that will (RFC 4217 section 1).
const TLS_SERVER: &str = "FTPS";

async fn probe_tls(context: &Context, input: &Input) -> Result<Output, OpError> {
    let at = address_in(input.text("address").ok_or(InputError::Absent("address"))?, TLS_SERVER)?;
    let caller = context.caller.as_deref().ok_or_else(|| OpError::Failed("nobody here can call".to_owned()))?;
    let probe = caller.probe_tls(&at).await.map_err(OpError::Refused)?;
    let mut lines = vec![match probe.versions.is_empty() {
        true => format!("{at} speaks no TLS that we do: {}", probe.failure),
        false => format!("{at} speaks {}", probe.versions.join(", ")),
    }];
    lines.extend(tls_lines(&probe));
    let mut facts = tls_facts(&probe);
    facts.insert("address".to_owned(), json!(at.to_string()));
    Ok(Output::tested(lines, Json::Object(facts), would_do(&probe)))
}

/// What a server of `protocol` shows before a login.
async fn look(context: &Context, input: &Input, protocol: &str) -> Result<Output, OpError> {
    let at = address_in(input.text("address").ok_or(InputError::Absent("address"))?, protocol)?;
    let caller = context.caller.as_deref().ok_or_else(|| OpError::Failed("nobody here can call".to_owned()))?;
    let probe = caller.look(protocol, &at).await.map_err(OpError::Refused)?;
    let mut lines = vec![match probe.greeting.is_empty() {
        true => format!("{at} says nothing in clear, and begins with TLS (implicit)"),
        false => format!("{at} is a server of {protocol}: {}", probe.greeting),
    }];
    if !probe.features.is_empty() {
        lines.push(line("features", &probe.features.join(", ")));
    }
    let begins = match (&probe.tls, probe.answer.is_empty()) {
        (Some(_), true) => "implicit: ft_sec_option implicit".to_owned(),
        (Some(tls), false) if tls.versions.is_empty() => {
            format!("AUTH TLS is answered with {}, and then no TLS that we do: {}", probe.answer, tls.failure)
        }
        (Some(_), false) => format!("AUTH TLS is answered with {}: ft_sec_option explicit", probe.answer),
        (None, _) => format!("none: AUTH TLS is answered with {}; login and files would travel in clear", probe.answer),
    };
    lines.push(line("TLS", &begins));
    let mut facts = probe.tls.as_ref().map(tls_facts).unwrap_or_default();
    if let Some(tls) = &probe.tls {
        lines.push(line("versions", &tls.versions.join(", ")));
        lines.extend(tls_lines(tls));
    }
    let begins = probe.tls.as_ref().map(|_| if probe.answer.is_empty() { "implicit" } else { "explicit" });
    facts.insert("address".to_owned(), json!(at.to_string()));
    facts.insert("greeting".to_owned(), json!(probe.greeting));
    facts.insert("features".to_owned(), json!(probe.features));
    facts.insert("auth_tls".to_owned(), json!(probe.answer));
    facts.insert("tls_begins".to_owned(), json!(begins));
    Ok(Output::tested(lines, Json::Object(facts), probe.tls.as_ref().is_some_and(would_do)))
}

fn line(title: &str, text: &str) -> String {
    format!("  {title:<13}  {text}")
}

fn would_do(probe: &TlsProbe) -> bool {
    probe.profiles.iter().any(|(_, fits)| fits.is_ok())
}

/// What a server is in TLS, behind its versions.
fn tls_lines(probe: &TlsProbe) -> Vec<String> {
    let mut lines: Vec<String> =
        probe.suites.iter().map(|(suite, group)| line("suite", &format!("{suite} {group}"))).collect();
    for certificate in &probe.chain {
        let (subject, until) = (certificate.subject(), certificate.not_after());
        lines.push(line("certificate", &format!("{subject}, {}, until {until}", certificate.key_text())));
        lines.push(line("", &format!("{} {}", Fingerprint(*certificate.sha256()), certificate.issuer())));
    }
    match probe.asks.as_deref() {
        None => {}
        Some([]) => lines.push(line("asks for", "a certificate of ours")),
        Some(names) => lines.push(line("asks for", &format!("a certificate of ours by {}", names.join("; ")))),
    }
    for (name, fits) in &probe.profiles {
        lines.push(line(
            "profile",
            &match fits {
                Ok(how) => format!("{name} would do: {how}"),
                Err(why) => format!("{name} would not: {why}"),
            },
        ));
    }
    lines
}

fn tls_facts(probe: &TlsProbe) -> serde_json::Map<String, Json> {
    let certificate = |c: &Certificate| {
        json!({
            "subject": c.subject().to_string(),
            "issuer": c.issuer().to_string(),
            "valid_until": c.not_after().to_string(),
            "fingerprint": Fingerprint(*c.sha256()).to_string(),
            "pem": keys::pem("CERTIFICATE", c.der()),
        })
    };
    let suites = probe.suites.iter().map(|(suite, group)| json!({ "name": suite, "group": group }));
    let profiles = probe.profiles.iter().map(|(name, fits)| {
        json!({ "name": name, "fits": fits.is_ok(), "text": match fits { Ok(text) | Err(text) => text } })
    });
    let facts = [
        ("versions", json!(probe.versions)),
        ("suites", Json::Array(suites.collect())),
        ("certificates", Json::Array(probe.chain.iter().map(certificate).collect())),
        ("asks_for_certificate_of", json!(probe.asks)),
        ("failure", json!(probe.failure)),
        ("profiles", Json::Array(profiles.collect())),
    ];
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The CLIENT profile of the house with every key algorithm that we have, so that each host key can be shown.
fn widest(s: &Snapshot) -> Result<SshProfile, OpError> {
    let profile = s.ssh_profile(model::CLIENT_PROFILE);
    let mut profile = profile.map(|p| SshProfile::clone(p)).ok_or_else(|| {
        OpError::Refused(format!("SSH profile {} is gone: create it with type CLIENT", model::CLIENT_PROFILE))
    })?;
    let all = model::ssh_algorithms::ALGORITHMS.iter();
    profile.public_keys = all.filter(|a| a.class == Class::PublicKey && a.available).collect();
    Ok(profile)
}

/// Every host key of the server: one call for each kind of key that it offers.
async fn host_keys(caller: &dyn CallPartner, at: &HostPort, (profile, first): (&SshProfile, &Probe)) -> Vec<PublicKey> {
    let mut found: Vec<PublicKey> = first.host_key.iter().cloned().collect();
    let offers = |wire: &&'static str| offered(first, Class::PublicKey).iter().any(|name| name == wire);
    for algorithm in profile.public_keys.iter().filter(|a| a.wire.iter().any(&offers)) {
        if found.iter().any(|key| Some(key.algorithm().to_string().as_str()) == algorithm.key_algorithm()) {
            continue;
        }
        let one = SshProfile { public_keys: vec![algorithm], ..profile.clone() };
        let key = caller.probe(at, &one).await.ok().and_then(|probe| probe.host_key);
        found.extend(key.filter(|key| !found.contains(key)));
    }
    found
}

fn offered(probe: &Probe, class: Class) -> &[String] {
    probe.offered.iter().find(|(c, _)| *c == class).map_or(&[], |(_, names)| names.as_slice())
}

/// Each enabled CLIENT profile, with what the server lacks for it.
fn fitting(s: &Snapshot, probe: &Probe) -> Vec<(String, String)> {
    if probe.offered.is_empty() {
        return Vec::new();
    }
    let missing = |profile: &Arc<SshProfile>| {
        let classes = [
            (Class::Kex, &profile.kex),
            (Class::PublicKey, &profile.public_keys),
            (Class::Cipher, &profile.ciphers),
            (Class::Mac, &profile.macs),
            (Class::Compression, &profile.compression),
        ];
        let common = |class: Class, ours: &[&'static Algorithm]| -> Vec<&'static str> {
            let theirs = offered(probe, class);
            SshProfile::wire(ours).into_iter().filter(|name| theirs.iter().any(|other| other == name)).collect()
        };
        // Such ciphers need no MAC.
        let sealed =
            common(Class::Cipher, &profile.ciphers).iter().any(|name| AEAD.iter().any(|part| name.contains(part)));
        let lacks = classes.into_iter().filter(|(class, ours)| common(*class, ours).is_empty());
        let lacks = lacks.filter(|(class, _)| !(sealed && *class == Class::Mac));
        lacks.map(|(class, _)| format!("no common {}", title(class))).collect::<Vec<_>>().join(", ")
    };
    let clients = s.ssh_profiles().filter(|p| p.role == SshRole::Client && p.enabled);
    clients.map(|profile| (profile.name.clone(), missing(profile))).collect()
}

/// Parts of the names of ciphers that protect integrity by themselves.
const AEAD: [&str; 2] = ["-gcm@", "poly1305"];

const fn title(class: Class) -> &'static str {
    match class {
        Class::Kex => "key exchange",
        Class::PublicKey => "host key type",
        Class::Cipher => "cipher",
        Class::Mac => "MAC",
        Class::Compression => "compression",
    }
}
