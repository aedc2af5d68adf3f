//! Symbolic variables `&(name)` of models and rules, `$(NAME)` of gates, and the arguments of conditions.

use crate::route::RouteFacts;

/// What of a transfer conditions and variables can name.
pub(crate) struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Compared as a number.
    pub number: bool,
    read: fn(&RouteFacts) -> String,
}

/// The argument called `name`, whatever its case; `x.` and `x_` before it are the documented spellings.
pub(crate) fn argument(name: &str) -> Option<&'static Argument> {
    let name = name.trim().to_ascii_lowercase();
    let bare = name.strip_prefix("x.").or_else(|| name.strip_prefix("x_")).unwrap_or(&name);
    ARGUMENTS.iter().find(|a| a.name == bare || a.aliases.contains(&bare))
}

impl Argument {
    /// Its value in `facts`; empty where it has none.
    pub(crate) fn value(&self, facts: &RouteFacts) -> String {
        (self.read)(facts)
    }
}

/// Names of all variables, for messages.
pub(crate) fn names() -> String {
    ARGUMENTS.iter().map(|a| format!("&({})", a.name)).collect::<Vec<_>>().join(" ")
}

/// Every variable and its value.
pub(crate) fn all(facts: &RouteFacts) -> impl Iterator<Item = (&'static str, String)> {
    ARGUMENTS.iter().map(|a| (a.name, a.value(facts)))
}

/// One part of a text with variables.
#[derive(Debug, Eq, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// `text` with its variables replaced.
///
/// # Errors
/// The first variable that is unknown or not closed.
pub(crate) fn expand(text: &str, facts: &RouteFacts) -> Result<String, String> {
    expand_with(text, facts, str::to_owned)
}

/// [`expand`] with `written` applied to each value, so that it can't be taken for part of a pattern.
///
/// # Errors
/// As [`expand`].
pub(crate) fn expand_with(text: &str, facts: &RouteFacts, written: fn(&str) -> String) -> Result<String, String> {
    parts(text)?.into_iter().try_fold(String::new(), |mut done, part| {
        match part {
            Part::Text(text) => done.push_str(text),
            Part::Variable(name) => done.push_str(&written(&function(name, facts)?)),
        }
        Ok(done)
    })
}

/// Whether every variable of `text` is known.
///
/// # Errors
/// The first that is not.
pub(crate) fn check(text: &str) -> Result<(), String> {
    expand(text, &RouteFacts::default()).map(|_| ())
}

/// Whether `text` has variables of either form, so that it names no object by itself.
pub(crate) fn has_variables(text: &str) -> bool {
    text.contains("&(") || text.contains("$(")
}

/// `text` with `$(LOGIN_USER)`, `$(PROTOCOL)` and `$(LOGIN_SAP)` replaced.
///
/// # Errors
/// The first variable that is unknown.
pub(crate) fn expand_login(text: &str, protocol: &str, login: &str, port: u16) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$(") {
        let (name, behind) = after.split_once(')').ok_or_else(|| format!("{text:?} has a $( that is not closed"))?;
        done.push_str(before);
        match name.to_ascii_uppercase().as_str() {
            "LOGIN_USER" => done.push_str(login),
            "PROTOCOL" => done.push_str(protocol),
            "LOGIN_SAP" => done.push_str(&port.to_string()),
            _ => {
                return Err(format!("$({name}) is not known: use $(LOGIN_USER), $(PROTOCOL) or $(LOGIN_SAP)"));
            }
        }
        rest = behind;
    }
    done.push_str(rest);
    Ok(done)
}

fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("&(") {
        let end = closing(after).ok_or_else(|| format!("{text:?} has a &( that is not closed"))?;
        found.push(Part::Text(before));
        found.push(Part::Variable(after.get(..end).unwrap_or_default()));
        rest = after.get(end + 1..).unwrap_or_default();
    }
    found.push(Part::Text(rest));
    Ok(found)
}

/// Where the bracket that opened before `text` closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_u32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// A variable's value: `name`, `uppercase(name)` or `lowercase(name)`.
fn function(name: &str, facts: &RouteFacts) -> Result<String, String> {
    if let Some((function, inner)) = name.trim().split_once('(') {
        let value = function_argument(inner).and_then(argument).map(|a| a.value(facts));
        return match (function.trim().to_ascii_lowercase().as_str(), value) {
            ("uppercase", Some(value)) => Ok(value.to_uppercase()),
            ("lowercase", Some(value)) => Ok(value.to_lowercase()),
            _ => Err(format!("&({name}) is not known")),
        };
    }
    argument(name).map(|a| a.value(facts)).ok_or_else(|| format!("&({name}) is not known"))
}

/// The digits of a part of the time at which the record was made, in UTC: `20261126`, `203059`.
fn digits(facts: &RouteFacts, from: usize, to: usize) -> String {
    let text = facts.at.to_string();
    text.get(from..to).unwrap_or_default().chars().filter(char::is_ascii_digit).collect()
}

fn function_argument(inner: &str) -> Option<&str> {
    inner.trim().strip_suffix(')').map(str::trim)
}

static ARGUMENTS: &[Argument] = &[
    Argument { name: "file_name", aliases: &["file_component"], number: false, read: |f| f.file_name.clone() },
    Argument { name: "dir_name", aliases: &["dir_path"], number: false, read: |f| f.dir_name.clone() },
    Argument { name: "appli", aliases: &["application"], number: false, read: |f| f.appli.clone() },
    Argument { name: "file_size", aliases: &["size"], number: true, read: |f| f.size.to_string() },
    Argument { name: "protocol", aliases: &[], number: false, read: |f| f.protocol.clone() },
    Argument { name: "site", aliases: &["org_alias", "remote_site"], number: false, read: |f| f.site.clone() },
    Argument { name: "gate", aliases: &["cgate"], number: false, read: |f| f.gate.clone() },
    Argument { name: "login", aliases: &["username", "login_user"], number: false, read: |f| f.login.clone() },
    Argument { name: "originator", aliases: &[], number: false, read: |f| f.originator.clone() },
    Argument { name: "destination", aliases: &[], number: false, read: |f| f.destination.clone().unwrap_or_default() },
    Argument { name: "local_ident", aliases: &["transfer"], number: true, read: |f| f.transfer.to_string() },
    Argument { name: "date", aliases: &["create_date"], number: true, read: |f| digits(f, 0, 10) },
    Argument { name: "time", aliases: &["create_time"], number: true, read: |f| digits(f, 11, 19) },
    Argument { name: "state", aliases: &[], number: false, read: |f| f.state.clone() },
    Argument { name: "direction", aliases: &[], number: false, read: |f| f.direction.clone() },
    Argument { name: "mode", aliases: &[], number: false, read: |f| f.mode.clone() },
    Argument { name: "transfer_type", aliases: &["type"], number: false, read: |f| f.transfer_type.clone() },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let at = base::UtcMicros(1_800_000_000_000_000);
        let facts =
            RouteFacts { file_name: "Order.xml".into(), dir_name: "/in".into(), size: 5, at, ..RouteFacts::default() };
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("&(dir_path)/&(file_component)", Ok("/in/Order.xml")), // objects.md section 5
            ("F&(x.local_ident)", Ok("F0")),
            ("&(x_file_name)", Ok("Order.xml")),
            ("&(uppercase(file_name)) &(lowercase(file_name))", Ok("ORDER.XML order.xml")),
            ("&(file_size)", Ok("5")),
            ("&(date)_&(time)", Ok("20270115_080000")),
            ("a & (b)", Ok("a & (b)")),
            ("&(nothing)", Err("not known")),
            ("&(file_name", Err("not closed")),
            ("&(reverse(file_name))", Err("not known")),
        ] {
            match (expand(text, &facts), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let facts = RouteFacts { file_name: "&(login)".into(), login: "$(PROTOCOL)".into(), ..RouteFacts::default() };
        assert_eq!(expand("&(file_name)", &facts).as_deref(), Ok("&(login)"));
        assert_eq!(expand_login("$(LOGIN_USER)", "SFTP", "$(PROTOCOL)", 22).as_deref(), Ok("$(PROTOCOL)"));
        assert_eq!(expand_login("a_$(login_user)_$(LOGIN_SAP)", "SFTP", "x", 22).as_deref(), Ok("a_x_22"));
        assert!(expand_login("$(LOGIN_PASSWORD)", "SFTP", "x", 22).is_err());
    }
}
