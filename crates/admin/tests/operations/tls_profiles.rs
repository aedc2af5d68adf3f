//! TLS profiles as objects: names, weak algorithms, renegotiation, what refers to them.

use crate::house::{House, text};

const STRONG: &str = "ECDHE_RSA_WITH_AES_256_GCM_SHA384";

async fn created(house: &House, name: &str, fields: &[(&str, &str)]) -> Result<String, String> {
    let mut values = vec![("sprof_name", name)];
    values.extend_from_slice(fields);
    match house.run("secadm create_sprof", &values).await {
        Ok(output) => Ok(output.json().to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn shown(house: &House, name: &str) -> Option<String> {
    let shown = house.run("secdsp display_sprof", &[("sprof_name", name)]).await;
    shown.ok().map(|output| output.json().to_string())
}

#[tokio::test] // TLS-3
async fn a_name_has_31_characters_is_unique_and_stays() {
    let house = House::new().await;
    let (longest, longer) = ("P".repeat(31), "P".repeat(32));
    let params = (admin::find("secadm create_sprof").unwrap().params)();
    let name = params.iter().find(|param| param.name() == "sprof_name").unwrap();
    assert!(admin::Input::default().give(name, &longer).is_err());
    created(&house, &longest, &[]).await.unwrap();
    let again = created(&house, &longest, &[]).await.unwrap_err();
    assert!(again.contains(&longest), "{again}");
    let renamed = house.run("secadm update_sprof", &[("sprof_name", "OTHER"), ("type", "CLIENT")]).await;
    assert!(renamed.is_err() && shown(&house, &longest).await.is_some());
    let params = (admin::find("secadm update_sprof").unwrap().params)();
    let names: Vec<&str> = params.iter().map(|param| param.name()).filter(|name| name.contains("name")).collect();
    assert!(!names.iter().any(|name| name.contains("new")), "{names:?}");
}

// TLS-5 to TLS-7, TLS-41, TLS-42: what this engine must not or cannot do is not kept to be skipped later: the profile is refused
// when it is saved, or the suite is dropped with a warning; so none that is weak is ever offered.
#[tokio::test]
async fn weak_suites_are_refused_or_dropped_when_a_profile_is_saved() {
    let house = House::new().await;
    let weak = ["RSA_WITH_AES_128_CBC_SHA", "DHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE_RSA_WITH_AES_128_CBC_SHA"];
    for suite in weak {
        let refused = created(&house, "WEAK", &[("cipher_suites", &format!("{STRONG} {suite}"))]).await.unwrap_err();
        assert!(refused.contains(suite) && refused.contains("not available"), "{refused}");
        assert_eq!(shown(&house, "WEAK").await, None);
    }
    for suite in ["RSA_WITH_RC4_128_MD5", "RSA_WITH_NULL_SHA", "RSA_WITH_DES_CBC_SHA"] {
        let saved = created(&house, suite, &[("cipher_suites", &format!("{suite} {STRONG}"))]).await;
        let engine = &house.context.engine;
        let snapshot = engine.snapshot();
        let profile = snapshot.tls_profile(suite).unwrap_or_else(|| panic!("{suite}: {saved:?}"));
        let kept: Vec<&str> = profile.suites.iter().map(|suite| suite.name).collect();
        assert_eq!(kept, [STRONG], "{suite}");
        let told = engine.problems().iter().any(|problem| problem.to_string().contains(suite));
        assert!(told, "{suite}: {:?}", engine.problems());
    }
    // None is left: it is saved with a warning, and refused at use (TLS-1).
    created(&house, "NONE", &[("cipher_suites", "RSA_WITH_RC4_128_MD5")]).await.unwrap();
    let snapshot = house.context.engine.snapshot();
    assert!(snapshot.tls_profile("NONE").unwrap().refusal(true).is_some());
}

#[tokio::test] // TLS-18: this engine never negotiates anew
async fn only_renegotiation_that_does_no_harm_is_taken() {
    let house = House::new().await;
    for (word, good) in [("disabled", true), ("secure", true), ("legacy", false), ("unrestricted", false)] {
        let saved = created(&house, word, &[("renegotiate_enabled", word)]).await;
        assert_eq!(saved.is_ok(), good, "{word}: {saved:?}");
        assert!(good || saved.unwrap_err().contains("never negotiates anew"));
    }
}

#[tokio::test] // TLS-32
async fn a_password_of_an_entity_is_not_shown() {
    let house = House::new().await;
    created(&house, "P", &[("xpp_entity_name", "E"), ("xpp_entity_password", "correct horse")]).await.unwrap();
    let shown = shown(&house, "P").await.unwrap();
    assert!(shown.contains("\"E\"") && !shown.contains("correct horse"), "{shown}");
}

#[tokio::test] // TLS-39
async fn a_profile_that_is_named_elsewhere_is_deleted_by_force_only() {
    let house = House::new().await;
    created(&house, "OUT", &[("type", "CLIENT")]).await.unwrap();
    let site = [
        ("alias", "B"),
        ("protocol", "FTP"),
        ("dest_address", "b.example/21"),
        ("network_security_option", "TLS"),
        ("tls_sprof_out", "OUT"),
        ("login_ident", "us"),
    ];
    house.run("peladm create_site", &site).await.unwrap();
    let name = [("sprof_name", "OUT")];
    let refused = text(house.run("secadm delete_sprof", &name).await);
    assert!(refused.contains("SITE B (tls_sprof_out)"), "{refused}");
    assert!(shown(&house, "OUT").await.is_some());
    house.run("secadm delete_sprof", &[name[0], ("force", "Y")]).await.unwrap();
    assert_eq!(shown(&house, "OUT").await, None);
}
