//! Configuration as code: export, apply, diff, history, rollback.

use keys::{KeyAlgorithm, KeyFileFormat, KeyMaterial, PrivateKey, write_key};

use admin::{OpError, Output, execute, find};

use crate::house::{House, bundle, input, lines, text};

/// A partner, spread over two files in an order in which nothing could be created one by one.
const FILES: [&str; 2] = [
    r#"
[cgate.ALICE]
cgategroup = "PARTNERS"
login_user = "alice"
login_password = { file = "secrets/alice" }
vfd_right = ["/in:*:RWD:LCR:Y"]
home_dir = "/in"
settle_s = 5

[cgate_group.PARTNERS]
template_site = "TEMPLATE"

[rule_table.ROUTES]
rules = ["TO_BOB"]
"#,
    r#"
[decision_rule.TO_BOB]
conditions = ["dir_name = /in"]
model = "TO_BOB"
[model.TO_BOB]
dest_alias = "BOB"
[vfd_dir."/in"]
# A comment of the operator's.
[site.BOB]
dest_address = "bob.example/22"
login_ident = "us"
login_password = { file = "secrets/bob" }
[site.TEMPLATE]
template = true
"#,
];
const SECRETS: [(&str, &[u8]); 2] =
    [("secrets/alice", b"correct horse\n"), ("secrets/bob", b"battery staple\nsecond line")];

#[tokio::test]
async fn files_in_any_order_become_the_configuration_and_nothing_changes_the_second_time() {
    // OBJ-32: idempotent, order-free; AUD-3, STO-8
    let house = House::new().await;
    let files = || bundle(&FILES, &SECRETS);
    let before = house.point().await;
    let dry = house.with("apply", &[("dry_run", "Y")], files()).await.unwrap();
    assert_eq!(house.point().await, before, "a dry run changes nothing");
    assert!(lines(&dry).iter().any(|line| line == "8 to create, 0 to update, 0 to delete, 0 unchanged"), "{dry:?}");
    let done = house.with("apply", &[], files()).await.unwrap();
    assert_eq!(dry.json()["changes"], done.json()["changes"], "what was planned is done");
    let again = house.with("apply", &[], files()).await.unwrap();
    assert_eq!(again.json()["changes"].as_array().unwrap().len(), 0, "{again:?}");
    assert_eq!(again.json()["unchanged"], 8);
    // The same from what is exported, which tells that secrets are set and no more.
    let text = house.export().await;
    assert_eq!(text.matches("login_password = { set = true }").count(), 2, "{text}");
    let same = house.apply(&[&text]).await.unwrap();
    assert_eq!(same.json()["changes"].as_array().unwrap().len(), 0, "{same:?}");
    let audit = house.run("audit list", &[("last", "1000")]).await.unwrap().json().to_string();
    for told in [audit, text, format!("{:?}", lines(&done))] {
        assert!(!told.contains("correct horse") && !told.contains("battery staple"), "{told}");
    }
    // In force at once, and the secrets are what was given.
    let snapshot = house.context.engine.snapshot();
    assert_eq!(snapshot.cgate("ALICE").unwrap().name, "ALICE");
    let other: [(&str, &[u8]); 2] = [SECRETS[0], ("secrets/bob", b"another")];
    let plan = house.with("apply", &[("dry_run", "Y")], bundle(&FILES, &other)).await.unwrap();
    assert_eq!(plan.json()["changes"][0]["fields"][0]["field"], "login_password");
    assert_eq!(plan.json()["changes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_plan_tells_every_field_and_prune_alone_deletes() {
    let house = House::new().await;
    house.with("apply", &[], bundle(&FILES, &SECRETS)).await.unwrap();
    let other =
        FILES[0].replace("settle_s = 5\n", "calling_addr = [\"192.0.2.7:A\"]\n").replace("/in:*:RWD", "/in:*:RW");
    let second = FILES[1].replace("[site.BOB]", "[site.EVE]\n").replace("dest_alias = \"BOB\"", "dest_alias = \"EVE\"");
    let files = || bundle(&[&other, &second], &SECRETS);
    let plan = lines(&house.with("apply", &[("dry_run", "Y")], files()).await.unwrap());
    for line in [
        "+ create SITE EVE",
        "    dest_address = \"bob.example/22\"",
        "    login_password = *** (new)",
        "~ update CGATE ALICE",
        "    settle_s: 5 → 2 (default)",
        "        - \"/in:*:RWD:LCR:Y\"",
        "        + \"/in:*:RW:LCR:Y\"",
        "left alone, though not in the files: 1",
        "    SITE BOB",
    ] {
        assert!(plan.iter().any(|l| l == line), "{line} in {plan:#?}");
    }
    let pruned = lines(&house.with("apply", &[("prune", "Y")], files()).await.unwrap());
    assert!(pruned.iter().any(|l| l == "- delete SITE BOB"), "{pruned:#?}");
    let snapshot = house.context.engine.snapshot();
    assert!(snapshot.site("BOB").is_none() && snapshot.site("EVE").is_some());
    // Kinds of which the files do not speak are left, and one that is named without objects is emptied.
    assert!(snapshot.ssh_profile("SFTP_IN").is_some());
    let none = bundle(&["[rule_table]\n[decision_rule]\n[model]\n"], &[]);
    house.with("apply", &[("prune", "Y")], none).await.unwrap();
    assert_eq!(house.context.engine.snapshot().rule_tables().count(), 0);
    assert!(house.context.engine.snapshot().site("EVE").is_some());
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_line_and_nothing_is_applied() {
    let house = House::new().await;
    let before = house.point().await;
    for (file, parts) in [
        (
            "[site.B]\nlogin_pasword = { env = \"X\" }",
            &["0.toml:2", "no field \"login_pasword\": did you mean login_password?"][..],
        ),
        ("[sites.B]\n", &["0.toml:1", "\"sites\" is no kind of object: write site"]),
        ("[site.B]\nlogin_password = \"hunter2\"", &["0.toml:2", "a secret does not stand in the file", "{ file = "]),
        ("[site.B]\nretry_count_max = 1000", &["0.toml:1", "SITE B retry_count_max: 1000 is out of range"]),
        ("[site.B]\ncomments = 1.5", &["0.toml:2", "float"]),
        ("[site.\"a b\"]\n", &["0.toml:1", "the name has ' '"]),
        ("[site.B]\nalias = \"C\"", &["the name stands in the header, [site.NAME]"]),
        ("[site.B\n", &["0.toml:1"]),
        ("[key.K]\n", &["KEY K: it has no key"]),
        ("[key.K]\nalgorithm = \"RSA\"\n", &["the gateway sets it"]),
        ("[key.K]\nprivate_key = { set = true }\n", &["KEY K", "not here: give private_key by reference"]),
        (
            "[cgate.A]\ncgategroup = \"NONE\"\nlogin_user = \"a\"",
            &["CGATE A cgategroup", "CGATE_GROUP NONE does not exist"],
        ),
        ("[ssh_profile.P]\ntype = \"SERVER\"\n[ssh_profile.p]\ntype = \"SERVER\"", &["differs", "case"]),
        (
            "[site.B]\ndest_address = \"b/22\"\nlogin_ident = \"u\"\nlogin_password = { set = true }",
            &["SITE B", "-skip_secrets"],
        ),
        ("[site.B]\nlogin_password = { credential = \"../master.key\" }", &["0.toml:2", "a secret does not stand"]),
    ] {
        let refused = text(house.apply(&[file]).await);
        assert!(parts.iter().all(|part| refused.contains(part)), "{file}: {refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    // All of it at once, and one object in two files.
    let refused = text(house.apply(&["[site.A]\nx = 1\ny = 2", "[site.A]\nz = 3\n[site.B]", "[site.B]"]).await);
    assert_eq!(refused.lines().count(), 4, "{refused}");
    assert!(refused.contains("2.toml:1: SITE B stands at 1.toml:3 already"), "{refused}");
    assert_eq!(house.point().await, before);
    // A good object beside a bad one is not written either.
    let refused = text(house.apply(&["[site.GOOD]\ntemplate = true\n[vfd_dir.\"/x\"]\ntype = \"MOUNT\""]).await);
    assert!(refused.contains("VFD_DIR /x"), "{refused}");
    assert_eq!(house.point().await, before);
}

#[tokio::test]
async fn keys_are_public_in_the_file_and_private_by_reference() {
    // KEY-1; CERT-27: a private key never stands in an export
    let house = House::new().await;
    let pair = || PrivateKey::generate(KeyAlgorithm::Ed25519, None).unwrap();
    let (one, two) = (KeyMaterial::Private(pair()), KeyMaterial::Private(pair()));
    let file = |key: &KeyMaterial| write_key(key, KeyFileFormat::OpenSsh, None).unwrap().expose().clone();
    let line = |key: &KeyMaterial| key.public().openssh_line("");
    let public = format!("[key.PARTNER]\npublic_key = \"{} partner@example\"\n", line(&one));
    house.apply(&[&public]).await.unwrap();
    assert_eq!(house.apply(&[&public]).await.unwrap().json()["unchanged"], 1);
    let other = format!("[key.PARTNER]\npublic_key = \"{}\"\n", line(&two));
    let changed = house.apply(&[&other]).await.unwrap();
    assert_eq!(changed.json()["changes"][0]["fields"][0]["field"], "public_key");
    let known = house.context.engine.snapshot();
    assert_eq!(known.key("PARTNER").unwrap().fingerprint, two.public().fingerprint().0);
    // A private one, which stays through an apply of its export and is not lost by a file that forgets it.
    let own = "[key.OWN]\nprivate_key = { file = \"id\" }\nstate = \"D\"\n";
    let secrets: [(&str, &[u8]); 1] = [("id", &file(&one))];
    house.with("apply", &[], bundle(&[own], &secrets)).await.unwrap();
    assert_eq!(house.with("apply", &[], bundle(&[own], &secrets)).await.unwrap().json()["unchanged"], 1);
    let text_of_all = house.export().await;
    assert!(text_of_all.contains(&format!("public_key = \"{}\"\nprivate_key = {{ set = true }}", line(&one))));
    assert!(!text_of_all.contains("PRIVATE KEY"));
    let lost = format!("[key.OWN]\npublic_key = \"{}\"", line(&one));
    assert!(text(house.apply(&[&lost]).await).contains("its private part is in the store and would be lost"));
    let wrong = format!("[key.OWN]\nprivate_key = {{ set = true }}\npublic_key = \"{}\"", line(&two));
    assert!(text(house.apply(&[&wrong]).await).contains("the private key here is another one"));
    let inline = format!("[key.NEW]\npublic_key = '''\n{}'''", String::from_utf8(file(&one)).unwrap());
    assert!(text(house.apply(&[&inline]).await).contains("a private key does not stand in the file"));
}

#[tokio::test]
async fn the_past_is_compared_and_comes_back() {
    let house = House::new().await;
    house.with("apply", &[], bundle(&FILES, &SECRETS)).await.unwrap();
    let start = house.point().await;
    house
        .run("peladm update_site", &[("alias", "BOB"), ("dest_address", "new.example/22"), ("comments", "moved")])
        .await
        .unwrap();
    house.run("secadm create_key", &[("name", "LATER")]).await.unwrap();
    let point = start.to_string();
    let object = [("kind", "SITE"), ("name", "BOB"), ("point", point.as_str())];
    let diff = house.run("diff", &object).await.unwrap();
    assert_eq!(
        lines(&diff),
        [
            &format!("SITE BOB: from point {start} to now"),
            "    comments: (none) → \"moved\"",
            "    dest_address: \"bob.example/22\" → \"new.example/22\"",
        ]
    );
    let files = house.with("diff", &[], bundle(&FILES, &SECRETS)).await.unwrap();
    assert_eq!(files.json()["changes"][0]["name"], "BOB");
    let history = house.run("history", &[("kind", "SITE"), ("name", "BOB")]).await.unwrap().json();
    let points: Vec<i64> = history.as_array().unwrap().iter().map(|row| row["Point"].as_i64().unwrap()).collect();
    assert_eq!(points.len(), 2);
    // One object.
    house.run("rollback", &object).await.unwrap();
    let site = house.run("peldsp display_site", &[("alias", "BOB")]).await.unwrap().json();
    assert_eq!((&site["dest_address"], &site["login_password"]), (&"bob.example/22".into(), &"***".into()));
    // The whole: what was deleted is there again, what was made since goes, but private keys stay.
    let before = house.export().await;
    house.apply(&["[site.EVE]\ntemplate = true"]).await.unwrap();
    house.run("peladm delete_cgate", &[("name", "ALICE")]).await.unwrap();
    let all = [("all", "Y"), ("point", point.as_str())];
    let plan = lines(&house.run("rollback", &[all[0], all[1], ("dry_run", "Y")]).await.unwrap());
    assert!(
        plan.iter().any(|l| l == "+ create CGATE ALICE") && plan.iter().any(|l| l == "- delete SITE EVE"),
        "{plan:#?}"
    );
    assert!(plan.iter().any(|l| l.contains("login_password: secrets have no history")), "{plan:#?}");
    let done = house.run("rollback", &all).await.unwrap();
    assert!(house.context.engine.snapshot().key("LATER").is_some());
    let after = house.export().await;
    assert_eq!(
        after,
        before.replace("login_user = \"alice\"\nlogin_password = { set = true }", "login_user = \"alice\"")
    );
    let undo = lines(&done).pop().unwrap();
    assert!(undo.contains("`gatehouse rollback -all -point "), "{undo}");
    assert!(
        text(house.run("rollback", &[("kind", "SITE"), ("name", "EVE"), ("point", "1")]).await)
            .contains("did not exist")
    );
    assert!(text(house.run("rollback", &[("all", "Y"), ("point", "99999")]).await).contains("still to come"));
    house.run("audit verify", &[]).await.unwrap();
}

#[tokio::test]
async fn a_public_key_that_was_deleted_comes_back() {
    let house = House::new().await;
    let key = PrivateKey::generate(KeyAlgorithm::Ed25519, None).unwrap();
    let line = key.public().openssh_line("");
    house.apply(&[&format!("[key.PARTNER]\npublic_key = \"{line}\"\ncomments = \"theirs\"")]).await.unwrap();
    let point = house.point().await.to_string();
    let before = house.export().await;
    house.run("secadm update_key", &[("name", "PARTNER"), ("new_name", "P2"), ("comments", "other")]).await.unwrap();
    house.run("rollback", &[("all", "Y"), ("point", &point)]).await.unwrap();
    assert_eq!(house.export().await, before, "its name is what it was");
    house.run("secadm delete_key", &[("name", "PARTNER")]).await.unwrap();
    house.run("rollback", &[("kind", "KEY"), ("name", "PARTNER"), ("point", &point)]).await.unwrap();
    assert_eq!(house.export().await, before);
    // Nothing brings a private key back.
    house.run("secadm update_sshprof", &[("sshprof_name", "SFTP_IN"), ("private_key_alias", "")]).await.unwrap();
    house.run("secadm delete_key", &[("name", model::GATEHOUSE_KEY)]).await.unwrap();
    let refused = text(house.run("rollback", &[("all", "Y"), ("point", &point)]).await);
    assert!(
        refused.contains("KEY GATEHOUSE_SSH: the private key is set where this comes from, but not here"),
        "{refused}"
    );
}

#[tokio::test]
async fn exports_are_whole_or_of_what_is_named_and_are_audited() {
    // AUD-7
    let house = House::new().await;
    let one = house.run("export", &[("kind", "SSH_PROFILE"), ("name", "SFTP_OUT")]).await.unwrap().json();
    assert!(one["text"].as_str().unwrap().contains("[ssh_profile.SFTP_OUT]\ntype = \"CLIENT\""));
    assert_eq!(one["objects"], 1);
    assert!(
        house.run("export", &[]).await.is_err()
            && house.run("export", &[("kind", "SITE"), ("all", "Y")]).await.is_err()
    );
    assert!(text(house.run("export", &[("kind", "SITES")]).await).contains("did you mean SITE?"));
    let all = house.export().await;
    assert!(all.contains("[site]\n") && all.contains("[local_site.GATEHOUSE]"), "{all}");
    let rows = house.run("audit list", &[("action", "export")]).await.unwrap().json();
    assert!(rows.as_array().unwrap().len() >= 4);
    assert!(!rows.to_string().contains("GATEHOUSE_SSH"), "the audit is no copy of the export");
}

/// Hands an operation the files of its parameters.
async fn with_files(
    house: &House,
    name: &str,
    values: &[(&str, &str)],
    files: &[(&str, &[u8])],
) -> Result<Output, OpError> {
    let mut given = input(name, values);
    let params = (find(name).unwrap().params)();
    for (wanted, octets) in files {
        given.give_file(params.iter().find(|p| p.name() == *wanted).unwrap(), octets.to_vec());
    }
    execute(&house.context, name, &given).await
}

#[tokio::test]
async fn the_documented_text_form_goes_out_and_comes_in() {
    // OBJ-32, NET-12, SSH-25, STO-8, STO-10, STO-11, STO-12
    let house = House::new().await;
    house.with("apply", &[], bundle(&FILES, &SECRETS)).await.unwrap();
    house
        .run("secadm create_netprof", &[("nprof_name", "N"), ("security_option", "SSH"), ("sprof_name", "SFTP_IN")])
        .await
        .unwrap();
    let before = house.export().await;
    let key: (&str, &[u8]) = ("encryption_key_file", &[7; 32]);
    let hex = base::hex(&[7; 32]).into_bytes();
    assert!(matches!(house.run("pelbase export_site", &[]).await, Err(OpError::Syntax(_))), "STO-10");
    let exports = ["secbase export_sshprof", "secbase export_netprof", "pelbase export_site", "pelbase export_lsite"];
    let more = ["pelbase export_appli", "pelbase export_model", "pelbase export_cgate", "pelbase export_cgategroup"];
    let rest = ["pelbase export_decisionrule", "pelbase export_ruletable", "vfdbase export"];
    for format in ["S", "C"] {
        let mut texts = Vec::new();
        for name in exports.into_iter().chain(more).chain(rest) {
            let out = with_files(&house, name, &[("format", format)], &[key]).await.unwrap().json();
            let text = out["text"].as_str().unwrap().to_owned();
            assert!(!text.contains("battery") && !text.contains("argon2"), "{text}");
            texts.push((name, text));
        }
        // Another installation has the key alone; what is there is made the same.
        let other = House::bare().await;
        let public = before.lines().find(|l| l.starts_with("public_key")).unwrap();
        let private = PrivateKey::generate(KeyAlgorithm::Ed25519, None).unwrap();
        let file = write_key(&KeyMaterial::Private(private), KeyFileFormat::OpenSsh, None).unwrap().expose().clone();
        let name = "[key.GATEHOUSE_SSH]\ncomments = \"\"\nprivate_key = { file = \"id\" }";
        other.with("apply", &[], bundle(&[name], &[("id", &file)])).await.unwrap();
        for name in ["secbase", "pelbase", "vfdbase"] {
            let of: Vec<&str> = texts.iter().filter(|(n, _)| n.starts_with(name)).map(|(_, t)| t.as_str()).collect();
            let text = of.join("\n");
            let import = format!("{name} import");
            if name == "pelbase" {
                // The wrong key changes nothing; nor does a file with passwords and no key.
                let point = other.point().await;
                let wrong =
                    with_files(&other, &import, &[], &[("input", text.as_bytes()), ("encryption_key_file", &[8; 32])])
                        .await;
                assert!(crate::house::text(wrong).contains("login_password"), "STO-11");
                let none = with_files(&other, &import, &[], &[("input", text.as_bytes())]).await;
                assert!(crate::house::text(none).contains("-encryption_key_file"));
                assert_eq!(other.point().await, point);
                // Rules name folders and folders sites: they come first.
                let folders = texts.iter().find(|(n, _)| n.starts_with("vfdbase")).unwrap();
                with_files(&other, "vfdbase import", &[], &[("input", folders.1.as_bytes())]).await.unwrap();
            }
            let files = [("input", text.as_bytes()), ("encryption_key_file", hex.as_slice())];
            with_files(&other, &import, &[], &files).await.unwrap_or_else(|e| panic!("{import}: {e}\n{text}"));
            let again = with_files(&other, &import, &[], &files).await.unwrap().json();
            assert_eq!(again["changes"].as_array().unwrap().len(), 0, "{again}");
        }
        let after = other.export().await;
        let there = after.lines().find(|l| l.starts_with("public_key")).unwrap();
        assert_eq!(after.replace(there, public), before, "{format}");
    }
    // A user's own format, and a selection.
    let own = house.run("secbase export_netprof", &[("format", "U"), ("user_fmt", "%N is %V")]).await.unwrap().json();
    assert!(own["text"].as_str().unwrap().contains("np_sprof_name is SFTP_IN"), "{own}");
    let none = house.run("secbase export_netprof", &[("nprof_name", "X")]).await.unwrap().json();
    assert_eq!(none["objects"], 0);
}

#[tokio::test]
async fn an_import_tells_what_it_leaves_out() {
    let house = House::new().await;
    let text: (&str, &[u8]) = ("input", b"s_alias='A'\ns_template='Y'\ns_colour='red'\ns_login_password='clear words'\n\ns_alias='B'\ns_retry_count_max='x'\n");
    let refused = crate::house::text(with_files(&house, "pelbase import", &[], &[text]).await);
    assert!(refused.contains("line 7: retry_count_max") || refused.contains("-encryption_key_file"), "{refused}");
    let both = with_files(
        &house,
        "pelbase import",
        &[("import_pwd_cleartext", "Y")],
        &[text, ("encryption_key_file", &[7; 32])],
    )
    .await;
    assert!(matches!(both, Err(OpError::Syntax(_))), "TLS-31");
    let switches = [("import_pwd_cleartext", "Y"), ("error_free", "Y")];
    let done = lines(&with_files(&house, "pelbase import", &switches, &[text]).await.unwrap());
    for part in [
        "+ create SITE A",
        "SITE A: unknown field left out: line 3: s_colour",
        "line 6: SITE B: line 7: retry_count_max",
    ] {
        assert!(done.iter().any(|l| l.contains(part)), "{part} in {done:#?}");
    }
    let site = house.run("peldsp display_site", &[("alias", "A")]).await.unwrap().json();
    assert_eq!(site["login_password"], "***");
    let audit = house.run("audit list", &[("last", "1000")]).await.unwrap().json().to_string();
    assert!(!audit.contains("clear words"));
    let wrong = crate::house::text(with_files(&house, "secbase import", &[], &[text]).await);
    assert!(wrong.contains("takes no such objects"), "{wrong}");
}
