//! A computer between us and a partner that connections go through (objects.md section 13).

use base::ObjectId;

use super::addresses::HostPort;
use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};

/// Logins of FTP proxies, by their documented words.
const LOGIN_TYPES: &[&str] = &["USER_AT_SITE", "USER_PASS_ACCT", "SITE", "OPEN", "USER_OPEN", "USER"];
/// Lines of a script.
const STEPS_MAX: usize = 32;

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Proxy,
    title: "proxy",
    about: "A computer between us and a partner that connections go through.",
    name_field: Field::text("name", 31, "name of the proxy").shorts(&["n"]).aliases(&["pr_name"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::choice("protocol", &["FTP", "SOCKS4", "HTTPS"], "what it speaks")
            .shorts(&["pr"])
            .aliases(&["pr_protocol"])
            .required()
            .detail("FTP reads what it carries, so it takes FTP in clear only; HTTPS is CONNECT, for any protocol"),
        Field::text("dest_address", 261, "host/port of the proxy").shorts(&["da"]).aliases(&["pr_dest_address"]).required(),
        Field::text("user", 25, "user name at the proxy").shorts(&["u"]).aliases(&["pr_user"]),
        Field::new("password", FieldKind::Secret { max: 25 }, "password at the proxy")
            .shorts(&["pswd"])
            .aliases(&["pr_password"]),
        Field::choice("login_type", LOGIN_TYPES, "FTP: how the partner is named to it")
            .shorts(&["lt"])
            .aliases(&["pr_login_type"])
            .default("USER_AT_SITE")
            .detail(
                "USER_AT_SITE: USER name@host; USER_PASS_ACCT: USER name@host proxyuser, PASS, ACCT proxypassword; SITE, OPEN: \
                 that command names the host; OPEN has no login at the proxy, USER_OPEN has; USER: as script says",
            ),
        Field::text("script", 1023, "FTP, login type USER: the commands that log in, a line or ; between them")
            .shorts(&["sc"])
            .aliases(&["pr_script"])
            .detail(
                "USER, PASS, ACCT, SITE or OPEN with &(proxy_user), &(proxy_password), &(user), &(password), &(host), &(port) \
                 or &(host_port); \\ takes the next character as it is",
            ),
        Field::flag("change_data_addr", "N", "FTP: data may come from, and go to, another address than commands")
            .shorts(&["cda"])
            .aliases(&["pr_change_data_addr"]),
        COMMENTS,
    ],
    group_field: None,
    state_field: Some(STATE),
    summary: &["protocol", "dest_address", "user", "login_type", "state"],
};

/// A proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proxy {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Free text.
    pub comments: String,
    /// What it speaks.
    pub kind: ProxyKind,
    /// Where it is.
    pub address: HostPort,
    /// User name at it.
    pub user: Option<String>,
    /// Whether a password for it is stored, as secret `password`.
    pub has_password: bool,
}

/// What a proxy speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProxyKind {
    /// FTP: it carries out commands at the partner's server.
    Commands {
        /// How it is told which server, and logged in.
        login: Vec<ProxyStep>,
        /// Its data connections may have another address.
        other_address: bool,
    },
    /// SOCKS version 4, and 4a for host names.
    Socks4,
    /// CONNECT of HTTP (RFC 9110 section 9.3.6).
    Connect,
}

/// A command of the login through an FTP proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProxyStep {
    /// Its verb.
    pub verb: ProxyVerb,
    /// What stands behind it.
    pub words: Vec<ProxyWord>,
}

/// Verbs of such a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of FTP")]
pub enum ProxyVerb {
    User,
    Pass,
    Acct,
    Site,
    Open,
}

/// Text, or what stands for a value of the call.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the variables")]
pub enum ProxyWord {
    Text(String),
    ProxyUser,
    ProxyPassword,
    User,
    Password,
    Host,
    Port,
    /// The host, and behind a colon the port where it is not 21.
    HostPort,
}

impl Meant for Proxy {
    fn read(r: &mut Reader<'_>) -> Self {
        let address = r.text("dest_address").unwrap_or_default();
        let address = HostPort::parse(&address).unwrap_or_else(|wrong| {
            r.error("dest_address", wrong, "give host name or IP address, a slash, and the port");
            HostPort { host: String::new(), port: 0 }
        });
        let (user, has_password) = (r.text("user"), r.secret("password"));
        let other_address = r.flag("change_data_addr");
        let (login_type, script) = (r.text_or_empty("login_type").to_ascii_uppercase(), r.text("script"));
        let kind = match r.text_or_empty("protocol").to_ascii_uppercase().as_str() {
            "SOCKS4" => ProxyKind::Socks4,
            "HTTPS" => ProxyKind::Connect,
            _ => ProxyKind::Commands { login: login(r, &login_type, script.as_deref(), user.is_some()), other_address },
        };
        if matches!(kind, ProxyKind::Socks4) && has_password {
            r.warning("password", "SOCKS4 knows no passwords: it is not sent", "clear it");
        }
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            enabled: r.enabled(),
            comments: r.text_or_empty("comments"),
            kind,
            address,
            user,
            has_password,
        }
    }
}

/// The commands of a login type (OBJ-33). Where the pages of the reference differ, OPEN has no login at the proxy.
fn login(r: &mut Reader<'_>, login_type: &str, script: Option<&str>, has_user: bool) -> Vec<ProxyStep> {
    let at_proxy = if has_user { "USER &(proxy_user);PASS &(proxy_password);" } else { "" };
    let own = "USER &(user);PASS &(password)";
    let text = match (login_type, script) {
        ("USER", Some(script)) => script.to_owned(),
        ("USER", None) => {
            r.error(
                "script",
                "login type USER needs a script",
                "give the commands, as USER &(user)@&(host);PASS &(password)",
            );
            return Vec::new();
        }
        ("USER_PASS_ACCT", _) => {
            "USER &(user)@&(host_port) &(proxy_user);PASS &(password);ACCT &(proxy_password)".to_owned()
        }
        ("SITE", _) => format!("{at_proxy}SITE &(host_port);{own}"),
        ("OPEN", _) => format!("OPEN &(host_port);{own}"),
        ("USER_OPEN", _) => format!("{at_proxy}OPEN &(host_port);{own}"),
        _ => format!("{at_proxy}USER &(user)@&(host_port);PASS &(password)"),
    };
    if matches!(login_type, "USER_PASS_ACCT" | "USER_OPEN") && !has_user {
        r.error("user", "this login type logs in at the proxy", "give the user name, or choose another type");
    }
    if login_type != "USER" && script.is_some() {
        r.warning("script", "only login type USER follows it", "clear it, or set login_type to USER");
    }
    steps(&text).unwrap_or_else(|wrong| {
        r.error("script", wrong, "write lines as USER &(user)@&(host_port);PASS &(password)");
        Vec::new()
    })
}

/// Reads a script.
fn steps(script: &str) -> Result<Vec<ProxyStep>, String> {
    let mut steps = Vec::new();
    for line in lines(script) {
        let line = line.trim_start();
        if line.trim().is_empty() {
            continue;
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let verb = match verb.to_ascii_uppercase().as_str() {
            "USER" => ProxyVerb::User,
            "PASS" => ProxyVerb::Pass,
            "ACCT" => ProxyVerb::Acct,
            "SITE" => ProxyVerb::Site,
            "OPEN" => ProxyVerb::Open,
            other => return Err(format!("{other:?} is none of USER, PASS, ACCT, SITE and OPEN")),
        };
        steps.push(ProxyStep { verb, words: words(rest)? });
        if steps.len() > STEPS_MAX {
            return Err(format!("it has more than {STEPS_MAX} lines"));
        }
    }
    if steps.is_empty() { Err("it has no line".to_owned()) } else { Ok(steps) }
}

/// Lines of a script, still with their `\`.
fn lines(script: &str) -> Vec<String> {
    let (mut lines, mut line, mut is_taken) = (Vec::new(), String::new(), false);
    for letter in script.chars() {
        match letter {
            ';' | '\n' if !is_taken => lines.push(std::mem::take(&mut line)),
            '\r' => {}
            _ => line.push(letter),
        }
        is_taken = letter == '\\' && !is_taken;
    }
    lines.push(line);
    lines
}

/// What stands behind a verb.
fn words(text: &str) -> Result<Vec<ProxyWord>, String> {
    const VARIABLES: &[(&str, ProxyWord)] = &[
        ("proxy_user", ProxyWord::ProxyUser),
        ("proxy_password", ProxyWord::ProxyPassword),
        ("user", ProxyWord::User),
        ("password", ProxyWord::Password),
        ("host", ProxyWord::Host),
        ("port", ProxyWord::Port),
        ("host_port", ProxyWord::HostPort),
    ];
    let (mut words, mut plain, mut rest) = (Vec::new(), String::new(), text.trim_end());
    while let Some(letter) = rest.chars().next() {
        if let Some((name, behind)) = rest.strip_prefix("&(").and_then(|inner| inner.split_once(')')) {
            let known = VARIABLES.iter().find(|(known, _)| *known == name);
            let (_, word) = known.ok_or_else(|| format!("&({name}) is not known"))?;
            if !plain.is_empty() {
                words.push(ProxyWord::Text(std::mem::take(&mut plain)));
            }
            words.push(word.clone());
            rest = behind;
            continue;
        }
        let escaped = rest.strip_prefix('\\').and_then(|behind| behind.chars().next());
        plain.push(escaped.unwrap_or(letter));
        let taken = letter.len_utf8() + escaped.map_or(0, char::len_utf8);
        rest = rest.get(taken..).unwrap_or_default();
    }
    if !plain.is_empty() {
        words.push(ProxyWord::Text(plain));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Value;
    use crate::testing::raw;

    fn proxy(fields: &[(&str, &str)]) -> (Proxy, Vec<String>) {
        let all = [&[("protocol", "FTP"), ("dest_address", "proxy.example/2121")], fields].concat();
        let body = all.iter().map(|(field, text)| ((*field).to_owned(), Value::from(*text))).collect();
        let (meant, problems) = crate::read::read::<Proxy>(&raw(Kind::Proxy, "P", body));
        (meant, problems.into_iter().map(|p| format!("{}: {}", p.field, p.text)).collect())
    }

    /// The verbs and words of a login, one line each.
    fn shown(fields: &[(&str, &str)]) -> String {
        let (meant, problems) = proxy(fields);
        assert_eq!(problems, Vec::<String>::new(), "{fields:?}");
        let ProxyKind::Commands { login, .. } = meant.kind else { panic!("it is FTP") };
        let line = |step: &ProxyStep| format!("{:?} {:?}", step.verb, step.words);
        login.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    #[test] // OBJ-33
    fn each_login_type_has_its_commands() {
        let user = ("user", "fw");
        for (kind, wanted) in [
            (
                "USER_AT_SITE",
                r#"User [ProxyUser]; Pass [ProxyPassword]; User [User, Text("@"), HostPort]; Pass [Password]"#,
            ),
            (
                "USER_PASS_ACCT",
                r#"User [User, Text("@"), HostPort, Text(" "), ProxyUser]; Pass [Password]; Acct [ProxyPassword]"#,
            ),
            ("SITE", "User [ProxyUser]; Pass [ProxyPassword]; Site [HostPort]; User [User]; Pass [Password]"),
            ("OPEN", "Open [HostPort]; User [User]; Pass [Password]"),
            ("USER_OPEN", "User [ProxyUser]; Pass [ProxyPassword]; Open [HostPort]; User [User]; Pass [Password]"),
        ] {
            assert_eq!(shown(&[user, ("login_type", kind)]), wanted, "{kind}");
        }
        assert_eq!(shown(&[]), r#"User [User, Text("@"), HostPort]; Pass [Password]"#, "no login at the proxy");
        let script = "user &(user)%&(host):&(port)\nPASS \\&(password\\;;\nOPEN x";
        assert_eq!(
            shown(&[("login_type", "USER"), ("script", script)]),
            r#"User [User, Text("%"), Host, Text(":"), Port]; Pass [Text("&(password;")]; Open [Text("x")]"#
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (fields, wanted) in [
            (vec![("login_type", "USER")], "script: login type USER needs a script"),
            (vec![("login_type", "USER"), ("script", "QUIT")], "script: \"QUIT\" is none of"),
            (vec![("login_type", "USER"), ("script", ";")], "script: it has no line"),
            (vec![("login_type", "USER"), ("script", "USER &(nobody)")], "script: &(nobody) is not known"),
            (vec![("script", "USER x")], "script: only login type USER"),
            (vec![("login_type", "USER_OPEN")], "user: this login type logs in at the proxy"),
            (vec![("dest_address", "nowhere")], "dest_address: "),
        ] {
            let (_, problems) = proxy(&fields);
            assert!(problems.iter().any(|p| p.starts_with(wanted)), "{fields:?}: {problems:?}");
        }
        assert_eq!(proxy(&[("protocol", "SOCKS4")]).0.kind, ProxyKind::Socks4);
        assert_eq!(proxy(&[("protocol", "HTTPS")]).0.kind, ProxyKind::Connect);
    }
}
