//! Problems that only show when objects are seen together: what `gatehouse check` prints.

use crate::field::descriptor;
use crate::kinds::certificate::{CertificateEntry, CertificateObject};
use crate::kinds::crl::{CrlEntry, CrlObject};
use crate::kinds::key::KeyObject;
use crate::object::{KeyEntry, Kind, Object, ObjectState, Problem, Severity};
use crate::snapshot::Snapshot;

mod handoff;
mod partners;
mod paths;
mod secure;

/// Collects problems.
#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn error(&mut self, object: (Kind, &str), field: &str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Error, object, field, (text.into(), fix.into()));
    }

    fn warning(&mut self, object: (Kind, &str), field: &str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Warning, object, field, (text.into(), fix.into()));
    }

    fn add(&mut self, severity: Severity, (kind, name): (Kind, &str), field: &str, (text, fix): (String, String)) {
        let object = if name.is_empty() { kind.to_string() } else { format!("{kind} {name}") };
        self.0.push(Problem { object, field: field.to_owned(), severity, text, fix });
    }
}

/// Every problem between objects.
pub(crate) fn across(s: &Snapshot) -> Vec<Problem> {
    let mut found = Found::default();
    for look in LOOKS {
        look(s, &mut found);
    }
    found.0
}

static LOOKS: &[fn(&Snapshot, &mut Found)] = &[
    names,
    missing,
    key_uses,
    same_certificates,
    secure::server_profiles,
    secure::network_profiles,
    secure::network_ties,
    secure::listeners,
    secure::client_profiles,
    secure::tls_profiles_of_sites,
    partners::sites,
    partners::site_logins,
    partners::proxies,
    partners::groups,
    partners::gates,
    paths::folders,
    paths::routes,
    paths::loops,
    handoff::folders,
    handoff::hooks,
];

/// Fields that this version does not know, of an object stored by another.
pub(crate) fn unknown_fields(object: &Object) -> Vec<Problem> {
    let known = descriptor(object.kind);
    let unknown = object.body.keys().filter(|key| known.fields.iter().all(|field| field.name != key.as_str()));
    let mut found = Found::default();
    for key in unknown {
        found.warning(
            (object.kind, &object.name),
            key,
            "this version has no such field and leaves it alone",
            "take it out",
        );
    }
    found.0
}

/// A key object without its key.
pub(crate) fn key_material(key: &KeyObject, entry: Option<&KeyEntry>) -> Option<Problem> {
    let mut found = Found::default();
    let fix = "delete it and import the key again";
    match (entry, &key.algorithm) {
        (None, _) => found.error((Kind::Key, &key.name), "", "its key is not in the store", fix),
        (Some(entry), Some(noted)) if *noted != entry.algorithm => {
            found.error(
                (Kind::Key, &key.name),
                "algorithm",
                format!("the store has a key of {}", entry.algorithm),
                fix,
            );
        }
        (Some(entry), _) if key.private && !entry.private => {
            found.error((Kind::Key, &key.name), "type", "its private part is not in the store", fix);
        }
        _ => {}
    }
    found.0.pop()
}

/// A certificate object without its certificate, or without the private key that it should have.
pub(crate) fn certificate(certificate: &CertificateObject, entry: Option<&CertificateEntry>) -> Option<Problem> {
    let mut found = Found::default();
    let own = (Kind::Certificate, certificate.name.as_str());
    let fix = "delete it and import the certificate again";
    match entry {
        None => found.error(own, "", "its certificate is not in the store", fix),
        Some(entry) if certificate.private && !entry.private => {
            found.error(own, "private_part", "its private key is not in the store", fix);
        }
        Some(entry) if certificate.kind.as_deref() == Some("USER") && !entry.private => {
            let fix = "give it another type, or import it with its private key";
            found.error(own, "certificate_type", "a USER certificate has its private key in the store", fix);
        }
        Some(_) => {}
    }
    found.0.pop()
}

/// A revocation list without its octets.
pub(crate) fn crl(list: &CrlObject, entry: Option<&CrlEntry>) -> Option<Problem> {
    let mut found = Found::default();
    if entry.is_none() {
        let fix = "delete it and import the list again";
        found.error((Kind::Crl, &list.name), "", "its octets are not in the store", fix);
    }
    found.0.pop()
}

/// Two objects with one certificate (CERT-25).
fn same_certificates(s: &Snapshot, found: &mut Found) {
    for certificate in s.certificates() {
        let first =
            s.certificate_by_fingerprint(&certificate.fingerprint).filter(|first| first.name != certificate.name);
        if let Some(first) = first {
            let own = (Kind::Certificate, certificate.name.as_str());
            let text = format!("the same certificate is in the store as {} ({})", first.name, first.state.shown());
            found.error(own, "", text, "use that one");
        }
    }
}

/// Names that differ only by case (DESIGN 1.15).
fn names(s: &Snapshot, found: &mut Found) {
    let mut all: Vec<_> = s.all_readings().map(|reading| (reading.kind, &reading.folded, &reading.object)).collect();
    all.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    for pair in all.windows(2) {
        let [(kind, folded, other), (next, same, object)] = pair else { continue };
        if kind == next && folded == same {
            let other = &other.name;
            let text = format!("its name differs from {other} only by case");
            found.error((object.kind, &object.name), "", text, "rename one of them");
        }
    }
}

/// References to objects that are not there. A rule may name what comes later (objects.md section 5).
fn missing(s: &Snapshot, found: &mut Found) {
    for reading in s.all_readings() {
        let object = &reading.object;
        for &(field, kind, ref name) in &reading.references {
            let own = (object.kind, object.name.as_str());
            let later = matches!(object.kind, Kind::DecisionRule | Kind::RuleTable | Kind::TransferModel);
            match (s.object(kind, name), s.broken(kind, name)) {
                (None, _) if kind == Kind::Key && s.key(name).is_some() => {}
                (None, _) if later => {
                    found.warning(own, field, format!("{kind} {name} does not exist"), "create it before a file comes")
                }
                (None, _) => {
                    found.error(own, field, format!("{kind} {name} does not exist"), "create it, or name another")
                }
                (Some(_), Some(_)) => {
                    found.warning(own, field, format!("{kind} {name} has an error"), "correct that object")
                }
                (Some(_), None) => {}
            }
        }
    }
}

/// Keys that are named but can't be used.
fn key_uses(s: &Snapshot, found: &mut Found) {
    for reading in s.all_readings() {
        let object = &reading.object;
        for &(field, kind, ref name) in &reading.references {
            let Some(key) = s.key(name).filter(|_| kind == Kind::Key) else { continue };
            let own = (object.kind, object.name.as_str());
            if key.state != ObjectState::Enabled {
                let text = format!("key {name} is {}, so it opens nothing", key.state.shown());
                found.warning(own, field, text, "check it with the partner and enable it, or take it out");
            }
            let needs_private = matches!(field, "private_key_alias" | "local_private_key_alias");
            if needs_private && !key.private {
                found.error(own, field, format!("key {name} has no private part"), "name a private key");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Value;
    use crate::testing::{disabled, has, key, object, raw};

    const SERVER: &[(&str, &str)] = &[("type", "SERVER"), ("private_key_alias", "HOST")];

    fn problems(objects: Vec<Object>) -> Vec<Problem> {
        let keys = vec![
            key("HOST", "ED25519", true),
            key("HOST2", "ED25519", true),
            key("RSA", "RSA", true),
            key("PUB", "ED25519", false),
            KeyEntry { state: ObjectState::ToCheck, ..key("NEW", "ED25519", false) },
        ];
        Snapshot::build(objects, keys, 1).1
    }

    fn network(name: &str, fields: &[(&str, &str)]) -> Object {
        let mut all = vec![("security_option", "SSH"), ("sprof_name", "IN")];
        if fields.iter().any(|(field, _)| *field == "security_option") {
            all.clear();
        }
        all.extend(fields);
        object(Kind::NetworkProfile, name, &all)
    }

    fn site(name: &str, fields: &[(&str, &str)]) -> Object {
        object(Kind::RemoteSite, name, fields)
    }

    fn partner(name: &str, fields: &[(&str, &str)]) -> Object {
        let mut all = vec![
            ("dest_address", "192.0.2.1/22"),
            ("login_ident", "gw"),
            ("local_private_key_alias", "HOST"),
            ("remote_public_key_alias", "PUB"),
        ];
        all.retain(|(field, _)| fields.iter().all(|(other, _)| other != field));
        all.extend(fields.iter().filter(|(_, text)| !text.is_empty()));
        site(name, &all)
    }

    fn client() -> Object {
        object(Kind::SshProfile, "SFTP_OUT", &[("type", "CLIENT")])
    }

    fn server(name: &str, fields: &[(&str, &str)]) -> Object {
        let mut all = SERVER.to_vec();
        all.retain(|(field, _)| fields.iter().all(|(other, _)| other != field));
        all.extend(fields.iter().filter(|(_, text)| !text.is_empty()));
        object(Kind::SshProfile, name, &all)
    }

    #[test]
    fn a_sound_configuration_has_no_problems() {
        let mut gate = object(
            Kind::Cgate,
            "A",
            &[("cgategroup", "G"), ("login_user", "alice"), ("vfd_right", "/in:*:RWD:LCR:Y"), ("home_dir", "/in")],
        );
        gate.secrets.insert("login_password".into());
        let found = problems(vec![
            client(),
            server("IN", &[]),
            network("N", &[("dest_address", "*/22")]),
            object(Kind::Listener, "L", &[("port", "22")]),
            object(Kind::CgateGroup, "G", &[("template_site", "TSFTP")]),
            gate,
            site("TSFTP", &[("template", "Y")]),
            object(Kind::VfdDir, "/in", &[("route_remote_agent", "B")]),
            partner("B", &[]),
            object(Kind::TransferModel, "M", &[("dest_alias", "B")]),
            object(Kind::DecisionRule, "R", &[("model", "M")]),
            object(Kind::RuleTable, "T", &[("rules", "R")]),
        ]);
        assert_eq!(found, []);
    }

    #[test]
    fn security_profiles() {
        use Severity::{Error, Warning};
        for (objects, severity, about, text) in [
            (vec![network("N", &[])], Error, "NETWORK_PROFILE N", "SSH_PROFILE IN does not exist"), // NET-4
            (
                vec![network("N", &[("sprof_name", "SFTP_OUT"), ("security_option", "SSH")])],
                Error,
                "NETWORK_PROFILE N",
                "type CLIENT",
            ), // SSH-2
            (vec![disabled(server("IN", &[])), network("N", &[])], Warning, "NETWORK_PROFILE N", "IN is disabled"), // SSH-3
            (vec![network("N", &[("security_option", "NONE")])], Warning, "NETWORK_PROFILE N", "in clear"), // NET-9
            (vec![server("IN", &[("private_key_alias", "")])], Warning, "SSH_PROFILE IN", "needs a private key"), // SSH-9
            (
                vec![server("IN", &[("private_key_alias", "RSA"), ("public_key_algos", "ED25519")])],
                Warning,
                "SSH_PROFILE IN",
                "none of its keys",
            ),
            (vec![server("IN", &[("private_key_alias", "PUB")])], Error, "SSH_PROFILE IN", "no private part"),
            (
                vec![server("IN", &[("private_key_alias", "HOST HOST2")])],
                Warning,
                "SSH_PROFILE IN",
                "HOST2 is never used",
            ), // SSH-10
            (vec![server("IN", &[("private_key_alias", "GONE")])], Error, "SSH_PROFILE IN", "KEY GONE does not exist"),
            (vec![server("IN", &[("trust_hosted_public_keys", "Y")])], Warning, "SSH_PROFILE IN", "any enabled key"), // DESIGN 1.5
            (vec![server("IN", &[("mac_algos", "HMAC_SHA1")])], Warning, "SSH_PROFILE IN", "HMAC_SHA1 is weak"),
            (vec![partner("B", &[("ssh_profile", "IN")]), server("IN", &[])], Error, "SITE B", "type SERVER"), // SSH-2
            (
                vec![
                    partner("B", &[("ssh_profile", "X")]),
                    disabled(object(Kind::SshProfile, "X", &[("type", "CLIENT")])),
                ],
                Warning,
                "SITE B",
                "disabled",
            ),
        ] {
            let mut objects = objects;
            objects.push(client());
            let found = problems(objects);
            assert!(has(&found, severity, about, text), "{text}: {found:#?}");
            assert!(found.iter().all(|p| !p.fix.is_empty() && !p.text.ends_with('.')));
        }
    }

    #[test]
    fn the_default_client_profile() {
        // SSH-4, OBJ-11
        for (objects, severity, text) in [
            (vec![], Severity::Warning, "does not exist"),
            (vec![partner("B", &[])], Severity::Error, "does not exist"),
            (vec![partner("B", &[]), server("SFTP_OUT", &[])], Severity::Error, "type SERVER"),
            (vec![partner("B", &[]), disabled(client())], Severity::Warning, "disabled"),
        ] {
            assert!(has(&problems(objects), severity, "SSH_PROFILE SFTP_OUT", text), "{text}");
        }
    }

    #[test]
    fn listeners_that_bring_their_own_login() {
        let listener = |name: &str, fields: &[(&str, &str)]| object(Kind::Listener, name, fields);
        let called = |address| [("port", "21"), ("address", address), ("protocol", "FTP")];
        for (address, option, text, expected) in [
            ("0.0.0.0", "NONE", "travel in clear", true), // NET-9
            ("127.0.0.1", "NONE", "", false),
            ("0.0.0.0", "TLS", "", false),
            ("0.0.0.0", "SSH", "none has the option TLS", true),
        ] {
            let profile = [("security_option", option), ("sprof_name", if option == "NONE" { "" } else { "IN" })];
            let found =
                problems(vec![listener("L", &called(address)), network("N", &profile), client(), server("IN", &[])]);
            assert_eq!(has(&found, Severity::Warning, "LISTENER L", text), expected, "{address} {option}: {found:#?}");
        }
    }

    #[test]
    fn listeners_and_ties() {
        let listener = |name: &str, fields: &[(&str, &str)]| object(Kind::Listener, name, fields);
        let profile = || server("IN", &[]);
        let here = |address: &'static str| [("port", "22"), ("address", address)];
        for (objects, about, text, expected) in [
            (vec![listener("L", &here("0.0.0.0"))], "LISTENER L", "no network profile", true), // NET-13
            (
                vec![listener("L", &here("::")), network("N", &[("da", "10.0.0.1/22")])],
                "LISTENER L",
                "no network profile",
                false,
            ),
            (
                vec![listener("L", &here("10.0.0.2")), network("N", &[("da", "10.0.0.1/22")])],
                "LISTENER L",
                "no network profile",
                true,
            ),
            (vec![listener("L", &here("::")), disabled(network("N", &[]))], "LISTENER L", "no network profile", true),
            (
                vec![listener("L", &here("::")), network("N", &[("security_option", "NONE")])],
                "LISTENER L",
                "none has the option SSH",
                true,
            ),
            (
                vec![network("N", &[("da", "*/22")]), network("O", &[("da", "*/22")])],
                "NETWORK_PROFILE O",
                "alike",
                true,
            ),
            (
                vec![network("N", &[("oa", "10.1.*")]), network("O", &[("oa", "10.2.*")])],
                "NETWORK_PROFILE O",
                "alike",
                false,
            ),
            (
                vec![network("N", &[("oa", "10.1*")]), network("O", &[("oa", "1*.11")])],
                "NETWORK_PROFILE O",
                "alike",
                true,
            ),
            (
                vec![network("N", &[("da", "*/22")]), disabled(network("O", &[("da", "*/22")]))],
                "NETWORK_PROFILE O",
                "alike",
                false,
            ),
        ] {
            let mut objects = objects;
            objects.extend([client(), profile()]);
            let found = problems(objects);
            assert_eq!(has(&found, Severity::Warning, about, text), expected, "{about} {text}: {found:#?}");
        }
        let found = problems(vec![listener("L", &here("::")), listener("M", &here("::"))]);
        assert!(has(&found, Severity::Error, "LISTENER M", "L listens there too"));
    }

    #[test]
    fn partners() {
        use Severity::{Error, Warning};
        let gate = |name: &str, login: &str, more: &[(&str, &str)]| {
            let mut fields = vec![("cgategroup", "G"), ("login_user", login)];
            fields.extend(more);
            object(Kind::Cgate, name, &fields)
        };
        let group = |fields: &[(&str, &str)]| object(Kind::CgateGroup, "G", fields);
        for (objects, severity, about, text) in [
            (vec![group(&[]), gate("A", "alice", &[])], Warning, "CGATE A", "find no site"), // OBJ-17
            (vec![group(&[]), gate("A", "a*", &[])], Warning, "CGATE A", "neither password nor key"),
            (vec![group(&[]), gate("A", "a*", &[("bound_keys", "PUB")])], Warning, "CGATE A", "opens every login"),
            (vec![group(&[]), gate("A", "a*", &[("rpubka", "PUB")])], Warning, "CGATE A", "opens every login"),
            (vec![group(&[]), gate("A", "a", &[("rpubka", "NEW")])], Warning, "CGATE A", "DISABLED (to check)"),
            (vec![gate("A", "a", &[])], Error, "CGATE A", "CGATE_GROUP G does not exist"),
            (vec![group(&[("template_site", "T")]), site("T", &[])], Error, "CGATE_GROUP G", "no template"),
            (
                vec![group(&[]), gate("A", "a", &[]), object(Kind::CgateGroup, "H", &[("parent_group", "G")])],
                Error,
                "CGATE_GROUP G",
                "gates and groups",
            ), // OBJ-16
            (vec![group(&[("parent_group", "G")])], Error, "CGATE_GROUP G", "circle"),
            (
                vec![group(&[("sap", "22"), ("parent_group", "H")]), object(Kind::CgateGroup, "H", &[("sap", "*")])],
                Warning,
                "CGATE_GROUP G",
                "a group above states it too",
            ),
            (
                vec![site("A", &[("check_login_ident", "x")]), site("B", &[("check_login_ident", "x")])],
                Error,
                "SITE B",
                "site A has the same",
            ),
            (vec![partner("B", &[("login_ident", "")])], Warning, "SITE B", "no user name"),
            (vec![partner("B", &[("local_private_key_alias", "")])], Warning, "SITE B", "neither password nor key"),
            (vec![partner("B", &[("remote_public_key_alias", "")])], Warning, "SITE B", "host key is not known"), // SFTP-6
            (vec![site("ABC", &[]), site("abc", &[])], Error, "SITE abc", "only by case"), // DESIGN 1.15
        ] {
            let mut objects = objects;
            objects.push(client());
            let found = problems(objects);
            assert!(has(&found, severity, about, text), "{text}: {found:#?}");
        }
    }

    #[test]
    fn keys_that_a_person_bound_count_as_keys() {
        let found = problems(vec![
            client(),
            object(Kind::CgateGroup, "G", &[("template_site", "TSFTP")]),
            site("TSFTP", &[("template", "Y")]),
            object(Kind::Cgate, "A", &[("cgategroup", "G"), ("login_user", "alice"), ("bound_keys", "PUB")]),
            partner("B", &[("remote_public_key_alias", ""), ("bound_keys", "PUB")]),
        ]);
        assert_eq!(found, []);
    }

    #[test]
    fn folders_and_routes() {
        let dir = |path: &str, fields: &[(&str, &str)]| object(Kind::VfdDir, path, fields);
        let model = |to: &str| object(Kind::TransferModel, "M", &[("dest_alias", to)]);
        let rule = |conditions: &str| object(Kind::DecisionRule, "R", &[("model", "M"), ("conditions", conditions)]);
        let table = |direction: &str| object(Kind::RuleTable, "T", &[("rules", "R"), ("direction", direction)]);
        let home = object(Kind::CgateGroup, "G", &[("home_dir", "/gone"), ("vfd_right", "/away:*:R:L:Y")]);
        for (objects, about, text, expected) in [
            (vec![dir("/a/b", &[])], "VFD_DIR /a/b", "/a above it", true),
            (vec![dir("/m", &[("type", "MOUNT"), ("target", "/srv/m")])], "VFD_DIR /m", "in clear", true), // DESIGN 1.11
            (vec![home.clone()], "CGATE_GROUP G", "/gone does not exist", true),
            (vec![home], "CGATE_GROUP G", "/away does not exist", true),
            (vec![model("GONE")], "MODEL M", "SITE GONE does not exist", true),
            (vec![model("&(destination)")], "MODEL M", "does not exist", false),
            (vec![model("B"), site("B", &[])], "MODEL M", "no address", true),
            (vec![rule("")], "DECISION_RULE R", "MODEL M does not exist", true),
            (vec![rule("")], "DECISION_RULE R", "no active rule table", true),
            (vec![model("B"), rule(""), table("O")], "DECISION_RULE R", "transfers it makes", true), // OBJ-29
            (vec![model("B"), rule("direction = I"), table("O")], "DECISION_RULE R", "transfers it makes", false),
            (vec![model("B"), rule(""), table("I")], "DECISION_RULE R", "transfers it makes", false),
            (vec![dir("/a", &[("route_remote_agent", "GONE")])], "VFD_DIR /a", "GONE does not exist", true),
        ] {
            let mut objects = objects;
            objects.push(client());
            let found = problems(objects);
            assert_eq!(has(&found, Severity::Warning, about, text), expected, "{about} {text}: {found:#?}");
        }
    }

    #[test]
    fn stored_objects_of_other_versions() {
        let body = [("type".to_owned(), Value::from("CLIENT")), ("later".to_owned(), Value::Flag(true))].into();
        let found = problems(vec![raw(Kind::SshProfile, "SFTP_OUT", body)]);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(has(&found, Severity::Warning, "SSH_PROFILE SFTP_OUT", "no such field"));
    }

    #[test]
    fn key_objects_need_their_key() {
        let stored = |name: &str, algorithm: &str, word: &str| {
            object(Kind::Key, name, &[("algorithm", algorithm), ("type", word)])
        };
        for (object, text) in [
            (stored("GONE", "ED25519", "PUBLIC"), "not in the store"),
            (stored("PUB", "RSA", "PUBLIC"), "a key of ED25519"),
            (stored("PUB", "ED25519", "PRIVATE"), "private part"),
        ] {
            let about = object.title();
            assert!(has(&problems(vec![client(), object]), Severity::Error, &about, text), "{text}");
        }
        assert_eq!(problems(vec![client(), stored("PUB", "ED25519", "PUBLIC")]), []);
    }
}
