//! Partners as one thing.

use std::sync::{Arc, Mutex};

use admin::partner::{CallPartner, Called, HostKey, HostKeyVerdict, Look, Probe, Stage, TlsProbe, questions};
use admin::{Output, execute};
use async_trait::async_trait;
use keys::{Fingerprint, KeyAlgorithm, PrivateKey, PublicKey};
use model::{HostPort, RemoteSite, SshProfile};

use crate::house::{House, input, lines, text};

fn key() -> PublicKey {
    PrivateKey::generate(KeyAlgorithm::Ed25519, None).unwrap().public().clone()
}

fn facts(output: &Output) -> serde_json::Value {
    output.json()
}

async fn add(house: &House, values: &[(&str, &str)]) -> Result<Output, admin::OpError> {
    house.run("partner add", values).await
}

/// A partner's server that shows one key and lets us in.
struct Server {
    key: PublicKey,
    known: Mutex<bool>,
}

#[async_trait]
impl CallPartner for Server {
    async fn call(&self, _: &Arc<RemoteSite>, trusted: Option<Fingerprint>) -> Called {
        let confirmed = trusted == Some(self.key.fingerprint());
        let known = *self.known.lock().unwrap();
        let verdict = match (known, confirmed, trusted) {
            (_, true, _) => HostKeyVerdict::Confirmed,
            (true, ..) => HostKeyVerdict::Known("B_HOST".to_owned()),
            (_, _, Some(_)) => HostKeyVerdict::Refused("another one".to_owned()),
            _ => HostKeyVerdict::New,
        };
        let good = known || confirmed;
        *self.known.lock().unwrap() = good;
        Called {
            address: "b.example:22".to_owned(),
            host_key: Some(HostKey { key: self.key.clone(), verdict }),
            folder: "/in".to_owned(),
            failed: (!good).then(|| (Stage::HostKey, "not accepted".to_owned())),
            ..Called::default()
        }
    }

    async fn probe(&self, _: &HostPort, _: &SshProfile) -> Result<Probe, String> {
        Err("nobody is there".to_owned())
    }

    async fn probe_tls(&self, _: &HostPort) -> Result<TlsProbe, String> {
        Err("nobody is there".to_owned())
    }

    async fn look(&self, _: &str, _: &HostPort) -> Result<Look, String> {
        Err("not in this test".to_owned())
    }
}

#[tokio::test]
async fn a_partner_is_all_its_objects_in_one_change() {
    // Issue: first partner; AUD-1
    let house = House::new().await;
    let before = house.point().await;
    let line = key().openssh_line("alice");
    let made = add(&house, &[("name", "ALICE"), ("key_line", &line)]).await.unwrap();
    assert_eq!(facts(&made)["applied"], true);
    let wanted = [
        "KEY ALICE_KEY",
        "NETWORK_PROFILE SFTP",
        "LISTENER SFTP",
        "SITE ALICE",
        "VFD_DIR /alice",
        "VFD_DIR /alice/in",
        "CGATE_GROUP PARTNERS",
        "CGATE ALICE",
    ];
    for title in wanted {
        assert!(lines(&made).contains(&format!("+ create {title}")), "{title}: {:?}", lines(&made));
    }
    let audited = house.run("audit list", &[("action", "partner add")]).await.unwrap().json();
    assert_eq!(audited.as_array().unwrap().len(), 2, "one attempt, one result: {audited}");
    let undo = [("all", "Y"), ("point", &before.to_string())];
    house.run("rollback", &undo).await.unwrap();
    assert!(house.run("partner list", &[]).await.unwrap().json().as_array().unwrap().is_empty());
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_before_anything_is_made() {
    let house = House::new().await;
    let line = key().openssh_line("");
    let profile = [("sshprof_name", model::SFTP_IN), ("client_auth_methods", "PUBLIC_KEY")];
    house.run("secadm update_sshprof", &profile).await.unwrap();
    house.run("peladm create_site", &[("alias", "TEMPLATE"), ("template", "Y")]).await.unwrap();
    house.run("peladm create_cgategroup", &[("name", "DYNAMIC"), ("template_site", "TEMPLATE")]).await.unwrap();
    house.run("vfdadm create_dir", &[("dir_name", "/bob")]).await.unwrap();
    let point = house.point().await;
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("password", "a-long-word")], "takes no passwords"),
        (&[("key_line", &line), ("cgategroup", "DYNAMIC")], "after a template"),
        (&[("key_line", &line), ("name", "BOB")], "/bob exists already"),
        (&[("key_line", &line), ("name", "TEMPLATE")], "exists already"),
        (&[("key_line", &line), ("to_site", "GONE")], "site GONE does not exist"),
        (&[("address", "b.example"), ("our_login", "x"), ("our_key", "GONE")], "GONE"),
    ];
    for (values, expected) in cases {
        let mut all = values.to_vec();
        if !all.iter().any(|(name, _)| *name == "name") {
            all.push(("name", "CAROL"));
        }
        let refused = text(add(&house, &all).await);
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    assert_eq!(house.point().await, point);
}

#[tokio::test]
async fn what_two_partners_share_stays_with_the_other() {
    let house = House::new().await;
    let line = key().openssh_line("");
    add(&house, &[("name", "ALICE"), ("key_line", &line)]).await.unwrap();
    let second = add(&house, &[("name", "BOB"), ("key_line", &line), ("folder", "/alice")]).await.unwrap();
    assert!(lines(&second).iter().any(|l| l.contains("ALICE_KEY is used")), "{:?}", lines(&second));
    let plan = house.run("partner remove", &[("name", "ALICE")]).await.unwrap();
    let told = lines(&plan);
    assert!(told.iter().any(|l| l.contains("stays: key ALICE_KEY") || l.contains("stays: KEY ALICE_KEY")), "{told:?}");
    assert!(told.iter().any(|l| l.contains("stays: folder /alice")), "{told:?}");
    assert_eq!(house.run("partner test", &[("name", "BOB")]).await.unwrap().json()["ok"], true);
}

#[tokio::test]
async fn a_route_that_would_not_act_is_told() {
    let house = House::new().await;
    let line = key().openssh_line("");
    let out = |name| vec![("name", name), ("address", "b.example"), ("our_login", "x"), ("from_site", "ALICE")];
    add(&house, &[("name", "ALICE"), ("key_line", &line)]).await.unwrap();
    let first = add(&house, &out("BOB")).await.unwrap();
    assert!(!lines(&first).iter().any(|l| l.contains("would not act")), "{:?}", lines(&first));
    let second = add(&house, &out("CAROL")).await.unwrap();
    assert!(
        lines(&second).iter().any(|l| l.contains("would not act") && l.contains("BOB_OUT")),
        "{:?}",
        lines(&second)
    );
}

#[tokio::test]
async fn only_the_fingerprint_that_was_named_is_trusted() {
    // SFTP-6
    let mut house = House::new().await;
    let server = Arc::new(Server { key: key(), known: Mutex::new(false) });
    house.context.caller = Some(server.clone());
    let print = server.key.fingerprint().to_string();
    let made = add(&house, &[("name", "B"), ("address", "b.example"), ("our_login", "us")]).await.unwrap();
    assert_eq!(facts(&made)["tests"][0]["host_key"]["fingerprint"], print);
    assert!(house.run("partner test", &[("name", "B")]).await.unwrap().needs_person());
    let other = key().fingerprint().to_string();
    let refused = text(house.run("partner trust", &[("name", "B"), ("fingerprint", &other)]).await);
    assert!(refused.contains(&print) && refused.contains("nothing is trusted"), "{refused}");
    let trusted = house.run("partner trust", &[("name", "B"), ("fingerprint", &print)]).await.unwrap();
    assert!(!trusted.needs_person());
    let site = house.run("peldsp display_site", &[("alias", "B")]).await.unwrap().json();
    assert_eq!(site["bound_keys"], serde_json::json!(["B_HOST"]));
    assert!(!house.run("partner test", &[("name", "B")]).await.unwrap().needs_person());
}

#[tokio::test]
async fn questions_follow_what_is_known() {
    let of = |values: &[(&str, &str)]| -> Vec<&'static str> {
        questions(&input("partner add", values)).into_iter().map(|q| q.param).collect()
    };
    assert_eq!(of(&[("name", "A")]), ["directions"]);
    assert_eq!(of(&[("name", "A"), ("directions", "1")]), ["login", "key", "to_site"]);
    assert_eq!(of(&[("name", "A"), ("directions", "2"), ("capture", "Y"), ("login", "a")]), Vec::<&str>::new());
    assert_eq!(of(&[("name", "A"), ("directions", "WE_SEND")]).len(), 5);
    assert_eq!(of(&[("name", "A"), ("address", "b")])[0], "our_login");
    let house = House::new().await;
    let refused = execute(&house.context, "partner add", &input("partner add", &[("name", "A")])).await.unwrap_err();
    assert_eq!(refused.exit_code(), 2);
}
