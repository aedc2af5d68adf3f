//! Certificates from file to store and out again.

use admin::{OpError, Output, execute, find};
use base::{Secret, UtcMicros};
use engine::EngineOptions;
use keys::{
    CertificateFileFormat, IssueRequest, KeyAlgorithm, KeyFileFormat, KeyMaterial, PrivateKey, PublicKey, SizeLimits,
    pem, read_certificates, self_signed, write_key, write_pkcs7, write_pkcs12,
};

use crate::house::{House, bundle, input, lines, text};

const NAME: &str = "certificate_name";
const PASSWORD: &str = "correct horse battery";

fn password() -> Secret<String> {
    Secret::new(PASSWORD.to_owned())
}

/// A key and a certificate of it, valid from 2026 to the middle of the century.
fn made(algorithm: KeyAlgorithm, subject: &str, authority: bool) -> (PrivateKey, Vec<u8>) {
    let key = PrivateKey::generate(algorithm, (algorithm == KeyAlgorithm::Rsa).then_some(2048)).unwrap();
    let request = IssueRequest { subject: subject.parse().unwrap(), alternative_names: Vec::new(), authority };
    let from = UtcMicros::parse("2026-01-01T00:00:00Z").unwrap();
    let der = self_signed(&key, &request, from, 9000).unwrap();
    (key, der)
}

fn private(key: &PrivateKey) -> KeyMaterial {
    KeyMaterial::Private(PrivateKey::from_bytes(key.to_bytes().expose()).unwrap())
}

impl House {
    async fn files(&self, name: &str, values: &[(&str, &str)], files: &[(&str, &[u8])]) -> Result<Output, OpError> {
        let mut given = input(name, values);
        let params = (find(name).unwrap().params)();
        for (file, octets) in files {
            given.give_file(params.iter().find(|p| p.name() == *file).unwrap(), octets.to_vec());
        }
        execute(&self.context, name, &given).await
    }

    async fn import_cert(&self, values: &[(&str, &str)], file: &[u8]) -> Result<Output, OpError> {
        self.files("secadm import_cert", values, &[("certificate_file", file)]).await
    }

    async fn certificate(&self, name: &str) -> serde_json::Value {
        self.run("secdsp display_cert", &[(NAME, name)]).await.unwrap().json()
    }
}

// CERT-1, CERT-2, CERT-3, CERT-4, CERT-10
#[tokio::test]
async fn a_certificate_comes_in_every_form_and_only_once() {
    let house = House::new().await;
    let (key, der) = made(KeyAlgorithm::EcdsaNistp256, "C=RO, O=Example, CN=me", false);
    let packed = write_pkcs12(&key, &[&der], "mine", &password()).unwrap();
    let forms: [(&str, Vec<u8>, &str); 4] = [
        ("DER", der.clone(), "ROOT"),
        ("BASE64", pem("CERTIFICATE", &der).into_bytes(), "ROOT"),
        ("PKCS7", write_pkcs7(&[&der]), "ROOT"),
        ("PKCS12", packed.expose().clone(), "USER"),
    ];
    for (form, file, kind) in &forms {
        let values = [(NAME, "C"), ("certificate_file_type", form), ("certificate_password", PASSWORD)];
        house.import_cert(&values, file).await.unwrap();
        let shown = house.certificate("C").await;
        assert_eq!((&shown["certificate_type"], &shown["status"]), (&(*kind).into(), &"ENABLED".into()), "{form}");
        assert_eq!(shown["subject"], "C=RO, O=Example, CN=me");
        assert_eq!(shown["private_key"], *kind == "USER");
        assert!(shown["SSH_fingerprint"].as_str().unwrap().starts_with("SHA256:"));
        let again = text(house.import_cert(&[(NAME, "C"), ("certificate_password", PASSWORD)], file).await);
        assert!(again.contains('C'), "{again}");
        let twin = text(house.import_cert(&[(NAME, "D"), ("certificate_password", PASSWORD)], file).await);
        assert!(twin.contains("the same certificate is in the store as C"), "{twin}");
        house.run("secadm delete_cert", &[(NAME, "C")]).await.unwrap();
    }
    let long = "x".repeat(32);
    let mut given = admin::Input::default();
    let params = (find("secadm import_cert").unwrap().params)();
    let refused = given.give(params.iter().find(|p| p.name() == NAME).unwrap(), &long);
    let refused = refused.and_then(|()| given.check(&params)).unwrap_err().to_string();
    assert!(refused.contains("at most 31"), "{refused}");
}

// CERT-5, CERT-6, CERT-8, CERT-9, CERT-32
#[tokio::test]
async fn positions_lists_and_separate_keys() {
    let house = House::new().await;
    let (key, der) = made(KeyAlgorithm::Rsa, "CN=one", false);
    let (other, second) = made(KeyAlgorithm::EcdsaNistp256, "CN=two", false);
    let both = write_pkcs7(&[&der, &second]);
    let first = house.import_cert(&[(NAME, "FIRST")], &both).await.unwrap();
    assert!(first.json().to_string().contains("holds 2 certificates"), "{first:?}");
    assert_eq!(house.certificate("FIRST").await["subject"], "CN=one");
    house.import_cert(&[(NAME, "SECOND"), ("pos", "2")], &both).await.unwrap();
    assert_eq!(house.certificate("SECOND").await["subject"], "CN=two");
    assert!(text(house.import_cert(&[(NAME, "THIRD"), ("pos", "3")], &both).await).contains("holds 2"));
    let listed = house.import_cert(&[("list_only", "Y")], &both).await;
    assert!(matches!(listed, Err(OpError::Syntax(_))), "for PKCS#12 only");
    let packed = write_pkcs12(&key, &[&der, &second], "mine", &password()).unwrap();
    let listed = house.import_cert(&[("list_only", "Y"), ("certificate_password", PASSWORD)], packed.expose()).await;
    let listed = listed.unwrap().json();
    assert_eq!((&listed[0]["subject_name"], &listed[0]["private_key"]), (&"CN=one".into(), &true.into()));
    assert_eq!((&listed[1]["pos"], &listed[1]["private_key"]), (&2.into(), &false.into()));
    house.run("secadm delete_cert", &[(NAME, "FIRST")]).await.unwrap();

    let clear = write_key(&private(&key), KeyFileFormat::Der, None).unwrap();
    let locked = write_key(&private(&key), KeyFileFormat::Der, Some(&password())).unwrap();
    let text_form = write_key(&private(&key), KeyFileFormat::Pem, None).unwrap();
    let foreign = write_key(&private(&other), KeyFileFormat::Der, None).unwrap();
    let import = async |kind: &str, file: &[u8]| {
        let values = [(NAME, "OWN"), ("private_key_file_type", kind), ("private_key_password", PASSWORD)];
        let files = [("certificate_file", der.as_slice()), ("private_key_file", file)];
        house.files("secadm import_cert", &values, &files).await
    };
    for (kind, file) in [("PKCS8", clear.expose()), ("CR_PKCS8", locked.expose()), ("BASE64", text_form.expose())] {
        import(kind, file).await.unwrap();
        assert_eq!(house.certificate("OWN").await["certificate_type"], "USER", "{kind}");
        house.run("secadm delete_cert", &[(NAME, "OWN")]).await.unwrap();
    }
    let mixed = text(import("PKCS8", foreign.expose()).await);
    assert!(mixed.contains("does not belong to the certificate"), "{mixed}");
    let wrong = text(import("PKCS8", locked.expose()).await);
    assert!(wrong.contains("is of type CR_PKCS8"), "{wrong}");
    let files = [("certificate_file", der.as_slice()), ("private_key_file", clear.expose().as_slice())];
    let untyped = house.files("secadm import_cert", &[(NAME, "OWN")], &files).await;
    assert!(matches!(untyped, Err(OpError::Syntax(_))));
    assert!(text(untyped).contains("looks like PKCS8"), "CERT-8");
}

// Groups of keys and certificates are stored, changed, and asked for by every command that takes them
// (certificates-and-keys.md 3.1 to 3.4; KEY-4).
#[tokio::test]
async fn groups_of_keys_and_certificates_are_kept_and_asked_for() {
    let house = House::new().await;
    let names = async |operation: &str, group: &str| {
        let found = house.run(operation, &[("group", group)]).await.unwrap().json().to_string();
        ["ONE", "TWO", "THREE"]
            .into_iter()
            .filter(|name| found.contains(&format!("\"{name}\"")))
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (name, group) in [("ONE", Some("FINANCE")), ("TWO", Some("FINANCE")), ("THREE", None)] {
        let key = ("name", name);
        let certificate = [("certificate_name", name), ("subject_name", name), ("algorithm", "ED25519")];
        let subject = format!("CN={name}");
        let mut certificate = certificate.to_vec();
        certificate[1].1 = &subject;
        let mut bare = vec![key];
        if let Some(group) = group {
            certificate.push(("group", group));
            bare.push(("group", group));
        }
        house.run("secadm create_key", &bare).await.unwrap();
        house.run("secadm create_cert", &certificate).await.unwrap();
    }
    for operation in ["secdsp select_key", "secdsp status_key", "secdsp select_cert", "secdsp status_cert"] {
        assert_eq!(names(operation, "FINANCE").await, "ONE TWO", "{operation}");
        if operation.ends_with("_key") {
            assert_eq!(names(operation, "GDEFAULT").await, "THREE", "{operation}");
        }
        assert_eq!(names(operation, "NOBODY").await, "", "{operation}");
    }
    let exported = lines(&house.run("secbase export_cert", &[("group", "FINANCE")]).await.unwrap()).join("\n");
    assert_eq!(read_certificates(exported.as_bytes(), None, None).unwrap().certificates.len(), 2);
    house.run("secadm update_key", &[("name", "TWO"), ("group", "LEGAL")]).await.unwrap();
    house.run("secadm update_cert", &[(NAME, "TWO"), ("group", "LEGAL")]).await.unwrap();
    for operation in ["secdsp select_key", "secdsp select_cert"] {
        assert_eq!(names(operation, "FINANCE").await, "ONE", "{operation}");
        assert_eq!(names(operation, "LEGAL").await, "TWO", "{operation}");
    }
    let long = "G".repeat(32);
    let params = (find("secadm create_key").unwrap().params)();
    let group = params.iter().find(|param| param.name() == "group").unwrap();
    let refused = admin::Input::default().give(group, &long).unwrap_err();
    assert!(refused.to_string().contains("at most 31"), "{refused}");
}

// KEY-2
#[tokio::test]
async fn large_rsa_keys_are_taken_where_the_settings_say_so() {
    // A public key is sane from its numbers alone: an odd modulus of 5120 bits.
    let part = |octets: &[u8]| [&u32::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat();
    let modulus = [&[0][..], &[0xff; 640]].concat();
    let blob = [part(b"ssh-rsa"), part(&[1, 0, 1]), part(&modulus)].concat();
    let line = PublicKey::from_ssh_blob(&blob).unwrap().openssh_line("large");
    let usual = House::bare().await;
    let refused = text(usual.import(&[("name", "LARGE")], line.as_bytes()).await);
    assert!(refused.contains("RSA key of 5120 bits: 2048 to 4096 bits are allowed"), "{refused}");
    let key_sizes = SizeLimits { rsa_max: 8192, ..SizeLimits::default() };
    let lifted = House::set_up(EngineOptions { key_sizes, ..EngineOptions::default() }).await;
    lifted.import(&[("name", "LARGE")], line.as_bytes()).await.unwrap();
}

// CERT-12, CERT-25, CERT-31
#[tokio::test]
async fn what_a_person_decides_about_a_certificate() {
    let house = House::new().await;
    let (_, der) = made(KeyAlgorithm::EcdsaNistp256, "CN=partner", false);
    let (_, renewed) = made(KeyAlgorithm::EcdsaNistp256, "CN=partner", false);
    let user = text(house.import_cert(&[(NAME, "P"), ("certificate_type", "USER")], &der).await);
    assert!(user.contains("give the private key"), "{user}");
    house.import_cert(&[(NAME, "P"), ("certificate_type", "OTHER"), ("group", "G")], &der).await.unwrap();
    let second = house.import_cert(&[(NAME, "P2")], &renewed).await.unwrap().json();
    assert!(second["warnings"].to_string().contains("P has the same subject"), "{second}");
    house.run("secadm update_cert", &[(NAME, "P"), ("status", "D"), ("comments", "old")]).await.unwrap();
    let shown = house.certificate("P").await;
    assert_eq!(
        (&shown["status"], &shown["group"], &shown["comments"]),
        (&"DISABLED".into(), &"G".into(), &"old".into())
    );
    house.run("secadm update_cert", &[(NAME, "P"), ("new_name", "Q")]).await.unwrap();
    assert_eq!(house.certificate("Q").await["subject"], "CN=partner");
    assert!(
        text(house.run("secadm update_cert", &[(NAME, "Q"), ("certificate_type", "USER")]).await)
            .contains("has its private key")
    );
    let found = house.run("secdsp select_cert", &[("subject_name", "CN=part"), ("status", "D")]).await.unwrap();
    assert_eq!(found.json().as_array().unwrap().len(), 1);
    let audit = house.run("audit list", &[("last", "1000")]).await.unwrap().json().to_string();
    assert!(audit.contains("CERTIFICATE"), "AUD-3");
    house.run("audit verify", &[]).await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_made_requested_and_renewed() {
    let house = House::new().await;
    let values =
        [(NAME, "OWN"), ("subject_name", "O=Example, CN=gateway"), ("algorithm", "ECDSA_NISTP256"), ("days", "10")];
    let names = [("subject_alt_name", "DNS:gw.example 192.0.2.1")];
    house.run("secadm create_cert", &[&values[..], &names].concat()).await.unwrap();
    let shown = house.certificate("OWN").await;
    assert_eq!(shown["certificate_type"], "USER");
    // Whole days, rounded to the second at both ends.
    assert!(matches!(shown["days_left"].as_i64(), Some(9 | 10)), "{shown}");
    let soon = house.run("certs expiring", &[]).await.unwrap().json();
    assert_eq!((&soon[0]["certificate_name"], soon.as_array().unwrap().len()), (&"OWN".into(), 1));
    assert_eq!(house.run("certs expiring", &[("within", "5")]).await.unwrap().json().as_array().unwrap().len(), 0);

    let request = lines(&house.run("secadm create_csr", &[(NAME, "OWN")]).await.unwrap()).join("\n");
    assert!(request.starts_with("-----BEGIN CERTIFICATE REQUEST-----"), "{request}");
    let (_, foreign) = made(KeyAlgorithm::EcdsaNistp256, "CN=other", false);
    let reply =
        async |file: &[u8]| house.files("secadm import_reply", &[(NAME, "OWN")], &[("certificate_file", file)]).await;
    assert!(text(reply(&foreign).await).contains("no certificate of this key"));

    // What the authority would send: another certificate of the same key.
    let packed = house.run("secbase export_cert_key", &[(NAME, "OWN"), ("certificate_password", PASSWORD)]).await;
    let file = base64_of(&packed.unwrap());
    let mut contents = read_certificates(&file, Some(CertificateFileFormat::Pkcs12), Some(&password())).unwrap();
    let key = contents.keys.pop().unwrap().key;
    let old = contents.certificates[0].der.clone();
    assert!(text(reply(&old).await).contains("stored already"));
    let request =
        IssueRequest { subject: "CN=renewed".parse().unwrap(), alternative_names: Vec::new(), authority: false };
    let renewed = self_signed(&key, &request, UtcMicros::parse("2026-01-01T00:00:00Z").unwrap(), 9000).unwrap();
    let done = reply(&write_pkcs7(&[&foreign, &renewed])).await.unwrap().json();
    assert!(done["warnings"].to_string().contains("CN=other"), "{done}");
    let shown = house.certificate("OWN").await;
    assert_eq!((&shown["subject"], &shown["private_key"]), (&"CN=renewed".into(), &true.into()));
    house.run("secbase export_cert_key", &[(NAME, "OWN"), ("certificate_password", PASSWORD)]).await.unwrap();
}

fn base64_of(output: &Output) -> Vec<u8> {
    use base64::Engine as _;
    let json = output.json();
    base64::engine::general_purpose::STANDARD.decode(json["base64"].as_str().unwrap()).unwrap()
}

// CERT-20, CERT-21, CERT-27, CERT-28
#[tokio::test]
async fn what_is_exported() {
    let house = House::new().await;
    let (key, der) = made(KeyAlgorithm::EcdsaNistp256, "C=RO, O=Example", true);
    let packed = write_pkcs12(&key, &[&der], "mine", &password()).unwrap();
    house.import_cert(&[(NAME, "root"), ("certificate_password", PASSWORD)], packed.expose()).await.unwrap();
    let chain = lines(&house.run("secbase export_cert_chain", &[(NAME, "root")]).await.unwrap());
    assert_eq!(chain, ["#?BEGIN_CERT_CHAIN", "[0][root][ C=RO, O=Example]", "#?END_CERT_CHAIN"]);
    let both = [(NAME, "root"), ("human_readable", "Y"), ("print_certificate_content", "Y")];
    assert!(matches!(house.run("secbase export_cert_chain", &both).await, Err(OpError::Syntax(_))));
    let content = house.run("secbase export_cert_chain", &[both[0], both[2]]).await.unwrap();
    assert_eq!(read_certificates(lines(&content).join("\n").as_bytes(), None, None).unwrap().certificates[0].der, der);
    let exported = lines(&house.run("secbase export_cert", &[]).await.unwrap()).join("\n");
    let read = read_certificates(exported.as_bytes(), None, None).unwrap();
    assert!(read.certificates[0].der == der && read.keys.is_empty());
    let short = [(NAME, "root"), ("certificate_password", "short")];
    assert!(text(house.run("secbase export_cert_key", &short).await).contains("at least 12"));
    for form in ["PKCS12", "PKCS8"] {
        let asked = [(NAME, "root"), ("certificate_password", PASSWORD), ("file_format", form)];
        house.run("secbase export_cert_key", &asked).await.unwrap();
    }
    let shown = house.run("secdsp display_cert", &[(NAME, "root"), ("display_key", "Y")]).await.unwrap();
    let secret = base::hex(key.to_bytes().expose());
    let audit = house.run("audit list", &[("last", "1000")]).await.unwrap().json().to_string();
    for text in [format!("{shown:?}"), audit.clone(), house.export().await] {
        assert!(!text.contains("PRIVATE KEY") && !text.contains(&secret) && !text.contains(PASSWORD), "{text}");
    }
    assert!(audit.contains("secbase export_cert_key"), "AUD-7");
}

// The whole configuration with certificates, as text and back.
#[tokio::test]
async fn certificates_as_configuration() {
    let house = House::new().await;
    let (_, partner) = made(KeyAlgorithm::EcdsaNistp256, "CN=partner", false);
    let (key, own) = made(KeyAlgorithm::EcdsaNistp256, "CN=own", false);
    let key_file = write_key(&private(&key), KeyFileFormat::Pem, Some(&password())).unwrap();
    let document = format!(
        "[certificate.PARTNER]\ncertificate = \"\"\"\n{}\"\"\"\nstatus = \"D\"\n\n[certificate.OWN]\ncertificate = \"\"\"\n{}\"\"\"\n\
         private_key = {{ file = \"own.key\" }}\nkey_password = {{ file = \"own.pw\" }}\n",
        pem("CERTIFICATE", &partner),
        pem("CERTIFICATE", &own),
    );
    let secrets: [(&str, &[u8]); 2] = [("own.key", key_file.expose()), ("own.pw", PASSWORD.as_bytes())];
    house.with("apply", &[], bundle(&[&document], &secrets)).await.unwrap();
    assert_eq!(house.certificate("OWN").await["certificate_type"], "USER");
    assert_eq!(house.certificate("PARTNER").await["status"], "DISABLED");
    let exported = house.export().await;
    assert!(exported.contains("[certificate.OWN]") && exported.contains("BEGIN CERTIFICATE"), "{exported}");
    assert!(!exported.contains("PRIVATE KEY"));
    let point = house.point().await;
    house.apply(&[&exported]).await.unwrap();
    assert_eq!(house.point().await, point, "what is there already changes nothing");
    let lost = document.replace("private_key = { file = \"own.key\" }\nkey_password = { file = \"own.pw\" }\n", "");
    assert!(text(house.apply(&[&lost]).await).contains("would be lost"));
    house.run("secadm delete_cert", &[(NAME, "PARTNER")]).await.unwrap();
    house.run("rollback", &[("all", "Y"), ("point", &point.to_string())]).await.unwrap();
    assert_eq!(house.certificate("PARTNER").await["subject"], "CN=partner");
}

// CERT-30, certificates-and-keys.md 1.4
#[tokio::test]
async fn broken_and_foreign_files_are_refused_with_a_sentence() {
    let house = House::new().await;
    let (key, der) = made(KeyAlgorithm::EcdsaNistp256, "CN=me", false);
    let locked = write_pkcs12(&key, &[&der], "mine", &password()).unwrap();
    for (file, says) in [
        (&b"hello"[..], "something else"),
        (&der[..der.len() - 4], "looks like"),
        (key.public().openssh_line("x").as_bytes(), "a key in"),
        (locked.expose(), "give the password"),
    ] {
        let refused = text(house.import_cert(&[(NAME, "X")], file).await);
        assert!(refused.contains(says), "{refused}");
    }
    let wrong = text(house.import_cert(&[(NAME, "X"), ("certificate_password", "wrong")], locked.expose()).await);
    assert_eq!(wrong, "password does not open the private key");
    assert!(house.run("secdsp select_cert", &[]).await.unwrap().json().as_array().unwrap().is_empty());
    let audit = house.run("audit list", &[("last", "1000")]).await.unwrap().json().to_string();
    assert!(audit.contains("secadm import_cert") && !audit.contains("wrong\""), "CERT-16");
}

// CERT-24, OBJ-3: what a date changes is seen before it comes, and what is named is not deleted
#[tokio::test]
async fn a_date_tells_which_certificate_serves_and_what_breaks() {
    let house = House::new().await;
    for (name, days) in [("OLD", "10"), ("NEW", "40")] {
        let values = [(NAME, name), ("subject_name", "CN=gw"), ("algorithm", "ECDSA_NISTP256"), ("days", days)];
        house.run("secadm create_cert", &values).await.unwrap();
    }
    let profile = [("sprof_name", "IN"), ("type", "SERVER"), ("user_local_certificate", "OLD NEW")];
    house.run("secadm create_sprof", &profile).await.unwrap();
    let disabled = [("sprof_name", "OFF"), ("type", "SERVER"), ("user_local_certificate", "OLD"), ("state", "D")];
    house.run("secadm create_sprof", &disabled).await.unwrap();

    let turns = house.run("certs timeline", &[]).await.unwrap().json();
    let turn = |n: usize, field: &str| turns[n][field].as_str().unwrap_or_default().to_owned();
    assert_eq!(turns.as_array().unwrap().len(), 2, "{turns}");
    assert_eq!(
        (turn(0, "place"), turn(0, "before"), turn(0, "after")),
        ("TLS_PROFILE IN".into(), "OLD serves".into(), "NEW serves".into())
    );
    assert_eq!((turn(1, "state"), turn(1, "before")), ("broken".into(), "NEW serves".into()));
    let near = house.run("certs timeline", &[("within", "20")]).await.unwrap().json();
    assert_eq!(near.as_array().unwrap().len(), 1);

    for (on, state, alias) in
        [("+000001", "served", "OLD"), (&turn(0, "at"), "served", "NEW"), ("2999-12-31T00:00:00Z", "broken", "")]
    {
        let told = house.run("certs simulate", &[("on", on)]).await.unwrap().json();
        assert_eq!((&told[0]["state"], &told[0]["certificate_name"]), (&state.into(), &alias.into()), "{on}: {told}");
    }
    let told = house.run("certs simulate", &[("on", "2999-12-31T00:00:00Z")]).await.unwrap().json().to_string();
    assert!(told.contains("OLD: ") && told.contains("NEW: ") && told.contains("valid"), "{told}");
    assert!(text(house.run("certs simulate", &[("on", "soon")]).await).contains("2026-11-23T14:05:00Z"));

    let kept = text(house.run("secadm delete_cert", &[(NAME, "NEW")]).await);
    assert!(kept.contains("TLS_PROFILE IN"), "{kept}");
    house.run("secadm update_cert", &[(NAME, "NEW"), ("new_name", "NEXT")]).await.unwrap();
    let shown = house.run("secdsp display_sprof", &[("sprof_name", "IN")]).await.unwrap().json();
    assert_eq!(shown["user_local_certificate"], serde_json::json!(["OLD", "NEXT"]), "the reference follows");
}
