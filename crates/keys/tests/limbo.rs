//! The path validation cases of x509-limbo, from the folder that `GATEHOUSE_FIXTURES` names. Without it nothing is read, and
//! said so. Where we decide otherwise than the case expects, `limbo/expectations.toml` says why.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the whole file is a test, helpers too"
)]

use std::collections::BTreeMap;
use std::path::Path;

use base::UtcMicros;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keys::certificate::{AltName, Certificate, CertificateState, CertificateType};
use keys::verify::{
    Crl, PATH_DEPTH_MAX, PathMode, PathPolicy, PathRequest, PeerName, Purpose, Revocation, StoredCertificate,
    TrustStore, check_name, find_path,
};
use serde::Deserialize;
use serde_json::Value;

/// Cases in which we deviate, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    /// What we decide: `SUCCESS` or `FAILURE`.
    ours: String,
    reason: String,
    cases: Vec<String>,
}

/// Deviations of the two policies that are tried: the usual one, and the strict one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectations {
    both: Vec<Deviation>,
    usual: Vec<Deviation>,
    strict: Vec<Deviation>,
}

impl Expectations {
    fn of(&self, strict: bool) -> BTreeMap<&str, &Deviation> {
        let own = if strict { &self.strict } else { &self.usual };
        let pairs = self.both.iter().chain(own).flat_map(|d| d.cases.iter().map(move |case| (case.as_str(), d)));
        pairs.collect()
    }
}

fn pem(text: &str) -> Vec<u8> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).expect("base 64")
}

fn texts<'a>(case: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    case[field].as_array().into_iter().flatten().map(|text| text.as_str().unwrap())
}

/// Decides a case; `Err` says why it fails.
fn decide(case: &Value, strict: bool) -> Result<(), String> {
    let read = |text: &str| Certificate::from_der(&pem(text)).map_err(|e| format!("not read: {e}"));
    let end_entity = read(case["peer_certificate"].as_str().unwrap())?;
    // What a peer sends besides is passed over if it can't be read; a root that can't be read is not imported.
    let sent: Vec<Certificate> = texts(case, "untrusted_intermediates").filter_map(|text| read(text).ok()).collect();
    let roots = texts(case, "trusted_certs").filter_map(|text| read(text).ok()).enumerate();
    let roots = roots.map(|(n, certificate)| StoredCertificate {
        alias: format!("ROOT_{n}"),
        certificate,
        state: CertificateState::Enabled,
        kind: CertificateType::Root,
    });
    let lists = texts(case, "crls").map(|text| Crl::from_der(&pem(text)).expect("a list that can be read"));
    let store = TrustStore::new(roots.collect(), lists.collect());
    let at = case["validation_time"].as_str().map_or("2026-06-01T00:00:00Z", |at| at);
    let purpose = if case["validation_kind"] == "CLIENT" { Purpose::TlsClient } else { Purpose::TlsServer };
    // The cases count authorities between, we count certificates.
    let depth_max = case["max_chain_depth"].as_u64().map_or(PATH_DEPTH_MAX, |max| usize::try_from(max).unwrap() + 2);
    let policy = PathPolicy {
        mode: if strict { PathMode::Rfc4158 } else { PathMode::Legacy },
        depth_max,
        strict,
        revocation: Revocation::IfListed,
        ..PathPolicy::new(purpose)
    };
    let at = UtcMicros::parse(at).unwrap();
    let request = PathRequest { end_entity: &end_entity, sent: &sent, store: &store, at, policy: &policy };
    find_path(&request).map_err(|report| report.to_string())?;
    names(case, &end_entity)
}

/// A server is called by one name, a client must have all that are listed.
fn names(case: &Value, end_entity: &Certificate) -> Result<(), String> {
    let value = |name: &Value| name["value"].as_str().unwrap().to_owned();
    let one = &case["expected_peer_name"];
    if one.is_object() && case["validation_kind"] != "CLIENT" {
        let called: PeerName = value(one).parse().map_err(|e| format!("{e}"))?;
        check_name(end_entity, &called).map_err(|e| e.to_string())?;
    }
    let own = &end_entity.extensions().alt_names;
    for wanted in case["expected_peer_names"].as_array().into_iter().flatten() {
        let fits = own.iter().any(|name| matches!(name, AltName::Mail(mail) if *mail == value(wanted)));
        if !fits {
            return Err(format!("it is not for {wanted}"));
        }
    }
    Ok(())
}

#[test]
fn every_case_is_decided_as_expected_or_for_a_reason() {
    let Ok(folder) = std::env::var("GATEHOUSE_FIXTURES") else {
        println!("GATEHOUSE_FIXTURES is not set: no cases of path validation were read");
        return;
    };
    let file = std::fs::read(Path::new(&folder).join("path-validation/limbo.json")).expect("the cases");
    let cases: Value = serde_json::from_slice(&file).unwrap();
    let expectations: Expectations = toml::from_str(include_str!("limbo/expectations.toml")).unwrap();
    let mut wrong = Vec::new();
    for (name, strict) in [("usual", false), ("strict", true)] {
        let deviations = expectations.of(strict);
        let mut as_expected = 0;
        for case in cases["testcases"].as_array().unwrap() {
            let id = case["id"].as_str().unwrap();
            let expected = case["expected_result"].as_str().unwrap();
            let decided = decide(case, strict);
            let ours = if decided.is_ok() { "SUCCESS" } else { "FAILURE" };
            match deviations.get(id) {
                None if ours == expected => as_expected += 1,
                Some(deviation) if ours != expected && deviation.ours == ours => assert!(deviation.reason.len() > 40),
                deviation => wrong.push(format!(
                    "{name} {id}: expected {expected}, {:?}, came {decided:?}",
                    deviation.map(|d| &d.ours)
                )),
            }
        }
        println!("{name}: {as_expected} cases as expected, {} for a reason of ours", deviations.len());
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}
