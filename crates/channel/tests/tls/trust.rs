//! Who is trusted, what the log says of those who are not, and what is kept of them.

use std::sync::Arc;

use channel::{Link, OwnCertificate, TlsClient, TlsRefusal, TlsServer};
use keys::certificate::CertificateState;
use keys::verify::Crl;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::house::{
    HOST, Store, World, client_profile, ends, meet, own, sentence, server_profile, session, wanted_client,
};
use crate::made::{Made, make, wanted_authority, wanted_server};

const MANDATORY: (&str, &str) = ("client_auth_policy", "MANDATORY");

fn showing(world: &World, certificate: OwnCertificate, version: &str) -> TlsClient {
    let profile = client_profile(&[MANDATORY, ("tls_versions", version)]);
    TlsClient::new(&profile, vec![certificate], world.store()).unwrap()
}

#[tokio::test] // TLS-9, TLS-12, TLS-13: each cause has its sentence, and its alert
async fn clients_that_are_not_trusted_are_refused_with_the_cause() {
    let world = World::new();
    let other_root = make(wanted_authority("Other"), None);
    let stranger = make(wanted_client("stranger"), Some(&other_root));
    let mut old = wanted_client("old");
    old.not_after = rcgen::date_time_ymd(2026, 2, 1);
    let old = make(old, Some(&world.root));
    let for_servers = make(wanted_server("x.example"), Some(&world.root)).params;
    let mut for_servers = for_servers;
    for_servers.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let for_servers = make(for_servers, Some(&world.root));
    let disabled = make(wanted_client("disabled"), Some(&world.root));
    let mut entries = world.entries();
    entries.push(disabled.stored("OFF", CertificateState::Disabled));
    let store = Store::of(entries);
    for policy in ["MANDATORY", "OPTIONAL"] {
        let server = world.server_on(&server_profile(&[("client_auth_policy", policy)]), &store);
        for (made, above, text, alert) in [
            (&stranger, &other_root, "its issuer O=Example, CN=Other is not known", "UnknownCA"),
            (&for_servers, &world.root, "it is not for TLS client", "UnsupportedCertificate"),
            (&disabled, &world.root, "certificate OFF is DISABLED: a person must enable it", "AccessDenied"),
        ] {
            for version in ["TLSv12", "TLSv13"] {
                let client = showing(&world, own("X", made, &[above]), version);
                let (s, c) = meet(&server, &client).await;
                let refused = sentence(s);
                assert!(refused.contains(text), "{policy} {version}: {refused}");
                // In TLS 1.3 the client believes it is in until it reads.
                let told = match c {
                    Err(refusal) => refusal.to_string(),
                    Ok(link) => read_error(link).await,
                };
                assert!(told.contains(alert), "{version} {text}: {told}");
            }
        }
        // Ours shows no expired certificate.
        let refused = rude_client(&server, &old, &old).await.to_string();
        assert!(refused.contains("it expired on 2026-02-01"), "{policy}: {refused}");
    }
}

async fn read_error(mut link: Link) -> String {
    let mut octet = [0];
    tokio::io::AsyncReadExt::read(&mut link, &mut octet).await.unwrap_err().to_string()
}

#[tokio::test]
async fn servers_that_are_not_trusted_are_refused_with_the_cause() {
    let world = World::new();
    let other_root = make(wanted_authority("Other"), None);
    let stranger = make(wanted_server(HOST), Some(&other_root));
    let alone = make(wanted_server(HOST), None);
    let misnamed = make(wanted_server("other.example.com"), Some(&world.root));
    let client = world.client(&client_profile(&[]));
    for (made, above, text) in [
        (&stranger, vec![&other_root], "its issuer O=Example, CN=Other is not known"),
        (&alone, vec![], "this root is not in the store"),
        (
            &misnamed,
            vec![&world.root],
            "the certificate is not for gateway.example.com: it names DNS:other.example.com",
        ),
    ] {
        let server = TlsServer::new(&server_profile(&[]), vec![own("X", made, &above)], world.store()).unwrap();
        let (_, c) = meet(&server, &client).await;
        let refused = sentence(c);
        assert!(refused.contains(text), "{refused}");
    }
    // Without the name checked, any certificate of the authority does.
    let server =
        TlsServer::new(&server_profile(&[]), vec![own("X", &misnamed, &[&world.root])], world.store()).unwrap();
    session(&server, &world.client(&client_profile(&[("check_host_name", "N"), ("trust_hosted_certificates", "N")])))
        .await;
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let world = World::new();
    let revoked = make(wanted_client("revoked"), Some(&world.root));
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 5, 1),
        next_update: rcgen::date_time_ymd(2026, 12, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: rcgen::SerialNumber::from_slice(revoked.certificate.serial()),
            revocation_time: rcgen::date_time_ymd(2026, 5, 2),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = Crl::from_der(list.signed_by(&world.root.issuer()).unwrap().der()).unwrap();
    let store = Store::with_lists(world.entries(), vec![list]);
    let server = world.server_on(&server_profile(&[MANDATORY]), &store);
    let (s, _) = meet(&server, &showing(&world, own("X", &revoked, &[&world.root]), "TLSv13")).await;
    let refused = sentence(s);
    assert!(refused.contains("it was revoked on 2026-05-02"), "{refused}");
    session(&server, &showing(&world, world.own("CLIENT", &world.client), "TLSv13")).await;
}

#[tokio::test] // TLS-11: a root, two between, an end: four certificates
async fn a_chain_has_a_longest_length() {
    let world = World::new();
    let one = make(wanted_authority("One"), Some(&world.root));
    let two = make(wanted_authority("Two"), Some(&one));
    let end = make(wanted_client("end"), Some(&two));
    for (depth, fits) in [("4", true), ("3", false)] {
        let server = world.server(&server_profile(&[MANDATORY, ("path_depth", depth)]));
        let certificate = own("X", &end, &[&two, &one, &world.root]);
        let (s, _c) = meet(&server, &showing(&world, certificate, "TLSv13")).await;
        match fits {
            true => assert_eq!(s.unwrap().tls().unwrap().peer().unwrap().path().steps().len(), 4),
            false => assert!(sentence(s).contains("longer than 3 certificates")),
        }
    }
}

#[tokio::test] // an authority certified by two roots, of which one is trusted (RFC 4158 section 2.4)
async fn cross_certified_chains_are_found() {
    let world = World::new();
    let unknown = make(wanted_authority("Unknown root"), None);
    let middle = make(wanted_authority("Middle"), Some(&unknown));
    let again = Made {
        certificate: crate::made::make_for(
            wanted_authority("Middle"),
            rcgen::KeyPair::try_from(middle.key.serialize_der()).unwrap(),
            Some(&world.root),
        )
        .certificate,
        params: middle.params.clone(),
        key: rcgen::KeyPair::try_from(middle.key.serialize_der()).unwrap(),
    };
    let end = make(wanted_client("end"), Some(&middle));
    let mut entries = world.entries();
    entries.push(again.enabled("CROSS"));
    let server = world.server_on(&server_profile(&[MANDATORY]), &Store::of(entries));
    // The partner sends the way to the root that we do not know.
    let client = showing(&world, own("X", &end, &[&middle, &unknown]), "TLSv13");
    let (link, _c) = session(&server, &client).await;
    let path = link.tls().unwrap().peer().unwrap().path().to_string();
    assert!(path.contains("CROSS") && path.contains("ROOT"), "{path}");
}

#[tokio::test] // TLS-10
async fn a_client_shows_what_the_server_accepts() {
    let world = World::new();
    let other_root = make(wanted_authority("Other"), None);
    let other = make(wanted_client("other"), Some(&other_root));
    let mut entries = world.entries();
    entries.push(other_root.enabled("OTHER_ROOT"));
    let store = Store::of(entries);
    let first = || vec![own("OTHER", &other, &[&other_root]), world.own("CLIENT", &world.client)];
    for (authorities, expected) in [("ROOT", "CLIENT"), ("OTHER_ROOT ROOT", "OTHER"), ("OTHER_ROOT", "OTHER")] {
        for version in ["TLSv12", "TLSv13"] {
            let server = server_profile(&[MANDATORY, ("accepted_authorities", authorities)]);
            let profile = client_profile(&[MANDATORY, ("tls_versions", version)]);
            let client = TlsClient::new(&profile, first(), store.clone()).unwrap();
            let (_s, c) = session(&world.server_on(&server, &store), &client).await;
            assert_eq!(c.tls().unwrap().own_certificate(), Some(expected), "{authorities} {version}");
        }
    }
    // Who must show one and has none that is accepted gives up, whatever the server would have done (section 3).
    let server = server_profile(&[("client_auth_policy", "OPTIONAL"), ("accepted_authorities", "OTHER_ROOT")]);
    for (policy, goes_on) in [("OPTIONAL", true), ("MANDATORY", false)] {
        let profile = client_profile(&[("client_auth_policy", policy)]);
        let client = TlsClient::new(&profile, vec![world.own("CLIENT", &world.client)], store.clone()).unwrap();
        let (_s, c) = meet(&world.server_on(&server, &store), &client).await;
        match goes_on {
            true => assert_eq!(c.unwrap().tls().unwrap().own_certificate(), None),
            false => assert!(sentence(c).contains("leads to none of the authorities that the peer accepts")),
        }
    }
}

#[tokio::test] // section 4.2: the path must contain one of the accepted authorities, whatever the client shows
async fn another_authority_is_not_enough() {
    let world = World::new();
    let other_root = make(wanted_authority("Other"), None);
    let mut entries = world.entries();
    entries.push(other_root.enabled("OTHER_ROOT"));
    let server = server_profile(&[MANDATORY, ("accepted_authorities", "OTHER_ROOT")]);
    let server = world.server_on(&server, &Store::of(entries));
    let shown = rude_client(&server, &world.client, &world.client).await;
    assert!(shown.to_string().contains("contains none of the accepted authorities"), "{shown}");
}

#[tokio::test] // AUTO-1, AUTO-4: kept are certificates whose key was proved, and only where the profile says so
async fn only_what_is_proved_is_kept() {
    let world = World::new();
    let other_root = make(wanted_authority("Other"), None);
    let stranger = make(wanted_client("stranger"), Some(&other_root));
    for (import, hosted, kept) in [("Y", "Y", true), ("Y", "N", true), ("N", "Y", false), ("N", "N", false)] {
        let fields = [MANDATORY, ("remote_certificate_import", import), ("trust_hosted_certificates", hosted)];
        let server = world.server(&server_profile(&fields));
        for version in ["TLSv12", "TLSv13"] {
            let (s, _) = meet(&server, &showing(&world, own("X", &stranger, &[&other_root]), version)).await;
            let refused = s.map(drop).unwrap_err();
            let keep = refused.to_keep().map(|chain| chain.end_entity.clone());
            assert_eq!(keep, kept.then(|| stranger.certificate.clone()), "{import} {hosted} {version}: {refused}");
        }
        // Somebody shows it without having its key.
        let refused = rude_client(&server, &stranger, &world.client).await;
        assert!(matches!(refused, TlsRefusal::Certificate { keep: false, .. }), "{import} {hosted}: {refused}");
    }
    // Nor is a trusted one believed without its key.
    let refused = rude_client(&world.server(&server_profile(&[MANDATORY])), &world.client, &stranger).await;
    assert!(!matches!(refused, TlsRefusal::Ended(_)), "{refused}");
}

/// A client that shows a certificate and signs with some key.
async fn rude_client(server: &TlsServer, shown: &Made, key: &Made) -> TlsRefusal {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let der = PrivateKeyDer::try_from(key.key.serialize_der()).unwrap();
    let signing = provider.key_provider.load_private_key(der).unwrap();
    let chain = vec![CertificateDer::from(shown.certificate.der().to_vec())];
    let certified = Arc::new(rustls::sign::CertifiedKey::new(chain, signing));
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(BelievesAll(provider)))
        .with_client_cert_resolver(Arc::new(Insists(certified)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (called, taken) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let link = Link::clear(taken.unwrap().0).unwrap();
    let call = async {
        let name = HOST.to_owned().try_into().unwrap();
        if let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, called.unwrap()).await {
            let mut octet = [0];
            let _ended = tokio::io::AsyncReadExt::read(&mut stream, &mut octet).await;
        }
    };
    let (met, ()) = tokio::join!(link.secure(server, None), call);
    met.map(drop).unwrap_err()
}

#[derive(Debug)]
struct Insists(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Insists {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct BelievesAll(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for BelievesAll {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test] // AUTO-1 as client
async fn an_unknown_server_is_kept_too() {
    let world = World::new();
    let alone = make(wanted_server(HOST), None);
    let server = TlsServer::new(&server_profile(&[]), vec![own("X", &alone, &[])], world.store()).unwrap();
    for version in ["TLSv12", "TLSv13"] {
        let fields = [("remote_certificate_import", "Y"), ("tls_versions", version)];
        let (_, c) = meet(&server, &world.client(&client_profile(&fields))).await;
        let refused = c.map(drop).unwrap_err();
        assert_eq!(
            refused.to_keep().map(|chain| chain.end_entity.clone()),
            Some(alone.certificate.clone()),
            "{version}"
        );
        // Enabled by a person, it is its own root.
        let store = Store::of(vec![alone.enabled("PARTNER")]);
        let (_, c) = session(&server, &world.client_on(&client_profile(&fields), &store)).await;
        assert_eq!(c.tls().unwrap().peer().unwrap().alias(), Some("PARTNER"));
    }
}

#[tokio::test] // an address has no SNI (TLS-17), and no name that a certificate without addresses could have
async fn addresses_are_no_names() {
    let world = World::new();
    let server = world.server(&server_profile(&[]));
    let (taken, called) = ends().await;
    let client = world.client(&client_profile(&[]));
    let (_, c) = tokio::join!(taken.secure(&server, None), called.call_secure(&client, "127.0.0.1", None));
    assert!(sentence(c).contains("the certificate is not for 127.0.0.1"));
    let (_taken, called) = ends().await;
    let refused = called.call_secure(&client, "no host", None).await;
    assert!(sentence(refused).contains("can't be called by TLS"));
}
