//! Sessions that go on: data connections of a control connection, and those of which something has changed since.

use channel::{Link, TlsRefusal};
use keys::certificate::CertificateState;

use crate::house::{World, client_profile, meet, meet_for, sentence, server_profile, session, talk};

const REUSE: (&str, &str) = ("ft_data_reuse", "Y");
const VERSIONS: [&str; 2] = ["TLSv12", "TLSv13"];

fn resumed(link: &Link) -> bool {
    link.tls().unwrap().resumed()
}

#[tokio::test] // TLS-22
async fn data_connections_go_on_from_their_control_connection() {
    let world = World::new();
    for version in VERSIONS {
        let mandatory = ("client_auth_policy", "MANDATORY");
        let server = world.server(&server_profile(&[REUSE, mandatory]));
        let client = world.client(&client_profile(&[mandatory, ("tls_versions", version), REUSE]));
        let control = session(&server, &client).await;
        let mut held = Vec::new();
        // In TLS 1.3 each takes one of the tickets that the control connection brought.
        let (connections, lasts) = if version == "TLSv13" { (8, false) } else { (12, true) };
        for n in 0..connections {
            assert!(control.1.tls().unwrap().can_be_resumed(), "{version} {n}");
            let (s, c) = meet_for(&server, &client, Some((&control.0, &control.1))).await;
            let (s, c) = talk(s.unwrap(), c.unwrap()).await;
            assert!(resumed(&s) && resumed(&c), "{version} {n}");
            let agreed = s.tls().unwrap();
            assert!(agreed.client_authenticated());
            assert_eq!((agreed.peer().unwrap().alias(), agreed.own_certificate()), (Some("CLIENT"), Some("SERVER")));
            assert_eq!(c.tls().unwrap().own_certificate(), Some("CLIENT"));
            held.push((s, c));
        }
        assert_eq!(control.1.tls().unwrap().can_be_resumed(), lasts, "{version}");
        assert!(!control.0.tls().unwrap().can_be_resumed(), "only a client goes on");
    }
}

#[tokio::test] // against theft of data connections: another client, and another session of the same one
async fn no_other_session_is_good_for_a_data_connection() {
    let world = World::new();
    for version in VERSIONS {
        let server = world.server(&server_profile(&[REUSE]));
        let client = world.client(&client_profile(&[("tls_versions", version)]));
        let control = session(&server, &client).await;
        let (fresh, _) = meet_for(&server, &client, Some((&control.0, &control.0))).await;
        assert!(matches!(fresh, Err(TlsRefusal::NotResumed { .. })), "{version}: a full handshake");
        let other = session(&server, &client).await;
        let (stolen, thief) = meet_for(&server, &client, Some((&control.0, &other.1))).await;
        let stolen = sentence(stolen);
        assert!(stolen.contains("does not resume the TLS session of its control connection"), "{version}: {stolen}");
        // The thief got tickets with his refusal, and comes back with them.
        let tickets = thief.map(|mut link| async move {
            let _refused = tokio::io::AsyncReadExt::read(&mut link, &mut [0]).await;
            link
        });
        if let Ok(thief) = tickets {
            let (again, _) = meet_for(&server, &client, Some((&control.0, &thief.await))).await;
            assert!(matches!(again, Err(TlsRefusal::NotResumed { .. })), "{version}: stolen by a ticket");
        }
        // The client sees it as well, where its profile asks for it.
        let strict = world.client(&client_profile(&[("tls_versions", version), REUSE]));
        let forgetful = world.server(&server_profile(&[("cache_enabled", "N")]));
        let control = session(&forgetful, &strict).await;
        let (_, c) = meet_for(&forgetful, &strict, Some((&control.0, &control.1))).await;
        assert!(matches!(c, Err(TlsRefusal::NotResumed { .. })), "{version}");
    }
}

#[tokio::test]
async fn without_reuse_the_client_is_the_same_all_the_same() {
    let world = World::new();
    let optional = ("client_auth_policy", "OPTIONAL");
    let server = world.server(&server_profile(&[optional, ("cache_enabled", "N")]));
    let known = world.client(&client_profile(&[optional]));
    let nobody = world.client(&client_profile(&[]));
    let control = session(&server, &known).await;
    let (s, _c) = meet_for(&server, &known, Some((&control.0, &control.1))).await;
    assert!(!resumed(&s.unwrap()));
    let (s, _c) = meet_for(&server, &nobody, Some((&control.0, &control.1))).await;
    assert!(matches!(s, Err(TlsRefusal::OtherClient)));
}

#[tokio::test] // TLS-21, CERT-18
async fn a_resumed_session_is_judged_again() {
    let world = World::new();
    for version in VERSIONS {
        let store = world.store();
        let mandatory = ("client_auth_policy", "MANDATORY");
        let server = world.server_on(&server_profile(&[mandatory]), &store);
        let client = world.client_on(&client_profile(&[mandatory, ("tls_versions", version)]), &store);
        let control = session(&server, &client).await;
        let mut entries = world.entries();
        entries.retain(|entry| entry.alias != "CLIENT");
        entries.push(world.client.stored("CLIENT", CertificateState::Disabled));
        store.set(entries);
        let (s, _c) = meet_for(&server, &client, Some((&control.0, &control.1))).await;
        let refused = sentence(s);
        assert!(refused.contains("certificate CLIENT is DISABLED"), "{version}: {refused}");
    }
    for version in VERSIONS {
        let store = world.store();
        let server = world.server(&server_profile(&[]));
        let client = world.client_on(&client_profile(&[("tls_versions", version)]), &store);
        let control = session(&server, &client).await;
        store.set(vec![world.root.stored("ROOT", CertificateState::Disabled)]);
        let (_s, c) = meet_for(&server, &client, Some((&control.0, &control.1))).await;
        let refused = sentence(c);
        assert!(refused.contains("ROOT is DISABLED"), "{version}: {refused}");
    }
}

#[tokio::test] // TLS-21: never across profiles
async fn another_profile_knows_nothing_of_it() {
    let world = World::new();
    for version in VERSIONS {
        let client = world.client(&client_profile(&[("tls_versions", version)]));
        let (one, other) = (world.server(&server_profile(&[])), world.server(&server_profile(&[])));
        let control = session(&one, &client).await;
        let (s, c) = meet_for(&other, &client, Some((&control.0, &control.1))).await;
        assert!(!resumed(&s.unwrap()) && !resumed(&c.unwrap()), "{version}");
        let (s, _c) = meet(&one, &client).await;
        assert!(!resumed(&s.unwrap()), "each control connection begins anew");
    }
}

#[tokio::test]
async fn without_tickets_only_older_sessions_go_on() {
    let world = World::new();
    for (at_server, at_client) in [("N", "Y"), ("Y", "N")] {
        for (version, goes_on) in [("TLSv12", true), ("TLSv13", false)] {
            let server = world.server(&server_profile(&[("session_tickets", at_server)]));
            let fields = [("tls_versions", version), ("session_tickets", at_client)];
            let client = world.client(&client_profile(&fields));
            let control = session(&server, &client).await;
            let (s, _c) = meet_for(&server, &client, Some((&control.0, &control.1))).await;
            assert_eq!(resumed(&s.unwrap()), goes_on, "{version} {at_server} {at_client}");
        }
    }
}
