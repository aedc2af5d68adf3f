//! Checks of names, bodies and secrets against the descriptor of their kind. What leaves here is in normal form.

use base::{ObjectId, Shown, UtcMicros};

use crate::field::{Field, FieldKind, NameRule, descriptor};
use crate::object::{Body, DEFAULT_GROUP, Kind, Object, ObjectState, Problem, Severity, Value};
use crate::variables::has_variables;
use crate::{kinds, read, reading};

/// Most characters of one item of a list.
const ITEM_LEN_MAX: usize = 512;

/// Reads the text of a command line as a value of `field`; an empty text is an empty value, which unsets the field.
///
/// # Errors
/// What is wrong with it, and what is expected.
pub fn value_from_text(kind: Kind, field: &Field, text: &str) -> Result<Value, Problem> {
    convert(field, text).map_err(|(text, fix)| error(kind, "", field.name, text, fix))
}

/// Checks the name of an object.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(kind: Kind, name: &str) -> Result<(), Problem> {
    let descriptor = descriptor(kind);
    let field = descriptor.name_field.name;
    name_fits(descriptor.name_rule, name).map_err(|(text, fix)| error(kind, "", field, text, fix))
}

/// Checks the value of a secret field.
///
/// # Errors
/// What is wrong with it; never the value.
pub fn check_secret(kind: Kind, field: &Field, secret: &str) -> Result<(), Problem> {
    let (FieldKind::Secret { max } | FieldKind::PasswordHash { max }) = field.kind else {
        return Err(error(
            kind,
            "",
            field.name,
            "the field holds no secret".into(),
            "give it as any other field".into(),
        ));
    };
    let wrong = match secret.chars().count() {
        0 => Some("the secret is empty".to_owned()),
        len if len > usize::from(max) => Some(format!("the secret has {len} characters")),
        _ if secret.chars().any(char::is_control) => Some("the secret has a control character".to_owned()),
        _ => None,
    };
    match wrong {
        Some(text) => Err(error(kind, "", field.name, text, format!("give it 1 to {max} plain characters"))),
        None => Ok(()),
    }
}

/// Checks a whole body and gives it in normal form: canonical names, typed values, nothing empty, defaults not filled in.
/// Texts become what their field holds: `Y`, `60`, `A B`.
///
/// # Errors
/// Every problem of severity Error, both of single fields and of what they mean together.
pub fn check_body(kind: Kind, body: &Body) -> Result<Body, Vec<Problem>> {
    let (body, mut problems) = normal(kind, "", body);
    if problems.iter().all(|p| p.severity != Severity::Error) {
        // The name is not known here; what is wrong with it is `check_name`'s to say.
        problems.extend(meaning(&draft(kind, "", &body)).into_iter().filter(|p| !p.field.is_empty()));
    }
    problems.retain(|p| p.severity == Severity::Error);
    if problems.is_empty() { Ok(body) } else { Err(problems) }
}

/// Everything a person should know about a body, warnings too, with the object's name.
#[must_use]
pub fn body_warnings(kind: Kind, name: &str, body: &Body) -> Vec<Problem> {
    let (body, mut problems) = normal(kind, name, body);
    problems.extend(meaning(&draft(kind, name, &body)));
    problems
}

/// The objects that a body names: field, kind, name, in order. Names with variables are none.
#[must_use]
pub fn references(kind: Kind, body: &Body) -> Vec<(&'static str, Kind, String)> {
    let mut found = Vec::new();
    for field in descriptor(kind).fields {
        let (target, names) = match (field.kind, body.get(field.name)) {
            (FieldKind::Ref(target), Some(Value::Text(name))) => {
                (target_of(kind, field, target, body), vec![name.clone()])
            }
            (FieldKind::RefList(target, _), Some(Value::List(names))) => (target, names.clone()),
            (FieldKind::RefList(target, _), Some(Value::Text(names))) => (target, read::split(field, names)),
            _ => continue,
        };
        let names = names.into_iter().filter(|name| !name.is_empty() && !has_variables(name));
        found.extend(names.map(|name| (field.name, target, name)));
    }
    found
}

/// What the name in a field is the name of: the security profile of a network profile is of the kind of its option.
fn target_of(kind: Kind, field: &Field, usual: Kind, body: &Body) -> Kind {
    let is_tls =
        || matches!(body.get("security_option"), Some(Value::Text(option)) if option.eq_ignore_ascii_case("TLS"));
    if kind == Kind::NetworkProfile && field.name == "sprof_name" && is_tls() { Kind::TlsProfile } else { usual }
}

impl Field {
    /// The value that counts: the body's, else the default; `None` if there is neither.
    #[must_use]
    pub fn effective(&self, body: &Body) -> Option<Value> {
        let default = || self.default.and_then(|text| convert(self, text).ok());
        body.get(self.name).cloned().or_else(default)
    }
}

/// The problems of what the values of an object mean together.
pub(crate) fn meaning(object: &Object) -> Vec<Problem> {
    reading::meaning(object).1
}

/// An object with this body, to be read.
fn draft(kind: Kind, name: &str, body: &Body) -> Object {
    Object {
        id: ObjectId(0),
        kind,
        name: name.to_owned(),
        group: DEFAULT_GROUP.to_owned(),
        state: ObjectState::Enabled,
        revision: 0,
        created_at: UtcMicros(0),
        updated_at: UtcMicros(0),
        body: body.clone(),
        secrets: std::collections::BTreeSet::new(),
    }
}

/// The body in normal form, and what is wrong with its single fields.
fn normal(kind: Kind, name: &str, body: &Body) -> (Body, Vec<Problem>) {
    let descriptor = descriptor(kind);
    let mut done = Body::new();
    let mut problems = Vec::new();
    for (key, value) in body {
        let shown = Shown::from(key.as_str()).to_string();
        let Some(field) = descriptor.field(key) else {
            let fix = "take it out, or correct its name".to_owned();
            problems.push(error(kind, name, &shown, format!("a {} has no such field", descriptor.title), fix));
            continue;
        };
        if field.deprecated.iter().any(|old| old.eq_ignore_ascii_case(key)) {
            let mut old = error(kind, name, &shown, "the name is out of date".into(), format!("write {}", field.name));
            old.severity = Severity::Warning; // NET-18
            problems.push(old);
        }
        match convert_value(field, value) {
            Ok(value) if is_empty(&value) => {}
            Ok(value) => {
                if done.insert(field.name.to_owned(), value).is_some() {
                    let text = "it is given twice, by different names".to_owned();
                    problems.push(error(kind, name, field.name, text, "give it once".into()));
                }
            }
            Err((text, fix)) => problems.push(error(kind, name, field.name, text, fix)),
        }
    }
    let missing = descriptor.fields.iter().filter(|f| f.required && !done.contains_key(f.name));
    for field in missing.filter(|f| problems.iter().all(|p| p.field != f.name)).collect::<Vec<_>>() {
        problems.push(error(
            kind,
            name,
            field.name,
            "it must be given".into(),
            format!("give it {}", field.expected()),
        ));
    }
    (done, problems)
}

fn error(kind: Kind, name: &str, field: &str, text: String, fix: String) -> Problem {
    let object = if name.is_empty() { kind.to_string() } else { format!("{kind} {name}") };
    Problem { object, field: field.to_owned(), severity: Severity::Error, text, fix }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Flag(_) | Value::Int(_) => false,
    }
}

/// What is wrong, and what to do.
type Wrong = (String, String);

fn convert_value(field: &Field, value: &Value) -> Result<Value, Wrong> {
    match (value, field.kind) {
        (Value::List(items), FieldKind::List { .. } | FieldKind::RefList(..)) => list(field, items.clone()),
        (Value::List(_), _) => {
            Err(("a list stands where one value belongs".into(), format!("give it {}", field.expected())))
        }
        (value, _) => convert(field, &value.to_string()),
    }
}

fn convert(field: &Field, text: &str) -> Result<Value, Wrong> {
    let expected = || format!("give it {}", field.expected());
    if text.is_empty() {
        return Ok(Value::Text(String::new()));
    }
    match field.kind {
        FieldKind::Text { max } => plain(text, usize::from(max)).map(Value::Text),
        FieldKind::Int { min, max, .. } => match text.trim().parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(Value::Int(number)),
            Ok(number) => Err((format!("{number} is out of range"), expected())), // SSH-20
            Err(_) => Err((format!("{:?} is no number", Shown::from(text)), expected())),
        },
        FieldKind::Flag => match text.trim().to_ascii_uppercase().as_str() {
            "Y" | "YES" | "TRUE" | "1" => Ok(Value::Flag(true)),
            "N" | "NO" | "FALSE" | "0" => Ok(Value::Flag(false)),
            _ => Err((format!("{:?} is neither Y nor N", Shown::from(text)), expected())),
        },
        FieldKind::Choice(words) => word(field, words, text.trim()).map(Value::Text),
        FieldKind::List { .. } | FieldKind::RefList(..) => list(field, read::split(field, text)),
        FieldKind::Ref(kind) => reference(kind, text.trim()).map(Value::Text),
        FieldKind::Secret { .. } | FieldKind::PasswordHash { .. } => {
            Err(("a secret is not kept among the other values".into(), "give it as a secret".into()))
        }
    }
}

fn plain(text: &str, max: usize) -> Result<String, Wrong> {
    match text.chars().count() {
        len if len > max => Err((format!("it has {len} characters"), format!("give it at most {max}"))),
        _ if text.chars().any(char::is_control) => {
            Err(("it has a control character".into(), "give it plain text on one line".into()))
        }
        _ => Ok(text.to_owned()),
    }
}

/// The word of a choice that `text` is or means, in its own case.
fn word(field: &Field, words: &[&str], text: &str) -> Result<String, Wrong> {
    let meant =
        field.synonyms.iter().find(|(other, _)| other.eq_ignore_ascii_case(text)).map_or(text, |(_, word)| word);
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(meant));
    let wrong = || (format!("{:?} is not allowed", Shown::from(text)), format!("give it one of {}", words.join(", ")));
    found.map(|word| (*word).to_owned()).ok_or_else(wrong)
}

fn list(field: &Field, items: Vec<String>) -> Result<Value, Wrong> {
    let max = match field.kind {
        FieldKind::List { max, .. } | FieldKind::RefList(_, max) => usize::from(max),
        _ => 0,
    };
    if items.len() > max {
        return Err((format!("it has {} items", items.len()), format!("give it at most {max}")));
    }
    let mut done: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        let item = match field.kind {
            FieldKind::RefList(kind, _) => reference(kind, item.trim())?,
            FieldKind::List { choices: Some(words), .. } => word(field, words, item.trim())?,
            _ => plain(item.trim(), ITEM_LEN_MAX)?,
        };
        let twice = field.kind.is_set() && done.contains(&item);
        if twice {
            return Err((format!("{item} stands in it twice"), "take one out".into()));
        }
        done.push(item);
    }
    Ok(Value::List(done))
}

impl FieldKind {
    /// A list in which nothing may stand twice.
    const fn is_set(self) -> bool {
        matches!(self, Self::RefList(..) | Self::List { choices: Some(_), .. })
    }
}

fn reference(kind: Kind, name: &str) -> Result<String, Wrong> {
    if has_variables(name) {
        return plain(name, ITEM_LEN_MAX);
    }
    name_fits(descriptor(kind).name_rule, name).map(|()| name.to_owned())
}

fn name_fits(rule: NameRule, name: &str) -> Result<(), Wrong> {
    match rule {
        NameRule::Word { max } => {
            let bad = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')));
            let fix = format!("give it 1 to {max} letters, digits, '.', '_' or '-'");
            match (name.len(), bad) {
                (_, Some(bad)) => Err((format!("the name has {bad:?}"), fix)),
                (len, None) if len == 0 || len > usize::from(max) => {
                    Err((format!("the name has {len} characters"), fix))
                }
                // A name that begins so would be taken for a parameter on a command line.
                (_, None) if name.starts_with('-') => Err(("the name begins with '-'".into(), fix)),
                _ => Ok(()),
            }
        }
        NameRule::Path { max } => match kinds::folder_path(name) {
            Ok(()) if name.chars().count() > usize::from(max) => {
                Err(("the path is too long".into(), format!("give it at most {max}")))
            }
            Ok(()) => Ok(()),
            Err(wrong) => Err((wrong, "write it as /folder/below".into())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::descriptors;
    use crate::read::{Meant, Reader};
    use proptest::prelude::*;

    fn body(pairs: &[(&str, &str)]) -> Body {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect()
    }

    #[test]
    fn texts_become_values() {
        for (kind, name, text, expected) in [
            (Kind::SshProfile, "minutes_before_new_keys", "0", Ok(Value::Int(0))), // SSH-20
            (Kind::SshProfile, "minutes_before_new_keys", "1440", Ok(Value::Int(1440))),
            (Kind::SshProfile, "minutes_before_new_keys", "1441", Err("out of range")),
            (Kind::SshProfile, "mbytes_before_new_keys", "2001", Err("out of range")),
            (Kind::SshProfile, "mbytes_before_new_keys", "many", Err("no number")),
            (Kind::SshProfile, "type", "server", Ok(Value::Text("SERVER".into()))),
            (Kind::SshProfile, "type", "BOTH", Err("not allowed")),
            (Kind::SshProfile, "remote_key_import", "y", Ok(Value::Flag(true))),
            (Kind::SshProfile, "remote_key_import", "perhaps", Err("neither")),
            (
                Kind::SshProfile,
                "client_auth_methods",
                "public_key, PASSWORD",
                Ok(Value::List(vec!["PUBLIC_KEY".into(), "PASSWORD".into()])),
            ),
            (Kind::SshProfile, "client_auth_methods", "PASSWORD PASSWORD", Err("twice")),
            (Kind::SshProfile, "client_auth_methods", "ANONYMOUS", Err("not allowed")), // SSH-12
            (Kind::SshProfile, "private_key_alias", "K1 K1", Err("twice")),
            (Kind::SshProfile, "private_key_alias", "1 2 3 4 5 6 7 8 9", Err("9 items")),
            (Kind::NetworkProfile, "security_option", "Y", Ok(Value::Text("TLS".into()))), // NET-18
            (Kind::RemoteSite, "ssh_profile", "no such/name", Err("the name has")),
            (Kind::RemoteSite, "login_ident", "a\nb", Err("control")),
            (Kind::RemoteSite, "login_password", "pass", Err("secret")),
            (Kind::Cgate, "login_user", &"u".repeat(64), Err("64 characters")),
        ] {
            let field = descriptor(kind).field(name).unwrap();
            match (value_from_text(kind, field, text), expected) {
                (Ok(value), Ok(expected)) => assert_eq!(value, expected, "{name} {text}"),
                (Err(problem), Err(part)) => assert!(problem.text.contains(part), "{name} {text}: {problem}"),
                (found, expected) => panic!("{name} {text}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn bodies_come_out_in_normal_form() {
        // SSH-25: export names are field names too, whatever their case; empty values are unset.
        let given = body(&[("shp_TYPE", "client"), ("shp_minutes_Before_New_Keys", "30"), ("comments", "")]);
        let problems = check_body(Kind::SshProfile, &given).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}"); // `comments` is no field of it
        let given = body(&[("shp_TYPE", "client"), ("shp_minutes_Before_New_Keys", "30"), ("certificate_alias", "")]);
        let expected: Body =
            [("type".to_owned(), "CLIENT".into()), ("minutes_before_new_keys".to_owned(), Value::Int(30))].into();
        assert_eq!(check_body(Kind::SshProfile, &given), Ok(expected));
    }

    #[test]
    fn all_problems_come_at_once() {
        let given =
            body(&[("type", "X"), ("cipher_algos", "ROT13"), ("minutes_before_new_keys", "-1"), ("colour", "red")]);
        let problems = check_body(Kind::SshProfile, &given).unwrap_err();
        let fields: Vec<&str> = problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["colour", "minutes_before_new_keys", "type"]);
        let problems =
            check_body(Kind::SshProfile, &body(&[("type", "SERVER"), ("cipher_algos", "ROT13")])).unwrap_err();
        assert!(problems.iter().all(|p| p.field == "cipher_algos"), "{problems:?}");
    }

    #[test]
    fn a_field_twice_by_two_names_is_refused() {
        let given = body(&[("security_option", "NONE"), ("oa", "*/*"), ("org_address", "*/*")]);
        assert!(check_body(Kind::NetworkProfile, &given).unwrap_err().iter().any(|p| p.text.contains("twice")));
    }

    #[test]
    fn the_security_option_must_be_stated() {
        // NET-9
        let problems = check_body(Kind::NetworkProfile, &body(&[("dest_address", "*/22")])).unwrap_err();
        assert_eq!(problems.first().map(|p| p.field.as_str()), Some("security_option"));
    }

    #[test]
    fn old_names_work_and_are_reported() {
        // NET-18
        let given = body(&[("tls_option", "N"), ("origin_address", "10.*/*")]);
        let normal = check_body(Kind::NetworkProfile, &given).unwrap();
        assert_eq!(normal.get("security_option"), Some(&"NONE".into()));
        let warnings = body_warnings(Kind::NetworkProfile, "OLD", &given);
        assert_eq!(warnings.iter().filter(|p| p.text.contains("out of date")).count(), 2);
    }

    #[test]
    fn names_have_rules() {
        for (kind, name, fits) in [
            (Kind::RemoteSite, "PARTNER_1", true),
            (Kind::RemoteSite, "", false),
            (Kind::RemoteSite, "-x", false),
            (Kind::RemoteSite, "a b", false),
            (Kind::Cgate, &"g".repeat(32), true),
            (Kind::RemoteSite, &"s".repeat(32), false),
            (Kind::VfdDir, "/in/a", true),
            (Kind::VfdDir, "/", true),
            (Kind::VfdDir, "in", false),
            (Kind::VfdDir, "/in/../etc", false),
            (Kind::VfdDir, "/in//x", false),
            (Kind::VfdDir, "/in/", false),
        ] {
            assert_eq!(check_name(kind, name).is_ok(), fits, "{kind} {name:?}");
        }
    }

    #[test]
    fn secrets_have_limits_and_are_not_shown() {
        let field = descriptor(Kind::RemoteSite).field("login_password").unwrap();
        assert_eq!(check_secret(Kind::RemoteSite, field, "correct horse"), Ok(()));
        let problem = check_secret(Kind::RemoteSite, field, &"hunter2".repeat(20)).unwrap_err();
        assert!(!problem.to_string().contains("hunter2"));
        assert!(check_secret(Kind::RemoteSite, field, "").is_err());
    }

    #[test]
    fn references_are_found() {
        let given: Body = [
            ("private_key_alias".to_owned(), Value::List(vec!["K1".into(), "K2".into()])),
            ("type".to_owned(), "SERVER".into()),
        ]
        .into();
        let expected =
            vec![("private_key_alias", Kind::Key, "K1".to_owned()), ("private_key_alias", Kind::Key, "K2".into())];
        assert_eq!(references(Kind::SshProfile, &given), expected);
        assert_eq!(references(Kind::TransferModel, &body(&[("dest_alias", "&(destination)")])), []);
    }

    fn asked<T: Meant>(kind: Kind) -> Vec<&'static str> {
        let object = draft(kind, "X", &Body::new());
        let mut reader = Reader::new(&object);
        let _ = T::read(&mut reader);
        let unread =
            descriptor(kind).fields.iter().map(|f| f.name).filter(|name| !reader.asked().contains(name)).collect();
        let unknown = reader.asked().iter().find(|name| descriptor(kind).fields.iter().all(|f| f.name != **name));
        assert_eq!(unknown, None, "{kind} reads a field that it does not have");
        unread
    }

    #[test]
    fn every_field_is_read_by_its_meant_type() {
        // DESIGN 2.6: a field that nobody reads would promise what nothing does.
        for kind in Kind::ALL {
            let unread = match kind {
                Kind::Listener => asked::<kinds::listener::Listener>(kind),
                Kind::NetworkProfile => asked::<kinds::network_profile::NetworkProfile>(kind),
                Kind::SshProfile => asked::<kinds::ssh_profile::SshProfile>(kind),
                Kind::TlsProfile => asked::<kinds::tls_profile::TlsProfile>(kind),
                Kind::Key => asked::<kinds::key::KeyObject>(kind),
                Kind::Certificate => asked::<kinds::certificate::CertificateObject>(kind),
                Kind::Crl => asked::<kinds::crl::CrlObject>(kind),
                Kind::LocalSite => asked::<kinds::local_site::LocalSite>(kind),
                Kind::Proxy => asked::<kinds::proxy::Proxy>(kind),
                Kind::RemoteSite => asked::<kinds::remote_site::RemoteSite>(kind),
                Kind::CgateGroup => asked::<kinds::cgate_group::CgateGroup>(kind),
                Kind::Cgate => asked::<kinds::cgate::Cgate>(kind),
                Kind::VfdDir => asked::<kinds::vfd_dir::VfdDir>(kind),
                Kind::DropFolder => asked::<kinds::drop_folder::DropFolder>(kind),
                Kind::Hook => asked::<kinds::hook::Hook>(kind),
                Kind::Application => asked::<kinds::application::Application>(kind),
                Kind::TransferModel => asked::<kinds::transfer_model::TransferModel>(kind),
                Kind::DecisionRule => asked::<kinds::decision_rule::DecisionRule>(kind),
                Kind::RuleTable => asked::<kinds::rule_table::RuleTable>(kind),
                Kind::Webhook => asked::<kinds::webhook::Webhook>(kind),
            };
            assert_eq!(unread, Vec::<&str>::new(), "{kind}");
        }
    }

    fn any_body(kind: Kind) -> impl Strategy<Value = Body> {
        let names: Vec<String> = descriptor(kind).fields.iter().map(|f| f.name.to_owned()).collect();
        let text = prop_oneof![
            "[A-Z0-9 _/:*]{0,12}",
            "\\PC{0,8}",
            Just("Y".to_owned()),
            Just("SERVER".to_owned()),
            Just("/a".to_owned())
        ];
        let value = prop_oneof![
            any::<bool>().prop_map(Value::Flag),
            any::<i64>().prop_map(Value::Int),
            text.clone().prop_map(Value::Text),
            proptest::collection::vec(text, 0..3).prop_map(Value::List),
        ];
        proptest::collection::btree_map(proptest::sample::select(names), value, 0..6)
    }

    proptest! {
        #[test]
        fn the_normal_form_stays_as_it_is(
            (kind, body) in proptest::sample::select(&Kind::ALL[..]).prop_flat_map(|kind| (Just(kind), any_body(kind)))
        ) {
            match check_body(kind, &body) {
                Ok(normal) => prop_assert_eq!(check_body(kind, &normal), Ok(normal)),
                Err(problems) => prop_assert!(problems.iter().all(|p| p.severity == Severity::Error && !p.fix.is_empty())),
            }
            let _ = body_warnings(kind, "X", &body);
        }
    }

    #[test]
    fn descriptors_are_sound() {
        for descriptor in descriptors() {
            let mut names: Vec<String> = descriptor
                .parameters()
                .flat_map(|(_, f)| f.names().map(str::to_lowercase).collect::<Vec<_>>())
                .collect();
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count, "{}: two parameters share a name", descriptor.kind);
            for column in descriptor.summary {
                assert!(descriptor.parameter(column).is_some(), "{}: no column {column}", descriptor.kind);
            }
            for (_, field) in descriptor.parameters() {
                assert!(!field.help.is_empty() && !field.help.ends_with('.'), "{} {}", descriptor.kind, field.name);
                if let Some(default) = field.default {
                    assert!(!field.required, "{} {} is required and has a default", descriptor.kind, field.name);
                    assert!(convert(&field, default).is_ok(), "{} {} has a bad default", descriptor.kind, field.name);
                }
            }
        }
    }
}
