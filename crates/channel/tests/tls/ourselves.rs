//! Versions, suites, certificates and ends, between ourselves.

use std::io::ErrorKind;

use channel::{TlsClient, TlsRefusal, TlsServer};
use model::tls_suites::{TLS_GROUPS, TLS_SUITES, TlsSuite, TlsVersion};
use model::{ClientAuth, TlsOffer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::house::{HOST, World, client_profile, ends, meet, own, profile, sentence, server_profile, session};
use crate::made::{make, wanted_server};

#[tokio::test] // TLS-8: RSA and ECDSA certificates stand in one profile
async fn each_suite_of_each_version_is_spoken() {
    let world = World::new();
    let server = world.server(&server_profile(&[("cipher_suites", &every_suite())]));
    for suite in TLS_SUITES.iter().filter(|s| s.available) {
        let fields = [("cipher_suites", suite.name), ("tls_versions", suite.version.as_str())];
        let (_, link) = session(&server, &world.client(&client_profile(&fields))).await;
        let agreed = link.tls().unwrap();
        assert_eq!((agreed.suite(), agreed.version()), (suite.name, suite.version));
        assert!(!agreed.resumed() && agreed.profile() == "TEST");
    }
}

fn every_suite() -> String {
    TLS_SUITES.iter().filter(|s| s.available).map(|s| s.name).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn each_key_exchange_is_spoken() {
    let world = World::new();
    let server = world.server(&server_profile(&[]));
    for group in TLS_GROUPS {
        for version in ["TLSv13", "TLSv12"] {
            if version == "TLSv12" && group.name.contains("MLKEM") {
                continue;
            }
            let client = world.client(&client_profile(&[("groups", group.name), ("tls_versions", version)]));
            let (at_server, _) = session(&server, &client).await;
            assert_eq!(at_server.tls().unwrap().group(), Some(group.name), "{version}");
        }
    }
}

#[tokio::test] // TLS-4
async fn the_order_of_the_side_that_decides() {
    let world = World::new();
    let (a, b) = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384");
    for (server_order, expected) in [("Y", a), ("N", b)] {
        let server = server_profile(&[("cipher_suites", &format!("{a} {b}")), ("server_order", server_order)]);
        let client = client_profile(&[("cipher_suites", &format!("{b} {a}"))]);
        let (_, link) = session(&world.server(&server), &world.client(&client)).await;
        assert_eq!(link.tls().unwrap().suite(), expected, "server_order {server_order}");
    }
}

#[tokio::test] // TLS-35, TLS-36; what both sides have stands in the sentence
async fn those_with_nothing_in_common_are_told_apart() {
    let world = World::new();
    let server = server_profile(&[
        ("tls_versions", "TLSv13"),
        ("cipher_suites", "TLS_AES_256_GCM_SHA384"),
        ("groups", "SECP384R1"),
    ]);
    let server = world.server(&server);
    for (fields, at_server) in [
        (vec![("tls_versions", "TLSv12")], "speaks no TLS version of profile TEST, which has TLSv13"),
        (
            vec![("tls_versions", "TLSv13"), ("cipher_suites", "TLS_AES_128_GCM_SHA256")],
            "the client offers TLS_AES_128_GCM_SHA256",
        ),
        (vec![("groups", "X25519 SECP256R1")], "X25519, SECP256R1, profile TEST allows SECP384R1"),
    ] {
        let (s, c) = meet(&server, &world.client(&client_profile(&fields))).await;
        let (s, c) = (sentence(s), sentence(c));
        assert!(s.contains(at_server), "{s}");
        assert!(c.contains("the partner ended the TLS handshake with the alert"), "{c}");
    }
}

#[tokio::test] // TLS-1, TLS-25
async fn a_profile_that_cannot_be_used_is_refused() {
    let world = World::new();
    let refused = |profile| {
        let made = TlsServer::new(&profile, vec![world.own("SERVER", &world.server)], world.store());
        made.map(drop).unwrap_err().to_string()
    };
    assert!(refused(client_profile(&[])).contains("of type CLIENT"));
    assert!(refused(server_profile(&[("tls_versions", "SSLv3")])).contains("no version"));
    assert!(refused(server_profile(&[("cipher_suites", "RSA_WITH_RC4_128_MD5")])).contains("no cipher suite"));
    let none = TlsServer::new(&server_profile(&[]), Vec::new(), world.store()).map(drop).unwrap_err();
    assert!(none.to_string().contains("none of its certificates"), "{none}");
    let client = TlsClient::new(&server_profile(&[]), Vec::new(), world.store()).map(drop).unwrap_err();
    assert!(client.to_string().contains("of type SERVER"), "{client}");
    let both = profile(&[("type", "CLIENT_AND_SERVER"), ("user_local_certificate", "SERVER")]); // TLS-26
    assert!(TlsClient::new(&both, Vec::new(), world.store()).is_ok());
}

#[tokio::test] // CERT-24: the first of ours has expired, the second is shown
async fn an_expired_certificate_of_ours_is_passed_over() {
    let world = World::new();
    let mut old = wanted_server(HOST);
    old.not_after = rcgen::date_time_ymd(2026, 2, 1);
    let old = make(old, Some(&world.root));
    let profile = server_profile(&[]);
    let both = vec![own("OLD", &old, &[&world.root]), world.own("SERVER", &world.server)];
    let server = TlsServer::new(&profile, both, world.store()).unwrap();
    let (link, _) = session(&server, &world.client(&client_profile(&[]))).await;
    assert_eq!(link.tls().unwrap().own_certificate(), Some("SERVER"));
    let server = TlsServer::new(&profile, vec![own("OLD", &old, &[&world.root])], world.store()).unwrap();
    let (refused, _) = meet(&server, &world.client(&client_profile(&[]))).await;
    assert!(sentence(refused).contains("OLD: it is valid from"));
}

#[tokio::test] // a cut line is no end of a file; without announcements (TLS-20) it has to be
async fn the_end_is_announced_or_not() {
    let world = World::new();
    for (server_silent, client_silent, whole) in [("N", "N", true), ("Y", "N", false), ("Y", "Y", true)] {
        let server = world.server(&server_profile(&[("close_notify_disabled", server_silent)]));
        let client = world.client(&client_profile(&[("close_notify_disabled", client_silent)]));
        let (mut s, mut c) = session(&server, &client).await;
        s.write_all(b"a file").await.unwrap();
        s.finish().await.unwrap();
        let mut read = Vec::new();
        let ended = c.read_to_end(&mut read).await;
        assert_eq!(read, b"a file");
        match whole {
            true => assert_eq!(ended.unwrap(), 6, "server {server_silent}, client {client_silent}"),
            false => assert_eq!(ended.unwrap_err().kind(), ErrorKind::UnexpectedEof),
        }
        // The other direction is open all the same.
        c.write_all(b"and an answer").await.unwrap();
        c.finish().await.unwrap();
        read.clear();
        assert!(s.read_to_end(&mut read).await.is_ok() || client_silent == "Y");
        assert_eq!(read, b"and an answer");
    }
}

#[tokio::test]
async fn a_line_that_is_cut_is_an_error() {
    let world = World::new();
    for version in ["TLSv12", "TLSv13"] {
        let client = world.client(&client_profile(&[("tls_versions", version)]));
        let (mut s, mut c) = session(&world.server(&server_profile(&[])), &client).await;
        c.write_all(b"half a file").await.unwrap();
        c.flush().await.unwrap();
        drop(c);
        let mut read = Vec::new();
        assert_eq!(s.read_to_end(&mut read).await.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{version}");
    }
}

#[tokio::test]
async fn what_is_no_tls_is_refused() {
    let world = World::new();
    let server = world.server(&server_profile(&[("handshake_timeout_s", "2")]));
    for octets in
        [b"GET / HTTP/1.0\r\n\r\n".as_slice(), b"USER anonymous\r\n", &[0x16, 3, 1, 0xFF, 0xFF, 1], &[0; 4096]]
    {
        let (taken, mut called) = ends().await;
        let sent = async {
            let _closed = called.write_all(octets).await;
            let mut rest = Vec::new();
            let _closed = called.read_to_end(&mut rest).await;
        };
        let (refused, ()) = tokio::join!(taken.secure(&server, None), sent);
        let refused = refused.map(drop).unwrap_err();
        assert!(matches!(refused, TlsRefusal::Handshake { .. } | TlsRefusal::Timeout { .. }), "{refused}");
    }
    // Who says nothing is not waited for.
    let (taken, called) = ends().await;
    let refused = taken.secure(&server, None).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("no TLS handshake within 2 s"), "{refused}");
    drop(called);
    let (taken, called) = ends().await;
    drop(called);
    assert!(matches!(taken.secure(&server, None).await, Err(TlsRefusal::Ended(_))));
}

#[tokio::test] // section 3: each cell, without defects of the certificate
async fn clients_show_a_certificate_or_not() {
    let world = World::new();
    use ClientAuth::{Anonymous, Mandatory, Optional};
    let word = |auth| match auth {
        Anonymous => "ANONYMOUS",
        Optional => "OPTIONAL",
        Mandatory => "MANDATORY",
    };
    for (server, client, shown) in [
        (Anonymous, Mandatory, Some(false)),
        (Anonymous, Anonymous, Some(false)),
        (Optional, Anonymous, Some(false)),
        (Optional, Optional, Some(true)),
        (Mandatory, Optional, Some(true)),
        (Mandatory, Mandatory, Some(true)),
        (Mandatory, Anonymous, None),
    ] {
        for version in [TlsVersion::V12, TlsVersion::V13] {
            let at_server = world.server(&server_profile(&[("client_auth_policy", word(server))]));
            let fields = [("client_auth_policy", word(client)), ("tls_versions", version.as_str())];
            let (s, _c) = meet(&at_server, &world.client(&client_profile(&fields))).await;
            match shown {
                Some(shown) => {
                    let link = s.unwrap();
                    let agreed = link.tls().unwrap();
                    assert_eq!(agreed.client_authenticated(), shown, "{server:?} {client:?} {version:?}");
                    assert_eq!(agreed.peer().and_then(|p| p.alias()), shown.then_some("CLIENT"));
                }
                None => assert!(matches!(s, Err(TlsRefusal::NoCertificate { .. })), "{version:?}"),
            }
        }
    }
}

/// What `explain tls` works out is what handshakes come to (issue 5).
#[tokio::test]
async fn an_offer_is_judged_as_the_handshake_ends() {
    let world = World::new();
    let (rsa, ecdsa) = ("ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    let new = "TLS_AES_128_GCM_SHA256";
    let suites =
        [rsa.to_owned(), ecdsa.to_owned(), format!("{new} {rsa}"), format!("{ecdsa} TLS_AES_256_GCM_SHA384 {rsa}")];
    let profiles: Vec<(&str, &String)> =
        ["TLSv12", "TLSv13", "TLSv13 TLSv12"].into_iter().flat_map(|v| suites.iter().map(move |s| (v, s))).collect();
    let keys =
        [("RSA", vec![world.own("RSASERVER", &world.rsa_server)]), ("ECDSA", vec![world.own("SERVER", &world.server)])];
    let mut agreed = 0;
    for (ours, order) in profiles.iter().flat_map(|p| [(p, "Y"), (p, "N")]) {
        for (kind, own) in &keys {
            let fields = [("tls_versions", ours.0), ("cipher_suites", ours.1), ("server_order", order)];
            let server = server_profile(&[&fields[..], &[("client_auth_policy", "TLS_AUT_ANONYMOUS")]].concat());
            let Ok(ready) = TlsServer::new(&server, own.clone(), world.store()) else { continue };
            for theirs in &profiles {
                let client = client_profile(&[("tls_versions", theirs.0), ("cipher_suites", theirs.1)]);
                let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
                let offer = TlsOffer::parse(&words(theirs.0), &words(theirs.1)).unwrap();
                let has_key = |suite: &TlsSuite| suite.key_algorithm().is_none_or(|needed| needed == *kind);
                let told = server.meets(&offer, &has_key);
                let Ok(client) = TlsClient::new(&client, Vec::new(), world.store()) else { continue };
                let (link, _) = meet(&ready, &client).await;
                let case = format!("{ours:?} {order} {kind}: {theirs:?}: {told:?}");
                match link {
                    Ok(link) => {
                        let session = link.tls().unwrap();
                        let told = told.unwrap_or_else(|_| panic!("{case}"));
                        assert_eq!((told.version, told.suite.name), (session.version(), session.suite()), "{case}");
                        agreed += 1;
                    }
                    Err(refusal) => assert!(told.is_err(), "{case}: {refusal}"),
                }
            }
        }
    }
    assert!(agreed > 50, "{agreed}");
}
