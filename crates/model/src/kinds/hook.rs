//! A program of the operator's that is asked, or told, what happens (connected-systems.md section 5).

use std::time::Duration;

use base::{ObjectId, Pattern, QuestionMark};

use super::real_folder::real_path;
use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};
use crate::route::RouteFacts;
use crate::variables;

/// Words of the field `events`: the first two are asked, all others told.
const EVENTS: &[&str] =
    &["LOGIN", "UPLOAD", "RECEIVED", "INTERRUPTED", "ROUTED", "NOT_ROUTED", "ROUTE_FAILED", "DELIVERED", "FAILED"];

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Hook,
    title: "hook",
    about: "A program that is asked before, or told after something happens.",
    name_field: Field::text("name", 31, "name of the hook").shorts(&["n"]).aliases(&["hook_name"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::new("events", FieldKind::List { max: 9, choices: Some(EVENTS) }, "when it is called")
            .shorts(&["e"])
            .required()
            .detail("LOGIN and UPLOAD are asked and may refuse; all others are told afterwards, at least once"),
        Field::text("program", 4095, "absolute path of the program")
            .shorts(&["p"])
            .required()
            .detail("it and the folders above it must be closed to others, and outside of what partners write to"),
        Field::new("arguments", FieldKind::List { max: 64, choices: None }, "arguments, each with variables")
            .shorts(&["args"])
            .separators(" \t")
            .detail("no shell reads them: &(file_name) stays one argument whatever is in it"),
        Field::new("environment", FieldKind::List { max: 64, choices: None }, "more of its environment, as NAME=value")
            .shorts(&["env"])
            .separators(" \t"),
        Field::new("site_patterns", FieldKind::List { max: 32, choices: None }, "partners it is called for")
            .shorts(&["sp"])
            .default("*"),
        Field::new("file_patterns", FieldKind::List { max: 32, choices: None }, "files it is called for")
            .shorts(&["fp"])
            .default("*"),
        Field::int("time_limit_s", (1, 3600), "seconds", "then it and what it started are killed")
            .shorts(&["tl"])
            .default("30"),
        Field::choice("failure_policy", &["CLOSED", "OPEN"], "when it can't say yes or no")
            .shorts(&["pol"])
            .default("CLOSED")
            .detail("of LOGIN and UPLOAD: CLOSED refuses, OPEN lets pass"),
        Field::int("retry_count_max", (0, 999), "", "more tries of what it is told, if it fails")
            .shorts(&["rcm"])
            .default("5"),
        Field::int("parallel_max", (1, 64), "", "runs at the same time").shorts(&["pm"]).default("2"),
        Field::text("run_as", 21, "uid:gid that it runs as")
            .shorts(&["ra"])
            .detail("numbers; needs a gateway that may change its user, as root may"),
        COMMENTS,
    ],
    group_field: None,
    state_field: Some(STATE),
    summary: &["events", "program", "site_patterns", "file_patterns", "state"],
};

/// A program that is asked or told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// When it is called.
    pub events: Vec<String>,
    /// Absolute path of the program.
    pub program: String,
    arguments: Vec<String>,
    /// More of its environment.
    pub environment: Vec<(String, String)>,
    sites: Vec<Pattern>,
    files: Vec<Pattern>,
    /// Longest run.
    pub time_limit: Duration,
    /// Whether it lets pass what it can't judge.
    pub open: bool,
    /// Tries after the first.
    pub retry_count_max: i64,
    /// Runs at the same time.
    pub parallel_max: usize,
    /// User and group that it runs as.
    pub run_as: Option<(u32, u32)>,
    /// Free text.
    pub comments: String,
    /// Whether it is called.
    pub enabled: bool,
}

impl Hook {
    /// Whether it is called for this.
    #[must_use]
    pub fn is_for(&self, event: &str, site: &str, file: &str) -> bool {
        let fits = |all: &[Pattern], text: &str| all.iter().any(|p| p.matches(text, QuestionMark::One));
        // A login is about no file.
        self.enabled
            && self.events.iter().any(|e| e == event)
            && fits(&self.sites, site)
            && (event == "LOGIN" || fits(&self.files, file))
    }

    /// Whether it is told of something afterwards.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.enabled && self.events.iter().any(|event| !matches!(event.as_str(), "LOGIN" | "UPLOAD"))
    }

    /// Its arguments for a transfer of these facts.
    ///
    /// # Errors
    /// The first variable that is not known.
    pub fn arguments(&self, facts: &RouteFacts) -> Result<Vec<String>, String> {
        self.arguments.iter().map(|text| variables::expand(text, facts)).collect()
    }
}

/// What the environment of a hook tells of a transfer: `x_NAME` and its value (CON-13).
#[must_use]
pub fn hook_variables(facts: &RouteFacts) -> Vec<(String, String)> {
    variables::all(facts).map(|(name, value)| (format!("x_{name}"), value)).collect()
}

impl Meant for Hook {
    fn read(r: &mut Reader<'_>) -> Self {
        let arguments = r.list("arguments");
        for text in &arguments {
            if let Err(wrong) = variables::check(text) {
                r.error("arguments", wrong, format!("use {}", variables::names()));
            }
        }
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            events: r.list("events").into_iter().map(|event| event.to_ascii_uppercase()).collect(),
            program: real_path(r, "program").unwrap_or_default(),
            arguments,
            environment: environment(r),
            sites: r.list("site_patterns").into_iter().map(Pattern::new).collect(),
            files: r.list("file_patterns").into_iter().map(Pattern::new).collect(),
            time_limit: Duration::from_secs(r.int("time_limit_s")),
            open: r.choice("failure_policy", &[("CLOSED", false), ("OPEN", true)], false),
            retry_count_max: r.int("retry_count_max"),
            parallel_max: r.int::<u32>("parallel_max").try_into().unwrap_or(1),
            run_as: run_as(r),
            comments: r.text_or_empty("comments"),
            enabled: r.enabled(),
        }
    }
}

/// Names that would change what program runs, or that the gateway gives itself.
const OWN_NAMES: &[&str] = &["PATH", "HOME", "LC_ALL", "IFS", "ENV", "BASH_ENV"];

fn environment(r: &mut Reader<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for text in r.list("environment") {
        let (name, value) = text.split_once('=').unwrap_or_default();
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let own = OWN_NAMES.contains(&name)
            || ["LD_", "GATEHOUSE_", "x_"].iter().any(|start| name.starts_with(start))
            || name.starts_with(|c: char| c.is_ascii_digit());
        if !plain || own || value.contains('\0') {
            let text = format!("{:?} is no NAME=value of your own", base::Shown::from(name));
            r.error("environment", text, "PATH, HOME, LD_*, GATEHOUSE_* and x_* are the gateway's to give");
        } else {
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}

fn run_as(r: &mut Reader<'_>) -> Option<(u32, u32)> {
    let text = r.text("run_as")?;
    let ids = text.split_once(':').and_then(|(user, group)| Some((user.parse().ok()?, group.parse().ok()?)));
    match ids {
        Some((user, group)) if user > 0 && group > 0 => Some((user, group)),
        _ => {
            r.error("run_as", format!("{text:?} is no uid:gid of a user without rights"), "give numbers as 1001:1001");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;
    use crate::testing::object;

    fn hook(fields: &[(&str, &str)]) -> Hook {
        let all: Vec<_> =
            [("program", "/usr/bin/true"), ("events", "RECEIVED")].iter().chain(fields).copied().collect();
        let (hook, problems) = read(&object(Kind::Hook, "H", &all));
        assert_eq!(problems, []);
        hook
    }

    #[test]
    fn hooks_are_called_for_what_they_name() {
        let h = hook(&[("site_patterns", "ACME*"), ("file_patterns", "*.xml")]);
        for (event, site, file, called) in [
            ("RECEIVED", "ACME_1", "a.xml", true),
            ("RECEIVED", "BETA", "a.xml", false),
            ("RECEIVED", "ACME", "a.txt", false),
            ("ROUTED", "ACME", "a.xml", false),
        ] {
            assert_eq!(h.is_for(event, site, file), called, "{event} {site} {file}");
        }
        assert!(h.is_told());
        let login = Hook { events: vec!["LOGIN".to_owned()], ..h };
        assert!(login.is_for("LOGIN", "ACME", "") && !login.is_told());
    }

    #[test] // CON-13
    fn values_stay_one_argument() {
        let h = hook(&[("arguments", "-f &(file_name) &(site)")]);
        let facts = RouteFacts { file_name: "a b; rm -rf $HOME".into(), site: "A".into(), ..RouteFacts::default() };
        assert_eq!(h.arguments(&facts).unwrap(), ["-f", "a b; rm -rf $HOME", "A"]);
        assert!(hook_variables(&facts).contains(&("x_file_name".to_owned(), "a b; rm -rf $HOME".to_owned())));
    }

    #[test]
    fn wrong_hooks_are_refused() {
        for (field, text) in [
            ("program", "notify.sh"),
            ("events", "SOMETIMES"),
            ("arguments", "&(nothing)"),
            ("environment", "LD_PRELOAD=/tmp/x.so"),
            ("environment", "PATH=/tmp"),
            ("environment", "novalue"),
            ("run_as", "0:0"),
            ("run_as", "erp"),
            ("time_limit_s", "0"),
        ] {
            let mut all = vec![("program", "/usr/bin/true"), ("events", "RECEIVED")];
            all.retain(|(name, _)| *name != field);
            all.push((field, text));
            let body = all.iter().map(|(f, t)| ((*f).to_owned(), crate::Value::from(*t))).collect();
            let problems = crate::check_body(Kind::Hook, &body).unwrap_err();
            assert_eq!(problems[0].field, field, "{text}");
        }
    }
}
