//! Paths through certificates made on the spot: every whole chain is found, every defect is named.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::too_many_lines,
    unreachable_pub,
    missing_docs,
    reason = "the whole file is a test, helpers too"
)]

mod made;

use base::{Pattern, UtcMicros};
use keys::certificate::{Certificate, CertificateState};
use keys::verify::{
    Algorithms, Crl, Failure, Outcome, OwnChain, Part, PathMode, PathPolicy, PathReport, PathRequest, Peer, Purpose,
    Refusal, Revocation, SignatureFailure, Skipped, StoredCertificate, Template, TrustRules, TrustStore, Use, Verified,
    Wanted, choose_own, find_path, judge, simulate, timeline,
};
use made::{Made, make, make_for, now, wanted, wanted_authority, wanted_server};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, RevocationReason,
    RevokedCertParams,
};

const HOST: &str = "gateway.example.com";

fn policy() -> PathPolicy {
    PathPolicy { strict: true, ..PathPolicy::new(Purpose::TlsServer) }
}

fn find(end: &Made, sent: &[Certificate], store: &TrustStore, policy: &PathPolicy) -> Result<usize, PathReport> {
    let request = PathRequest { end_entity: &end.certificate, sent, store, at: now(), policy };
    find_path(&request).map(|path| path.steps().len())
}

fn failure(found: Result<usize, PathReport>) -> Failure {
    found.unwrap_err().main().unwrap().failure.clone()
}

fn store(entries: Vec<StoredCertificate>) -> TrustStore {
    TrustStore::new(entries, Vec::new())
}

/// What goes wrong in one place of a chain.
#[derive(Clone, Copy, Debug)]
enum Defect {
    Expired,
    Early,
    WrongSignature,
    NoAuthority,
    NoCertSign,
    OtherPurpose,
    PathLength,
    NameExcluded,
    CriticalUnknown,
    Revoked,
    StaleList,
}

const DEFECTS: [Defect; 11] = [
    Defect::Expired,
    Defect::Early,
    Defect::WrongSignature,
    Defect::NoAuthority,
    Defect::NoCertSign,
    Defect::OtherPurpose,
    Defect::PathLength,
    Defect::NameExcluded,
    Defect::CriticalUnknown,
    Defect::Revoked,
    Defect::StaleList,
];

impl Defect {
    /// Spoils what a certificate asks for. `is_end` tells the end entity from an authority.
    fn spoil(self, params: &mut CertificateParams) {
        match self {
            Self::Expired => params.not_after = rcgen::date_time_ymd(2026, 2, 1),
            Self::Early => params.not_before = rcgen::date_time_ymd(2026, 8, 1),
            Self::NoAuthority => {
                params.is_ca = IsCa::ExplicitNoCa;
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            }
            Self::NoCertSign => params.key_usages = vec![KeyUsagePurpose::CrlSign],
            Self::OtherPurpose => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning],
            Self::PathLength => params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)),
            Self::NameExcluded => {
                params.name_constraints = Some(NameConstraints {
                    permitted_subtrees: Vec::new(),
                    excluded_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
                });
            }
            Self::CriticalUnknown => {
                let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                extension.set_criticality(true);
                params.custom_extensions.push(extension);
            }
            Self::WrongSignature | Self::Revoked | Self::StaleList => {}
        }
    }

    /// Whether it can befall that place: 0 is the end entity, `top` the root.
    const fn befalls(self, at: usize, top: usize) -> bool {
        match self {
            Self::Expired | Self::Early | Self::CriticalUnknown | Self::OtherPurpose => true,
            // The root's own signature proves nothing, and nobody revokes it.
            Self::WrongSignature | Self::Revoked | Self::StaleList => at < top,
            Self::NoAuthority | Self::NoCertSign | Self::NameExcluded => at > 0,
            Self::PathLength => at > 1,
        }
    }

    fn is(self, failure: &Failure) -> bool {
        match self {
            Self::Expired => matches!(failure, Failure::Expired(_)),
            Self::Early => matches!(failure, Failure::NotYetValid(_)),
            Self::WrongSignature => matches!(failure, Failure::Signature(SignatureFailure::Wrong)),
            Self::NoAuthority => matches!(failure, Failure::NotAnAuthority),
            // The strict policy calls it a contradiction before it gets there.
            Self::NoCertSign => matches!(failure, Failure::KeyUsage { .. } | Failure::Oddity(_)),
            Self::OtherPurpose => matches!(failure, Failure::Purpose(_)),
            Self::PathLength => matches!(failure, Failure::PathLength),
            Self::NameExcluded => matches!(failure, Failure::NameConstraint { .. }),
            Self::CriticalUnknown => matches!(failure, Failure::CriticalExtension(_)),
            Self::Revoked => matches!(failure, Failure::Revoked { .. }),
            Self::StaleList => matches!(failure, Failure::RevocationUnknown(_)),
        }
    }
}

/// The same certificate with another signature.
fn forged(made: &Made) -> Certificate {
    let mut der = made.certificate.der().to_vec();
    // Swapping two certificates' keys would change more: the last octet of an ECDSA signature is part of a number.
    *der.last_mut().unwrap() ^= 1;
    Certificate::from_der(&der).unwrap()
}

fn list(issuer: &Made, revoked: &[&Certificate], is_stale: bool) -> Crl {
    let revoked_certs = revoked.iter().map(|certificate| RevokedCertParams {
        serial_number: certificate.serial().to_vec().into(),
        revocation_time: rcgen::date_time_ymd(2026, 5, 1),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 5, 1),
        next_update: if is_stale { rcgen::date_time_ymd(2026, 5, 20) } else { rcgen::date_time_ymd(2026, 7, 1) },
        crl_number: 7_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    // Whatever the issuer may do by its own certificate: that is for us to find out.
    let signer = {
        let mut params = issuer.params.clone();
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
        params
    };
    Crl::from_der(params.signed_by(&Issuer::from_params(&signer, &issuer.key)).unwrap().der()).unwrap()
}

/// A chain from the end entity to the root, with `between` authorities between, one place of it spoiled.
fn chain(between: usize, defect: Option<(usize, Defect)>) -> Vec<Made> {
    let mut made: Vec<Made> = Vec::new();
    for at in (0..between + 2).rev() {
        let mut params = match at {
            0 => wanted_server(HOST),
            _ => wanted_authority(&format!("Authority {at}")),
        };
        if let Some((_, defect)) = defect.filter(|(place, _)| *place == at) {
            defect.spoil(&mut params);
        }
        let next = make(params, made.last());
        made.push(next);
    }
    made.reverse();
    if let Some((at, Defect::WrongSignature)) = defect {
        made[at].certificate = forged(&made[at]);
    }
    made
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    // Each whole chain verifies in both modes, wherever its authorities are; with one defect it fails for that reason.
    #[test]
    fn whole_chains_hold_and_defects_are_named(
        between in 0_usize..4,
        stored in any::<[bool; 4]>(),
        others in 0_usize..4,
        defect in proptest::sample::select(&DEFECTS[..]),
        place in 0_usize..6,
    ) {
        let top = between + 1;
        let place = place.min(top);
        for spoiled in [None, Some((place, defect)).filter(|_| defect.befalls(place, top))] {
            let made = chain(between, spoiled);
            let mut entries = vec![made[top].enabled("ROOT")];
            let mut sent = Vec::new();
            for (at, authority) in made.iter().enumerate().take(top).skip(1) {
                if stored[at - 1] {
                    entries.push(authority.enabled(&format!("CA_{at}")));
                } else {
                    sent.insert(0, authority.certificate.clone());
                }
            }
            // Others of the same names with keys of their own stand about.
            for at in 0..others {
                let other = make(wanted_authority(&format!("Authority {}", at + 1)), None);
                entries.push(other.enabled(&format!("OTHER_{at}")));
            }
            let mut lists = Vec::new();
            for (at, pair) in made.windows(2).enumerate() {
                let is_here = |kind: fn(&Defect) -> bool| spoiled.is_some_and(|(p, d)| p == at && kind(&d));
                let revoked: &[&Certificate] =
                    if is_here(|d| matches!(d, Defect::Revoked)) { &[&pair[0].certificate] } else { &[] };
                lists.push(list(&pair[1], revoked, is_here(|d| matches!(d, Defect::StaleList))));
            }
            let store = TrustStore::new(entries, lists);
            for mode in [PathMode::Legacy, PathMode::Rfc4158] {
                let policy = PathPolicy { mode, revocation: Revocation::Required, ..policy() };
                let found = find(&made[0], &sent, &store, &policy);
                match spoiled {
                    None => prop_assert_eq!(found.unwrap(), between + 2),
                    Some((_, defect)) => {
                        let report = found.unwrap_err();
                        let named = report.tried().iter().any(|tried| defect.is(&tried.failure));
                        prop_assert!(named, "{:?} in {:?}: {}", defect, spoiled, report);
                    }
                }
            }
        }
    }

    // Certificates that certify each other at random: the search ends, and always says the same.
    #[test]
    fn the_search_ends_in_any_tangle(links in proptest::collection::vec((0_usize..6, 0_usize..6), 0..40), root in any::<bool>()) {
        let names: Vec<Made> = (0..6).map(|n| make(wanted_authority(&format!("Authority {n}")), None)).collect();
        let cross = |(below, above): &(usize, usize)| {
            let key = same_key(&names[*below]);
            make_for(wanted_authority(&format!("Authority {below}")), key, Some(&names[*above])).certificate
        };
        let sent: Vec<Certificate> = links.iter().map(cross).collect();
        let end = make(wanted_server(HOST), Some(&names[0]));
        let store = store(if root { vec![names[5].enabled("ROOT")] } else { Vec::new() });
        for mode in [PathMode::Legacy, PathMode::Rfc4158] {
            let policy = PathPolicy { mode, ..policy() };
            let first = find(&end, &sent, &store, &policy);
            let again = find(&end, &sent, &store, &policy);
            prop_assert_eq!(first.as_ref().ok(), again.as_ref().ok());
            prop_assert_eq!(first.map_err(|r| r.to_string()).err(), again.map_err(|r| r.to_string()).err());
        }
    }
}

fn same_key(made: &Made) -> KeyPair {
    KeyPair::try_from(made.key.serialize_der()).unwrap()
}

// CERT-22: two issuers share a name; key identifiers tell them apart, names do not.
#[test]
fn issuers_of_one_name_are_told_by_key() {
    let root = make(wanted_authority("Root"), None);
    let [one, two] = [0, 1].map(|_| make(wanted_authority("Issuing"), Some(&root)));
    let end = make(wanted_server(HOST), Some(&two));
    let store = store(vec![root.enabled("ROOT"), one.enabled("ONE"), two.enabled("TWO"), end.enabled("END")]);
    for mode in [PathMode::Legacy, PathMode::Rfc4158] {
        assert_eq!(find(&end, &[], &store, &PathPolicy { mode, ..policy() }).unwrap(), 3, "{mode}");
    }
    let chain = OwnChain::follow(&store, store.by_alias("END").unwrap(), PathMode::Rfc4158, now());
    assert!(chain.parsable().contains("[1][TWO]"), "{}", chain.parsable());
    let mut without_id = wanted_server(HOST);
    without_id.use_authority_key_identifier_extension = false;
    let end = make(without_id, Some(&two));
    let usual = PathPolicy { strict: false, ..policy() };
    assert!(find(&end, &[], &store, &PathPolicy { mode: PathMode::Legacy, ..usual }).is_ok());
    let Failure::NoIssuer { hint, .. } = failure(find(&end, &[], &store, &usual)) else { panic!("another failure") };
    assert!(hint.contains("legacy"), "{hint}");
    let store = self::store(vec![root.enabled("ROOT"), two.enabled("TWO"), end.enabled("END")]);
    let wanted = Wanted { mode: PathMode::Rfc4158, at: now(), key_fits: &|_| true, accepted: &[] };
    let [(_, skipped)] = &choose_own(&store, &["END".to_owned()], &wanted).skipped[..] else { panic!("it was taken") };
    assert!(skipped.to_string().contains("only the mode legacy can find it"), "{skipped}");
}

// CERT-23: an expired issuer is skipped, the renewed one taken; while both are valid the old one stays in use.
#[test]
fn renewed_issuers_take_over_when_the_old_one_expires() {
    let root = make(wanted_authority("Root"), None);
    let mut params = wanted_authority("Issuing");
    params.not_after = rcgen::date_time_ymd(2026, 7, 1);
    let old = make(params, Some(&root));
    let mut params = wanted_authority("Issuing");
    params.not_before = rcgen::date_time_ymd(2026, 5, 1);
    let renewed = make_for(params, same_key(&old), Some(&root));
    let end = make(wanted_server(HOST), Some(&old));
    let store = store(vec![root.enabled("ROOT"), renewed.enabled("NEW"), old.enabled("OLD"), end.enabled("END")]);
    for (at, expected) in [("2026-06-01T00:00:00Z", "OLD"), ("2026-08-01T00:00:00Z", "NEW")] {
        let at = UtcMicros::parse(at).unwrap();
        let policy = policy();
        let request = PathRequest { end_entity: &end.certificate, sent: &[], store: &store, at, policy: &policy };
        let path = find_path(&request).unwrap();
        assert!(path.steps()[1].to_string().starts_with(expected), "{path}");
        let own = OwnChain::follow(&store, store.by_alias("END").unwrap(), PathMode::Rfc4158, at);
        assert!(own.parsable().contains(&format!("[1][{expected}]")), "{}", own.parsable());
    }
}

// CERT-20: the layout is kept octet for octet.
#[test]
fn chains_are_written_as_documented() {
    let root = make(wanted_authority("Root"), None);
    let issuing = make(wanted_authority("Issuing"), Some(&root));
    let end = make(wanted_server(HOST), Some(&issuing));
    let whole = store(vec![root.enabled("root"), issuing.enabled("issuing"), end.enabled("my_cert")]);
    let chain = OwnChain::follow(&whole, whole.by_alias("my_cert").unwrap(), PathMode::Rfc4158, now());
    assert!(chain.is_complete());
    assert_eq!(
        chain.parsable(),
        "#?BEGIN_CERT_CHAIN\n[0][my_cert][ O=Example, CN=gateway.example.com]\n[1][issuing][ O=Example, CN=Issuing]\n\
         [2][root][ O=Example, CN=Root]\n#?END_CERT_CHAIN\n"
    );
    assert_eq!(
        chain.drawing(),
        "[2][root][ O=Example, CN=Root]\n \\\n  -->[1][issuing][ O=Example, CN=Issuing]\n     \\\n      \
         -->[0][my_cert][ O=Example, CN=gateway.example.com]\n"
    );
    let part = store(vec![issuing.stored("issuing", CertificateState::Disabled), end.enabled("my_cert")]);
    let chain = OwnChain::follow(&part, part.by_alias("my_cert").unwrap(), PathMode::Legacy, now());
    assert!(chain.parsable().ends_with("[-][----][ O=Example, CN=Root]\n#?END_CERT_CHAIN\n"));
    assert_eq!(chain.disabled, Some(("issuing".to_owned(), CertificateState::Disabled)));
}

// CERT-24, TLS-8, TLS-10: the first of our certificates that is valid, fits and leads to an accepted authority.
#[test]
fn the_first_own_certificate_that_fits_is_taken() {
    let [one, two] = ["One", "Two"].map(|name| make(wanted_authority(name), None));
    let mut expired = wanted_server(HOST);
    expired.not_after = rcgen::date_time_ymd(2026, 2, 1);
    let old = make(expired, Some(&one));
    let [a, b] = [&one, &two].map(|issuer| make(wanted_server(HOST), Some(issuer)));
    let entries = vec![one.enabled("ONE"), two.enabled("TWO"), old.enabled("OLD"), a.enabled("A"), b.enabled("B")];
    let store = store(entries);
    let aliases = ["OLD", "GONE", "A", "B"].map(str::to_owned);
    let any_key = |_: &StoredCertificate| true;
    let wanted = |accepted| Wanted { mode: PathMode::Rfc4158, at: now(), key_fits: &any_key, accepted };
    let choice = choose_own(&store, &aliases, &wanted(&[]));
    assert!(choice.chain.unwrap().parsable().contains("[0][A]"));
    assert!(matches!(&choice.skipped[..], [(_, Skipped::NotValid(..)), (_, Skipped::Missing)]));
    let only_two = [two.certificate.subject().clone()];
    let choice = choose_own(&store, &aliases, &wanted(&only_two));
    assert!(choice.chain.unwrap().parsable().contains("[0][B]"));
    assert_eq!(choice.skipped[2], ("A".to_owned(), Skipped::NotAccepted));
}

// Old and new overlap: each use turns over when the old certificate expires, or breaks if there is no new one.
#[test]
fn turns_are_foreseen() {
    let root = make(wanted_authority("Root"), None);
    let mut old = wanted_server(HOST);
    old.not_after = rcgen::date_time_ymd(2026, 8, 1);
    let old = make(old, Some(&root));
    let mut new = wanted_server(HOST);
    new.not_before = rcgen::date_time_ymd(2026, 7, 1);
    new.not_after = rcgen::date_time_ymd(2026, 12, 1);
    let new = make(new, Some(&root));
    let store = store(vec![root.enabled("ROOT"), old.enabled("OLD"), new.enabled("NEW")]);
    let one = |part, aliases: &[&str]| Use {
        place: "TLS_PROFILE OUT".to_owned(),
        field: "certificate".to_owned(),
        part,
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
    };
    let uses = [one(Part::Own, &["OLD", "NEW"]), one(Part::Partner, &["OLD"]), one(Part::Authority, &["ROOT"])];
    let policy = PathPolicy::new(Purpose::Any);
    let year = (now(), UtcMicros::parse("2027-06-01T00:00:00Z").unwrap());
    let turns: Vec<(String, usize, String)> = timeline(&store, &uses, &policy, year)
        .iter()
        .map(|turn| (turn.at.to_string()[..10].to_owned(), turn.which, turn.after.to_string()))
        .map(|(at, which, after)| (at, which, after.chars().take(12).collect()))
        .collect();
    let expected = [
        ("2026-08-01", 0, "NEW serves"),
        ("2026-08-01", 1, "broken: OLD:"),
        ("2026-12-01", 0, "broken: OLD:"),
        ("2027-01-01", 2, "broken: ROOT"),
    ];
    assert_eq!(turns, expected.map(|(at, which, after)| (at.to_owned(), which, after.to_owned())));
    let then = simulate(&store, &uses, &policy, UtcMicros::parse("2026-07-15T00:00:00Z").unwrap());
    assert_eq!(then, ["OLD", "OLD", "ROOT"].map(|alias| Outcome::Served(alias.to_owned())));
}

// TLS-11, TLS-13
#[test]
fn depth_and_roots() {
    let made = chain(2, None);
    let sent: Vec<Certificate> = made[1..].iter().map(|m| m.certificate.clone()).collect();
    let whole = store(vec![made[3].enabled("ROOT")]);
    assert_eq!(find(&made[0], &sent, &whole, &PathPolicy { depth_max: 4, ..policy() }).unwrap(), 4);
    let short = PathPolicy { depth_max: 3, ..policy() };
    assert_eq!(failure(find(&made[0], &sent, &whole, &short)), Failure::TooLong { max: 3 });
    assert_eq!(failure(find(&made[0], &sent, &store(Vec::new()), &policy())), Failure::RootUnknown);
    // CERT-17
    for state in [CertificateState::Disabled, CertificateState::ToCheck] {
        let off = store(vec![made[3].stored("ROOT", state)]);
        assert_eq!(
            failure(find(&made[0], &sent, &off, &policy())),
            Failure::NotEnabled { alias: "ROOT".to_owned(), state }
        );
    }
}

// CERT-30
#[test]
fn weak_signatures_count_by_the_switch_only() {
    // Nothing makes SHA-1 certificates any more, so the switch is tried on the size of RSA keys.
    let strict = PathPolicy { algorithms: Algorithms { rsa_bits_min: 3072, sha1: false }, ..policy() };
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let root = make_for(wanted_authority("Root"), key, None);
    let end = make(wanted_server(HOST), Some(&root));
    let whole = store(vec![root.enabled("ROOT")]);
    assert!(find(&end, &[], &whole, &policy()).is_ok());
    assert!(matches!(failure(find(&end, &[], &whole, &strict)), Failure::Key { .. }));
}

// LESSONS 2.1: public authorities stop certifying clients; a switch lets a server's certificate stand in.
#[test]
fn a_server_certificate_stands_in_for_a_client_by_the_switch_only() {
    let root = make(wanted_authority("Root"), None);
    let mut params = wanted_server(HOST);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let end = make(params, Some(&root));
    let whole = store(vec![root.enabled("ROOT")]);
    let client = PathPolicy::new(Purpose::TlsClient);
    assert_eq!(failure(find(&end, &[], &whole, &client)), Failure::Purpose(Purpose::TlsClient));
    assert!(find(&end, &[], &whole, &PathPolicy { server_as_client: true, ..client }).is_ok());
}

fn decide(peer: &Made, store: &TrustStore, rules: &TrustRules) -> Result<Verified, Refusal> {
    judge(&Peer { end_entity: &peer.certificate, sent: &[], called: None }, store, rules, now())
}

// TLS-15, AUTO-1, AUTO-2, AUTO-4 (tls-profiles.md section 4.4), TLS-44
#[test]
fn hosted_certificates() {
    let root = make(wanted_authority("Root"), None);
    let [known, unknown] = [0, 1].map(|_| make(wanted_server(HOST), Some(&root)));
    let alone = make(wanted_server(HOST), None);
    let rules = |trust_hosted, import| TrustRules { trust_hosted, import, ..TrustRules::new(policy()) };
    let whole = store(vec![root.enabled("ROOT"), known.enabled("KNOWN")]);
    assert_eq!(decide(&known, &whole, &rules(true, false)).unwrap().alias(), Some("KNOWN"));
    assert_eq!(decide(&unknown, &whole, &rules(false, false)).unwrap().alias(), None);
    for import in [false, true] {
        let refused = decide(&unknown, &whole, &rules(true, import)).unwrap_err();
        assert!(matches!(refused, Refusal::NotHosted { keep, .. } if keep == import), "{refused}");
        let refused = decide(&alone, &whole, &rules(false, import)).unwrap_err();
        assert!(matches!(refused, Refusal::NoPath { keep, .. } if keep == import), "{refused}");
    }
    for state in [CertificateState::Disabled, CertificateState::ToCheck] {
        let off = store(vec![root.enabled("ROOT"), known.stored("KNOWN", state)]);
        for hosted in [false, true] {
            let refused = decide(&known, &off, &rules(hosted, true)).unwrap_err();
            assert!(matches!(refused, Refusal::NotEnabled { .. }) && !refused.keeps(), "{refused}");
        }
    }
    // Stored and enabled is not enough: the path must hold, too.
    let no_root = store(vec![known.enabled("KNOWN")]);
    assert!(matches!(decide(&known, &no_root, &rules(true, true)), Err(Refusal::NoPath { keep: false, .. })));
    // A self-signed certificate that is stored and enabled is its own root, even one that calls itself an authority.
    let authority = make(wanted_authority("Partner"), None);
    for own in [&alone, &authority] {
        let any = TrustRules::new(PathPolicy::new(Purpose::Any));
        let direct = store(vec![own.enabled("PARTNER")]);
        assert_eq!(decide(own, &direct, &any).unwrap().path().steps().len(), 1);
    }
    // TLS-44: the attached certificate, and no other, though the other is enabled and trusted.
    let both = store(vec![root.enabled("ROOT"), known.enabled("KNOWN"), unknown.enabled("OTHER")]);
    let attached = TrustRules { attached: Some("OTHER".to_owned()), ..TrustRules::new(policy()) };
    assert!(decide(&unknown, &both, &attached).is_ok());
    assert!(matches!(decide(&known, &both, &attached), Err(Refusal::NotAttached { .. })));
}

// TLS-14, section 4.2: templates for each part, and a list of accepted authorities.
#[test]
fn templates_and_authorities() {
    let made = chain(1, None);
    let whole =
        store(vec![made[2].enabled("ROOT"), made[1].enabled("CA"), make(wanted_authority("X"), None).enabled("X")]);
    let named = |alias: &str| Template { alias: Some(alias.to_owned()), ..Template::default() };
    let subject = |text: &str| Template { subject: Some(Pattern::new(text)), ..Template::default() };
    let mut rules = TrustRules::new(policy());
    rules.templates.user = vec![subject("*CN=other*"), subject("*CN=gateway.?xample.com")];
    rules.templates.ca = vec![named("CA")];
    rules.templates.root = vec![Template { issuer: Some(Pattern::new("O=Example, *")), ..named("ROOT") }];
    rules.accepted_authorities = vec!["X".to_owned(), "CA".to_owned()];
    assert!(decide(&made[0], &whole, &rules).is_ok());
    for spoil in [
        |rules: &mut TrustRules| rules.templates.user.truncate(1),
        |rules: &mut TrustRules| rules.templates.ca = vec![Template::default()],
        |rules: &mut TrustRules| rules.templates.root[0].alias = Some("CA".to_owned()),
        |rules: &mut TrustRules| rules.accepted_authorities.truncate(1),
    ] {
        let mut rules = rules.clone();
        spoil(&mut rules);
        let refused = decide(&made[0], &whole, &rules).unwrap_err();
        assert!(matches!(refused, Refusal::Template { .. } | Refusal::Authority { .. }), "{refused}");
    }
    let alternative = Template { alternative: Some(Pattern::new("*.example.com")), ..Template::default() };
    rules.templates.user = vec![alternative];
    assert!(decide(&made[0], &whole, &rules).is_ok());
}

// Reports are sentences that say what to do.
#[test]
fn reports_speak_to_people() {
    let root = make(wanted_authority("Root"), None);
    let end = make(wanted_server(HOST), Some(&root));
    let text = find(&end, &[], &store(Vec::new()), &policy()).unwrap_err().to_string();
    assert_eq!(
        text,
        "no trusted path: O=Example, CN=gateway.example.com: O=Example, CN=gateway.example.com: its issuer O=Example, \
         CN=Root is not known: import and enable it"
    );
    let plain = make(wanted("Somebody"), None);
    assert!(matches!(failure(find(&plain, &[], &store(Vec::new()), &policy())), Failure::RootUnknown));
}
