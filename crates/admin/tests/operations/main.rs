//! Operations from input to stored object, on a real database.

// What keeps panics out of the program is no rule for tests: here a panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod certificates;
mod config;
mod explain_tls;
mod house;
mod partner;
mod round_trip;
mod tls_profiles;

use admin::{OpError, Output};
use db::{CaptureCaps, CaptureOutcome, NewCapture};
use house::{House, text};
use keys::{KeyAlgorithm, KeyFileFormat, KeyMaterial, PrivateKey, write_key};

#[tokio::test]
async fn an_object_is_created_changed_shown_and_deleted() {
    // OBJ-1, NET-10, OBJ-3, NET-14
    let house = House::new().await;
    let profile = [("sshprof_name", "IN2"), ("type", "SERVER"), ("private_key_alias", model::GATEHOUSE_KEY)];
    house.run("secadm create_sshprof", &profile).await.unwrap();
    let network = [("nprof_name", "N"), ("security_option", "SSH"), ("sprof_name", "IN2"), ("dest_address", "*/2222")];
    house.run("secadm create_netprof", &network).await.unwrap();
    house.run("secadm update_sshprof", &[("sshprof_name", "IN2"), ("minutes_before_new_keys", "30")]).await.unwrap();
    let shown = house.run("secdsp display_sshprof", &[("sshprof_name", "IN2")]).await.unwrap().json();
    assert_eq!(shown["minutes_before_new_keys"], 30);
    assert_eq!(shown["type"], "SERVER", "update keeps what is not given");
    let refused = text(house.run("secadm delete_sshprof", &[("sshprof_name", "IN2")]).await);
    assert!(refused.contains('N') && refused.contains("sprof_name"), "{refused}");
    house.run("secadm delete_netprof", &[("nprof_name", "N")]).await.unwrap();
    house.run("secadm delete_sshprof", &[("sshprof_name", "IN2")]).await.unwrap();
    assert!(matches!(house.run("secdsp display_sshprof", &[("sshprof_name", "IN2")]).await, Err(OpError::NotFound(_))));
}

#[tokio::test]
async fn a_wrong_object_is_refused_with_what_to_do() {
    // NET-4, SSH-2, OBJ-2
    let house = House::new().await;
    let network = [("nprof_name", "N"), ("security_option", "SSH"), ("sprof_name", "SFTP_OUT")];
    let refused = text(house.run("secadm create_netprof", &network).await);
    assert!(refused.contains("SFTP_OUT"), "{refused}");
    assert!(
        text(house.run("secadm create_netprof", &[("nprof_name", "N")]).await).contains("-security_option is absent")
    );
    let twice = [("name", "L"), ("port", "2222")];
    house.run("listener add", &twice).await.unwrap();
    assert!(matches!(house.run("listener add", &twice).await, Err(OpError::Refused(_))));
}

#[tokio::test]
async fn keys_come_in_every_format_and_agree_with_what_is_stated() {
    // KEY-1, KEY-3, KEY-4, KEY-6
    let house = House::new().await;
    for (n, format) in [KeyFileFormat::Pem, KeyFileFormat::Der, KeyFileFormat::OpenSsh].into_iter().enumerate() {
        let key = KeyMaterial::Private(PrivateKey::generate(KeyAlgorithm::EcdsaNistp256, None).unwrap());
        let file = write_key(&key, format, None).unwrap();
        let name = format!("K{n}");
        house
            .import(&[("name", &name), ("algorithm", "ECDSA_NISTP256"), ("type", "PRIVATE")], file.expose())
            .await
            .unwrap();
        let shown = house.run("secdsp display_key", &[("name", &name)]).await.unwrap().json();
        assert_eq!(shown["group"], "GDEFAULT");
        assert_eq!(shown["fingerprint"], key.public().fingerprint().to_string());
        let again = text(house.import(&[("name", "TWIN")], file.expose()).await);
        assert!(again.contains(&name) && again.contains("-force"), "{again}");
        let wrong = text(house.import(&[("name", "W"), ("algorithm", "RSA")], file.expose()).await);
        assert_eq!(wrong, "-algorithm says RSA, and the file holds ECDSA_NISTP256");
    }
    assert!(matches!(house.import(&[("name", "X")], b"no key").await, Err(OpError::Refused(_))));
}

#[tokio::test]
async fn secrets_are_neither_shown_nor_audited() {
    // STO-8, STO-13, AUD-3, SSH-27
    let house = House::new().await;
    house.run("peladm create_site", &[("alias", "T"), ("template", "Y")]).await.unwrap();
    house.run("peladm create_cgategroup", &[("name", "G"), ("template_site", "T")]).await.unwrap();
    let gate = [("name", "A"), ("cgategroup", "G"), ("login_user", "a"), ("login_password", "correct horse")];
    house.run("peladm create_cgate", &gate).await.unwrap();
    let site =
        [("alias", "B"), ("dest_address", "b.example/22"), ("login_ident", "us"), ("login_password", "battery staple")];
    house.run("peladm create_site", &site).await.unwrap();
    let gate = house.run("peldsp display_cgate", &[("name", "A")]).await.unwrap().json();
    let site = house.run("peldsp display_site", &[("alias", "B")]).await.unwrap().json();
    assert_eq!((&gate["login_password"], &site["login_password"]), (&"***".into(), &"***".into()));
    let audit = house.run("audit list", &[("last", "1000")]).await.unwrap().json().to_string();
    assert!(!audit.contains("correct horse") && !audit.contains("battery staple"));
    assert!(audit.contains("Attempt") && audit.contains("Success"), "AUD-2");
    house.run("audit verify", &[]).await.unwrap();
}

#[tokio::test]
async fn control_operations_are_audited_whatever_comes_of_them() {
    // AUD-2
    let house = House::new().await;
    assert!(house.run("pelctl control_trans", &[("local_ident", "7"), ("action", "C")]).await.is_err());
    let rows = house.run("audit list", &[("action", "pelctl control_trans")]).await.unwrap().json();
    let seen: Vec<_> = rows.as_array().unwrap().iter().map(|r| (r["Result"].clone(), r["Name"].clone())).collect();
    let row = |result: &str| (result.into(), "7".into());
    assert!(seen.contains(&row("Attempt")) && seen.contains(&row("Failed")), "{seen:?}");
    let newest = house.run("audit list", &[("last", "1")]).await.unwrap().json();
    assert_eq!(newest[0]["Result"], "Failed", "the newest entry, not the oldest");
    house.run("audit verify", &[]).await.unwrap();
}

#[tokio::test]
async fn a_long_list_is_read_in_pages_and_shown_as_one() {
    let house = House::new().await;
    let transfers = house.context.engine.db().transfers();
    let mut ids = Vec::new();
    for n in 0..1203 {
        let id = transfers.next_id().await.unwrap();
        let site = if n % 2 == 0 { "EVEN" } else { "ODD" }.to_owned();
        let new = db::NewTransfer { site, ..db::NewTransfer::outgoing(id, "SFTP", base::UtcMicros(1)) };
        transfers.insert_lazy(new).await.unwrap();
        ids.push(id.0);
    }
    house.context.engine.db().meta().set("all", "written").await.unwrap();
    let list = async |criteria: &[(&str, &str)]| {
        let rows = house.run("peldsp select_trans", criteria).await.unwrap().json();
        rows.as_array().unwrap().iter().map(|row| row["Ident"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let newest: Vec<i64> = ids.iter().rev().copied().collect();
    assert_eq!(list(&[("last", "1001")]).await, newest[..1001]);
    assert_eq!(list(&[("last", "10000")]).await, newest);
    assert_eq!(list(&[("last", "10000"), ("site", "ODD"), ("state", "B")]).await.len(), 601);
    let second = ids[1].to_string();
    assert_eq!(list(&[("last", "10000"), ("below", &second)]).await, [ids[0]]);
    assert_eq!(list(&[]).await.len(), 50, "the usual number");
}

#[tokio::test]
async fn a_route_is_added_explained_and_deleted() {
    // DESIGN 1.8, OBJ-27
    let house = House::new().await;
    house.run("vfdadm create_dir", &[("dir_name", "/in")]).await.unwrap();
    house
        .run("peladm create_site", &[("alias", "B"), ("dest_address", "b.example/22"), ("login_ident", "us")])
        .await
        .unwrap();
    assert!(text(house.run("route add", &[("name", "R"), ("to", "B")]).await).contains("-from_dir"));
    house.run("route add", &[("name", "R"), ("to", "B"), ("from_dir", "/in"), ("pattern", "*.xml")]).await.unwrap();
    let facts = [[("from_dir", "/in"), ("pattern", "a.xml")], [("from_dir", "/in"), ("pattern", "a.txt")]];
    assert_eq!(house.run("explain route", &facts[0]).await.unwrap().json()["to"], serde_json::json!(["B"]));
    assert_eq!(house.run("explain route", &facts[1]).await.unwrap().json()["to"], serde_json::json!([]));
    assert_eq!(house.run("route list", &[]).await.unwrap().json().as_array().unwrap().len(), 1);
    house.run("route delete", &[("name", "R")]).await.unwrap();
    assert_eq!(house.run("explain route", &facts[0]).await.unwrap().json()["to"], serde_json::json!([]));
}

#[tokio::test]
async fn what_others_cannot_do_without_is_deleted_by_force_only() {
    // OBJ-3, SSH-4: a site without a profile calls with SFTP_OUT, and does not name it
    let house = House::new().await;
    let site = [("alias", "B"), ("dest_address", "b.example/22"), ("login_ident", "us")];
    house.run("peladm create_site", &site).await.unwrap();
    let name = [("sshprof_name", "SFTP_OUT")];
    let refused = text(house.run("secadm delete_sshprof", &name).await);
    assert!(refused.contains("SFTP_OUT"), "{refused}");
    house.run("secdsp display_sshprof", &name).await.unwrap();
    let audited = house.run("audit list", &[("action", "secadm delete_sshprof")]).await.unwrap().json();
    assert_eq!((&audited[0]["Result"], &audited[1]["Result"]), (&"Attempt".into(), &"Failed".into()), "AUD-2");
    house.run("secadm delete_sshprof", &[name[0], ("force", "Y")]).await.unwrap();
    assert!(house.run("secdsp display_sshprof", &name).await.is_err());
}

#[tokio::test]
async fn a_captured_key_is_bound_and_enabled_by_a_person() {
    // AUTO-7, DESIGN 1.5
    let house = House::new().await;
    house.run("peladm create_site", &[("alias", "T"), ("template", "Y")]).await.unwrap();
    house.run("peladm create_cgategroup", &[("name", "G"), ("template_site", "T")]).await.unwrap();
    house.run("peladm create_cgate", &[("name", "A"), ("cgategroup", "G"), ("login_user", "a")]).await.unwrap();
    let alias = capture(&house, "A").await;
    let listed = house.run("quarantine list", &[]).await.unwrap().json();
    assert_eq!(listed[0]["State"], "TO_CHECK", "programs get the stored word");
    let shown = house.run("secdsp display_key", &[("name", &alias)]).await.unwrap();
    let Output::Record { fields } = shown else { panic!("a record") };
    assert!(fields.iter().any(|(_, cell)| cell.to_string() == "DISABLED (to check)"), "people see that it is disabled");
    let story = house.run("quarantine show", &[("name", &alias)]).await.unwrap();
    assert!(matches!(story, Output::Story { ref lines, .. } if lines.iter().any(|l| l.starts_with("In words"))));
    house.run("quarantine enable", &[("name", &alias)]).await.unwrap();
    let snapshot = house.context.engine.snapshot();
    assert!(snapshot.key(&alias).unwrap().enabled());
    assert_eq!(
        snapshot.cgate("A").unwrap().bound_keys.iter().map(|a| a.as_str()).collect::<Vec<_>>(),
        [alias.as_str()]
    );
    assert_eq!(house.run("quarantine list", &[]).await.unwrap().json().as_array().unwrap().len(), 0);
}

/// What the audit says of the last thing that was asked: the entries of the newest number, without their times.
/// Every object as it is stored.
async fn objects(house: &House) -> Vec<model::Object> {
    house.context.engine.stored().await.unwrap().objects().cloned().collect()
}

async fn last_asked(house: &House) -> Vec<db::AuditRow> {
    let audit = house.context.engine.db().audit();
    let all = audit.list(db::AuditFilter { newest: true, ..Default::default() }, 100).await.unwrap();
    let tag = all.last().unwrap().tag;
    all.into_iter().filter(|row| row.tag == tag).collect()
}

#[tokio::test]
async fn a_route_is_written_whole_or_not_at_all() {
    // ARCHITECTURE invariant 7
    let house = House::new().await;
    let site = [("alias", "B"), ("dest_address", "b.example/22"), ("login_ident", "us")];
    house.run("peladm create_site", &site).await.unwrap();
    let route = |name| [("name", name), ("to", "B"), ("from_dir", "/in")];
    house.run("route add", &route("R")).await.unwrap();
    let entries = last_asked(&house).await;
    assert_eq!(
        entries.iter().map(|e| e.action.as_str()).collect::<Vec<_>>(),
        ["route add", "CREATE", "CREATE", "CREATE", "route add"]
    );
    // The rule's name is taken by another: neither model nor table are changed.
    house.run("route add", &route("S")).await.unwrap();
    house.run("peladm create_model", &[("name", "T2"), ("dest_alias", "B")]).await.unwrap();
    house.run("peladm create_decisionrule", &[("name", "T"), ("model", "T2")]).await.unwrap();
    let before = objects(&house).await;
    let refused = text(house.run("route add", &route("T")).await);
    assert_eq!(refused, "DECISION_RULE T exists already: choose another name or update it");
    assert_eq!(objects(&house).await, before);
    // A model that something else uses keeps its route.
    house.run("peladm update_decisionrule", &[("name", "T"), ("model", "R")]).await.unwrap();
    let before = objects(&house).await;
    let refused = text(house.run("route delete", &[("name", "R")]).await);
    assert!(refused.contains("MODEL R is used by DECISION_RULE T (model)"), "{refused}");
    assert_eq!(objects(&house).await, before);
    house.run("audit verify", &[]).await.unwrap();
}

#[tokio::test]
async fn what_is_refused_before_the_database_is_audited_too() {
    // AUD-2, AUD-3
    let house = House::new().await;
    let network = [("nprof_name", "N"), ("security_option", "SSH"), ("sprof_name", "SFTP_OUT")];
    let wrong = house.run("secadm create_netprof", &network).await;
    assert!(matches!(wrong, Err(OpError::Refused(_))));
    let entries = last_asked(&house).await;
    let told: Vec<_> = entries.iter().map(|e| (e.action.as_str(), e.name.as_str(), e.result)).collect();
    use db::AuditResult::{Attempt, Failed};
    assert_eq!(told, [("secadm create_netprof", "N", Attempt), ("secadm create_netprof", "N", Failed)]);
    assert!(entries[0].after_json.as_ref().unwrap().contains("SFTP_OUT"), "what was asked");
    assert!(entries[1].after_json.as_ref().unwrap().contains("type CLIENT"), "why it was refused");
    // An input that is not the operation's; its secret is not told.
    let name = "peladm create_site";
    let secret = [("login_password", "battery staple")];
    assert!(matches!(house.run(name, &secret).await, Err(OpError::Syntax(_))));
    let entries = last_asked(&house).await;
    assert_eq!(entries.iter().map(|e| e.result).collect::<Vec<_>>(), [Attempt, Failed]);
    assert!(entries[0].after_json.as_ref().unwrap().contains(r#""login_password":"***""#));
    assert!(!format!("{entries:?}").contains("battery"));
    // The database refuses in the transaction that audits it: told once.
    let count = |rows: &[db::AuditRow]| rows.iter().filter(|r| r.result == Failed).count();
    house.run("listener add", &[("name", "L"), ("port", "2222")]).await.unwrap();
    house.run("listener add", &[("name", "L"), ("port", "2223")]).await.unwrap_err();
    let all = house.context.engine.db().audit().list(Default::default(), 1000).await.unwrap();
    assert_eq!((count(&all), last_asked(&house).await.len()), (3, 2));
    // Looking at something is not audited, right or wrong.
    house.run("secdsp display_sshprof", &[]).await.unwrap_err();
    assert_eq!(house.context.engine.db().audit().list(Default::default(), 1000).await.unwrap().len(), all.len());
}

#[tokio::test]
async fn a_wrong_input_over_the_socket_is_audited() {
    // AUD-2
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let uid = rustix::process::getuid().as_raw();
    let listener = admin::socket::listen(&path).unwrap();
    let server = tokio::spawn(admin::socket::serve(listener, house.context.clone(), uid));
    let long = "9".repeat(100_000);
    for input in [
        r#"{"values":{"name":"L","port":"no"},"secrets":{},"files":{}}"#.to_owned(),
        r#"{"values":{"name":"L","colour":"red"},"secrets":{"port":"hunter2"},"files":{}}"#.to_owned(),
        format!(r#"{{"values":{{"name":"L","port":"{long}","address":"{long}"}},"secrets":{{}},"files":{{}}}}"#),
    ] {
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        stream.write_all(format!(r#"{{"operation":"listener add","input":{input}}}"#).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        assert!(reply.contains(r#""exit_code":2"#), "{reply}");
        let entries = last_asked(&house).await;
        assert_eq!((entries[0].action.as_str(), entries[0].name.as_str(), entries.len()), ("listener add", "L", 2));
        assert!(entries[0].actor.name.starts_with("uid:"));
        let told = format!("{entries:?}");
        assert!(!told.contains("hunter2") && told.len() < 5000, "{told}");
    }
    server.abort();
}

async fn capture(house: &House, gate: &str) -> String {
    house.context.engine.reload().await.unwrap();
    let key = PrivateKey::generate(KeyAlgorithm::Ed25519, None).unwrap();
    let public = key.public();
    let new = NewCapture {
        kind: model::Kind::Key,
        body: model::Body::from([
            ("algorithm".to_owned(), public.algorithm().to_string().as_str().into()),
            ("type".to_owned(), "PUBLIC".into()),
        ]),
        algorithm: public.algorithm().to_string(),
        bits: public.bits(),
        fingerprint: public.fingerprint().0,
        spki_sha256: public.spki_sha256(),
        public_blob: public.ssh_blob().to_vec(),
        gate: gate.to_owned(),
        login: "a".to_owned(),
        source: "192.0.2.7".to_owned(),
        group: model::DEFAULT_GROUP.to_owned(),
        comment: "A".to_owned(),
        known: true,
        uid: base::hex(&base::random::<16>().unwrap()),
        at: house.context.engine.clock().now(),
        caps: CaptureCaps { per_source: 10, per_gate: 10, total: 1000, reserve: 200 },
    };
    let outcome = house.context.engine.db().captures().record(new).await.unwrap();
    house.context.engine.reload().await.unwrap();
    match outcome {
        CaptureOutcome::Stored { alias, .. } => alias,
        other => panic!("{other:?}"),
    }
}
