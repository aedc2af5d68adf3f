use super::*;
use crate::object::Object;
use crate::testing::{disabled, object, with_profiles};
use proptest::prelude::*;

fn site(name: &str, more: &[(&str, &str)]) -> Object {
    let mut fields = vec![("dest_address", "192.0.2.9/22"), ("login_ident", "gw")];
    fields.extend(more);
    object(Kind::RemoteSite, name, &fields)
}

fn rule(name: &str, conditions: &str, more: &[(&str, &str)]) -> Object {
    let mut fields = vec![("conditions", conditions)];
    fields.extend(more);
    if more.iter().all(|(field, _)| *field != "action" && *field != "model") {
        fields.push(("model", "M"));
    }
    object(Kind::DecisionRule, name, &fields)
}

fn model(name: &str, more: &[(&str, &str)]) -> Object {
    let mut fields = vec![("dest_alias", "B")];
    if more.iter().any(|(field, _)| *field == "dest_alias") {
        fields.clear();
    }
    fields.extend(more);
    object(Kind::TransferModel, name, &fields)
}

fn table(name: &str, rules: &str, more: &[(&str, &str)]) -> Object {
    let mut fields = vec![("rules", rules)];
    fields.extend(more);
    object(Kind::RuleTable, name, &fields)
}

fn facts() -> RouteFacts {
    RouteFacts {
        transfer: TransferId(77),
        site: "A".into(),
        gate: "GA".into(),
        login: "alice".into(),
        dir_name: "/in/alice".into(),
        file_name: "order.xml".into(),
        appli: "FTP_B".into(),
        size: 1500,
        ..RouteFacts::default()
    }
}

fn sites_of(facts: &RouteFacts, objects: Vec<Object>) -> Result<Vec<String>, String> {
    let s = with_profiles(objects);
    let result = routes_for(facts, &s).result;
    result.map(|list| list.into_iter().map(|d| d.site).collect()).map_err(|refusal| refusal.text)
}

#[test]
fn every_operator() {
    // OBJ-28
    for (condition, holds) in [
        ("file_name = order.xml", true),
        ("file_name = *.xml", true),
        ("file_name = *.XML", false),
        ("file_name = [a-p]rder.xml", true),
        ("file_name = &(uppercase(login))*", false),
        ("file_name # *.xml", false),
        ("file_name # *.edi", true),
        ("x.file_name = order.???", true),
        ("dir_path = /in/&(login)", true),
        ("dir_name = /in/*", true),
        ("file_size = 1500", true),
        ("file_size # 1500", false),
        ("size < 1500", false),
        ("size =< 1500", true),
        ("size > 999", true), // as a number: as text it would be less
        ("size >= 1501", false),
        ("size [] 1000,1500", true),
        ("size [] 1501,2000", false),
        ("size ][ 1000,1500", false),
        ("size ][ 1,2", true),
        ("size <> 1,1500", true),
        ("size >< 1,1500", false),
        ("login <> alice,bob", true),
        ("login >< alice,bob", false),
        ("login < b", true),
        ("login > b", false),
        ("destination = NULL", true),
        ("destination # NULL", false),
        ("login # NULL", true),
        ("originator = null", true),
        ("protocol = SFTP", true),
        ("direction = O", false),
    ] {
        let objects = vec![site("B", &[]), model("M", &[]), rule("R", condition, &[]), table("T", "R", &[])];
        let expected = if holds { vec!["B".to_owned()] } else { vec![] };
        assert_eq!(sites_of(&facts(), objects), Ok(expected), "{condition}");
    }
}

#[test]
fn a_peers_text_is_no_pattern() {
    let mut facts = facts();
    facts.login = "*".into();
    let objects = |c: &str| vec![site("B", &[]), model("M", &[]), rule("R", c, &[]), table("T", "R", &[])];
    assert_eq!(sites_of(&facts, objects("file_name = &(login)")), Ok(vec![]));
    facts.file_name = "*".into();
    assert_eq!(sites_of(&facts, objects("file_name = &(login)")), Ok(vec!["B".into()]));
}

#[test]
fn bad_conditions_are_refused_when_saved() {
    for (condition, part) in [
        ("colour = red", "no argument"),
        ("file_name", "no operator"),
        ("file_name =", "needs a value"),
        ("size > many", "is a number"),
        ("size [] 1", "two values"),
        ("login = &(nobody)", "not known"),
        ("login = a; login # b", "used twice"),
    ] {
        let body = [("conditions".to_owned(), condition.into()), ("model".to_owned(), "M".into())].into();
        let problems = crate::check_body(Kind::DecisionRule, &body).unwrap_err();
        assert!(problems.iter().any(|p| p.text.contains(part)), "{condition}: {problems:?}");
    }
}

#[test]
fn the_first_rule_that_fits_acts_in_the_order_of_the_list() {
    // OBJ-27
    let objects = |rules: &str| {
        vec![
            site("B", &[]),
            site("C", &[]),
            model("M", &[]),
            model("N", &[("dest_alias", "C")]),
            rule("XML", "file_name = *.xml", &[]),
            rule("ALL", "", &[("model", "N")]),
            rule("STOP", "login = alice", &[("action", "NONE")]),
            table("T", rules, &[("default_model", "N")]),
        ]
    };
    assert_eq!(sites_of(&facts(), objects("XML ALL")), Ok(vec!["B".into()]));
    assert_eq!(sites_of(&facts(), objects("ALL XML")), Ok(vec!["C".into()]));
    assert_eq!(sites_of(&facts(), objects("STOP XML ALL")), Ok(vec![]));
    let other = RouteFacts { file_name: "a.txt".into(), ..facts() };
    assert_eq!(sites_of(&other, objects("XML")), Ok(vec!["C".into()])); // the default
}

#[test]
fn tables_are_limited_and_ordered() {
    let objects =
        |more: &[(&str, &str)]| vec![site("B", &[]), model("M", &[]), rule("R", "", &[]), table("T", "R", more)];
    for (more, acts) in [
        (&[("active", "N")][..], false),
        (&[("state", "ENDED,ENDED_ROUTING")], true),
        (&[("state", "CANCELLED_ROUTING")], false),
        (&[("direction", "O")], false),
        (&[("mode", "r")], true),
        (&[("protocol", "sftp")], true),
        (&[("transfer_type", "TRANS")], true),
    ] {
        assert_eq!(sites_of(&facts(), objects(more)), Ok(if acts { vec!["B".into()] } else { vec![] }), "{more:?}");
    }
    // Several tables each make a transfer, in their order; the same file at the same place only once.
    let objects = vec![
        site("B", &[]),
        site("C", &[]),
        model("M", &[]),
        model("N", &[("dest_alias", "C")]),
        rule("R", "", &[]),
        rule("S", "", &[("model", "N")]),
        table("Z", "S", &[("position", "1")]),
        table("A", "R", &[]),
        table("AGAIN", "R", &[]),
    ];
    assert_eq!(sites_of(&facts(), objects), Ok(vec!["C".into(), "B".into()]));
}

#[test]
fn a_model_says_what_the_new_transfer_looks_like() {
    let s = with_profiles(vec![
        site("B", &[("dir_name", "inbox")]),
        object(Kind::Application, "APP", &[("remote_dir_name", "app"), ("remote_file_name", "APP_&(file_name)")]),
        model(
            "M",
            &[("file_name", "&(originator)&(login)_&(file_name)"), ("priority", "0"), ("param1", "from &(x.site)")],
        ),
        model("N", &[("appli", "APP")]),
        model("O", &[("appli", "APP"), ("dir_name", "&(dir_path)/sub"), ("dest_alias", "&(destination)")]),
        rule("R", "", &[]),
        rule("S", "", &[("model", "N"), ("link_transfers", "N")]),
        rule("V", "", &[("model", "O")]),
        table("T1", "R", &[("position", "1")]),
        table("T2", "S", &[("position", "2")]),
        table("T3", "V", &[("position", "3")]),
    ]);
    let facts = RouteFacts { destination: Some("B".into()), ..facts() };
    let deliveries = routes_for(&facts, &s).result.unwrap();
    let seen: Vec<_> =
        deliveries.iter().map(|d| (d.dir_name.as_str(), d.file_name.as_str(), d.priority, d.link)).collect();
    assert_eq!(
        seen,
        [
            ("inbox", "alice_order.xml", 0, true),
            ("app", "APP_order.xml", 1, false),
            ("/in/alice/sub", "APP_order.xml", 1, true)
        ]
    );
    assert_eq!(deliveries[0].parameters[0], "from A");
    assert_eq!((deliveries[0].rule.as_str(), deliveries[0].appli.as_deref()), ("DECISION_RULE R", None));
}

#[test]
fn without_a_rule_gate_folder_site_and_protocol_are_asked_in_turn() {
    // transfers.md section 5
    let all = || {
        vec![
            object(
                Kind::Cgate,
                "GA",
                &[("cgategroup", "G"), ("login_user", "alice"), ("route_remote_agent", "TO_$(LOGIN_USER)")],
            ),
            object(Kind::VfdDir, "/in/alice", &[("route_remote_agent", "BY_DIR")]),
            object(Kind::RemoteSite, "A", &[("route_remote_agent", "BY_SITE")]),
            site("TO_alice", &[]),
            site("BY_DIR", &[]),
            site("BY_SITE", &[]),
            site("BY_WIRE", &[]),
        ]
    };
    let facts = RouteFacts { destination: Some("BY_WIRE".into()), ..facts() };
    let mut objects = all();
    for expected in ["TO_alice", "BY_DIR", "BY_SITE", "BY_WIRE"] {
        assert_eq!(sites_of(&facts, objects.clone()), Ok(vec![expected.to_owned()]));
        objects.remove(0);
    }
    assert_eq!(sites_of(&RouteFacts { destination: None, ..facts }, objects), Ok(vec![]));
}

#[test]
fn what_cannot_be_delivered_is_refused_with_its_reason() {
    // TRF-14, transfers.md section 5, OBJ-9
    let with = |more: Vec<Object>| {
        let mut objects = vec![model("M", &[]), rule("R", "", &[]), table("T", "R", &[])];
        objects.extend(more);
        sites_of(&facts(), objects)
    };
    let other_group = |mut o: Object| {
        o.group = "OTHER".into();
        o
    };
    for (more, part) in [
        (vec![], "site B does not exist"),
        (vec![object(Kind::LocalSite, "B", &[])], "gateway itself"),
        (vec![object(Kind::RemoteSite, "B", &[("template", "Y")])], "template"),
        (vec![object(Kind::RemoteSite, "B", &[])], "no address"),
        (vec![site("B", &[("init_sender", "N")])], "reason 9"),
        (vec![site("B", &[]), table("T0", "GONE", &[("position", "1")])], "DECISION_RULE GONE"),
        (
            vec![site("B", &[]), rule("R0", "", &[("model", "GONE")]), table("T0", "R0", &[("position", "1")])],
            "MODEL GONE",
        ),
        (
            vec![
                site("B", &[]),
                model("N", &[("appli", "APP")]),
                other_group(object(Kind::Application, "APP", &[])),
                rule("R0", "", &[("model", "N")]),
                table("T0", "R0", &[("position", "1")]),
            ],
            "group OTHER",
        ),
        (
            vec![
                site("B", &[]),
                model("N", &[("file_name", "&(dir_name)")]),
                rule("R0", "", &[("model", "N")]),
                table("T0", "R0", &[("position", "1")]),
            ],
            "no file name",
        ),
    ] {
        let text = with(more).unwrap_err();
        assert!(text.contains(part), "{part}: {text}");
    }
    let back = RouteFacts { site: "B".into(), ..facts() };
    let objects = vec![site("B", &[]), model("M", &[]), rule("R", "", &[]), table("T", "R", &[])];
    assert!(sites_of(&back, objects).unwrap_err().contains("back there"));
}

#[test]
fn a_disabled_site_still_gets_its_transfer_which_waits() {
    let objects = vec![disabled(site("B", &[])), model("M", &[]), rule("R", "", &[]), table("T", "R", &[])];
    assert_eq!(sites_of(&facts(), objects), Ok(vec!["B".into()]));
}

#[test]
fn loops_end() {
    // OBJ-29
    let objects =
        |max: &str| vec![site("B", &[]), model("M", &[]), rule("R", "", &[("loop_max", max)]), table("T", "R", &[])];
    let id = objects("1")[2].id;
    for (max, acted, acts) in [("1", 0, true), ("1", 1, false), ("3", 2, true), ("3", 3, false), ("0", 0, false)] {
        let facts = RouteFacts { trail: vec![id; acted], depth: 1, ..facts() };
        assert_eq!(sites_of(&facts, objects(max)), Ok(if acts { vec!["B".into()] } else { vec![] }), "{max} {acted}");
    }
    let deep = RouteFacts { depth: ROUTE_DEPTH_MAX, ..facts() };
    assert!(sites_of(&deep, objects("1")).unwrap_err().contains("chain"));
}

#[test]
fn reasons_name_the_condition_that_failed() {
    let s = with_profiles(vec![
        site("B", &[]),
        model("M", &[]),
        rule("R1", "file_name = *.edi", &[]),
        rule("R2", "file_name = *.xml", &[]),
        table("OFF", "R1", &[("active", "N")]),
        table("T", "R1 R2", &[]),
    ]);
    let why: Vec<String> = routes_for(&facts(), &s).why.iter().map(ToString::to_string).collect();
    for (object, part) in [
        ("- RULE_TABLE OFF", "not active"),
        ("- DECISION_RULE R1", "file_name = *.edi does not hold"),
        ("+ DECISION_RULE R2", "every condition holds"),
        ("+ MODEL M", "sends to B"),
    ] {
        assert!(why.iter().any(|line| line.starts_with(object) && line.contains(part)), "{object}: {why:#?}");
    }
}

proptest! {
    /// Whatever a partner sends: an answer, never a path in the file name.
    #[test]
    fn routing_is_total(file in any::<String>(), login in any::<String>(), size: u64, pattern in "[a-c*?\\[\\]!-]{1,6}") {
        let condition = format!("file_name # {pattern}");
        let s = with_profiles(vec![
            site("B", &[]),
            model("M", &[("file_name", "&(login)&(file_name)")]),
            rule("R", &condition, &[]),
            table("T", "R", &[]),
        ]);
        let facts = RouteFacts { file_name: file, login, size, ..facts() };
        let decision = routes_for(&facts, &s);
        prop_assert!(!decision.why.is_empty());
        match decision.result {
            Ok(deliveries) => prop_assert!(deliveries.iter().all(|d| !d.file_name.contains('/') && !d.file_name.is_empty())),
            Err(refusal) => prop_assert!(!refusal.fix.is_empty()),
        }
    }
}
