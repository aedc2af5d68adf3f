//! What `explain tls` and `explain inbound` say, and secrets that are taken away.

use admin::{OpError, Output};
use serde_json::json;

use crate::house::{House, text};

fn told(output: &Output) -> (String, serde_json::Value, bool) {
    let facts = output.json();
    match output {
        Output::Story { lines, .. } => (lines.join("\n"), facts, true),
        Output::Report { lines, needs_person, .. } => {
            (lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>().join("\n"), facts, !needs_person)
        }
        other => panic!("{other:?}"),
    }
}

impl House {
    async fn with_tls(&self) {
        for (name, values) in [
            ("secadm create_cert", &[("certificate_name", "OWN"), ("subject_name", "CN=gw")][..]),
            (
                "secadm create_cert",
                &[("certificate_name", "OLD"), ("subject_name", "CN=old"), ("algorithm", "ECDSA_NISTP256")],
            ),
            ("secadm update_cert", &[("certificate_name", "OLD"), ("status", "D")]),
            ("secadm create_sprof", &[("sprof_name", "IN"), ("type", "SERVER"), ("user_local_certificate", "OWN OLD")]),
            ("secadm create_sprof", &[("sprof_name", "OUT"), ("type", "CLIENT"), ("tls_versions", "TLSv12")]),
            (
                "secadm create_netprof",
                &[("nprof_name", "N"), ("security_option", "TLS"), ("sprof_name", "IN"), ("dest_address", "*/990")],
            ),
        ] {
            let done = self.run(name, values).await;
            assert!(done.is_ok(), "{name}: {done:?}");
        }
    }
}

#[tokio::test] // issue 5: explain tls
async fn a_profile_is_told_and_an_offer_is_judged() {
    let house = House::new().await;
    house.with_tls().await;
    let (lines, facts, good) = told(&house.run("explain tls", &[("profile", "IN")]).await.unwrap());
    assert!(good, "{lines}");
    for part in ["=> TLS profile IN serves, implicit", "TLSv13 TLSv12", "X25519MLKEM768", "OWN (", "(TLS_AUT_"] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    assert!(lines.contains("OLD is passed over: OLD is DISABLED"), "{lines}");
    assert_eq!(facts["handshakes_refused"], json!([]));
    let by_address = [("peer", "192.0.2.7:4000"), ("local", "192.0.2.1:990")];
    let (lines, ..) = told(&house.run("explain tls", &by_address).await.unwrap());
    assert!(lines.contains("+ NETWORK_PROFILE N") && lines.contains("profile IN serves"), "{lines}");
    let offer = [("profile", "OUT"), ("versions", "TLSv13")];
    let (lines, facts, good) = told(&house.run("explain tls", &offer).await.unwrap());
    assert!(!good && lines.contains("they offer TLSv13, profile OUT allows TLSv12; add TLSv13"), "{lines}");
    assert!(facts["does_not_fit"]["change"].as_str().unwrap().contains("tls_versions"), "{facts}");
    for (values, part) in [
        (&[("profile", "NONE")][..], "no TLS profile is called NONE"),
        (&[][..], "-profile NAME, or -peer"),
        (&[("profile", "IN"), ("versions", "TLSv7")][..], "TLSv7"),
    ] {
        let said = text(house.run("explain tls", values).await);
        assert!(said.contains(part), "{said}");
    }
    let clear = [("peer", "192.0.2.7:4000"), ("local", "192.0.2.1:22")];
    let (lines, _, good) = told(&house.run("explain tls", &clear).await.unwrap());
    assert!(!good && lines.contains("=> "), "{lines}");
}

#[tokio::test]
async fn an_empty_secret_takes_it_away() {
    let house = House::new().await;
    house.run("peladm create_cgategroup", &[("name", "G")]).await.unwrap();
    let gate = [("name", "A"), ("cgategroup", "G"), ("login_user", "a"), ("login_password", "correct horse")];
    house.run("peladm create_cgate", &gate).await.unwrap();
    let has = || house.context.engine.snapshot().cgates().any(|gate| gate.has_password);
    assert!(has());
    house.run("peladm update_cgate", &[("name", "A"), ("comments", "same")]).await.unwrap();
    assert!(has());
    house.run("peladm update_cgate", &[("name", "A"), ("login_password", "")]).await.unwrap();
    assert!(!has());
    let wrong = [("name", "A"), ("certificate_login", "Y")];
    assert!(matches!(house.run("peladm update_cgate", &wrong).await, Err(OpError::Refused(_) | OpError::Syntax(_))));
    let right = [("name", "A"), ("certificate_login", "Y"), ("tls_client_auth", "Y")];
    house.run("peladm update_cgate", &right).await.unwrap();
    let with_password = [("name", "A"), ("login_password", "correct horse")];
    assert!(text(house.run("peladm update_cgate", &with_password).await).contains("instead of one"));
}
