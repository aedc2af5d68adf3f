//! The documented text form of exports: a line for each field (objects.md section 13).
//!
//! Where the documentation is silent, this is ours: a comment `# KIND` stands before each object, its name is the first
//! field, a quote within a value is doubled, and a field that is not set is written with an empty value.

use std::collections::BTreeMap;

use model::{Body, Field, FieldKind, Kind, Object, ObjectState, Place, Severity, Value};

/// Most lines of a file that is imported.
const LINES_MAX: usize = 1_000_000;

/// How a line looks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Layout {
    /// `field='value'`
    Shell,
    /// `set field = 'value'`
    Command,
    /// The operator's own text with `%N` for the name and `%V` for the value.
    User(String),
}

/// An object of a file.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) object: Object,
    /// Where it stands.
    pub(crate) line: usize,
    /// Secrets as they stand there; an empty one is not set.
    pub(crate) secrets: BTreeMap<&'static str, String>,
    /// Fields that are none of ours, each with its line.
    pub(crate) unknown: Vec<String>,
    /// What is wrong with it.
    pub(crate) problems: Vec<String>,
}

/// The object as lines; `secret` gives what is written for a secret that is set.
///
/// # Errors
/// Those of `secret`.
pub(crate) fn write<E>(
    object: &Object,
    layout: &Layout,
    mut secret: impl FnMut(&Field) -> Result<String, E>,
) -> Result<Vec<String>, E> {
    let mut lines = Vec::new();
    if !matches!(layout, Layout::User(_)) {
        lines.push(format!("# {}", object.kind));
    }
    let sections = *layout == Layout::Shell;
    let mut section = None;
    for (place, field) in object.kind.descriptor().parameters().filter(|(_, f)| !f.read_only) {
        let words = match place {
            Place::Name => vec![object.name.clone()],
            Place::Group => vec![object.group.clone()],
            Place::State => vec![object.state.as_str().to_owned()],
            Place::Body if field.is_secret() && object.secrets.contains(field.name) => vec![secret(&field)?],
            Place::Body => object.body.get(field.name).map(|v| words(&field, v)).unwrap_or_default(),
        };
        let here = section_of(object.kind, field.name).filter(|_| sections);
        if let Some((title, _)) = here.filter(|(title, _)| section != Some(*title)) {
            section = Some(title);
            lines.push(format!("[ {title} ]"));
        }
        let name = here.and_then(|(_, name)| name).unwrap_or_else(|| export_name(object.kind, &field));
        lines.push(line(layout, name, &words));
    }
    Ok(lines)
}

/// The section of a profile's file in which a field stands (ssh-profiles.md section 1, tls-profiles.md section 1), and the
/// name that it has there if that depends on the section.
fn section_of(kind: Kind, field: &str) -> Option<(&'static str, Option<&'static str>)> {
    match (kind, field) {
        (Kind::SshProfile, "private_key_alias" | "certificate_alias") => Some(("AuthenticationAlias", None)),
        (Kind::SshProfile, "issuer_certificate_alias" | "subject_name_pattern" | "issuer_name_pattern") => {
            Some(("AuthenticationControl", None))
        }
        (Kind::SshProfile, _) => Some(("General", None)),
        (Kind::TlsProfile, field) => {
            let found = TLS_SECTIONS.iter().find(|(_, _, own)| *own == field);
            found.map(|(title, name, _)| (*title, Some(*name)))
        }
        _ => None,
    }
}

/// Sections of a TLS profile's file: title, name of its entries, field.
const TLS_SECTIONS: [(&str, &str, &str); 5] = [
    ("UserLocalCertificate", "sp_certificate_name", "user_local_certificate"),
    ("AcceptedAuthorities", "sp_certificate_name", "accepted_authorities"),
    ("RemoteUserCertificate", "sp_template", "remote_user_certificate"),
    ("RemoteCACertificate", "sp_template", "remote_ca_certificate"),
    ("RemoteRootCertificate", "sp_template", "remote_root_certificate"),
];

/// The field that a line of a section means, where its name says it only together with the section.
fn in_section<'a>(section: &str, name: &'a str) -> &'a str {
    let means = |(title, own, _): &&(&str, &str, &str)| {
        let is_named = own.eq_ignore_ascii_case(name) || own.strip_prefix("sp_") == Some(name);
        title.eq_ignore_ascii_case(section) && is_named
    };
    TLS_SECTIONS.iter().find(means).map_or(name, |(_, _, field)| field)
}

/// The documented name of a field in exports: the one with the kind's prefix, if there is one.
pub(crate) fn export_name(kind: Kind, field: &Field) -> &'static str {
    let prefix = match kind {
        Kind::SshProfile => "shp_",
        Kind::TlsProfile => "sp_",
        Kind::NetworkProfile => "np_",
        Kind::RemoteSite => "s_",
        Kind::Proxy => "pr_",
        Kind::Cgate => "cg_",
        Kind::CgateGroup => "cgg_",
        Kind::VfdDir => "vd_",
        _ => return field.name,
    };
    field.aliases.iter().find(|alias| alias.starts_with(prefix)).unwrap_or(&field.name)
}

fn words(field: &Field, value: &Value) -> Vec<String> {
    match value {
        // One word is read as several where a separator is in it: the empty word behind it says that it is one.
        Value::List(items) => match items.as_slice() {
            [one] if one.contains(|c| field.separators.contains(c)) => vec![one.clone(), String::new()],
            all => all.to_vec(),
        },
        other => vec![other.to_string()],
    }
}

fn line(layout: &Layout, name: &str, words: &[String]) -> String {
    let quoted = match words {
        [] => "''".to_owned(),
        some => some.iter().map(|word| format!("'{}'", word.replace('\'', "''"))).collect::<Vec<_>>().join(" "),
    };
    match layout {
        Layout::Shell => format!("{name}={quoted}"),
        Layout::Command => format!("set {name} = {quoted}"),
        Layout::User(text) => text.replace("%N", name).replace("%V", &words.join(" ")),
    }
}

/// Reads a file of exported objects, in form S or C. `kind` is what an object is that does not say so.
///
/// # Errors
/// A sentence with the line, if the file is not of this form.
pub(crate) fn read(text: &str, kind: Option<Kind>) -> Result<Vec<Listed>, String> {
    let mut all: Vec<Listed> = Vec::new();
    let (mut said, mut section) = (None, "");
    for (line, text) in (1_usize..).zip(text.lines().take(LINES_MAX)) {
        let text = text.trim();
        if let Some(comment) = text.strip_prefix('#') {
            said = Kind::parse(comment.trim()).ok().or(said);
            continue;
        }
        if let Some(title) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = title.trim();
            continue;
        }
        if text.is_empty() {
            continue;
        }
        let (name, words) = split(text).ok_or_else(|| format!("line {line}: not a field: write field='value'"))?;
        let begins = |kind: Kind| kind.descriptor().name_field.is_called(&name);
        let own = all.last().map(|last| last.object.kind);
        // A comment names the kind of what follows; else the prefix of the name field does, or the caller.
        let of = said.or(kind).or_else(|| Kind::ALL.into_iter().find(|k| prefixed(*k, &name))).or(own);
        if of.is_some_and(begins) {
            let kind = of.ok_or_else(|| format!("line {line}: of what kind is this object?"))?;
            all.push(Listed::new(kind, words.concat(), line));
            section = "";
            continue;
        }
        match all.last_mut() {
            Some(last) => last.field(in_section(section, &name), words, line),
            None => {
                return Err(format!(
                    "line {line}: {:?} comes before the name of an object, or it is not said of what kind it is: write \
                     a line `# SITE` above it, or give -kind",
                    base::brief(&name, 40)
                ));
            }
        }
    }
    all.iter_mut().for_each(Listed::finish);
    Ok(all)
}

/// Whether this is the name field of a kind, by a name that no other kind has.
fn prefixed(kind: Kind, word: &str) -> bool {
    let field = kind.descriptor().name_field;
    let name = export_name(kind, &field);
    name != field.name && name.eq_ignore_ascii_case(word)
}

/// Name and values of a line.
fn split(text: &str) -> Option<(String, Vec<String>)> {
    let text = text.strip_prefix("set ").unwrap_or(text);
    let (name, rest) = text.split_once('=')?;
    let mut words = Vec::new();
    let mut rest = rest.trim();
    if !rest.is_empty() && !rest.starts_with('\'') {
        return Some((name.trim().to_owned(), vec![rest.to_owned()]));
    }
    while let Some(quoted) = rest.strip_prefix('\'') {
        let (word, left) = unquote(quoted)?;
        words.push(word);
        rest = left.trim_start();
    }
    rest.is_empty().then(|| (name.trim().to_owned(), words))
}

/// The text up to the closing quote, and what is behind it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = text;
    loop {
        let (part, left) = rest.split_once('\'')?;
        word.push_str(part);
        match left.strip_prefix('\'') {
            Some(more) => {
                word.push('\'');
                rest = more;
            }
            None => return Some((word, left)),
        }
    }
}

impl Listed {
    fn new(kind: Kind, name: String, line: usize) -> Self {
        let problems =
            model::check_name(kind, &name).err().map(|p| format!("{}; {}", p.text, p.fix)).into_iter().collect();
        let (secrets, unknown) = (BTreeMap::new(), Vec::new());
        Self { object: crate::changes::blank(kind, name), line, secrets, unknown, problems }
    }

    fn field(&mut self, name: &str, words: Vec<String>, line: usize) {
        let kind = self.object.kind;
        let Some((place, field)) = kind.descriptor().parameter(name) else {
            self.unknown.push(format!("line {line}: {}", base::brief(name, 40)));
            return;
        };
        let text = words.concat();
        match place {
            Place::Name => {}
            Place::Group if text.is_empty() => {}
            Place::Group => self.object.group = text,
            Place::State if text.is_empty() => {}
            Place::State => match ObjectState::parse(&text) {
                Ok(state) => self.object.state = state,
                Err(error) => self.problems.push(format!("line {line}: {error}")),
            },
            Place::Body if field.is_secret() => drop(self.secrets.insert(field.name, text)),
            Place::Body => match value(kind, &field, words) {
                Ok(value) => self.put(&field, value),
                Err(wrong) => self.problems.push(format!("line {line}: {} {wrong}", field.name)),
            },
        }
    }

    /// Keeps a value. The entries of a section stand in lines of their own, one below the other.
    fn put(&mut self, field: &Field, value: Value) {
        let is_entry = section_of(self.object.kind, field.name).is_some_and(|(_, name)| name.is_some());
        let value = match (self.object.body.remove(field.name), value) {
            (Some(Value::List(mut before)), Value::List(more)) if is_entry => {
                before.extend(more);
                Value::List(before)
            }
            (_, value) => value,
        };
        self.object.body.insert(field.name.to_owned(), value);
    }

    /// Looks at the values together, when all are there.
    fn finish(&mut self) {
        let (kind, name) = (self.object.kind, self.object.name.as_str());
        let body: &Body = &self.object.body;
        if self.problems.is_empty() {
            let found = model::body_warnings(kind, name, body).into_iter().filter(|p| p.severity == Severity::Error);
            self.problems.extend(found.map(|p| format!("{}: {}; {}", p.field, p.text, p.fix)));
        }
        if let Ok(body) = model::check_body(kind, body) {
            self.object.body = body;
        }
    }
}

fn value(kind: Kind, field: &Field, words: Vec<String>) -> Result<Value, String> {
    match (field.kind, words.as_slice()) {
        (FieldKind::List { .. } | FieldKind::RefList(..), [_, _, ..]) => {
            Ok(Value::List(words.into_iter().filter(|word| !word.is_empty()).collect()))
        }
        _ => model::value_from_text(kind, field, &words.concat()).map_err(|p| format!("{}; {}", p.text, p.fix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_both_forms() {
        for (text, expected) in [
            ("s_alias='A'", Some(("s_alias", vec!["A"]))),
            ("set s_alias = 'A'", Some(("s_alias", vec!["A"]))),
            ("f=''", Some(("f", vec![""]))),
            ("f='it''s'", Some(("f", vec!["it's"]))),
            ("f=''''", Some(("f", vec!["'"]))),
            ("f = 'A' 'B'", Some(("f", vec!["A", "B"]))),
            ("f=", Some(("f", vec![]))),
            ("set f = 60", Some(("f", vec!["60"]))),
            ("f='A' B", None),
            ("f='A", None),
            ("no field", None),
        ] {
            let expected = expected.map(|(n, w)| (n.to_owned(), w.into_iter().map(str::to_owned).collect::<Vec<_>>()));
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn the_documented_file_of_a_profile_is_read() {
        // ssh-profiles.md section 1, SSH-25: sections, names without case, lists in both spellings
        let text = "[ General ]\nshp_NAME='P'\nshp_type='CLIENT'\nshp_MAC_algos='HMAC_SHA256 HMAC_SHA512'\n\
            shp_minutes_Before_New_Keys='30'\nshp_exit_scheduling='N'\n[ AuthenticationAlias ]\nshp_private_key_alias='K'\n";
        let all = read(text, None).unwrap();
        let [one] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((one.object.title().as_str(), one.line), ("SSH_PROFILE P", 2));
        assert_eq!(one.problems, Vec::<String>::new());
        assert_eq!(one.object.body.get("minutes_before_new_keys"), Some(&Value::Int(30)));
        assert_eq!(one.object.body.get("mac_algos").unwrap().to_string(), "HMAC_SHA256 HMAC_SHA512");
        assert_eq!(one.unknown, ["line 6: shp_exit_scheduling"]);
    }

    // tls-profiles.md section 1, TLS-30, TLS-33: sections, the old dialect without prefix, names that are dropped.
    #[test]
    fn sections_of_tls_profiles_are_read_and_written() {
        let text = "sp_name='T'\nsp_type='SERVER'\nsp_tls_versions='SSLv3' 'TLSv12'\nsp_renegotiate_enabled='Y'\n\
            sp_un-upgraded_partner_refused='N'\n[ UserLocalCertificate ]\nsp_certificate_name='A'\n\
            sp_certificate_name='B'\n[ AcceptedAuthorities ]\nsp_certificate_name='ROOT'\n";
        let old = "name='T'\ntype='SERVER'\ntls_versions = SSLv3 TLSv12\nrenegotiate_enabled = Y\n\
            [ UserLocalCertificate ]\ncertificate_name = A B\n[ AcceptedAuthorities ]\ncertificate_name = ROOT\n";
        for text in [text, old] {
            let all = read(text, Some(Kind::TlsProfile)).unwrap();
            let [one] = all.as_slice() else { panic!("{all:?}") };
            assert_eq!((one.problems.len(), one.unknown.len()), (0, 0), "{one:?}");
            let value = |name: &str| one.object.body.get(name).map(ToString::to_string).unwrap_or_default();
            assert_eq!(value("user_local_certificate"), "A B");
            assert_eq!(value("accepted_authorities"), "ROOT");
            assert_eq!(value("renegotiate_enabled"), "secure");
            let lines = write(&one.object, &Layout::Shell, |_| Ok::<_, ()>(String::new())).unwrap();
            let at = lines.iter().position(|line| line == "[ UserLocalCertificate ]").unwrap();
            assert_eq!(lines[at + 1], "sp_certificate_name='A' 'B'");
            assert!(lines.contains(&"sp_sprof_path_build_mode=''".to_owned()), "{lines:?}");
            let again = read(&lines.join("\n"), None).unwrap();
            assert_eq!(again[0].object.body, one.object.body);
        }
    }

    #[test]
    fn an_object_must_say_what_it_is() {
        assert!(read("name='A'\n", None).unwrap_err().contains("# SITE"));
        let all = read("# MODEL\nname='A'\ndest_alias='B'\n\n# RULE_TABLE\nname='T'\n", None).unwrap();
        assert_eq!(all.iter().map(|l| l.object.title()).collect::<Vec<_>>(), ["MODEL A", "RULE_TABLE T"]);
        assert_eq!(read("name='A'\n", Some(Kind::LocalSite)).unwrap().len(), 1);
        assert!(
            read("s_alias='A'\ns_retry_count_max='x'\n", None).unwrap()[0].problems[0]
                .starts_with("line 2: retry_count_max")
        );
    }
}
