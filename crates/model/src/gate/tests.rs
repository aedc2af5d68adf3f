use super::*;
use crate::object::{Kind, Object, Value};
use crate::testing::{disabled, object, raw, with_profiles};
use proptest::prelude::*;

const LOCAL: &str = "10.0.0.1:22";

fn gate(name: &str, login: &str, more: &[(&str, &str)]) -> Object {
    let mut fields = vec![("cgategroup", "G"), ("login_user", login)];
    fields.extend(more);
    object(Kind::Cgate, name, &fields)
}

fn group(more: &[(&str, &str)]) -> Object {
    object(Kind::CgateGroup, "G", more)
}

fn template() -> Object {
    object(Kind::RemoteSite, "TSFTP", &[("template", "Y")])
}

fn choose<'a>(s: &'a Snapshot, peer: &str, login: &str) -> Decision<GateMatch<'a>> {
    choose_gate(&Inbound::new(LOCAL.parse().unwrap(), peer.parse().unwrap()), "SFTP", None, login, s)
}

fn outcome(s: &Snapshot, login: &str) -> Result<(String, String), String> {
    let result = choose(s, "192.0.2.1:1000", login).result;
    result.map(|m| (m.gate.name.clone(), m.site.name().to_owned())).map_err(|refusal| refusal.text)
}

#[test]
fn the_gate_with_most_literal_characters_wins() {
    // OBJ-14, AC-24
    for (gates, login, expected) in [
        (["du*", "dup?nt"], "dupont", "dup?nt"),
        (["du*", "dup?nt"], "dupuis", "du*"),
        (["T*", "T?TI"], "TOTI", "T?TI"),
        (["T*", "T?TI"], "TOTO", "T*"),
        (["G*", "GATE*"], "GATEWAY", "GATE*"),
        (["G*", "GATE*"], "GOOSE", "G*"),
        (["alice*", "alice"], "alice", "alice"),
        (["*", "alice"], "bob", "*"),
    ] {
        for order in [[0, 1], [1, 0]] {
            let mut objects = vec![group(&[("template_site", "TSFTP")]), template()];
            objects.extend(order.map(|i| gate(["G0", "G1"][i], gates[i], &[])));
            let s = with_profiles(objects);
            let found = choose(&s, "192.0.2.1:1000", login).result.unwrap();
            assert_eq!(found.gate.login.as_str(), expected, "{login}");
            assert_eq!(found.site.name(), format!("$S_{login}")); // OBJ-18
        }
    }
}

#[test]
fn the_best_gate_is_checked_and_none_takes_its_place() {
    // objects.md 7.2 steps 3 and 4: disabling ALICE must not let alice in by the gate for everybody.
    let base = [group(&[("template_site", "TSFTP")]), template(), gate("ALL", "*", &[])];
    let with = |gate: Object| with_profiles(base.iter().cloned().chain([gate]).collect());
    let s = with(disabled(gate("ALICE", "alice", &[])));
    assert!(outcome(&s, "alice").unwrap_err().contains("gate ALICE is disabled"));
    assert_eq!(outcome(&s, "bob").unwrap().0, "ALL");
    let body = [("cgategroup", "G"), ("login_user", "alice"), ("home_dir", "no/folder")];
    let body = body.map(|(field, text)| (field.to_owned(), Value::from(text))).into();
    let s = with(raw(Kind::Cgate, "ALICE", body));
    assert!(outcome(&s, "alice").unwrap_err().contains("gate ALICE has an error"));
}

#[test]
fn groups_fit_by_protocol_port_and_address() {
    let gates = |group: &str, name: &str| object(Kind::Cgate, name, &[("cgategroup", group), ("login_user", "*")]);
    let group = |name: &str, sap: &str, called: &str| {
        object(Kind::CgateGroup, name, &[("sap", sap), ("called_addr", called), ("template_site", "TSFTP")])
    };
    let s = with_profiles(vec![
        template(),
        group("ANY", "*", "*"),
        group("RANGE", "20:30 2222", "*"),
        group("PORT", "22", "*"),
        group("ADDRESS", "22", "10.0.0.*"),
        group("OTHER", "22", "10.9.0.*"),
        gates("ANY", "G_ANY"),
        gates("RANGE", "G_RANGE"),
        gates("PORT", "G_PORT"),
        gates("ADDRESS", "G_ADDRESS"),
        gates("OTHER", "G_OTHER"),
    ]);
    for (local, expected) in
        [("10.0.0.1:22", "G_ADDRESS"), ("10.1.0.1:22", "G_PORT"), ("10.1.0.1:25", "G_RANGE"), ("10.1.0.1:99", "G_ANY")]
    {
        let inbound = Inbound::new(local.parse().unwrap(), "192.0.2.1:1".parse().unwrap());
        let found = choose_gate(&inbound, "SFTP", None, "x", &s);
        assert_eq!(found.result.unwrap().gate.name, expected, "{local}");
        assert!(choose_gate(&inbound, "FTP", None, "x", &s).result.is_err());
    }
}

#[test]
fn calling_addresses() {
    // OBJ-15: best match in a list, the list nearest the root first, an empty list allows
    for (root, own, peer, allowed) in [
        ("", "", "192.0.2.1", true),
        ("192.0.2.*:A", "", "192.0.2.1", true),
        ("192.0.2.*:A", "", "198.51.100.1", false),
        ("192.0.2.*:D", "", "192.0.2.1", false),
        ("192.0.2.*:D", "", "198.51.100.1", true),
        ("192.0.2.*:D 192.0.2.1:A", "", "192.0.2.1", true),
        ("192.0.2.*:D 192.0.2.1:A", "", "192.0.2.2", false),
        ("192.0.2.*:A", "192.0.2.1:D", "192.0.2.1", true),
        ("198.51.*:A", "192.0.2.1:A", "192.0.2.1", true),
        ("*:A", "192.0.2.1:D", "192.0.2.1", true),
        ("", "192.0.2.0/25:A", "192.0.2.1", true),
        ("", "192.0.2.0/25:A", "192.0.2.200", false),
        ("192.0.2.1:A 192.0.2.1:D", "", "192.0.2.1", false),
        ("2001:db8::/32:A", "", "2001:db8::9", true),
    ] {
        let s = with_profiles(vec![
            template(),
            object(Kind::CgateGroup, "TOP", &[("template_site", "TSFTP"), ("calling_addr", root)]),
            group(&[("parent_group", "TOP")]),
            gate("A", "*", &[("calling_addr", own)]),
        ]);
        let peer = std::net::SocketAddr::new(peer.parse().unwrap(), 1);
        let decision = choose(&s, &peer.to_string(), "x");
        assert_eq!(decision.result.is_ok(), allowed, "{root:?} {own:?} {peer}: {:?}", decision.why);
    }
}

#[test]
fn the_site_is_the_templates_or_the_one_of_the_login() {
    let site = |name: &str, more: &[(&str, &str)]| object(Kind::RemoteSite, name, more);
    let s = with_profiles(vec![
        group(&[]),
        gate("ALL", "*", &[]),
        site("PARTNER_A", &[("check_login_ident", "alice")]),
        site("bob", &[]),
        site("carol", &[("check_login_ident", "caroline")]),
        disabled(site("dave", &[])),
        site("erin", &[("resp_mode", "N")]),
        site("ONE", &[("check_login_ident", "twice")]),
        site("TWO", &[("check_login_ident", "twice")]),
        template(),
    ]);
    for (login, expected) in [
        ("alice", Ok("PARTNER_A")),
        ("bob", Ok("bob")),
        ("PARTNER_A", Err("no site matches")), // a site with check_login_ident is not found by its name
        ("carol", Err("no site matches")),
        ("dave", Err("site dave is disabled")),
        ("erin", Err("resp_mode")),
        ("twice", Err("ONE and TWO")),
        ("nobody", Err("no site matches")), // OBJ-17
        ("TSFTP", Err("no site matches")),
        ("", Err("login is empty")),
        ("a\nb", Err("control character")),
    ] {
        match (outcome(&s, login), expected) {
            (Ok((_, site)), Ok(expected)) => assert_eq!(site, expected),
            (Err(text), Err(part)) => assert!(text.contains(part), "{login}: {text}"),
            (found, _) => panic!("{login}: {found:?}"),
        }
    }
}

#[test]
fn the_hierarchy_is_merged() {
    // objects.md 7.1: O nearest the root wins, A all are added (OBJ-21)
    let s = with_profiles(vec![
        template(),
        object(
            Kind::CgateGroup,
            "TOP",
            &[
                ("template_site", "TSFTP"),
                ("root_dir", "/p/$(LOGIN_USER)"),
                ("vfd_right", "/p:*:R:L:Y"),
                ("max_upload_file_size", "5"),
                ("max_upload_requests_rate", "0"),
                ("max_download_rate", "7"),
            ],
        ),
        group(&[("parent_group", "TOP"), ("root_dir", "/elsewhere"), ("vfd_right", "/p/in:*:W:C:N")]),
        gate(
            "A",
            "alice",
            &[
                ("home_dir", "/p/$(LOGIN_USER)/in"),
                ("vfd_right", "/p/out:*.txt:RD::N;/p/x:::LCR:Y"),
                ("max_upload_file_size", "9"),
                ("max_upload_requests_rate", "8"),
                ("max_download_requests_rate", "8"),
                ("max_download_rate", "3"),
                ("route_remote_agent", "TO_$(LOGIN_USER)"),
            ],
        ),
    ]);
    let found = choose(&s, "192.0.2.1:1", "alice").result.unwrap();
    assert_eq!(found.groups.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), ["TOP", "G"]);
    assert_eq!((found.root_dir.as_str(), found.home_dir.as_str()), ("/p/alice", "/p/alice/in"));
    assert_eq!(found.rights.iter().map(|r| r.path.as_str()).collect::<Vec<_>>(), ["/p", "/p/in", "/p/out", "/p/x"]);
    assert_eq!(found.max_upload_octets, Some(5_000_000));
    let of = |files, octets| crate::TransferRate { files, octets };
    assert_eq!((found.rates.uploads, found.rates.downloads), (of(None, None), of(Some(8), Some(7000))));
    assert_eq!(found.route_remote_agent.as_deref(), Some("TO_alice"));
    assert_eq!((found.settle_s, found.has_password), (2, false));
}

#[test]
fn a_login_cannot_climb_out_of_its_folder() {
    let s = with_profiles(vec![
        template(),
        group(&[("template_site", "TSFTP")]),
        gate("ALL", "*", &[("root_dir", "/p/$(LOGIN_USER)")]),
    ]);
    for login in ["..", ".", "a/../b", "a/b", "/", "a\\b"] {
        assert!(outcome(&s, login).unwrap_err().contains("is no folder"), "{login}");
    }
    assert!(outcome(&s, "a..b").is_ok());
}

#[test]
fn a_home_outside_of_the_root_is_refused() {
    let s = with_profiles(vec![
        template(),
        group(&[("template_site", "TSFTP"), ("root_dir", "/a")]),
        gate("ALL", "*", &[("home_dir", "/ab")]),
    ]);
    assert!(outcome(&s, "x").unwrap_err().contains("outside"));
}

#[test]
fn keys_come_from_the_site_or_the_gate() {
    // OBJ-12, SSH-15, DESIGN 1.5
    let named = |m: &GateMatch<'_>| m.keys.iter().map(|k| k.as_str().to_owned()).collect::<Vec<_>>();
    let site = |keys: &str| object(Kind::RemoteSite, "alice", &[("remote_public_key_alias", keys)]);
    for (site_keys, gate_keys, expected) in
        [("S1 S2", "G1", vec!["S1", "S2"]), ("", "G1", vec!["G1"]), ("S1", "", vec!["S1"]), ("", "", vec![])]
    {
        let s = with_profiles(vec![
            group(&[]),
            gate("A", "alice", &[("remote_public_key_alias", gate_keys)]),
            site(site_keys),
        ]);
        assert_eq!(named(&choose(&s, "192.0.2.1:1", "alice").result.unwrap()), expected);
    }
    let s = with_profiles(vec![
        group(&[("template_site", "TSFTP")]),
        gate("A", "alice", &[("remote_public_key_alias", "G1")]),
        gate("B", "bob", &[]),
        object(Kind::RemoteSite, "TSFTP", &[("template", "Y"), ("remote_public_key_alias", "T1")]),
    ]);
    assert_eq!(named(&choose(&s, "192.0.2.1:1", "alice").result.unwrap()), ["G1"]);
    assert_eq!(named(&choose(&s, "192.0.2.1:1", "bob").result.unwrap()), ["T1"]);
}

#[test]
fn disabled_and_circular_groups_admit_nobody() {
    let s = with_profiles(vec![template(), disabled(group(&[("template_site", "TSFTP")])), gate("A", "*", &[])]);
    assert!(outcome(&s, "x").unwrap_err().contains("group G is disabled"));
    let s = with_profiles(vec![
        template(),
        group(&[("template_site", "TSFTP"), ("parent_group", "H")]),
        object(Kind::CgateGroup, "H", &[("parent_group", "G")]),
        gate("A", "*", &[]),
    ]);
    assert!(outcome(&s, "x").unwrap_err().contains("circle"));
    assert!(outcome(&with_profiles(vec![]), "x").unwrap_err().contains("no gate group"));
}

#[test]
fn reasons_tell_of_case_and_rivals() {
    let s = with_profiles(vec![
        template(),
        group(&[("template_site", "TSFTP")]),
        gate("ALL", "*", &[]),
        gate("BIG", "ALICE", &[]),
        gate("LIKE", "ali*", &[]),
    ]);
    let why: Vec<String> = choose(&s, "192.0.2.1:1", "alice").why.iter().map(ToString::to_string).collect();
    for (object, part) in [
        ("+ CGATE LIKE", "fits best"),
        ("- CGATE ALL", "another gate"),
        ("- CGATE BIG", "differs by case"),
        ("+ CGATE_GROUP G", "in it"),
        ("+ SITE TSFTP", "template of the dynamic site $S_alice"),
    ] {
        assert!(why.iter().any(|line| line.starts_with(object) && line.contains(part)), "{object}: {why:#?}");
    }
}

proptest! {
    /// The same gate whatever the order of creation; always a reason or a refusal that says what to do.
    #[test]
    fn the_choice_is_total_and_does_not_depend_on_order(
        logins in proptest::collection::vec("[ab*?]{1,4}", 0..8),
        turn in 0_usize..8,
        login in "\\PC{0,5}|[ab]{0,5}",
    ) {
        let mut objects = vec![template(), group(&[("template_site", "TSFTP")])];
        objects.extend(logins.iter().enumerate().map(|(n, login)| gate(&format!("N{n}"), login, &[])));
        let turned = objects.len().min(turn);
        let one = with_profiles(objects.clone());
        objects.rotate_left(turned);
        let other = with_profiles(objects);
        let (a, b) = (choose(&one, "192.0.2.1:1", &login), choose(&other, "192.0.2.1:1", &login));
        prop_assert_eq!(&a.why, &b.why);
        match (a.result, b.result) {
            (Ok(found), Ok(same)) => {
                prop_assert_eq!(&found.gate.name, &same.gate.name);
                let better = one.cgates().find(|g| {
                    g.login.matches(&login, base::QuestionMark::One) && g.login.literals() > found.gate.login.literals()
                });
                prop_assert!(better.is_none());
                prop_assert!(a.why.iter().any(|r| r.matched));
            }
            (Err(a), Err(b)) => {
                prop_assert_eq!(&a, &b);
                prop_assert!(!a.fix.is_empty());
            }
            _ => prop_assert!(false, "the order of creation decided"),
        }
    }
}

fn session(profile: &str, user_param: &str, client_authenticated: bool) -> LoginTls {
    LoginTls { profile: profile.to_owned(), user_param: user_param.to_owned(), client_authenticated }
}

fn over<'a>(s: &'a Snapshot, tls: Option<&LoginTls>, login: &str) -> Decision<GateMatch<'a>> {
    choose_gate(&Inbound::new(LOCAL.parse().unwrap(), "192.0.2.1:1000".parse().unwrap()), "SFTP", tls, login, s)
}

#[test]
fn a_gate_asks_for_the_tls_under_a_login() {
    // AC-26, objects.md 7.2 step 4
    let (good, bare) = (session("FTPS_IN", "BANK", true), session("FTPS_IN", "", false));
    for (fields, tls, fits) in [
        (&[][..], None, true),
        (&[("tls_sprof", "*"), ("tls_sprof_user_param", "*")], None, true),
        (&[("tls_sprof", "FTPS*")], Some(&bare), true),
        (&[("tls_sprof", "FTPS*")], None, false),
        (&[("tls_sprof", "HTTPS*")], Some(&good), false),
        (&[("tls_sprof", "ftps_in")], Some(&good), false),
        (&[("tls_sprof_user_param", "B?NK")], Some(&good), true),
        (&[("tls_sprof_user_param", "B?NK")], Some(&bare), false),
        (&[("tls_sprof_user_param", "B?NK")], None, false),
        (&[("tls_client_auth", "Y")], Some(&good), true),
        (&[("tls_client_auth", "Y")], Some(&bare), false),
        (&[("tls_client_auth", "Y")], None, false),
        (&[("tls_sprof", "FTPS_IN"), ("tls_client_auth", "Y")], Some(&session("OTHER", "", true)), false),
    ] {
        // The gate for everybody takes nobody whom the gate of the login refuses.
        let s = with_profiles(vec![
            group(&[("template_site", "TSFTP")]),
            template(),
            gate("ALL", "*", &[]),
            gate("ALICE", "alice", fields),
        ]);
        let decision = over(&s, tls, "alice");
        assert_eq!(decision.result.is_ok(), fits, "{fields:?} {tls:?}: {decision:?}");
        let told = decision.why.iter().any(|r| r.object == "CGATE ALICE" && !r.matched);
        assert_eq!(told, !fits, "{:?}", decision.why);
        if let Err(refusal) = decision.result {
            assert!(refusal.text.contains("gate ALICE") && !refusal.fix.is_empty(), "{refusal}");
        }
    }
}

#[test]
fn a_certificate_stands_for_the_password_where_the_site_names_it() {
    // decision 0030
    let tls = session("FTPS_IN", "", true);
    let by_certificate = [("tls_client_auth", "Y"), ("certificate_login", "Y")];
    let site = |fields: &[(&str, &str)]| object(Kind::RemoteSite, "alice", fields);
    for (site_fields, fits) in [
        (&[("remote_subject_cert_alias", "ALICE_2026")][..], true),
        (&[("remote_issuer_cert_alias", "CA"), ("remote_subject_pattern", "*CN=alice*")], true),
        (&[], false),
        (&[("remote_issuer_cert_alias", "CA")], false),
        (&[("remote_issuer_cert_alias", "CA"), ("remote_subject_pattern", "*")], false),
        (&[("remote_subject_pattern", "*CN=alice*")], false),
        (&[("remote_subject_pattern", "*CN=alice*"), ("remote_issuer_pattern", "*CN=CA*")], false),
    ] {
        let s = with_profiles(vec![group(&[]), site(site_fields), gate("ALICE", "alice", &by_certificate)]);
        let decision = over(&s, Some(&tls), "alice");
        assert_eq!(decision.result.as_ref().is_ok_and(|m| m.by_certificate), fits, "{site_fields:?}: {decision:?}");
        // Never without a certificate at all.
        assert!(over(&s, Some(&session("FTPS_IN", "", false)), "alice").result.is_err());
        assert!(over(&s, None, "alice").result.is_err());
    }
    // Not many partners' site.
    let named = object(Kind::RemoteSite, "TSFTP", &[("template", "Y"), ("remote_subject_cert_alias", "ANY")]);
    let all = vec![group(&[("template_site", "TSFTP")]), named, gate("ALICE", "alice", &by_certificate)];
    let s = with_profiles(all);
    assert!(over(&s, Some(&tls), "alice").result.unwrap_err().text.contains("many partners'"));
    // Without asking for a certificate, or beside a password, it is an error of the gate.
    let mut with_password = gate("ALICE", "alice", &by_certificate);
    with_password.secrets.insert("login_password".to_owned());
    let body = [("cgategroup", "G"), ("login_user", "alice"), ("certificate_login", "Y")];
    let no_client_auth = body.map(|(field, text)| (field.to_owned(), Value::from(text))).into();
    for wrong in [raw(Kind::Cgate, "ALICE", no_client_auth), with_password] {
        let s = with_profiles(vec![group(&[]), site(&[("remote_subject_cert_alias", "ALICE_2026")]), wrong]);
        assert!(over(&s, Some(&tls), "alice").result.unwrap_err().text.contains("certificate_login"));
    }
}
