//! Logins: methods by states of gate, site and key (DESIGN 5.6), and quarantine under a flood (DESIGN 5.7).

use std::sync::Arc;

use base::Secret;
use db::{Change, NewCredential, NewObject};
use keys::{KeyAlgorithm, PasswordHash, PrivateKey, PublicKey};
use model::{Body, Inbound, Kind, LoginTls, ObjectState, RemoteSite, SshProfile, Value};

use super::house::{House, Written, actor};
use super::made::{make, wanted};
use crate::Event;
use crate::admit::{AuthAnswer, AuthSession, LoginLine, LoginRules, MethodsLeft, TlsPlace, Unfit, tls_refused};

const BOTH_WAYS: &[(&str, &str)] = &[("type", "SERVER"), ("remote_key_import", "Y")];
const STAGE: &[Written<'static>] = &[
    (Kind::SshProfile, "EITHER", BOTH_WAYS),
    (Kind::SshProfile, "KEY_ONLY", &[("type", "SERVER"), ("client_auth_methods", "PUBLIC_KEY")]),
    (Kind::SshProfile, "ALL", &[("type", "SERVER"), ("perform_all_auth_method", "Y")]),
    (Kind::SshProfile, "TRUSTING", &[("type", "SERVER"), ("trust_hosted_public_keys", "Y")]),
    (Kind::RemoteSite, "T", &[("template", "Y")]),
    (Kind::CgateGroup, "PARTNERS", &[("sap", "*"), ("template_site", "T")]),
    (Kind::Cgate, "GB", &[("cgategroup", "PARTNERS"), ("login_user", "b")]),
];

async fn stage() -> House {
    House::with(STAGE).await
}

fn key() -> PublicKey {
    PrivateKey::generate(KeyAlgorithm::Ed25519, None).unwrap().public().clone()
}

/// Stores a key, and binds it to a gate if one is named.
async fn store(house: &House, name: &str, key: &PublicKey, gate: Option<&str>) {
    let text = |text: &str| Value::Text(text.to_owned());
    let new = NewObject {
        uid: base::hex(&base::random::<8>().unwrap()),
        kind: Kind::Key,
        name: name.to_owned(),
        group: "GDEFAULT".to_owned(),
        state: ObjectState::Enabled,
        body: Body::from([("algorithm".to_owned(), text("ED25519")), ("type".to_owned(), text("PUBLIC"))]),
        secrets: Vec::new(),
        references: Vec::new(),
        credential: Some(NewCredential {
            class: "KEY".to_owned(),
            algorithm: "ED25519".to_owned(),
            bits: 256,
            fingerprint: key.fingerprint().0,
            spki_sha256: key.spki_sha256(),
            public_blob: key.ssh_blob().to_vec(),
            private_sealed: None,
        }),
    };
    house.engine.db.objects().create(new, &actor()).await.unwrap();
    if let Some(gate) = gate {
        change(house, gate, |body| drop(body.insert("bound_keys".to_owned(), Value::List(vec![name.to_owned()]))))
            .await;
    }
    house.engine.reload().await.unwrap();
}

async fn change(house: &House, gate: &str, edit: impl FnOnce(&mut Body)) {
    let object = house.engine.db.objects().find(Kind::Cgate, gate).await.unwrap().unwrap();
    let mut body = object.body.clone();
    edit(&mut body);
    let uid = house.engine.db.objects().uid(Kind::Cgate, gate).await.unwrap();
    let hash = PasswordHash::hash(&Secret::new("correct horse".to_owned())).unwrap();
    let aad = format!("object_secret|{uid}|login_password");
    let sealed = house.engine.master().seal(aad.as_bytes(), hash.as_str().as_bytes()).unwrap();
    let change = Change {
        kind: Kind::Cgate,
        name: gate.to_owned(),
        new_name: None,
        group: object.group.clone(),
        state: object.state,
        body,
        secrets: vec![("login_password".to_owned(), Some(sealed))],
        references: Vec::new(),
        expected_revision: None,
        credential: None,
    };
    house.engine.db.objects().update(change, &actor()).await.unwrap();
    house.engine.reload().await.unwrap();
}

fn call(house: &House, profile: &str, peer: &str) -> AuthSession {
    let profile: Arc<SshProfile> = house.engine.snapshot().ssh_profile(profile).unwrap().clone();
    let inbound = Inbound::new("192.0.2.1:22".parse().unwrap(), peer.parse().unwrap());
    AuthSession::new(Arc::clone(&house.engine), inbound, "SFTP", profile.as_ref())
}

const PEER: &str = "192.0.2.7:40000";

fn word(answer: &AuthAnswer) -> &'static str {
    match answer {
        AuthAnswer::Accept(_) => "in",
        AuthAnswer::Partial(_) => "more",
        AuthAnswer::Reject(_) => "no",
    }
}

async fn by_key(house: &House, profile: &str, login: &str, key: &PublicKey) -> &'static str {
    let session = call(house, profile, PEER);
    let answer = session.proved_key(login.as_bytes(), key).await;
    session.ended().await;
    word(&answer)
}

async fn by_password(house: &House, profile: &str, login: &str, password: &str) -> &'static str {
    let session = call(house, profile, PEER);
    let answer = session.password(login.as_bytes(), &Secret::new(password.to_owned())).await;
    session.ended().await;
    word(&answer)
}

#[tokio::test]
async fn each_method_lets_in_exactly_its_own() {
    // SSH-11, SFTP-4
    let house = stage().await;
    let right = key();
    store(&house, "KA", &right, Some("GA")).await;
    for (profile, with_key, with_password, wrong) in
        [("EITHER", "in", "in", "no"), ("KEY_ONLY", "in", "no", "no"), ("ALL", "more", "more", "no")]
    {
        assert_eq!(by_key(&house, profile, "a", &right).await, with_key, "{profile}");
        assert_eq!(by_password(&house, profile, "a", "correct horse").await, with_password, "{profile}");
        assert_eq!(by_password(&house, profile, "a", "wrong").await, wrong, "{profile}");
        assert_eq!(by_key(&house, profile, "a", &key()).await, "no", "{profile}");
    }
    let session = call(&house, "ALL", PEER);
    assert_eq!(word(&session.proved_key(b"a", &right).await), "more");
    assert_eq!(word(&session.password(b"a", &Secret::new("correct horse".to_owned())).await), "in");
}

#[tokio::test]
async fn a_second_login_name_begins_anew() {
    // The key of A and the password of B together open nothing.
    let house = stage().await;
    let right = key();
    store(&house, "KA", &right, Some("GA")).await;
    change(&house, "GB", |_| ()).await;
    let session = call(&house, "ALL", PEER);
    assert_eq!(word(&session.proved_key(b"a", &right).await), "more");
    assert_eq!(word(&session.password(b"b", &Secret::new("correct horse".to_owned())).await), "more");
    assert_eq!(word(&session.proved_key(b"b", &right).await), "no");
}

#[tokio::test]
async fn states_of_gate_and_key_count_at_once() {
    // SSH-3 alike, AUTO-3, DESIGN 2.8
    let house = stage().await;
    let right = key();
    store(&house, "KA", &right, Some("GA")).await;
    for (kind, name) in [(Kind::Key, "KA"), (Kind::Cgate, "GA")] {
        for state in [ObjectState::Disabled, ObjectState::ToCheck] {
            if kind == Kind::Cgate && state == ObjectState::ToCheck {
                continue;
            }
            house.set_state(kind, name, state).await;
            assert_eq!(by_key(&house, "EITHER", "a", &right).await, "no", "{kind} {state:?}");
            house.set_state(kind, name, ObjectState::Enabled).await;
            assert_eq!(by_key(&house, "EITHER", "a", &right).await, "in", "{kind} enabled");
        }
    }
}

#[tokio::test]
async fn the_key_of_one_partner_is_not_that_of_another() {
    // DESIGN 1.5, OBJ-12
    let house = stage().await;
    let right = key();
    store(&house, "KA", &right, Some("GA")).await;
    assert_eq!(by_key(&house, "EITHER", "b", &right).await, "no");
    assert_eq!(by_key(&house, "TRUSTING", "b", &right).await, "in", "an explicit flag of the profile");
    assert_eq!(by_key(&house, "EITHER", "nobody", &right).await, "no");
}

#[tokio::test]
async fn the_sixth_key_of_an_agent_may_be_right() {
    // DESIGN 1.6: of the unknown ones at most three are asked to be proved, so nothing is stored for an agent that gets in.
    let house = stage().await;
    let right = key();
    store(&house, "KA", &right, Some("GA")).await;
    let session = call(&house, "EITHER", PEER);
    let mut asked = 0;
    for _ in 0..5 {
        let unknown = key();
        if session.offered_key(b"a", &unknown).await {
            asked += 1;
            assert_eq!(word(&session.proved_key(b"a", &unknown).await), "no");
        }
    }
    assert_eq!(asked, 3);
    assert!(session.offered_key(b"a", &right).await);
    assert_eq!(word(&session.proved_key(b"a", &right).await), "in");
    session.ended().await;
    assert!(house.engine.db.captures().list(false).await.unwrap().is_empty());
}

#[tokio::test]
async fn keys_that_were_only_offered_are_told_once_and_count_for_nothing() {
    let house = stage().await;
    let right = key();
    store(&house, "KA", &right, Some("GA")).await;
    let (first, second) = (key(), key());
    let mut events = house.engine.events();
    for _ in 0..8 {
        let session = call(&house, "KEY_ONLY", PEER);
        assert!(!session.offered_key(b"a", &first).await && !session.offered_key(b"a", &second).await);
        session.ended().await;
        let event = events.recv().await.unwrap();
        let Event::LoginRefused { login, text, .. } = &*event else { panic!("{event:?}") };
        assert!(login == "a" && text.contains(&first.fingerprint().to_string()), "{text}");
        assert!(text.contains(&second.fingerprint().to_string()), "{text}");
    }
    // Who has an agent with many keys is not locked out, and whoever gets in is told of nothing.
    let session = call(&house, "KEY_ONLY", PEER);
    assert!(!session.offered_key(b"a", &first).await);
    assert_eq!(word(&session.proved_key(b"a", &right).await), "in");
    session.ended().await;
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(&*event, Event::LoginRefused { .. }), "{event:?}");
    }
}

#[tokio::test]
async fn unknown_logins_get_the_same_answers_and_leave_nothing() {
    // SSH-32, SFTP-22, AUTO-4
    let house = stage().await;
    change(&house, "GA", |_| ()).await;
    let unknown = key();
    for login in [&b"a"[..], b"nobody", b"\xff\x00", b""] {
        let session = call(&house, "EITHER", PEER);
        assert!(session.offered_key(login, &unknown).await, "asked to prove");
        let answers = [
            session.proved_key(login, &unknown).await,
            session.password(login, &Secret::new("wrong".to_owned())).await,
        ];
        for answer in answers {
            assert!(
                matches!(answer, AuthAnswer::Reject(left) if left == MethodsLeft { password: true, public_key: true })
            );
        }
        if login != b"a" {
            session.ended().await;
        }
    }
    assert!(house.engine.db.captures().list(false).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_source_that_guesses_is_locked_out_for_a_while() {
    // OBJ-20, SSH-30
    let house = stage().await;
    change(&house, "GA", |_| ()).await;
    for _ in 0..5 {
        assert_eq!(by_password(&house, "EITHER", "a", "wrong").await, "no");
    }
    assert_eq!(by_password(&house, "EITHER", "a", "correct horse").await, "no", "locked out");
    let other = call(&house, "EITHER", "198.51.100.9:1");
    let answer = other.password(b"a", &Secret::new("correct horse".to_owned())).await;
    assert_eq!(word(&answer), "in", "another source is not");
    house.advance(301);
    assert_eq!(by_password(&house, "EITHER", "a", "correct horse").await, "in");
}

/// A key that nobody has the other half of: the engine is told that it was proved.
fn strange_key(n: u32) -> PublicKey {
    let part = |octets: &[u8]| [&u32::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat();
    // Half of all octets are no point of the curve.
    (0..=u8::MAX)
        .map(|try_number| crate::sha256(&[&n.to_be_bytes()[..], &[try_number]].concat()))
        .find_map(|octets| PublicKey::from_ssh_blob(&[part(b"ssh-ed25519"), part(&octets)].concat()).ok())
        .unwrap()
}

/// Keys that are shown in the flood, and logins that they are shown for.
const FLOOD_KEYS: u32 = 10_000;
const FLOOD_LOGINS: u32 = 100;

/// Shows a key that is unknown, for one of the logins of the flood; gives the answer.
async fn flood(house: &House, n: u32, peer: String) -> &'static str {
    let session = call(house, "EITHER", &peer);
    let answer = session.proved_key(format!("p{}", n % FLOOD_LOGINS).as_bytes(), &strange_key(n)).await;
    session.ended().await;
    word(&answer)
}

#[tokio::test]
async fn a_flood_of_keys_stops_at_the_caps_and_known_partners_still_land() {
    // AUTO-1, AUTO-2, AUTO-6, DESIGN 5.7
    let names: Vec<(String, String)> = (0..FLOOD_LOGINS).map(|n| (format!("P{n}"), format!("p{n}"))).collect();
    let fields: Vec<[(&str, &str); 2]> =
        names.iter().map(|(_, login)| [("cgategroup", "PARTNERS"), ("login_user", login.as_str())]).collect();
    let mut stage = STAGE.to_vec();
    stage.extend(names.iter().zip(&fields).map(|((gate, _), fields)| (Kind::Cgate, gate.as_str(), &fields[..])));
    let house = House::with(&stage).await;
    let right = key();
    store(&house, "KA", &right, Some("GA")).await;
    let stored = async || house.engine.db.captures().list(false).await.unwrap();

    // From one /64, for many logins; then each from another /64.
    for n in 0..50 {
        assert_eq!(flood(&house, n, format!("[2001:db8:0:1::{n:x}]:1")).await, "no");
    }
    assert_eq!(stored().await.len(), 10, "what waits of one source is bounded");
    for chunk in (50..FLOOD_KEYS).collect::<Vec<_>>().chunks(50) {
        let shown = chunk.iter().map(|n| flood(&house, *n, format!("[2001:db8:{n:x}:2::1]:1")));
        assert!(futures_util::future::join_all(shown).await.iter().all(|answer| *answer == "no"));
    }
    let all = stored().await;
    assert_eq!(all.len(), 800, "what waits in all is bounded, and 200 places are kept for known partners");
    assert!(all.iter().all(|c| c.state == ObjectState::ToCheck));
    for (gate, _) in &names {
        assert!(all.iter().filter(|c| c.gate == *gate).count() <= 10, "what waits at one gate is bounded");
    }
    assert_eq!(flood(&house, 0, "[2001:db8::1]:1".to_owned()).await, "no", "AUTO-7: shown again, still not in");
    let again = stored().await;
    assert_eq!(again.len(), 800, "AUTO-2: nothing doubles");
    let shown = again.iter().find(|c| c.fingerprint == strange_key(0).fingerprint().0).unwrap();
    assert_eq!(shown.tries, 2, "AUTO-2: counted");

    let mut events = house.engine.events();
    let new = key();
    for _ in 0..3 {
        assert_eq!(by_key(&house, "EITHER", "a", &new).await, "no");
    }
    let mut names = Vec::new();
    while let Ok(event) = events.try_recv() {
        names.push(event.name());
    }
    let count = |name| names.iter().filter(|n| **n == name).count();
    assert_eq!(count("captured"), 1, "the known partner's new key lands: {names:?}");
    assert_eq!(count("capture_alarm"), 1, "{names:?}");
}

#[tokio::test]
async fn another_key_than_the_named_one_is_told_once_and_stored_never() {
    // AUTO-5, SSH-18
    let house = stage().await;
    let right = key();
    store(&house, "KA", &right, None).await;
    let named = Value::List(vec!["KA".to_owned()]);
    change(&house, "GA", |body| drop(body.insert("remote_public_key_alias".to_owned(), named))).await;
    assert_eq!(by_key(&house, "EITHER", "a", &right).await, "in");
    let mut events = house.engine.events();
    let other = key();
    for _ in 0..3 {
        assert_eq!(by_key(&house, "EITHER", "a", &other).await, "no");
    }
    let mut alarms = 0;
    while let Ok(event) = events.try_recv() {
        alarms += usize::from(event.name() == "capture_alarm");
    }
    assert_eq!(alarms, 1);
    assert!(house.engine.db.captures().list(false).await.unwrap().is_empty());
}

/// A connection over TLS, whose client shows a certificate or not, and which fits sites or not.
struct OverTls {
    certificate: Option<&'static str>,
    fits: Result<Option<String>, Unfit>,
}

impl LoginLine for OverTls {
    fn tls(&self) -> Option<LoginTls> {
        let client_authenticated = self.certificate.is_some();
        Some(LoginTls { profile: "FTPS_IN".to_owned(), user_param: String::new(), client_authenticated })
    }

    fn certificate(&self) -> Option<String> {
        self.certificate.map(str::to_owned)
    }

    fn fits(&self, _: &RemoteSite) -> Result<Option<String>, Unfit> {
        self.fits.clone()
    }
}

const FTP_STAGE: &[Written<'static>] = &[
    (Kind::CgateGroup, "FTP_PARTNERS", &[("sap", "*"), ("protocol", "FTP")]),
    (Kind::RemoteSite, "carol", &[("protocol", "FTP")]),
    (
        Kind::Cgate,
        "CAROL",
        &[
            ("cgategroup", "FTP_PARTNERS"),
            ("login_user", "carol"),
            ("tls_client_auth", "Y"),
            ("certificate_login", "Y"),
        ],
    ),
    (Kind::RemoteSite, "dave", &[("protocol", "FTP")]),
    (
        Kind::Cgate,
        "DAVE",
        &[("cgategroup", "FTP_PARTNERS"), ("login_user", "dave"), ("tls_sprof", "FTPS*"), ("tls_client_auth", "Y")],
    ),
];

fn ftp(house: &House) -> AuthSession {
    let inbound = Inbound::new("192.0.2.1:21".parse().unwrap(), PEER.parse().unwrap());
    AuthSession::new(Arc::clone(&house.engine), inbound, "FTP", LoginRules::password_or_certificate())
}

async fn over_tls(house: &House, certificate: Option<&'static str>) -> AuthSession {
    let session = ftp(house);
    session.over(Arc::new(OverTls { certificate, fits: Ok(None) })).await;
    session
}

/// Gives the site a certificate that is its own.
async fn attach_certificate(house: &House, site: &str) {
    let shown = make(wanted("carol"), None);
    let place = TlsPlace::Caller { profile: "IN", peer: "192.0.2.7".parse().unwrap() };
    tls_refused(&house.engine, place, "unknown".to_owned(), Some((&shown.certificate, &[]))).await;
    let name = house.engine.snapshot().certificates().next().unwrap().name.clone();
    house.set_state(Kind::Certificate, &name, ObjectState::Enabled).await;
    let object = house.engine.db.objects().find(Kind::RemoteSite, site).await.unwrap().unwrap();
    let mut body = object.body.clone();
    body.insert("remote_subject_cert_alias".to_owned(), Value::Text(name));
    let change = Change {
        kind: Kind::RemoteSite,
        name: site.to_owned(),
        new_name: None,
        group: object.group.clone(),
        state: object.state,
        body,
        secrets: Vec::new(),
        references: Vec::new(),
        expected_revision: None,
        credential: None,
    };
    house.engine.db.objects().update(change, &actor()).await.unwrap();
    house.engine.reload().await.unwrap();
}

#[tokio::test] // decision 0030
async fn a_certificate_lets_in_whom_gate_and_site_name() {
    let house = House::with(FTP_STAGE).await;
    change(&house, "DAVE", |_| {}).await;
    let session = over_tls(&house, Some("CAROL")).await;
    assert_eq!(word(&session.certificate(b"carol").await), "no", "the site does not say which one");
    attach_certificate(&house, "carol").await;
    let guess = Secret::new("correct horse".to_owned());
    for (login, certificate, by_certificate, by_password) in [
        (&b"carol"[..], Some("CAROL"), "in", "in"),
        (b"carol", None, "no", "no"),
        // Both are needed.
        (b"dave", Some("DAVE"), "no", "in"),
        (b"dave", None, "no", "no"),
        (b"nobody", Some("CAROL"), "no", "no"),
        (b"a", Some("CAROL"), "no", "no"),
    ] {
        let session = over_tls(&house, certificate).await;
        let answer = session.certificate(login).await;
        assert_eq!(word(&answer), by_certificate, "{login:?} {certificate:?}");
        if let AuthAnswer::Accept(who) = answer {
            assert_eq!((who.gate.as_str(), who.certificate.as_deref()), ("CAROL", Some("CAROL")));
            continue;
        }
        assert_eq!(word(&session.password(login, &guess).await), by_password, "{login:?} {certificate:?}");
    }
    // A gate that takes a certificate takes no password at all, and nothing that is not known of its connection.
    let session = over_tls(&house, Some("CAROL")).await;
    assert_eq!(word(&session.password(b"carol", &guess).await), "no");
    for login in [&b"carol"[..], b"dave"] {
        assert_eq!(word(&ftp(&house).certificate(login).await), "no");
        assert_eq!(word(&ftp(&house).password(login, &guess).await), "no");
    }
    // What was found out in clear does not count when TLS has come.
    let session = ftp(&house);
    assert_eq!(word(&session.password(b"dave", &guess).await), "no");
    session.over(Arc::new(OverTls { certificate: Some("DAVE"), fits: Ok(None) })).await;
    assert_eq!(word(&session.password(b"dave", &guess).await), "in");
}

#[tokio::test] // TLS-27, TLS-28, TLS-40
async fn sessions_that_do_not_fit_their_site_are_events_of_their_own() {
    let house = House::with(FTP_STAGE).await;
    change(&house, "DAVE", |_| {}).await;
    let right = Secret::new("correct horse".to_owned());
    let mut events = house.engine.events();
    for code in [51, 52, 0] {
        let unfit = Unfit { event: code, text: "it is another".to_owned(), fix: "change it".to_owned() };
        let session = ftp(&house);
        session.over(Arc::new(OverTls { certificate: Some("DAVE"), fits: Err(unfit) })).await;
        assert_eq!(word(&session.password(b"dave", &right).await), "no");
        session.ended().await;
        let event = events.recv().await.unwrap();
        let Event::SessionUnfit { code: told, site, text, .. } = &*event else { panic!("{event:?}") };
        assert_eq!((*told, site.as_str(), text.as_str()), (code, "dave", "it is another; change it"));
    }
    let session = ftp(&house);
    session.over(Arc::new(OverTls { certificate: Some("DAVE"), fits: Ok(Some("OF_SITE".to_owned())) })).await;
    assert_eq!(word(&session.password(b"dave", &right).await), "in");
    let event = events.recv().await.unwrap();
    assert!(
        matches!(&*event, Event::OtherProfile { profile, of_site, .. } if profile == "FTPS_IN" && of_site == "OF_SITE")
    );
    assert!(matches!(&*events.recv().await.unwrap(), Event::LoggedIn { .. }), "no failure that locks out");
}
